//! One authenticated call, and the key that it is for.

use super::error::KmsError;
use super::input::Input;
use crate::aws::sigv4::Caller;
use crate::faults::Tamper;
use crate::state::State;
use crate::state::aws::Key;
use serde_json::Value;

/// One authenticated call.
pub(super) struct Call<'a> {
    pub(super) state: &'a State,
    pub(super) caller: Caller,
    pub(super) input: Input,
    pub(super) tamper: Tamper,
    pub(super) now: i64,
}

impl Call<'_> {
    /// The key that `KeyId` names, in any of its forms.
    pub(super) fn key(&self) -> Result<Key, KmsError> {
        Ok(self.state.aws.keys.find(&self.caller.region, self.input.text("KeyId")?)?)
    }

    /// The key of an operation that takes no alias: a key id or a key ARN.
    pub(super) fn own_key(&self) -> Result<Key, KmsError> {
        let id = self.input.text("KeyId")?;
        if id.contains("alias/") {
            return Err(KmsError::new("NotFoundException", format!("Invalid keyId '{id}'")));
        }
        self.key()
    }

    /// A key that may be used for `operation`.
    pub(super) fn usable_key(&self, operation: &str, usage: &str) -> Result<Key, KmsError> {
        let key = self.key()?;
        key.check_state()?;
        if key.usage != usage {
            let text = format!("{} key usage is {} which is not valid for {operation}.", key.arn, key.usage);
            return Err(KmsError::new("InvalidKeyUsageException", text));
        }
        Ok(key)
    }

    /// The end of each cryptographic operation that offers `DryRun`.
    pub(super) fn dry_run(&self) -> Result<(), KmsError> {
        if self.input.0.get("DryRun").and_then(Value::as_bool) == Some(true) {
            let text = "The request would have succeeded, but the DryRun option is set.";
            return Err(KmsError::new("DryRunOperationException", text));
        }
        Ok(())
    }
}
