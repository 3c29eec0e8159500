//! The control interface over HTTP, under `/_control`: the functions of `api`, for scripts.

use crate::api::{Aws, AwsKey, Control, EntraClients, Google, GoogleKey, Vault};
use crate::azure::vault::{VaultCertificate, VaultKey};
use crate::encoding::{base64_decode, pem};
use crate::http::{Reply, Request};
use crate::state::{State, Switches};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io;

/// Answers a request for `/_control/...`.
pub(crate) fn answer(state: &State, request: &Request) -> Reply {
    let body = if request.body.is_empty() { Some(json!({})) } else { request.json() };
    let Some(body) = body else {
        return Reply::json(400, &json!({ "error": "the body is not JSON" }));
    };
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    let result = match segments.as_slice() {
        ["aws", rest @ ..] => aws(Aws { state }, request.method.as_str(), rest, body),
        ["vaults", name, rest @ ..] => {
            vault(&Vault { state, name: (*name).to_owned() }, request.method.as_str(), rest, body)
        }
        ["google", rest @ ..] => google(Google { state }, request.method.as_str(), rest, body),
        ["entra", rest @ ..] => entra(EntraClients { state }, request.method.as_str(), rest, &body),
        rest => control(Control { state }, request.method.as_str(), rest, body),
    };
    match result {
        Ok(Answer::Json(value)) => Reply::json(200, &value),
        Ok(Answer::Pem(text)) => Reply::new(200, "application/x-pem-file", text.into_bytes()),
        Ok(Answer::Unknown) => Reply::json(
            404,
            &json!({ "error": format!("unknown request: {} {}; emulator/README.md lists all requests", request.method, request.path) }),
        ),
        Err(error) => {
            let status = if error.kind() == io::ErrorKind::NotFound { 404 } else { 400 };
            Reply::json(status, &json!({ "error": error.to_string() }))
        }
    }
}

enum Answer {
    Json(Value),
    Pem(String),
    Unknown,
}

fn control(control: Control<'_>, method: &str, path: &[&str], body: Value) -> io::Result<Answer> {
    match (method, path) {
        ("GET", ["counts"]) => return json_of(&control.counts()),
        ("GET", ["log"]) => return json_of(&control.log()),
        ("GET", ["faults"]) => return json_of(&control.faults()),
        ("GET", ["switches"]) => return json_of(&control.state.switches()),
        ("GET", ["ca.pem"]) => return Ok(Answer::Pem(control.state.authority.pem.clone())),
        ("POST", ["reset"]) => control.reset(),
        ("POST", ["silence"]) => control.silence_open_connections(),
        ("POST", ["faults"]) => control.fault(read(body)?),
        ("DELETE", ["faults"]) => control.clear_faults(),
        // Switches that are not named keep their position.
        ("POST", ["switches"]) => {
            let mut all = serde_json::to_value(control.state.switches())?;
            let (Some(all_members), Value::Object(named)) = (all.as_object_mut(), body) else {
                return Ok(Answer::Unknown);
            };
            all_members.extend(named);
            let switches: Switches = read(all)?;
            control.switches(|known| *known = switches);
        }
        ("POST", ["clock"]) => control.shift_clock(number(&body, "shift_seconds")?),
        _ => return Ok(Answer::Unknown),
    }
    done()
}

