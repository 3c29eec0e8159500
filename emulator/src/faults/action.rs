//! What goes wrong.

use super::flaw::Flaw;
use serde::{Deserialize, Serialize};

/// What happens to a request or a connection. In JSON the name in snake case, with its values if it has any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Wait, then go on as usual.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Wait until so many requests for the operation have come, this one counted, then go on as usual.
    Await {
        /// Requests since the start or the last reset.
        requests: u64,
    },
    /// An error in the form of the service that was asked.
    Error {
        /// The HTTP status.
        status: u16,
        /// `__type` of KMS, `code` of Key Vault, `status` of Google Cloud, `error` of Entra and Google's token endpoints.
        code: String,
        /// The message.
        message: String,
        /// Key Vault's `innererror.code`, the `reason` of Google's ErrorInfo.
        #[serde(default)]
        innererror: Option<String>,
    },
    /// `ThrottlingException` or 429; at Google with RetryInfo in place of the header.
    Throttle {
        /// `Retry-After` in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// `AccessDeniedException`, or 403 with `ForbiddenByRbac` or `IAM_PERMISSION_DENIED`.
    Deny,
    /// RST instead of a reply, after the request was read; nothing is done.
    ResetBeforeReply,
    /// RST after half of the reply's body.
    ResetMidReply,
    /// A whole reply, then the connection is closed without having announced it.
    CloseAfterReply,
    /// Half the body, then the connection is closed in good order.
    TruncatedBody,
    /// 200 with bytes that are not JSON.
    GarbageBody,
    /// 200 and no body.
    EmptyBody,
    /// A valid body with so many bytes of white space behind it.
    OversizedBody {
        /// Bytes of white space.
        bytes: u64,
    },
    /// The request is read and never answered.
    Hang,
    /// The body comes one byte at a time.
    Drip {
        /// Milliseconds before each byte.
        ms: u64,
    },
    /// A well-formed signature over another digest, or another MAC.
    WrongSignature,
    /// A signature or MAC that lacks its last byte.
    WrongLengthSignature,
    /// A true ECDSA signature whose r or s starts with a zero byte.
    ShortIntegers,
    /// An ECDSA signature that is not DER (KMS).
    InvalidDer,
    /// One bit of what was decrypted is wrong.
    WrongPlaintext,
    /// One bit of a shared secret is wrong (KMS).
    WrongSecret,
    /// What the service says to credentials or a token that have expired.
    ExpiredToken,
    /// Google Cloud: the API is not enabled in the project.
    ServiceDisabled,
    /// Google Cloud: VPC Service Controls keep the request out.
    PolicyViolated,
    /// Google Cloud: the checksum in the reply is wrong.
    WrongChecksum,
    /// Google Cloud: the reply does not say that the checksum of the request was checked.
    Unverified,
    /// Google Cloud: the reply names another key version.
    WrongName,
    /// What KMS says to a request signed ten minutes ago.
    ClockSkew,
    /// Key Vault's second 401: `error="insufficient_claims"`.
    ClaimsChallenge,
    /// For operation `connection`: accept and never speak.
    BlackHole,
    /// For operation `connection`: read the ClientHello and never answer it.
    TlsStall,
    /// For operation `connection`: answer the ClientHello with a fatal alert.
    TlsAlert {
        /// RFC 8446 section 6: 40 is handshake_failure, 70 is protocol_version.
        code: u8,
    },
    /// For operation `connection`: answer the ClientHello in plain HTTP.
    NoTls,
    /// For operation `connection`: show a certificate that clients have to refuse.
    Certificate(Flaw),
    /// A page that a proxy or a filter answers with in the service's place. For operation `connect`: to CONNECT.
    Page {
        /// The HTTP status.
        status: u16,
        /// `Proxy-Authenticate`.
        #[serde(default)]
        authenticate: Option<String>,
    },
}
