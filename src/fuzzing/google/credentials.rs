//! The fuzz target for credential files of Google, and for the replies of token servers.
//!
//! Compiled into tests and fuzzers only. Each file leads to a token that can be sent, or to a failure with a message:
//!
//! * No message contains a secret of the file or of a reply.
//! * A request goes to another machine only with TLS, unless it goes to the link of the machine itself.
//! * No program is started.

#![allow(clippy::panic, clippy::expect_used, reason = "for tests and fuzzers only")]

use crate::cloud::google::Settings;
use crate::cloud::google::credentials::credential_file::Members;
use crate::cloud::google::credentials::impersonation::Impersonated;
use crate::cloud::google::credentials::memory::Memory;
use crate::cloud::google::credentials::source::Source;
use crate::cloud::google::credentials::token_of;
use crate::cloud::google::credentials::token_server::Context;
use crate::cloud::http::exchange::Reply;
use crate::cloud::http::transport::Transport;
use crate::cloud::{Cause, Failure};
use crate::fuzzing::input::ByteSource;
use crate::fuzzing::replies::{SECRET, block_on, check_failure, texts};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64ct::{Base64, Encoding};
use http::HeaderMap;
use serde_json::Value;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Runs the target. The first byte selects the settings. The rest is the file, and then the replies.
pub fn run(data: &[u8]) {
    let mut source = ByteSource(data);
    let choice = source.byte();
    let mut texts = texts(source.rest());
    let file = with_secrets(&texts.remove(0));
    let settings =
        Settings { universe_domain: (choice & 2 != 0).then(|| "googleapis.com".to_owned()), ..Settings::default() };
    let impersonated = (choice & 1 != 0).then(|| Impersonated::by_email("b@p", "googleapis.com").expect("an address"));
    let parsed = Members::parse(Path::new("/adc.json"), &file).and_then(Source::new);
    let answer = match parsed {
        Err(why) => Err(Failure::new(Cause::Credentials, OPERATION, why)),
        Ok(source) => {
            let source = impersonated.into_iter().fold(source, Source::impersonating);
            assert!(!format!("{source:?}").contains(SECRET));
            fetch(&settings, source, texts)
        }
    };
    if let Err(failure) = answer {
        check_failure(&failure);
    }
}

const OPERATION: &str = "Sign";

fn fetch(settings: &Settings, source: Source, texts: Vec<Vec<u8>>) -> Result<(), Failure> {
    let replies = Mutex::new(texts);
    let server = move |request: &reqwest::Request| {
        check_route(request.url());
        let mut replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if replies.len() > 1 { replies.remove(0) } else { replies.first().cloned().unwrap_or_default() };
        Ok(reply(&text))
    };
    let transport = Transport::to(server);
    let (memory, variable) = (Memory::default(), |_: &str| None);
    let context = Context { operation: OPERATION, settings, transport: &transport, memory: &memory, variable };
    let (token, _) = block_on(token_of(&context, source)).map_err(|refused| refused.failure)?;
    let text = token.token.expect("a token");
    assert!(!text.expose().is_empty() && text.expose().bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!token.origin.contains(SECRET), "{}", token.origin);
    Ok(())
}

/// Checks that nobody on the way can read a request.
fn check_route(url: &reqwest::Url) {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_near = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.to_canonical().is_loopback() || address.is_unicast_link_local() || host == "fd00:ec2::254"
        }
        Err(_) => ["localhost", "metadata.google.internal"].contains(&host) || host.ends_with(".localhost"),
    };
    assert!(url.scheme() == "https" || url.scheme() == "http" && is_near, "a request to {url}");
}

/// Returns a reply. A text that begins with a line of three digits has this status.
fn reply(text: &[u8]) -> Reply {
    let line = text.get(..4).filter(|line| line[3] == b'\n').and_then(|line| std::str::from_utf8(&line[..3]).ok());
    let status = line.and_then(|digits| digits.parse().ok()).filter(|status| (200..=999).contains(status));
    let body = if status.is_some() { &text[4..] } else { text };
    let mut parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    for name in ["access_token", "accessToken", "refresh_token", "SecretAccessKey", "Token"] {
        if let Some(Value::String(token)) = parsed.get_mut(name) {
            token.insert_str(0, SECRET);
        }
    }
    let body = if parsed.is_object() { parsed.to_string().into_bytes() } else { body.to_vec() };
    Reply { status: status.unwrap_or(200), headers: HeaderMap::new(), body: Zeroizing::new(body) }
}

/// Returns the text of the file. Its secrets are [`SECRET`]; the private key may also be a true one.
fn with_secrets(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text).into_owned();
    match serde_json::from_str::<Value>(&text) {
        Ok(mut file) if file.is_object() => {
            let mut members = Some(&mut file);
            while let Some(own) = members {
                hide(own);
                members = own.get_mut("source_credentials").filter(|source| source.is_object());
            }
            file.to_string()
        }
        _ => text + SECRET,
    }
}

fn hide(members: &mut Value) {
    for name in ["private_key", "client_secret", "refresh_token"] {
        match members.get_mut(name) {
            Some(Value::String(key)) if key == "PEM" => key.clone_from(&PRIVATE_KEY),
            Some(Value::String(secret)) => *secret = SECRET.to_owned(),
            _ => {}
        }
    }
    // The files of this machine are not part of the input.
    if let Some(Value::Object(source)) = members.get_mut("credential_source") {
        source.remove("file");
        source.remove("certificate");
    }
}

static PRIVATE_KEY: LazyLock<String> = LazyLock::new(|| {
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).expect("its form");
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", Base64::encode_string(der.as_ref()))
});
