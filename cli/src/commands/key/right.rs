//! The rights that a slot has to give for a change.

use crate::failure::Failure;
use cryptoki::error::{Error, RvError};

/// A right that a slot has to give for a change (docs/managing-keys.md).
pub struct Right {
    /// What a call fails with if the slot does not give the right.
    code: RvError,
    /// The options of the slot that give it.
    options: &'static str,
}

/// For C_DestroyObject.
pub const ALLOW_DESTROY: Right = Right {
    code: RvError::ActionProhibited,
    options: "\"allow\": [\"destroy\"] and \"confirm_destroy\" with the label of the token",
};
/// For C_GenerateKeyPair and C_GenerateKey.
pub const ALLOW_GENERATE: Right = Right { code: RvError::MechanismInvalid, options: "\"allow\": [\"generate\"]" };
/// For C_SetAttributeValue.
pub const ALLOW_LABELS: Right =
    Right { code: RvError::ActionProhibited, options: "\"discover\": true and \"allow\": [\"labels\"]" };

/// Says which options permit a change, if the lack of them may be the reason of its failure.
pub fn not_allowed(error: Error, right: &Right) -> Failure {
    match error {
        Error::Pkcs11(code, _) if code == right.code => {
            let failure = Failure::from(error);
            failure.fix(format!("the slot needs {}; the module's line says whether it has them", right.options))
        }
        other => Failure::from(other),
    }
}
