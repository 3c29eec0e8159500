//! IAM Identity Center's portal (its API Reference, GetRoleCredentials): a role for who has signed on.

use super::temporary_credentials::{TemporaryCredentials, issue};
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::aws::ACCOUNT;
use serde_json::json;

/// What `aws sso login` would have left in the folder `.aws/sso/cache`.
pub(crate) const TOKEN: &str = "emulator-sso-token";

/// The operation as it is counted, if the request is this one.
pub(crate) fn operation(request: &Request) -> Option<&'static str> {
    (request.path == "/federation/credentials").then_some("sso.GetRoleCredentials")
}

/// Answers one request.
pub(crate) fn answer(state: &State, request: &Request) -> Reply {
    if request.header("x-amz-sso_bearer_token") != Some(TOKEN) {
        return error(401, "UnauthorizedException", "Session token not found or invalid");
    }
    let (account, role) = (request.query_value("account_id"), request.query_value("role_name"));
    let (Some(ACCOUNT), Some(role)) = (account.as_deref(), role) else {
        return error(403, "ForbiddenException", "No access");
    };
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_{role}_0123456789abcdef/person");
    let TemporaryCredentials { access_key, secret, token, expires } = issue(state, arn, 3600);
    let credentials = json!({
        "accessKeyId": access_key, "secretAccessKey": secret, "sessionToken": token, "expiration": expires * 1000,
    });
    Reply::json(200, &json!({ "roleCredentials": credentials }))
}

/// An error in the form of this service.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "message": message })).with("x-amzn-errortype", code)
}