fn aws(aws: Aws<'_>, method: &str, path: &[&str], body: Value) -> io::Result<Answer> {
    match (method, path) {
        ("POST", ["keys"]) => return json_of(&aws.create_key(read::<AwsKey>(body)?)?),
        ("GET", ["keys", id @ .., "public.pem"]) => {
            return Ok(Answer::Pem(pem::write("PUBLIC KEY", &aws.public_key_spki(&id.join("/"))?)));
        }
        ("POST", ["keys", id @ .., "disable"]) => aws.disable_key(&id.join("/"))?,
        ("POST", ["keys", id @ .., "enable"]) => aws.enable_key(&id.join("/"))?,
        ("POST", ["keys", id @ .., "schedule-deletion"]) => aws.schedule_deletion(&id.join("/"))?,
        ("POST", ["keys", id @ .., "replicate"]) => {
            return json_of(&aws.replicate_key(&id.join("/"), text(&body, "region")?)?);
        }
        ("DELETE", ["keys", id @ ..]) => aws.delete_key(&id.join("/"))?,
        ("POST", ["aliases"]) => aws.set_alias(text(&body, "alias")?, text(&body, "key")?)?,
        ("POST", ["access-keys"]) => {
            let (id, secret) = (text(&body, "id")?, text(&body, "secret")?);
            match body.get("token").and_then(Value::as_str) {
                Some(token) => aws.allow_session(id, secret, token),
                None => aws.allow_access_key(id, secret),
            }
        }
        ("DELETE", ["access-keys", id]) => aws.forget_access_key(id),
        ("POST", ["certificates"]) => {
            let optional = |name: &str| body.get(name).and_then(Value::as_str);
            aws.set_certificate(text(&body, "arn")?, optional("certificate"), optional("chain"));
        }
        ("POST", ["web-identities"]) => aws.allow_web_identity(text(&body, "token")?),
        _ => return Ok(Answer::Unknown),
    }
    done()
}

/// A vault is named as in its host name; a Managed HSM as `NAME.managedhsm`.
fn vault(vault: &Vault<'_>, method: &str, path: &[&str], body: Value) -> io::Result<Answer> {
    let named = |value: &Value| text(value, "name").map(str::to_owned);
    match (method, path) {
        ("POST", ["keys"]) => {
            let (name, key) = (named(&body)?, read::<VaultKey>(without(body, "name"))?);
            return json_of(&vault.create_key(&name, key)?);
        }
        ("POST", ["certificates"]) => {
            let (name, certificate) = (named(&body)?, read::<VaultCertificate>(without(body, "name"))?);
            return json_of(&vault.create_certificate(&name, certificate)?);
        }
        ("POST", ["keys", name, "rotate"]) => return json_of(&vault.rotate_key(name)?),
        ("POST", ["keys", name, "disable"]) => vault.set_enabled(name, version(&body), false)?,
        ("POST", ["keys", name, "enable"]) => vault.set_enabled(name, version(&body), true)?,
        ("POST", ["keys", name, "validity"]) => {
            let time = |name: &str| body.get(name).and_then(Value::as_i64);
            vault.set_validity(name, version(&body), time("nbf"), time("exp"))?;
        }
        ("DELETE", ["keys", name]) => vault.delete_key(name)?,
        ("GET", ["keys", name]) => return json_of(&vault.current(name)?),
        ("GET", ["keys", name, "public.pem"]) => {
            return Ok(Answer::Pem(pem::write("PUBLIC KEY", &vault.public_key_spki(name, "")?)));
        }
        ("GET", ["keys", name, version, "public.pem"]) => {
            return Ok(Answer::Pem(pem::write("PUBLIC KEY", &vault.public_key_spki(name, version)?)));
        }
        ("GET", ["certificates", name, "certificate.pem"]) => {
            return Ok(Answer::Pem(pem::write("CERTIFICATE", &vault.certificate_der(name, "")?)));
        }
        ("POST", ["hsm"]) => vault.behave_as_hsm(body.get("hsm").and_then(Value::as_bool) != Some(false)),
        _ => return Ok(Answer::Unknown),
    }
    done()
}

