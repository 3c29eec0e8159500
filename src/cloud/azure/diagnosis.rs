//! Why keys of Key Vault do or do not work: a [`Diagnosis`].
//!
//! "Access token claims reference" of the Microsoft identity platform; "Azure Key Vault recovery management".

use super::Azure;
use super::client::Clients;
use super::environment::scope;
use super::errors::refusal;
use super::operations::TOKEN;
use super::settings::{CLOUD, Credential, Settings};
use crate::cloud::diagnosis::connection::Connection;
use crate::cloud::diagnosis::{Diagnosis, Principal};
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::ClientPool;
use crate::cloud::key::KeyName;
use crate::cloud::login::LoginState;
use crate::cloud::retry::Call;
use crate::cloud::runtime;
use crate::cloud::runtime::Pending;
use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use std::sync::Arc;

impl Settings {
    /// Returns a backend with these settings that can also tell why its keys do or do not work. Sends no request.
    pub fn diagnosis(&self) -> Arc<dyn Diagnosis> {
        Arc::new(Azure(LoginState::new(self.clone())))
    }
}

impl Diagnosis for Azure {
    fn connect(&self, _keys: &[KeyName]) -> Pending<Vec<Connection>> {
        let (clients, pool) = (self.clients(), ClientPool::shared());
        runtime::spawn("Connect", move || async move {
            // A vault replies to this request with a challenge.
            let url = format!("{}/keys?api-version=7.4", clients.settings.vault_url);
            let connection = Connection::open(&pool, &clients.settings.network, &url).await;
            Ok(vec![Connection { url: clients.settings.vault_url.clone(), ..connection }])
        })
    }

    fn principal(&self, _keys: &[KeyName]) -> Pending<Principal> {
        let clients = self.clients();
        runtime::spawn(TOKEN.name, move || async move {
            let what = format!("token for {}", clients.settings.vault_url);
            let call = Call::new(CLOUD, TOKEN.name, &what, &clients.settings.network);
            call.run(|| principal(&clients), |_, _| {}).await
        })
    }

    fn remedy(&self, key: &KeyName, failure: &Failure) -> Option<String> {
        let url = &self.0.settings.vault_url;
        // The `az` program knows a vault by its identifier, whatever its cloud is.
        let id = format!("--id {url}/keys/{}", key.id);
        let version = key.version.as_ref().map(|version| format!("/{version}")).unwrap_or_default();
        let says = |words: &str| failure.message.contains(words);
        match failure.cause {
            Cause::Disabled if says("expired") => Some(format!(
                "rotate the key, or run `az keyvault key set-attributes {id}{version} --expires YYYY-MM-DDTHH:MM:SSZ`"
            )),
            Cause::Disabled if says("not valid before") || says("not yet valid") => Some(format!(
                "wait, or run `az keyvault key set-attributes {id}{version} --not-before YYYY-MM-DDTHH:MM:SSZ`"
            )),
            Cause::Disabled => Some(format!("run `az keyvault key set-attributes {id}{version} --enabled true`")),
            Cause::NotFound => Some(format!(
                "correct the name; or, if the key was deleted, run `az keyvault key recover --id {url}/deletedkeys/{}`",
                key.id
            )),
            _ => None,
        }
    }

    fn credential_remedy(&self, failure: &Failure) -> Option<&'static str> {
        let known = REMEDIES.iter().find(|(code, _)| failure.message.contains(&format!("{code}:")));
        known.map(|(_, remedy)| *remedy)
    }
}

/// Codes of Entra, and what to do. "Microsoft Entra authentication and authorization error codes".
#[rustfmt::skip]
const REMEDIES: &[(&str, &str)] = &[
    ("AADSTS90002", "correct the tenant (\"azure_tenant_id\" or AZURE_TENANT_ID); `az account show` shows that of your login"),
    ("AADSTS900023", "correct the tenant (\"azure_tenant_id\" or AZURE_TENANT_ID); it is a UUID or a domain"),
    ("AADSTS700016", "correct the application (\"azure_client_id\" or AZURE_CLIENT_ID) or its tenant (\"azure_tenant_id\")"),
    ("AADSTS7000215", "use the value of the client secret, not its id; `az ad app credential reset --id CLIENT_ID` makes a new one"),
    ("AADSTS7000222", "the client secret has expired; make a new one with `az ad app credential reset --id CLIENT_ID`"),
    ("AADSTS700027", "register the client certificate with the application, or use the one that is registered"),
    ("AADSTS50034", "correct the user, or the tenant in which the user signs in"),
];

