//! What the account at AWS holds.

mod account;
mod arn;
mod certificates;
mod credentials;
mod key;
mod key_spec;
mod key_store;

pub(crate) use account::{ACCESS_KEY, Account, SECRET_KEY};
pub(crate) use arn::{ACCOUNT, REGION, USER_ARN, arn};
pub(crate) use certificates::IssuedCertificate;
pub(crate) use credentials::{Credential, Credentials};
pub(crate) use key::{Alias, Key, KeyState, Tags};
pub(crate) use key_spec::{AGREE, ENCRYPT, MAC, SIGN, SPECS, Spec};
pub(crate) use key_store::NoSuchKey;
