//! The roles that AWS gives to machines and containers, asked for by curl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use common::{Bench, bench};
use serde_json::Value;

/// Whether KMS takes these credentials.
fn lists_keys(bench: &Bench, credentials: &Value) -> u16 {
    let text = |name: &str| credentials[name].as_str().unwrap();
    let user = format!("{}:{}", text("AccessKeyId"), text("SecretAccessKey"));
    let token = format!("X-Amz-Security-Token: {}", text("Token"));
    let signed = ["--aws-sigv4", "aws:amz:eu-central-1:kms", "--user", &user, "-H", &token];
    let list = ["-H", "X-Amz-Target: TrentService.ListKeys", "--data-binary", "{}", &bench.emulator.http_url()];
    bench.curl(&[&signed[..], &list].concat()).status
}

#[test]
fn a_machine_shows_its_role_to_who_has_a_token() {
    let bench = bench();
    let url = |path: &str| format!("{}/latest/{path}", bench.emulator.http_url());
    let ask = |path: &str| bench.curl(&["-X", "PUT", "-H", path, &url("api/token")]);
    assert_eq!(bench.curl(&[&url("api/token")]).status, 405);
    assert_eq!(bench.curl(&["-X", "PUT", &url("api/token")]).status, 400, "no lifetime");
    assert_eq!(ask("X-aws-ec2-metadata-token-ttl-seconds: 21601").status, 400, "six hours at most");
    let far = ["-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60", "-H", "X-Forwarded-For: 10.0.0.1"];
    assert_eq!(bench.curl(&[&far[..], &[&url("api/token")]].concat()).status, 403, "by a proxy");
    let token = ask("X-aws-ec2-metadata-token-ttl-seconds: 60");
    assert_eq!(token.header("x-aws-ec2-metadata-token-ttl-seconds").as_deref(), Some("60"));
    let get = |path: &str| {
        let header = format!("X-aws-ec2-metadata-token: {}", token.text());
        bench.curl(&["-H", &header, &url(&format!("meta-data/{path}"))])
    };
    assert_eq!(get("placement/region").text(), "eu-central-1");
    let role = get("iam/security-credentials/").text();
    let credentials = get(&format!("iam/security-credentials/{role}")).json();
    assert_eq!(credentials["Code"], "Success");
    assert_eq!(lists_keys(&bench, &credentials), 200);
    assert_eq!(get("iam/security-credentials/other").status, 404);
    assert_eq!(bench.curl(&[&url("meta-data/iam/security-credentials/")]).status, 401, "version 1");
    bench.emulator.control().shift_clock(61);
    assert_eq!(get("placement/region").status, 401, "the token has ended");
    bench.emulator.control().shift_clock(21_601);
    assert_eq!(lists_keys(&bench, &credentials), 400, "and so have the credentials");
}

#[test]
fn a_container_shows_its_role_to_who_has_its_token() {
    let bench = bench();
    let url = format!("{}/container/credentials", bench.emulator.http_url());
    let refused = bench.curl(&["-H", "Authorization: other", &url]);
    assert_eq!((refused.status, &refused.json()["code"]), (403, &Value::from("AccessDeniedException")));
    let credentials = bench.curl(&["-H", "Authorization: emulator-container-token", &url]).json();
    assert_eq!(lists_keys(&bench, &credentials), 200);
}