/// The claims of an access token that tell whose it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    appid: Option<String>,
    azp: Option<String>,
    oid: Option<String>,
    tid: Option<String>,
    upn: Option<String>,
    unique_name: Option<String>,
}

impl Claims {
    /// Reads the claims without a verification, because only the vault can verify them.
    fn read(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).ok()?).ok()
    }

    fn identity(&self) -> String {
        let user = self.upn.as_ref().or(self.unique_name.as_ref()).map(|name| format!("user {name}"));
        let application = self.appid.as_ref().or(self.azp.as_ref()).map(|id| format!("application {id}"));
        let object = self.oid.as_ref().map(|id| format!("object {id}"));
        let tenant = self.tid.as_ref().map(|id| format!("tenant {id}"));
        let known: Vec<_> = [user, application, object, tenant].into_iter().flatten().collect();
        known.join(", ")
    }
}

async fn principal(clients: &Clients) -> Result<Principal, FailedAttempt> {
    let vault = clients.vault(TOKEN.name).await?;
    let token = vault.tokens.get_token(&[&scope(&clients.settings.vault_url)], None).await.map_err(|error| {
        // The request for a token has retries of its own.
        clients.mask_pin(FailedAttempt { remedy: RetryPolicy::Never, ..refusal(&TOKEN, error) })
    })?;
    let source = match &vault.chain {
        Some(chain) => chain.source().await,
        None => None,
    };
    let source = source.unwrap_or_else(|| "a token".to_owned());
    let identity = Claims::read(token.token.secret()).map(|claims| claims.identity());
    let unreadable = || TOKEN.failure(Cause::Malformed, "the token has no claims that can be read");
    Ok(Principal {
        source: if clients.settings.credential == Credential::Login { "the login".to_owned() } else { source },
        identity: identity.ok_or_else(unreadable),
        warning: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_name_the_identity() {
        let token = |claims: &str| format!("e30.{}.c2ln", Base64UrlUnpadded::encode_string(claims.as_bytes()));
        for (claims, identity) in [
            (r#"{"appid": "a", "oid": "o", "tid": "t", "aud": 1}"#, "application a, object o, tenant t"),
            (r#"{"upn": "me@x", "appid": "a", "tid": "t"}"#, "user me@x, application a, tenant t"),
            (r#"{"azp": "a", "ver": "2.0"}"#, "application a"),
        ] {
            assert_eq!(Claims::read(&token(claims)).unwrap().identity(), identity);
        }
        for opaque in ["", "opaque", "a.b.c", "a.e30"] {
            assert_eq!(Claims::read(opaque).map(|claims| claims.identity()).unwrap_or_default(), "", "{opaque}");
        }
    }

    #[test]
    fn each_state_of_a_key_has_its_command() {
        let settings = Settings { vault_url: "https://v.vault.azure.net".into(), ..Settings::default() };
        let azure = settings.diagnosis();
        let key = KeyName { id: "web".into(), version: Some("1f".into()) };
        let remedy = |cause, words: &str| azure.remedy(&key, &Failure::new(cause, "GetKey", words)).unwrap_or_default();
        let id = "https://v.vault.azure.net/keys/web/1f";
        assert_eq!(
            remedy(Cause::Disabled, "it is disabled"),
            format!("run `az keyvault key set-attributes --id {id} --enabled true`")
        );
        assert!(remedy(Cause::Disabled, "it expired at 2020-01-01").contains("--expires"));
        assert!(remedy(Cause::Disabled, "it is not valid before 2050").contains("--not-before"));
        assert!(remedy(Cause::NotFound, "").contains("recover --id https://v.vault.azure.net/deletedkeys/web"));
        assert_eq!(remedy(Cause::Denied, ""), "");
    }
}
