//! What may be done with a key, depending on its state (KMS Developer Guide, "Key states").

use super::error::KmsError;
use crate::state::aws::{Key, KeyState};

impl Key {
    /// Whether cryptographic operations are allowed.
    pub(super) fn check_state(&self) -> Result<(), KmsError> {
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(KmsError::new("DisabledException", format!("{} is disabled.", self.arn))),
            KeyState::PendingDeletion => self.check_not_pending(),
        }
    }

    pub(super) fn check_not_pending(&self) -> Result<(), KmsError> {
        match self.state {
            KeyState::PendingDeletion => {
                Err(KmsError::new("KMSInvalidStateException", format!("{} is pending deletion.", self.arn)))
            }
            _ => Ok(()),
        }
    }
}
