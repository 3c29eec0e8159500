//! Why keys of a Transit engine do or do not work: a [`Diagnosis`].
//!
//! "Token auth method (API), Lookup a token (self)", "/sys/health" and "/sys/capabilities-self" of Vault's documentation.

mod capabilities;

use super::Vault;
use super::client::{Clients, Request};
use super::operations::LOOKUP_TOKEN;
use super::settings::{Auth, Credential, Settings};
use crate::cloud::diagnosis::connection::Connection;
use crate::cloud::diagnosis::{Diagnosis, Principal};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::ClientPool;
use crate::cloud::http::endpoint::url_without_credentials;
use crate::cloud::key::{KeyName, Target};
use crate::cloud::login::LoginState;
use crate::cloud::runtime;
use crate::cloud::runtime::Pending;
use crate::key::Scheme;
use http::Method;
use serde::Deserialize;
use std::sync::Arc;

impl Settings {
    /// Returns a backend with these settings that can also tell why its keys do or do not work. Sends no request.
    pub fn diagnosis(&self) -> Arc<dyn Diagnosis> {
        Arc::new(Vault(LoginState::new(self.clone())))
    }
}

impl Diagnosis for Vault {
    fn connect(&self, _keys: &[KeyName]) -> Pending<Vec<Connection>> {
        let (clients, pool) = (self.0.clients(), ClientPool::shared());
        runtime::spawn("Connect", move || async move {
            let Settings { address, network, .. } = &clients.settings;
            let url = format!("{}/v1/sys/health", address.trim_end_matches('/'));
            let connection = Connection::open(&pool, network, &url).await;
            Ok(vec![Connection { url: url_without_credentials(address), ..connection }])
        })
    }

    fn principal(&self, _keys: &[KeyName]) -> Pending<Principal> {
        let clients = self.0.clients();
        runtime::spawn(LOOKUP_TOKEN.name, move || async move { principal(&clients).await })
    }

    fn permission(&self, target: Target, scheme: Scheme, _data: &[u8]) -> Option<Pending<()>> {
        let (clients, key) = (self.0.clients(), target.name.id.clone());
        Some(runtime::spawn(capabilities::LOOKUP_CAPABILITIES.name, move || async move {
            capabilities::check(&clients, &key, scheme).await
        }))
    }

    fn remedy(&self, key: &KeyName, failure: &Failure) -> Option<String> {
        let mount = &self.0.settings.mount;
        (failure.cause == Cause::NotFound).then(|| {
            format!("correct the name; `vault list {mount}/keys` lists the keys; {} is not among them", key.id)
        })
    }
}

/// The reply of "Lookup a token (self)".
#[derive(Deserialize)]
struct TokenReply {
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    identity_policies: Vec<String>,
    /// Seconds. 0 means that the token does not end.
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

/// The time before its end at which a token that nothing replaces deserves attention, in seconds.
const ENDS_SOON: u64 = 3600;

impl TokenReply {
    fn identity(&self) -> String {
        let policies: Vec<_> = self.policies.iter().chain(&self.identity_policies).map(String::as_str).collect();
        let end = match (self.ttl, self.renewable) {
            (0, _) => "without an end".to_owned(),
            (ttl, true) => format!("ends in {ttl} s unless it is renewed"),
            (ttl, false) => format!("ends in {ttl} s"),
        };
        format!("{}, policies {}, {end}", self.display_name, policies.join(", "))
    }

