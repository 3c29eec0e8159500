//! The discovery documents that clients read before they ask for a token.

use crate::encoding::form_value;
use crate::http::{Reply, Request};
use serde_json::json;

/// The OpenID configuration and the list of known instances.
pub(crate) fn discovery(request: &Request) -> Reply {
    let base = request.base_url();
    if request.path.ends_with("/discovery/instance") {
        let host = request.host.clone();
        let tenant_url = form_value(&request.query, "authorization_endpoint").unwrap_or_default();
        let endpoint = tenant_url.split("/oauth2/").next().unwrap_or_default();
        return Reply::json(
            200,
            &json!({
                "tenant_discovery_endpoint": format!("{endpoint}/v2.0/.well-known/openid-configuration"),
                "api-version": "1.1",
                "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
            }),
        );
    }
    let tenant = request.segments().first().cloned().unwrap_or_default();
    Reply::json(
        200,
        &json!({
            "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "issuer": format!("{base}/{tenant}/v2.0"),
            "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
            "device_authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/devicecode"),
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }),
    )
}
