//! The file of the metrics and the audit trail.

mod audit;
mod metrics;

use crate::support::p11::P11;
use crate::support::world::World;
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};

/// Configures a P-256 key of AWS in slot 0, one of Azure in slot 1, and one of AWS in slot 2 with which signing is denied.
fn configure(world: &World, options: Value) {
    for name in ["a", "denied"] {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias(&format!("alias/{name}"))).unwrap();
    }
    world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
    world.emulator.control().fault(Fault::new("kms.Sign", Action::Deny).key("denied"));
    let slots = json!([
        { "label": "token a", "kms_key_id": "alias/a" },
        { "label": "z", "key_name": "z" },
        { "label": "d", "kms_key_id": "alias/denied" },
    ]);
    world.configure_with(slots, options);
}

fn sign(p11: P11, slot: CK_SLOT_ID, ckm: CK_MECHANISM_TYPE, data: &[u8]) -> Result<Vec<u8>, CK_RV> {
    let session = p11.open(slot);
    p11.sign(session, p11.private_key(session), ckm, &[], data)
}
