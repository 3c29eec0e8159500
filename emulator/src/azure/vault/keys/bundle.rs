//! Descriptions of a key: the KeyBundle and the KeyItem of the REST API.

use super::curve::curve_name;
use crate::azure::vault::call::Call;
use crate::azure::vault::soft_delete::RECOVERABLE_DAYS;
use crate::encoding::{base64url, der};
use crate::state::azure::Version;
use serde_json::{Value, json};

impl Version {
    pub(crate) fn attributes(&self) -> Value {
        let mut attributes = json!({
            "enabled": self.enabled,
            "created": self.created,
            "updated": self.updated,
            "recoveryLevel": "CustomizedRecoverable+Purgeable",
            "recoverableDays": RECOVERABLE_DAYS,
            "exportable": false,
        });
        for (name, time) in [("nbf", self.not_before), ("exp", self.expires)] {
            if let Some(time) = time {
                attributes[name] = json!(time);
            }
        }
        attributes
    }
}

impl Call<'_> {
    pub(crate) fn bundle(&self, name: &str, key: &Version) -> Value {
        labelled(key, json!({ "key": self.jwk(name, key), "attributes": key.attributes() }))
    }

    fn jwk(&self, name: &str, key: &Version) -> Value {
        let switches = self.state.switches();
        let mut jwk = json!({ "kid": self.id("keys", name, &key.version), "kty": key.kty, "key_ops": key.operations });
        if let Some((mut n, e)) = key.material.rsa_public() {
            if switches.jwk_leading_zero {
                n.insert(0, 0);
            }
            (jwk["n"], jwk["e"]) = (json!(base64url(&n)), json!(base64url(&e)));
        }
        if let Some((x, y)) = key.material.point() {
            let coordinate =
                |number: &[u8]| base64url(if switches.jwk_short_coordinates { der::strip(number) } else { number });
            jwk["crv"] = json!(curve_name(key.material.family));
            (jwk["x"], jwk["y"]) = (json!(coordinate(&x)), json!(coordinate(&y)));
        }
        jwk
    }

    pub(crate) fn item(&self, name: &str, version: &str, key: &Version) -> Value {
        labelled(key, json!({ "kid": self.id("keys", name, version), "attributes": key.attributes() }))
    }
}

/// A description of a key, with what only some keys have.
fn labelled(key: &Version, mut item: Value) -> Value {
    if key.certificate.is_some() {
        item["managed"] = json!(true);
    }
    if !key.tags.is_empty() {
        item["tags"] = json!(key.tags);
    }
    item
}
