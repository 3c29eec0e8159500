//! The initialized module.

use cryptoki::context::Pkcs11;

/// The initialized module. C_Finalize is called when the last token and the last [`crate::module::Module`] are dropped.
pub struct Context(pub Pkcs11);

impl Drop for Context {
    fn drop(&mut self) {
        // The work is done, so a failure changes nothing.
        let _ = self.0.clone().finalize();
    }
}
