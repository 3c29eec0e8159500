//! The errors of the token endpoint.

use crate::clock::extended;
use crate::http::Reply;
use crate::state::State;
use serde_json::json;

/// An error as the token endpoint words it.
pub(crate) fn error(state: &State, status: u16, error: &str, code: u32, text: &str) -> Reply {
    let (trace, correlation) = (state.ids.uuid(), state.ids.uuid());
    let time = extended(state.clock.now()).replace('T', " ");
    let description = format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}");
    Reply::json(
        status,
        &json!({
            "error": error, "error_description": description, "error_codes": [code], "timestamp": time,
            "trace_id": trace, "correlation_id": correlation, "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}
