//! The keys of a vault, with their labels. Labels are tags.
//!
//! Key Vault REST API reference: Get Keys.

use super::client::{Clients, Vault, call};
use super::errors::refusal;
use super::keys::{label_from_tags, name_and_version};
use super::operations::GET_KEYS;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyName, ListedKey};
use crate::cloud::pagination::Pages;
use azure_core::http::Url;
use azure_core::http::pager::{PagerContinuation, PagerOptions};
use azure_security_keyvault_keys::models::{KeyClientListKeyPropertiesOptions, KeyProperties, ListKeyPropertiesResult};
use futures_util::Stream;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

/// Returns all keys of the vault. Each page has the time limit of a whole call.
pub(crate) async fn list(clients: &Arc<Clients>) -> Result<Vec<ListedKey>, Failure> {
    let (mut keys, mut pages) = (Vec::new(), Pages::default());
    loop {
        // A page may be empty even though more pages follow.
        let page = call(clients, &GET_KEYS, "all", |vault| page(vault, pages.next())).await?;
        keys.extend(page.value.into_iter().filter_map(to_listed_key));
        let next = page.next_link.filter(|link| !link.is_empty());
        if !pages.advance(next).map_err(|words| GET_KEYS.failure(Cause::Malformed, words))? {
            return Ok(keys);
        }
    }
}

fn to_listed_key(key: KeyProperties) -> Option<ListedKey> {
    let id = name_and_version(key.kid.as_deref()?)?.0.to_owned();
    let is_disabled = key.attributes.as_ref().and_then(|attributes| attributes.enabled) == Some(false);
    Some(ListedKey { name: KeyName { id, version: None }, label: label_from_tags(key.tags.as_ref()), is_disabled })
}

/// Returns the first page, or the page that the previous page has named.
async fn page(vault: Vault, link: Option<String>) -> Result<ListKeyPropertiesResult, FailedAttempt> {
    let foreign = || GET_KEYS.failure(Cause::Malformed, "the next page of the list is on another host");
    let endpoint = vault.keys.endpoint();
    // The request carries the module's token, so it must not go to another host.
    let link =
        link.map(|link| endpoint.join(&link).ok().filter(|link| has_same_origin(endpoint, link)).ok_or_else(foreign));
    let method_options =
        PagerOptions { continuation: link.transpose()?.map(PagerContinuation::Link), ..Default::default() };
    let options = KeyClientListKeyPropertiesOptions { method_options, ..Default::default() };
    let pager = vault.keys.list_key_properties(Some(options)).map_err(|e| refusal(&GET_KEYS, e))?;
    let mut pages = pin!(pager.into_pages());
    let page = poll_fn(|context| pages.as_mut().poll_next(context)).await;
    let page = page.ok_or_else(|| GET_KEYS.failure(Cause::Malformed, "the reply lacks the list of keys"))?;
    page.and_then(|page| page.into_model()).map_err(|e| refusal(&GET_KEYS, e))
}

fn has_same_origin(vault: &Url, link: &Url) -> bool {
    (link.scheme(), link.host(), link.port_or_known_default())
        == (vault.scheme(), vault.host(), vault.port_or_known_default())
}