/// `ID` is a key's id in the emulator's key ring, or the full name of a key or a version.
fn google(google: Google<'_>, method: &str, path: &[&str], body: Value) -> io::Result<Answer> {
    match (method, path) {
        ("POST", ["keys"]) => {
            let id = text(&body, "id")?.to_owned();
            return json_of(&google.create_key(&id, read::<GoogleKey>(without(body, "id"))?)?);
        }
        ("POST", ["keys", id @ .., "versions"]) => return json_of(&google.create_version(&id.join("/"))?),
        ("POST", ["keys", id @ .., "algorithm"]) => google.set_algorithm(&id.join("/"), text(&body, "algorithm")?)?,
        ("POST", ["keys", id @ .., "state"]) => google.set_state(&id.join("/"), text(&body, "state")?)?,
        ("POST", ["keys", id @ .., "disable"]) => google.disable(&id.join("/"))?,
        ("POST", ["keys", id @ .., "enable"]) => google.enable(&id.join("/"))?,
        ("POST", ["keys", id @ .., "destroy"]) => google.destroy(&id.join("/"))?,
        ("POST", ["keys", id @ .., "label"]) => {
            google.set_label(&id.join("/"), text(&body, "name")?, text(&body, "value")?)?;
        }
        ("GET", ["keys", id @ .., "public.pem"]) => {
            return Ok(Answer::Pem(pem::write("PUBLIC KEY", &google.public_key_spki(&id.join("/"))?)));
        }
        ("DELETE", ["keys", id @ ..]) => google.forget_key(&id.join("/"))?,
        ("GET", ["token"]) => return Ok(Answer::Json(json!({ "access_token": google.issue_token() }))),
        ("POST", ["subject-tokens"]) => google.allow_subject_token(text(&body, "token")?),
        ("POST", ["token-lifetime"]) => google.set_token_lifetime(number(&body, "seconds")?),
        ("DELETE", ["tokens"]) => google.forget_tokens(),
        ("DELETE", ["refresh-token"]) => google.revoke_refresh_token(),
        ("GET", ["local", name]) => return Ok(Answer::Json(google.without_proxy(&credential_file(google, name)?))),
        ("GET", [name]) => return Ok(Answer::Json(credential_file(google, name)?)),
        _ => return Ok(Answer::Unknown),
    }
    done()
}

/// The credential file of that name.
fn credential_file(google: Google<'_>, name: &str) -> io::Result<Value> {
    match name {
        "service-account.json" => google.service_account_file(),
        "authorized-user.json" => Ok(google.authorized_user_file()),
        "impersonated.json" => Ok(google.impersonated_file(Google::OTHER_ACCOUNT)),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no credential file {name}"))),
    }
}

fn entra(entra: EntraClients<'_>, method: &str, path: &[&str], body: &Value) -> io::Result<Answer> {
    match (method, path) {
        ("POST", ["clients"]) => {
            let (tenant, id) = (text(body, "tenant")?, text(body, "client")?);
            entra.register(tenant, id, body.get("secret").and_then(Value::as_str));
            if let Some(certificate) = body.get("certificate").and_then(Value::as_str) {
                let der = base64_decode(certificate).ok_or_else(|| invalid("certificate must be DER in base64"))?;
                entra.register_certificate(tenant, id, &der);
            }
        }
        ("POST", ["federated-tokens"]) => entra.allow_federated_token(text(body, "token")?),
        ("POST", ["token-lifetime"]) => entra.set_token_lifetime(number(body, "seconds")?),
        _ => return Ok(Answer::Unknown),
    }
    done()
}

fn done() -> io::Result<Answer> {
    Ok(Answer::Json(json!({})))
}

fn json_of<T: Serialize>(value: &T) -> io::Result<Answer> {
    Ok(Answer::Json(serde_json::to_value(value)?))
}

fn read<T: DeserializeOwned>(body: Value) -> io::Result<T> {
    serde_json::from_value(body).map_err(|error| invalid(&error.to_string()))
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn text<'a>(body: &'a Value, name: &str) -> io::Result<&'a str> {
    body.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| invalid(&format!("the field {name} is missing or has the wrong type")))
}

fn number(body: &Value, name: &str) -> io::Result<i64> {
    body.get(name)
        .and_then(Value::as_i64)
        .ok_or_else(|| invalid(&format!("the field {name} is missing or has the wrong type")))
}

fn version(body: &Value) -> &str {
    body.get("version").and_then(Value::as_str).unwrap_or_default()
}

fn without(mut body: Value, name: &str) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.remove(name);
    }
    body
}
