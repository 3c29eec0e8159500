//! What AWS gives to the programs on its machines: the instance metadata service, version 2 (Amazon EC2 User Guide, "Use
//! instance metadata"), and the endpoint for the credentials of a container (ECS task roles, EKS Pod Identity).

use super::temporary_credentials::{TemporaryCredentials, issue};
use crate::clock::extended;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::aws::{ACCOUNT, REGION};
use hyper::Method;
use serde_json::json;

/// The role of the machine and of the container.
const ROLE: &str = "emulator-machine";
/// What ECS or EKS would put into `AWS_CONTAINER_AUTHORIZATION_TOKEN`, or into a file.
pub(crate) const CONTAINER_TOKEN: &str = "emulator-container-token";

const TOKEN_PATH: &str = "/latest/api/token";
const ROLES_PATH: &str = "/latest/meta-data/iam/security-credentials/";
const REGION_PATH: &str = "/latest/meta-data/placement/region";
const CONTAINER_PATH: &str = "/container/credentials";
const LONGEST: i64 = 21_600;

/// The operation as it is counted, if the request is one of these.
pub(crate) fn operation(request: &Request) -> Option<&'static str> {
    Some(match request.path.as_str() {
        TOKEN_PATH => "machine.token",
        REGION_PATH => "machine.region",
        ROLES_PATH => "machine.roles",
        CONTAINER_PATH => "machine.container",
        path if path.starts_with(ROLES_PATH) => "machine.credentials",
        path if path.starts_with("/latest/") => "machine.unknown",
        _ => return None,
    })
}

/// Answers one request.
pub(crate) fn answer(state: &State, request: &Request) -> Reply {
    match request.path.as_str() {
        TOKEN_PATH => token(state, request),
        CONTAINER_PATH => container(state, request),
        _ if !state.aws.knows_machine_token(request.header(TOKEN).unwrap_or_default(), state.clock.now()) => {
            text(401, "Unauthorized")
        }
        REGION_PATH => text(200, REGION),
        ROLES_PATH => text(200, ROLE),
        path if path.strip_prefix(ROLES_PATH) == Some(ROLE) => credentials(state),
        _ => text(404, "Not Found"),
    }
}

const TOKEN: &str = "x-aws-ec2-metadata-token";
const LIFETIME: &str = "x-aws-ec2-metadata-token-ttl-seconds";

fn token(state: &State, request: &Request) -> Reply {
    if request.method != Method::PUT {
        return text(405, "Method Not Allowed");
    }
    let lifetime = request.header(LIFETIME).and_then(|value| value.parse().ok());
    let Some(lifetime) = lifetime.filter(|seconds| (1..=LONGEST).contains(seconds)) else {
        return text(400, "Bad Request");
    };
    // A request that a proxy has passed on is refused: the machine's own programs are near.
    if request.header("x-forwarded-for").is_some() {
        return denied();
    }
    let token = state.ids.hex();
    state.aws.allow_machine_token(&token, state.clock.now() + lifetime);
    text(200, &token).with(LIFETIME, lifetime.to_string())
}

fn credentials(state: &State) -> Reply {
    let TemporaryCredentials { access_key, secret, token, expires } = of_role(state, "i-0123456789abcdef0");
    Reply::json(
        200,
        &json!({
            "Code": "Success", "LastUpdated": extended(state.clock.now()), "Type": "AWS-HMAC",
            "AccessKeyId": access_key, "SecretAccessKey": secret, "Token": token, "Expiration": extended(expires),
        }),
    )
}

fn container(state: &State, request: &Request) -> Reply {
    if request.header("authorization") != Some(CONTAINER_TOKEN) {
        return Reply::json(403, &json!({ "code": "AccessDeniedException", "message": "unknown authorization token" }));
    }
    let TemporaryCredentials { access_key, secret, token, expires } = of_role(state, "container");
    Reply::json(
        200,
        &json!({
            "RoleArn": format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}"), "AccessKeyId": access_key, "SecretAccessKey": secret,
            "Token": token, "Expiration": extended(expires),
        }),
    )
}

fn of_role(state: &State, session: &str) -> TemporaryCredentials {
    issue(state, format!("arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{session}"), LONGEST)
}

/// What the metadata service says where it is switched off.
pub(crate) fn denied() -> Reply {
    text(403, "Forbidden")
}

fn text(status: u16, text: &str) -> Reply {
    Reply::new(status, "text/plain", text.as_bytes().to_vec())
}
