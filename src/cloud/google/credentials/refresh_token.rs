//! Refresh tokens of users: what `gcloud auth application-default login` writes, for users of Google and for users of a
//! workforce identity pool.
//!
//! <https://google.aip.dev/auth/4113>; RFC 6749 section 6.

use super::access_token::IssuedToken;
use super::credential_file::Members;
use super::token_error::REFRESH_ADVICE;
use super::token_server::{Context, Route, TokenReply};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::secret::Secret;
use base64ct::{Base64, Encoding};
use http::HeaderValue;
use zeroize::Zeroizing;

/// The refresh token of a user, and the OAuth client to which it belongs.
#[derive(Debug)]
pub(crate) struct RefreshToken {
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    /// The URL of the token server, and the member of the file that contains it.
    url: (String, &'static str),
    has_basic_authentication: bool,
}

impl RefreshToken {
    /// Takes the token of a user of Google from a file.
    ///
    /// # Errors
    /// A sentence with the path, which says what to do.
    pub(crate) fn of_user(members: &Members) -> Result<Self, String> {
        Self::new(members, (&members.token_uri, "token_uri"), "https://oauth2.googleapis.com/token", false)
    }

    /// Takes the token of a user of a workforce identity pool from a file. "External account authorized user credentials".
    ///
    /// # Errors
    /// A sentence with the path, which says what to do.
    pub(crate) fn of_external_user(members: &Members, universe: &str) -> Result<Self, String> {
        let default = format!("https://sts.{universe}/v1/oauthtoken");
        Self::new(members, (&members.token_url, "token_url"), &default, true)
    }

    fn new(
        members: &Members,
        (url, member): (&Option<String>, &'static str),
        default: &str,
        has_basic_authentication: bool,
    ) -> Result<Self, String> {
        Ok(Self {
            client_id: members.required(&members.client_id, "client_id")?,
            client_secret: members.required_secret(&members.client_secret, "client_secret")?,
            refresh_token: members.required_secret(&members.refresh_token, "refresh_token")?,
            url: (url.clone().unwrap_or_else(|| default.to_owned()), member),
            has_basic_authentication,
        })
    }

    /// Requests a token. A server may replace the refresh token, too.
    pub(crate) async fn token(&self, context: &Context<'_>) -> Result<IssuedToken, FailedAttempt> {
        let url = context.token_url(&self.url.0, self.url.1)?;
        let current = context.memory.current(&self.refresh_token);
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", current.expose())];
        let authorization = if self.has_basic_authentication {
            Some(basic_authentication(&self.client_id, self.client_secret.expose()))
        } else {
            fields.extend([("client_id", self.client_id.as_str()), ("client_secret", self.client_secret.expose())]);
            None
        };
        let how = (Route::Network, &REFRESH_ADVICE);
        let reply: TokenReply = context.post_form(url, &fields, authorization, how).await?;
        if let Some(new) = &reply.refresh_token {
            context.memory.replace(&self.refresh_token, Secret::from(new.as_str().to_owned()));
        }
        reply.issued(context)
    }
}

/// Returns the value of the header `Authorization` for a client. RFC 6749 section 2.3.1.
pub(crate) fn basic_authentication(id: &str, secret: &str) -> HeaderValue {
    let text = Zeroizing::new(format!("{id}:{secret}"));
    let value = Zeroizing::new(format!("Basic {}", Base64::encode_string(text.as_bytes())));
    // Base64 consists of characters that a header may have.
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static(""))
}
