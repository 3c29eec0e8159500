//! The token endpoint: OAuth 2.0 client credentials ("Microsoft identity platform and the OAuth 2.0 client credentials flow").

use super::access_token::issue;
use super::client_assertion;
use super::error::error;
use crate::azure::clouds::is_foreign;
use crate::encoding::form_value;
use crate::http::{Reply, Request};
use crate::state::State;
use serde_json::json;

/// `POST /{tenant}/oauth2/v2.0/token`, and the older `/oauth2/token` with `resource`.
pub(crate) fn token(state: &State, request: &Request) -> Reply {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let tenant = request.segments().first().cloned().unwrap_or_default();
    let value = |name: &str| form_value(&form, name).unwrap_or_default();
    if value("grant_type") != "client_credentials" {
        let text = format!("The app requested an unsupported grant type '{}'.", value("grant_type"));
        return error(state, 400, "unsupported_grant_type", 70_003, &text);
    }
    let id = value("client_id");
    if let Err(reply) = authenticate(state, &tenant, &id, &form) {
        return reply;
    }
    let scope = value("scope");
    let resource = value("resource");
    let audience = if resource.is_empty() {
        scope.split(' ').find_map(|scope| scope.strip_suffix("/.default"))
    } else {
        Some(resource.as_str())
    };
    let Some(audience) = audience else {
        let text =
            format!("The provided request must include a 'scope' input parameter that is valid: '{scope}' is not.");
        return error(state, 400, "invalid_scope", 70_011, &text);
    };
    if is_foreign(&request.hostname(), audience) {
        let text = format!(
            "The resource principal named {audience} was not found in the tenant named {tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."
        );
        return error(state, 400, "invalid_resource", 500_011, &text);
    }
    let (token, lifetime) = issue(state, &id, audience, !value("claims").is_empty());
    Reply::json(
        200,
        &json!({ "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token }),
    )
}

fn authenticate(state: &State, tenant: &str, id: &str, form: &str) -> Result<(), Reply> {
    let clients = state.entra.clients();
    if !clients.iter().any(|client| client.tenant == tenant) {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        );
        return Err(error(state, 400, "invalid_request", 90_002, &text));
    }
    let Some(client) = clients.iter().find(|client| client.tenant == tenant && client.id == id) else {
        let text = format!("Application with identifier '{id}' was not found in the directory '{tenant}'.");
        return Err(error(state, 400, "unauthorized_client", 700_016, &text));
    };
    if let Some(assertion) = form_value(form, "client_assertion") {
        if state.entra.accepts_federated(&assertion) {
            return Ok(());
        }
        return client_assertion::check(client, &assertion, state.clock.now())
            .map_err(|(code, text)| error(state, 401, "invalid_client", code, &text));
    }
    match form_value(form, "client_secret") {
        None => Err(error(
            state,
            401,
            "invalid_client",
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )),
        Some(secret) if client.secret.as_deref() == Some(secret.as_str()) => Ok(()),
        Some(_) => {
            let text = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{id}'."
            );
            Err(error(state, 401, "invalid_client", 7_000_215, &text))
        }
    }
}
