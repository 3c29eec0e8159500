//! The one error of cryptography: the libraries say no more.

use std::io;

/// The material can't do this, or the input is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unable;

impl<T: Into<Impossible>> From<T> for Unable {
    fn from(_: T) -> Self {
        Self
    }
}

/// What the cryptographic library says, which is nothing.
pub(crate) struct Impossible;

impl From<aws_lc_rs::error::Unspecified> for Impossible {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}

impl From<aws_lc_rs::error::KeyRejected> for Impossible {
    fn from(_: aws_lc_rs::error::KeyRejected) -> Self {
        Self
    }
}

impl From<Unable> for io::Error {
    fn from(_: Unable) -> Self {
        io::Error::other("the cryptographic library rejected the operation")
    }
}
