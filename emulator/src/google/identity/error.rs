//! Errors of OAuth 2.0.

use crate::google::status::pretty;
use crate::http::Reply;
use serde_json::json;

/// An error of OAuth 2.0 (RFC 6749 section 5.2).
pub(crate) fn oauth_error(status: u16, error: &str, description: &str) -> Reply {
    pretty(status, &json!({ "error": error, "error_description": description }))
}
