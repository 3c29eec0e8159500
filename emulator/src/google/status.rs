//! Errors of Google's APIs: `google.rpc.Status` with its details (AIP-193, "Errors"; google/rpc/error_details.proto).

use crate::crypto::Unable;
use crate::http::Reply;
use serde_json::{Value, json};

/// An error, with an HTTP status and `google.rpc.Code`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Status {
    pub(crate) http: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) details: Vec<Value>,
}

impl Status {
    pub(crate) fn new(http: u16, code: &str, message: impl Into<String>) -> Self {
        Self { http, code: code.to_owned(), message: message.into(), details: Vec::new() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    pub(crate) fn failed_precondition(message: impl Into<String>) -> Self {
        Self::new(400, "FAILED_PRECONDITION", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "NOT_FOUND", message)
    }

    /// A member of the body or the query that the method does not have.
    pub(crate) fn unknown_field(description: String) -> Self {
        let violations = json!([{ "description": description.clone() }]);
        Self::invalid(description).with("BadRequest", json!({ "fieldViolations": violations }))
    }

    /// Adds a detail of `google.rpc`.
    pub(crate) fn with(mut self, kind: &str, mut detail: Value) -> Self {
        detail["@type"] = json!(format!("type.googleapis.com/google.rpc.{kind}"));
        self.details.push(detail);
        self
    }

    pub(crate) fn error_info(self, reason: &str, domain: &str, metadata: Value) -> Self {
        self.with("ErrorInfo", json!({ "reason": reason, "domain": domain, "metadata": metadata }))
    }

    pub(crate) fn help(self, description: &str, url: &str) -> Self {
        self.with("Help", json!({ "links": [{ "description": description, "url": url }] }))
    }

    pub(crate) fn reply(&self) -> Reply {
        let mut error = json!({ "code": self.http, "message": self.message, "status": self.code });
        if !self.details.is_empty() {
            error["details"] = json!(self.details);
        }
        let reply = pretty(self.http, &json!({ "error": error }));
        match self.http {
            401 => reply.with("www-authenticate", "Bearer realm=\"https://accounts.google.com/\""),
            _ => reply,
        }
    }
}

/// A reply as Google writes it, with line breaks and spaces.
pub(crate) fn pretty(status: u16, value: &Value) -> Reply {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    Reply::new(status, "application/json; charset=UTF-8", text.into_bytes())
}

impl From<Unable> for Status {
    fn from(_: Unable) -> Self {
        Self::new(500, "INTERNAL", "Internal error encountered.")
    }
}
