//! The PKCS#11 profiles that the tokens of this module implement, and their objects.
//!
//! Profile objects: PKCS#11 3.1 section 4.13, 3.2 section 4.14. Requirements of each profile: PKCS#11 Profiles 3.2
//! section 5. This module knows no keys, so listing the profiles costs no request.

use super::Object;
use cryptoki_sys::*;
use std::sync::Arc;

/// A profile.
#[derive(Debug)]
pub struct Profile {
    /// CKA_PROFILE_ID.
    pub id: CK_PROFILE_ID,
    /// The name of the profile's constant in the standard.
    pub constant: &'static str,
    /// The name of the profile in the standard. It is the label of the profile's object.
    pub name: &'static str,
    /// The section that states the requirements of the profile.
    pub section: &'static str,
    /// How the tokens meet the requirements.
    pub rationale: &'static str,
}

macro_rules! row {
    ($id:ident, $name:literal, $section:literal, $because:literal) => {
        Profile { id: $id, constant: stringify!($id), name: $name, section: $section, rationale: $because }
    };
}

/// The profiles that tokens implement.
///
/// The tokens do not implement Complete Provider (every mechanism of the standard) and HKDF TLS Token
/// (CKM_HKDF_DATA).
#[rustfmt::skip]
pub static PROFILES: [Profile; 4] = [
    row!(CKP_BASELINE_PROVIDER, "Baseline Provider", "5.1",
        "its sixteen functions are there, and objects have its attributes"),
    row!(CKP_EXTENDED_PROVIDER, "Extended Provider", "5.3",
        "also C_GetMechanismList, C_GetMechanismInfo, C_Login, C_LoginUser and C_Logout"),
    row!(CKP_AUTHENTICATION_TOKEN, "Authentication Token", "5.4",
        "private and public keys are objects, and sign by C_Sign or C_SignUpdate and C_SignFinal"),
    row!(CKP_PUBLIC_CERTIFICATES_TOKEN, "Public Certificates Token", "5.5",
        "certificates are found without a login, and a certificate's CKA_ID is that of its keys, of which the public one, too, is found without a login"),
];

/// Returns the profile objects of a token. Every token implements all profiles, except that the Public
/// Certificates Token requires certificates that are visible without a login.
pub fn objects(certificates_are_public: bool) -> Vec<Arc<Object>> {
    let holds = |profile: &&Profile| certificates_are_public || profile.id != CKP_PUBLIC_CERTIFICATES_TOKEN;
    PROFILES.iter().filter(holds).map(|profile| Arc::new(Object::profile(profile.id, profile.name))).collect()
}
