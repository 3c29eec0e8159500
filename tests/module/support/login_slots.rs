//! Slots of every kind whose PIN is their credential, and the calls with which a program logs in.

use super::p11::{P11, Rv};
use super::world::World;
use crate::c;
use cloud_kms_emulator::{AwsKey, EntraClients, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};

pub const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzb21lYm9keSJ9.a-token-of-somebody";
pub const DATA: &[u8] = b"data to be signed";

/// A slot with one key, and the PIN for its login.
pub struct LoginSlot {
    pub slot: Value,
    pub pin: &'static str,
    pub signing: &'static str,
}

pub fn azure(world: &World) -> LoginSlot {
    world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
    let slot = json!({ "label": "z", "key_name": "z", "login": "azure_client_secret" });
    LoginSlot { slot, pin: EntraClients::SECRET, signing: "vault.keys.sign" }
}

pub fn aws(world: &World) -> LoginSlot {
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    world.emulator.aws().allow_web_identity(TOKEN);
    set("AWS_ENDPOINT_URL_STS", &world.emulator.http_url());
    let slot = json!({
        "label": "a", "kms_key_id": "alias/a", "login": "aws_web_identity_token",
        "aws_role_arn": "arn:aws:iam::111122223333:role/signer",
    });
    LoginSlot { slot, pin: TOKEN, signing: "kms.Sign" }
}

pub fn profile(world: &World) -> LoginSlot {
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/p")).unwrap();
    world.emulator.aws().allow_access_key("AKIAOFTHEPROFILE", "the-secret-of-the-profile");
    let text = "[profile somebody-else]\naws_access_key_id = AKIAOFTHEPROFILE\n\
                aws_secret_access_key = the-secret-of-the-profile\n";
    let path = world.home.join("profiles");
    std::fs::write(&path, text).unwrap();
    set("AWS_CONFIG_FILE", path.to_str().unwrap());
    let slot = json!({ "label": "p", "kms_key_id": "alias/p", "login": "aws_profile" });
    LoginSlot { slot, pin: "somebody-else", signing: "kms.Sign" }
}

pub fn set(variable: &str, value: &str) {
    unsafe { std::env::set_var(variable, value) }
}

pub fn login_slots(world: &World) -> [LoginSlot; 3] {
    let logins = [azure(world), aws(world), profile(world)];
    world.configure(logins.iter().map(|login| login.slot.clone()).collect());
    logins
}

pub fn log_in(p11: P11, session: CK_SESSION_HANDLE, pin: &str) -> Rv<()> {
    log_in_as(p11, session, CKU_USER, pin)
}

pub fn log_in_as(p11: P11, session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: &str) -> Rv<()> {
    let mut pin = pin.as_bytes().to_vec();
    c!(p11, C_Login(session, user, pin.as_mut_ptr(), pin.len() as CK_ULONG))
}

pub fn log_out(p11: P11, session: CK_SESSION_HANDLE) -> Rv<()> {
    c!(p11, C_Logout(session))
}

pub fn token_info(p11: P11, slot: CK_SLOT_ID) -> CK_TOKEN_INFO {
    let mut info: CK_TOKEN_INFO = unsafe { std::mem::zeroed() };
    c!(p11, C_GetTokenInfo(slot, &mut info)).unwrap();
    info
}

pub fn sign(p11: P11, session: CK_SESSION_HANDLE) -> Rv<Vec<u8>> {
    p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], DATA)
}

/// Returns the number of requests of any kind, except the emulator's own.
pub fn all_requests(world: &World) -> u64 {
    world
        .emulator
        .control()
        .counts()
        .iter()
        .filter(|(name, _)| name.contains('.') || *name == "token")
        .map(|(_, n)| n)
        .sum()
}