    fn warning(&self, auth: &Auth) -> Option<(String, String)> {
        let is_last = matches!(auth, Auth::Token(_)) && !self.renewable && (1..ENDS_SOON).contains(&self.ttl);
        is_last.then(|| {
            let words = format!("the token ends in {} s, and can't be renewed", self.ttl);
            (words, "replace the token, or configure a login (\"vault_auth\"), which is repeated".to_owned())
        })
    }
}

async fn principal(clients: &Arc<Clients>) -> Result<Principal, Failure> {
    let request = Request { method: Method::GET, path: &["auth", "token", "lookup-self"], body: None };
    let told: TokenReply = clients.call(&LOOKUP_TOKEN, "", &request).await?;
    Ok(Principal {
        source: source(&clients.settings),
        identity: Ok(told.identity()),
        warning: told.warning(&clients.settings.auth),
    })
}

/// Returns where the token comes from.
fn source(settings: &Settings) -> String {
    match &settings.auth {
        _ if settings.login.is_some() => "the login".to_owned(),
        Auth::None => "no token".to_owned(),
        Auth::Token(_) if settings.contains_credential => "the token in the configuration file".to_owned(),
        Auth::Token(_) => "the variable VAULT_TOKEN or BAO_TOKEN".to_owned(),
        Auth::TokenFile(path) => format!("the token in {}", path.display()),
        Auth::Login(login) => {
            let credential = match &login.credential {
                Credential::AppRole { role_id, .. } => format!("AppRole {role_id}"),
                Credential::Jwt { file, .. } => format!("the JSON Web Token in {}", file.display()),
                Credential::Certificate { .. } => "the client certificate".to_owned(),
            };
            format!("a login by the auth method at {:?} with {credential}", login.mount)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::http::exchange::Reply;
    use crate::cloud::http::transport::Transport;
    use crate::cloud::vault::operations::SIGN;
    use crate::key::Algorithm;
    use crate::key::hash::Hash;
    use http::HeaderMap;
    use std::time::{Duration, Instant};
    use zeroize::Zeroizing;

    /// A server that replies to each path with a text.
    fn clients(auth: Auth, replies: &'static [(&'static str, u16, &'static str)]) -> Arc<Clients> {
        let server = move |request: &reqwest::Request| {
            let path = request.url().path();
            let (_, status, text) = replies.iter().find(|(known, ..)| path.ends_with(known)).unwrap();
            let body = Zeroizing::new(text.as_bytes().to_vec());
            Ok(Reply { status: *status, headers: HeaderMap::new(), body })
        };
        Clients::with_transport(Settings { auth, ..Settings::default() }, Transport::to(server))
    }

    fn wait<T: Clone + Send + Sync + 'static, F: Future<Output = Result<T, Failure>> + Send + 'static>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, Failure> {
        let _turn = runtime::testing::share();
        runtime::spawn("Test", work).wait(Instant::now() + Duration::from_secs(60))
    }

    fn token() -> Auth {
        Auth::Token("hvs.secret".to_owned().into())
    }

    #[test]
    fn a_token_tells_its_policies_and_its_end() {
        let replies = &[(
            "lookup-self",
            200,
            r#"{"data": {"display_name": "token-ci", "policies": ["default", "sign"], "ttl": 120}}"#,
        )];
        let clients = clients(token(), replies);
        let told = wait(move || async move { principal(&clients).await }).unwrap();
        assert_eq!(told.source, "the variable VAULT_TOKEN or BAO_TOKEN");
        assert_eq!(told.identity.unwrap(), "token-ci, policies default, sign, ends in 120 s");
        assert!(told.warning.unwrap().0.contains("ends in 120 s, and can't be renewed"));
    }

    #[test]
    fn a_token_that_is_not_valid_is_refused() {
        let replies = &[("lookup-self", 403, r#"{"errors": ["permission denied"]}"#)];
        let clients = clients(token(), replies);
        let failure = wait(move || async move { principal(&clients).await }).unwrap_err();
        assert_eq!(failure.cause, Cause::Credentials, "{failure}");
        assert!(failure.message.contains("replace it"), "{failure}");
    }

    #[test]
    fn a_missing_capability_is_named_with_its_path() {
        let scheme = Algorithm::Ecdsa.with_hash(Hash::Sha256);
        let path = "transit/sign/web/sha2-256";
        for (text, is_permitted) in [
            (r#"{"data": {"transit/sign/web/sha2-256": ["create", "update"]}}"#, true),
            (r#"{"data": {"transit/sign/web/sha2-256": ["root"], "capabilities": ["root"]}}"#, true),
            (r#"{"data": {"transit/sign/web/sha2-256": ["read"]}}"#, false),
            (r#"{"data": {"transit/sign/web/sha2-256": ["deny"], "transit/sign/other": ["update"]}}"#, false),
        ] {
            let replies: &'static [_] = Box::leak(Box::new([("capabilities-self", 200, text)]));
            let clients = clients(token(), replies);
            let told = wait(move || async move { capabilities::check(&clients, "web", scheme).await });
            assert_eq!(told.is_ok(), is_permitted, "{text}");
            if let Err(failure) = told {
                assert_eq!((failure.cause, failure.operation), (Cause::Denied, SIGN.name));
                assert!(failure.message.contains(&format!("capability \"update\" on {path:?}")), "{failure}");
            }
        }
    }

    #[test]
    fn each_source_of_tokens_has_its_name() {
        let named = |auth| source(&Settings { auth, ..Settings::default() });
        assert_eq!(named(Auth::TokenFile("/run/token".into())), "the token in /run/token");
        let credential = Credential::AppRole { role_id: "r-1".into(), secret_id: None };
        let login = Auth::Login(super::super::settings::Login { mount: "approle".into(), credential });
        assert_eq!(named(login), "a login by the auth method at \"approle\" with AppRole r-1");
    }
}
