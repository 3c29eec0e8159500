//! The body and the query of a request, read as Google reads JSON: either form of a member's name, either alphabet of base64,
//! 64-bit integers as strings or numbers, enums as names or numbers ("JSON Mapping" of protocol buffers).

use crate::encoding::{base64_decode, base64url_decode, form_pairs};
use crate::google::status::Status;
use crate::http::Request;
use crc32c::crc32c;
use serde_json::Value;

pub(super) struct Input {
    body: Value,
    query: Vec<(String, String)>,
}

/// The parameters that every method has ("System parameters"), with or without `$`.
const SYSTEM: [&str; 9] =
    ["alt", "fields", "prettyPrint", "key", "quotaUser", "userProject", "access_token", "oauth_token", "callback"];

impl Input {
    /// Reads a request of a method that has these members; `*` is any.
    pub(super) fn of(request: &Request, query: &[&str], body: &[&str]) -> Result<Self, Status> {
        let json = if request.body.is_empty() { Some(Value::Object(Default::default())) } else { request.json() };
        let json = json
            .filter(Value::is_object)
            .ok_or_else(|| Status::invalid("Invalid JSON payload received. Unexpected token.\n\n^"))?;
        for name in json.as_object().into_iter().flat_map(|members| members.keys()) {
            if !body.iter().any(|known| *known == name || snake_case(known) == *name) {
                return Err(Status::unknown_field(format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
                )));
            }
        }
        let pairs = form_pairs(&request.query);
        for (name, _) in &pairs {
            let first = name.split('.').next().unwrap_or_default();
            let system = SYSTEM.contains(&name.trim_start_matches('$'));
            if !system && !query.iter().any(|known| *known == first || snake_case(known) == first) {
                return Err(Status::unknown_field(format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request message."
                )));
            }
        }
        Ok(Self { body: json, query: pairs })
    }

    /// A parameter of the query that is not empty.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name || *key == snake_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether the client wants numbers for enums.
    pub(super) fn enums_as_numbers(&self) -> bool {
        ["alt", "$alt"].iter().filter_map(|name| self.query(name)).any(|alt| alt.contains("enum-encoding=int"))
    }

    /// A member of the body, by its path.
    pub(super) fn value(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.body, |value, name| value.get(name).or_else(|| value.get(snake_case(name))))
    }

    /// A string, or an enum by name or number.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        match self.value(path)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(super) fn integer(&self, path: &str) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    /// Bytes, empty if they are missing.
    pub(super) fn bytes(&self, path: &str) -> Result<Vec<u8>, Status> {
        let Some(value) = self.value(path) else { return Ok(Vec::new()) };
        let decoded = value.as_str().and_then(|text| {
            let standard = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
            base64_decode(text).or_else(|| base64url_decode(&standard))
        });
        decoded.ok_or_else(|| {
            Status::unknown_field(format!(
                "Invalid value at '{}' (TYPE_BYTES), Base64 decoding failed for {value}",
                snake_case(path)
            ))
        })
    }

    /// Whether there is a checksum of these bytes; an error if it is another one.
    pub(super) fn checked(&self, bytes: &[u8], field: &str, checksum: &str) -> Result<bool, Status> {
        let Some(sent) = self.integer(checksum) else { return Ok(false) };
        if sent == i64::from(crc32c(bytes)) {
            return Ok(true);
        }
        let checksum = snake_case(checksum);
        Err(Status::invalid(format!("The checksum in field {checksum} did not match the data in field {field}.")))
    }
}

/// `digestCrc32c` as `digest_crc32c`.
fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, letter| {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
        text
    })
}
