//! AWS STS: the query protocol with XML replies (STS API Reference).

use super::sigv4::{self, Caller, Refusal};
use super::temporary_credentials::{TemporaryCredentials, issue};
use crate::clock::extended;
use crate::encoding::form_value;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::aws::{ACCOUNT, USER_ARN};

/// The operation that the form names.
pub(crate) fn operation(request: &Request) -> Option<String> {
    let form = std::str::from_utf8(&request.body).ok()?;
    form_value(form, "Action").filter(|_| form_value(form, "Version").as_deref() == Some("2011-06-15"))
}

/// Answers one request.
pub(crate) fn answer(state: &State, request: &Request) -> Reply {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let action = operation(request).unwrap_or_default();
    let id = state.ids.uuid();
    let result = match action.as_str() {
        "AssumeRoleWithWebIdentity" => assume_with_web_identity(state, &form),
        "AssumeRole" => authenticate(state, request).and_then(|_| assume_role(state, &form)),
        "GetCallerIdentity" => authenticate(state, request)
            .map(|caller| format!("<Arn>{}</Arn><UserId>{ACCOUNT}</UserId><Account>{ACCOUNT}</Account>", caller.arn)),
        _ => {
            Err(Failure::new(400, "InvalidAction", format!("Could not find operation {action} for version 2011-06-15")))
        }
    };
    let (status, text) = match result {
        Ok(result) => {
            let metadata = format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>");
            (
                200,
                format!(
                    "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{result}</{action}Result>{metadata}</{action}Response>"
                ),
            )
        }
        Err(failure) => (failure.status, failure.xml(&id)),
    };
    Reply::new(status, "text/xml", text.into_bytes()).with("x-amzn-requestid", id)
}

/// An error in the form of the query protocol.
pub(crate) fn error(status: u16, code: &str, message: &str, id: &str) -> Reply {
    Reply::new(status, "text/xml", Failure::new(status, code, message.to_owned()).xml(id).into_bytes())
}

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

struct Failure {
    status: u16,
    code: String,
    message: String,
}

impl Failure {
    fn new(status: u16, code: &str, message: String) -> Self {
        Self { status, code: code.to_owned(), message }
    }

    fn xml(&self, id: &str) -> String {
        let message = self.message.replace('&', "&amp;").replace('<', "&lt;");
        let error = format!("<Error><Type>Sender</Type><Code>{}</Code><Message>{message}</Message></Error>", self.code);
        format!("<ErrorResponse xmlns=\"{NAMESPACE}\">{error}<RequestId>{id}</RequestId></ErrorResponse>")
    }
}

fn authenticate(state: &State, request: &Request) -> Result<Caller, Failure> {
    let known = &state.aws.credentials;
    sigv4::check(known, request, "sts", state.clock.now()).map_err(|refusal| match refusal {
        Refusal::Missing => {
            Failure::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token".to_owned())
        }
        Refusal::Incomplete(text) => Failure::new(400, "IncompleteSignature", text),
        Refusal::UnknownKey => Failure::new(
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.".to_owned(),
        ),
        Refusal::Expired => {
            Failure::new(403, "ExpiredToken", "The security token included in the request is expired".to_owned())
        }
        Refusal::Mismatch(text) => Failure::new(403, "SignatureDoesNotMatch", text),
    })
}

fn assume_with_web_identity(state: &State, form: &str) -> Result<String, Failure> {
    let token = form_value(form, "WebIdentityToken").unwrap_or_default();
    if !state.aws.knows_identity(&token) {
        let text = "No OpenIDConnect provider found in your account for the token".to_owned();
        return Err(Failure::new(400, "InvalidIdentityToken", text));
    }
    let result = assume_role(state, form)?;
    Ok(format!("{result}<SubjectFromWebIdentityToken>emulator</SubjectFromWebIdentityToken>"))
}

fn assume_role(state: &State, form: &str) -> Result<String, Failure> {
    let required = |name: &str| {
        form_value(form, name).filter(|value| !value.is_empty()).ok_or_else(|| {
            let member = name.get(..1).unwrap_or_default().to_ascii_lowercase() + name.get(1..).unwrap_or_default();
            let text = format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null");
            Failure::new(400, "ValidationError", text)
        })
    };
    let (role, session) = (required("RoleArn")?, required("RoleSessionName")?);
    let Some(name) = role.split_once(":role/").map(|(_, name)| name) else {
        return Err(Failure::new(400, "ValidationError", format!("{role} is invalid")));
    };
    let duration = form_value(form, "DurationSeconds").and_then(|value| value.parse().ok()).unwrap_or(3600);
    if !(900..=43_200).contains(&duration) {
        let rule = if duration < 900 { "greater than or equal to 900" } else { "less than or equal to 43200" };
        let text = format!(
            "1 validation error detected: Value '{duration}' at 'durationSeconds' failed to satisfy constraint: Member must have value {rule}"
        );
        return Err(Failure::new(400, "ValidationError", text));
    }
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}");
    let TemporaryCredentials { access_key, secret, token, expires } = issue(state, arn.clone(), duration);
    let (short, expiration) = (access_key.get(4..).unwrap_or_default(), extended(expires));
    Ok(format!(
        "<AssumedRoleUser><AssumedRoleId>AROA{short}:{session}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>"
    ))
}

/// Who a denial names.
pub(crate) fn denied(operation: &str, id: &str) -> Reply {
    let text = format!("User: {USER_ARN} is not authorized to perform: sts:{operation}");
    error(403, "AccessDenied", &text, id)
}
