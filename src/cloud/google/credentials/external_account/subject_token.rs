//! Tokens of another provider of identities that are in a file, or that a server of the workload's platform issues.

use super::super::credential_file::Format;
use super::super::token_error::NO_ADVICE;
use super::super::token_server::{Context, host_of};
use crate::cloud::credentials::file;
use crate::cloud::failure::refused::FailedAttempt;
use http::{HeaderName, HeaderValue, Method};
use reqwest::Request;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// How a file or a reply contains a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SubjectTokenFormat {
    Text,
    /// The member of a JSON object that contains the token.
    Json(String),
}

/// A file that contains a token. Another program writes a new token into it from time to time.
#[derive(Debug)]
pub(crate) struct TokenFile {
    pub(crate) path: PathBuf,
    pub(crate) format: SubjectTokenFormat,
}

/// A server that issues tokens to this workload.
pub(crate) struct TokenUrl {
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<String, Zeroizing<String>>,
    pub(crate) format: SubjectTokenFormat,
}

impl SubjectTokenFormat {
    pub(crate) fn new(format: &Format) -> Result<Self, String> {
        match (format.kind.as_deref(), &format.subject_token_field_name) {
            (None | Some("text"), _) => Ok(Self::Text),
            (Some("json"), Some(name)) => Ok(Self::Json(name.clone())),
            (Some("json"), None) => Err("\"format\" of the type json lacks \"subject_token_field_name\"".into()),
            (Some(other), _) => Err(format!("\"format\" has the type {other:?}; it must be text or json")),
        }
    }

    /// Takes the token from a text. The error quotes nothing of the text.
    fn token(&self, text: &str) -> Result<Zeroizing<String>, String> {
        let token = match self {
            Self::Text => Some(Zeroizing::new(text.trim().to_owned())),
            Self::Json(name) => match serde_json::from_str(text) {
                Ok(Value::Object(mut members)) => match members.remove(name) {
                    Some(Value::String(token)) => Some(Zeroizing::new(token)),
                    _ => {
                        return Err(format!(
                            "the JSON lacks {name:?}, or it is not a text; check \"subject_token_field_name\""
                        ));
                    }
                },
                _ => return Err("this is not a JSON object, but \"format\" says so".into()),
            },
        };
        token.filter(|token| !token.is_empty()).ok_or_else(|| "there is no token in it".into())
    }
}

impl TokenFile {
    pub(crate) fn token(&self) -> Result<Zeroizing<String>, String> {
        let wrong = |why: String| format!("{}: {why}", self.path.display());
        let bytes = file::bytes(&self.path)?;
        let text = file::decode_text(&bytes).ok_or_else(|| wrong("the file is not text".into()))?;
        self.format.token(&text).map_err(wrong)
    }
}

impl TokenUrl {
    pub(crate) async fn token(&self, context: &Context<'_>) -> Result<Zeroizing<String>, FailedAttempt> {
        let (url, route) = context.workload_url(&self.url, "credential_source.url")?;
        let host = host_of(&url);
        let mut request = Request::new(Method::GET, url);
        for (name, value) in &self.headers {
            let pair = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::from_str(value).ok());
            let wrong =
                || context.bad_credentials(format!("\"credential_source\" has a header {name:?} that is not valid"));
            let (name, mut value) = pair.ok_or_else(wrong)?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        let reply = context.send(request, route, &NO_ADVICE).await?;
        let text = file::decode_text(&reply.body)
            .ok_or_else(|| context.bad_credentials(format!("{host}: the reply is not text")))?;
        self.format.token(&text).map_err(|why| context.bad_credentials(format!("{host}: {why}")))
    }
}

impl std::fmt::Debug for TokenUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenUrl")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_each_format() {
        let json = SubjectTokenFormat::Json("access_token".into());
        for (format, text, token) in [
            (SubjectTokenFormat::Text, "ey.J.x\n", "ey.J.x"),
            (json.clone(), r#"{"access_token": "ey.J.x", "expires_in": "3599"}"#, "ey.J.x"),
        ] {
            assert_eq!(format.token(text).unwrap().as_str(), token);
        }
        for (format, text, why) in [
            (SubjectTokenFormat::Text, " \n", "there is no token in it"),
            (json.clone(), r#"{"access_token": ""}"#, "there is no token in it"),
            (json.clone(), r#"{"token": "s3cret"}"#, "the JSON lacks \"access_token\""),
            (json.clone(), r#"{"access_token": 7}"#, "the JSON lacks \"access_token\""),
            (json, "s3cret", "this is not a JSON object"),
        ] {
            let error = format.token(text).unwrap_err();
            assert!(error.starts_with(why) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_format_of_a_file_is_checked() {
        let format = |kind: Option<&str>, name: Option<&str>| {
            SubjectTokenFormat::new(&Format {
                kind: kind.map(str::to_owned),
                subject_token_field_name: name.map(str::to_owned),
            })
        };
        assert_eq!(format(None, None), Ok(SubjectTokenFormat::Text));
        assert_eq!(format(Some("json"), Some("t")), Ok(SubjectTokenFormat::Json("t".into())));
        assert!(format(Some("json"), None).unwrap_err().contains("lacks \"subject_token_field_name\""));
        assert!(format(Some("xml"), None).unwrap_err().contains("must be text or json"));
    }
}
