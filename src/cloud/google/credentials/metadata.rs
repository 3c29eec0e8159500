//! The metadata server of a machine of Google Cloud: Compute Engine, GKE, Cloud Run and so on.
//!
//! "About VM metadata"; <https://google.aip.dev/auth/4115>.

use super::access_token::{DEFAULT_UNIVERSE, IssuedToken};
use super::token_error::NO_ADVICE;
use super::token_server::{Context, Route, TokenReply};
use crate::cloud::failure::Cause;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::google::settings::Credentials;
use crate::cloud::http::exchange::Reply;
use crate::log_debug;
use futures_util::future::join;
use http::{HeaderValue, Method};
use reqwest::{Request, Url};

/// The address of the metadata server, which is the same on all machines. It needs no name server.
const ADDRESS: &str = "169.254.169.254";

/// The variable that contains another host, possibly with a port.
const HOST_VARIABLE: &str = "GCE_METADATA_HOST";

/// The header that a request must have, and that each reply of a real metadata server has.
const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");

/// Requests a token of the machine's service account, and if need be the domain of the universe.
pub(crate) async fn token(context: &Context<'_>) -> Result<(IssuedToken, String), FailedAttempt> {
    let host = (context.variable)(HOST_VARIABLE);
    let host = host.as_deref().unwrap_or(ADDRESS);
    let (token, universe) = join(request_token(context, host), universe_domain(context, host)).await;
    Ok((token?, universe))
}

async fn request_token(context: &Context<'_>, host: &str) -> Result<IssuedToken, FailedAttempt> {
    let reply = get(context, host, "instance/service-accounts/default/token").await;
    let reply = reply.map_err(|refused| with_advice(context, host, refused))?;
    let parsed: Result<TokenReply, _> = serde_json::from_slice(&reply.body);
    let unreadable = |_| context.refused(Cause::Malformed, format!("{host}: the reply has no token"));
    parsed.map_err(unreadable)?.issued(context)
}

/// Returns the domain of the universe, if the settings leave it open. A metadata server that knows no universe belongs to
/// Google's own.
async fn universe_domain(context: &Context<'_>, host: &str) -> String {
    let is_known = match &context.settings.universe_domain {
        Some(wanted) => wanted == DEFAULT_UNIVERSE,
        None => context.settings.endpoint_url.is_some(),
    };
    if is_known {
        return DEFAULT_UNIVERSE.to_owned();
    }
    match get(context, host, "universe/universe-domain").await {
        Ok(reply) => {
            let text = String::from_utf8_lossy(&reply.body).trim().to_owned();
            let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            if !text.is_empty() && text.bytes().all(is_domain) { text } else { DEFAULT_UNIVERSE.to_owned() }
        }
        Err(refused) => {
            log_debug!("the universe is taken to be {DEFAULT_UNIVERSE}: {}", refused.failure);
            DEFAULT_UNIVERSE.to_owned()
        }
    }
}

async fn get(context: &Context<'_>, host: &str, path: &str) -> Result<Reply, FailedAttempt> {
    let text = format!("http://{host}/computeMetadata/v1/{path}");
    let wrong = |_| context.refused(Cause::Settings, format!("{HOST_VARIABLE} is {host:?}, which is not a host"));
    let mut request = Request::new(Method::GET, Url::parse(&text).map_err(wrong)?);
    request.headers_mut().insert(FLAVOR.0, HeaderValue::from_static(FLAVOR.1));
    let reply = context.send(request, Route::LinkLocal, &NO_ADVICE).await?;
    // Networks in hotels and offices reply to everything.
    if reply.header(FLAVOR.0) != Some(FLAVOR.1) {
        let message = format!("{host} replied, but is not a metadata server of Google (no {}: {})", FLAVOR.0, FLAVOR.1);
        return Err(context.bad_credentials(message));
    }
    Ok(reply)
}

fn with_advice(context: &Context<'_>, host: &str, mut refused: FailedAttempt) -> FailedAttempt {
    let failure = &mut refused.failure;
    match (failure.cause, &context.settings.credentials) {
        (Cause::TimedOut | Cause::Unreachable | Cause::Unresolved, credentials) => {
            // A server that refuses connections is just starting. If there is none, nothing replies.
            let is_starting = failure.message.contains("refused");
            let advice = match credentials {
                Credentials::FileOrMetadata(path) => format!("there is no file {} either; {HOW_TO}", path.display()),
                _ => HOW_TO.to_owned(),
            };
            failure.message = format!("this machine has no metadata server ({}); {advice}", failure.message);
            failure.cause = Cause::Credentials;
            refused.remedy = if is_starting { RetryPolicy::Limited } else { RetryPolicy::Never };
        }
        (Cause::Credentials, _) => {
            failure.message =
                format!("{}; the machine or the pod may have no service account ({host})", failure.message);
        }
        _ => {}
    }
    refused
}

const HOW_TO: &str = "outside of Google Cloud, run gcloud auth application-default login, or set \
     \"google_credentials_file\" or GOOGLE_APPLICATION_CREDENTIALS";
