//! The metadata server of a machine at Google ("About VM metadata"): the token and the email of its service account.

use super::access_token::issue;
use super::id_token;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::google::{PROJECT, PROJECT_NUMBER, SERVICE_ACCOUNT};
use serde_json::json;

const ROOT: &str = "/computeMetadata/v1/";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

pub(super) fn answer(state: &State, request: &Request) -> Reply {
    let near = request.header("x-forwarded-for").is_none();
    let reply = match request.header("metadata-flavor") {
        Some("Google") if near => metadata(state, request),
        _ => Reply::new(403, "text/html; charset=UTF-8", b"Missing Metadata-Flavor:Google header.".to_vec()),
    };
    reply.with("metadata-flavor", "Google").with("server", "Metadata Server for VM")
}

fn metadata(state: &State, request: &Request) -> Reply {
    let path = request.path.strip_prefix(ROOT).unwrap_or_default();
    let accounts =
        path.strip_prefix("instance/service-accounts/").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
    match (path, accounts) {
        ("", _) => text("instance/\nproject/\nuniverse/\n"),
        ("project/project-id", _) => text(PROJECT),
        ("project/numeric-project-id", _) => text(PROJECT_NUMBER),
        ("instance/zone", _) => text(&format!("projects/{PROJECT_NUMBER}/zones/europe-west3-a")),
        ("universe/universe-domain" | "universe/universe_domain", _) => text("googleapis.com"),
        (_, Some(("default" | SERVICE_ACCOUNT, rest))) => account(state, request, rest),
        _ => Reply::new(404, "text/html; charset=UTF-8", b"Error 404 (Not Found)!!1".to_vec()),
    }
}

fn account(state: &State, request: &Request, path: &str) -> Reply {
    match path {
        "token" => {
            let lifetime = state.google.identities.lifetime();
            let scopes = request.query_value("scopes").unwrap_or_else(|| SCOPE.to_owned());
            let token = issue(state, &scopes, lifetime);
            let body = json!({ "access_token": token, "expires_in": lifetime, "token_type": "Bearer" });
            Reply::new(200, "application/json", body.to_string().into_bytes())
        }
        "email" => text(SERVICE_ACCOUNT),
        "scopes" => text(&format!("{SCOPE}\n")),
        "aliases" => text("default\n"),
        "identity" => match (request.query_value("audience"), state) {
            (Some(audience), state) => {
                id_token::issue(state, &audience).map_or_else(|_| Reply::empty(500), |token| text(&token))
            }
            (None, _) => Reply::new(400, "text/html; charset=UTF-8", b"non-empty audience parameter required".to_vec()),
        },
        "" => {
            let body = json!({ "aliases": ["default"], "email": SERVICE_ACCOUNT, "scopes": [SCOPE] });
            Reply::new(200, "application/json", body.to_string().into_bytes())
        }
        _ => Reply::new(404, "text/html; charset=UTF-8", b"Error 404 (Not Found)!!1".to_vec()),
    }
}

fn text(text: &str) -> Reply {
    Reply::new(200, "application/text", text.as_bytes().to_vec())
}
