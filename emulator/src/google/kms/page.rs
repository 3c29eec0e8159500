//! Lists in pages, with filters ("Sorting and filtering list results"), and update masks.

use super::call::{Answer, Call};
use crate::encoding::{base64url, base64url_decode};
use crate::google::status::Status;
use serde_json::{Value, json};

/// The page size of a client that asks for none, and the largest.
const PAGE: usize = 100;
const LARGEST: usize = 1000;

impl Call<'_> {
    /// One page of a list of resources.
    pub(super) fn page(&self, member: &str, items: Vec<Value>) -> Answer {
        let filter = Filter::parse(self.input.query("filter").unwrap_or_default())?;
        let mut items: Vec<Value> = items.into_iter().filter(|item| filter.accepts(item)).collect();
        self.sort(&mut items)?;
        let size = self.input.query("pageSize").map_or(Ok(0), str::parse::<i64>).ok();
        let size = size.and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(|| Status::invalid("page_size must not be negative."))?;
        let size = if size == 0 { PAGE } else { size.min(LARGEST) };
        let start = match self.input.query("pageToken") {
            Some(token) => self.position(token)?,
            None => 0,
        };
        let total = items.len();
        let page: Vec<Value> = items.into_iter().skip(start).take(size).collect();
        let end = start + page.len();
        let mut reply = json!({});
        if !page.is_empty() {
            reply[member] = json!(page);
        }
        if end < total {
            reply["nextPageToken"] = json!(base64url(format!("{end} {}", self.name).as_bytes()));
        }
        // "This field is not populated if ListCryptoKeyVersionsRequest.filter is applied."
        if total > 0 && filter.is_empty() {
            reply["totalSize"] = json!(total);
        }
        Ok(reply)
    }

    /// Where a page starts. A token belongs to its list.
    fn position(&self, token: &str) -> Result<usize, Status> {
        let text = base64url_decode(token).and_then(|bytes| String::from_utf8(bytes).ok());
        let start = text.as_deref().and_then(|text| text.split_once(' ')).filter(|(_, name)| *name == self.name);
        let start = start.and_then(|(start, _)| start.parse().ok());
        start.ok_or_else(|| Status::invalid("page_token is invalid."))
    }

    /// By name, so that version 10 comes before version 2, unless `orderBy` says otherwise.
    fn sort(&self, items: &mut [Value]) -> Result<(), Status> {
        let order = self.input.query("orderBy").unwrap_or("name");
        let (field, descending) = match order.split_once(' ') {
            Some((field, "desc")) => (field, true),
            Some((field, "asc")) => (field, false),
            _ => (order, false),
        };
        let field = camel_case(field);
        if !["name", "createTime", "state", "algorithm", "protectionLevel"].contains(&field.as_str()) {
            return Err(Status::invalid(format!("Invalid order_by: {order}")));
        }
        let text = |item: &Value| item.get(&field).and_then(Value::as_str).unwrap_or_default().to_owned();
        items.sort_by_key(text);
        if descending {
            items.reverse();
        }
        Ok(())
    }

    /// The fields that a PATCH changes.
    pub(super) fn mask(&self) -> Result<Vec<String>, Status> {
        let mask = self.input.query("updateMask").unwrap_or_default();
        if mask.is_empty() {
            return Err(Status::invalid("update_mask must be set."));
        }
        Ok(mask.split(',').map(|path| path.trim().to_owned()).collect())
    }
}

/// Conditions of which all must hold, or any.
struct Filter {
    any: bool,
    conditions: Vec<Condition>,
}

struct Condition {
    field: String,
    operator: &'static str,
    value: String,
}

impl Filter {
    fn parse(text: &str) -> Result<Self, Status> {
        let any = text.contains(" OR ");
        let parts = text.split(if any { " OR " } else { " AND " }).map(str::trim).filter(|part| !part.is_empty());
        let conditions = parts.map(Condition::parse).collect::<Option<Vec<_>>>();
        let conditions = conditions.ok_or_else(|| Status::invalid(format!("Invalid filter: {text}")))?;
        Ok(Self { any, conditions })
    }

    fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    fn accepts(&self, item: &Value) -> bool {
        let mut results = self.conditions.iter().map(|condition| condition.accepts(item));
        if self.any { results.any(|result| result) } else { results.all(|result| result) }
    }
}

impl Condition {
    fn parse(text: &str) -> Option<Self> {
        let operator = ["!=", "=", ":"].into_iter().find(|operator| text.contains(operator))?;
        let (field, value) = text.split_once(operator)?;
        let known =
            ["name", "state", "algorithm", "purpose", "protectionLevel", "versionTemplate", "labels", "primary"];
        let field: Vec<String> = field.trim().split('.').map(camel_case).collect();
        known.contains(&field.first()?.as_str()).then_some(())?;
        Some(Self { field: field.join("."), operator, value: value.trim().trim_matches('"').to_owned() })
    }

    fn accepts(&self, item: &Value) -> bool {
        let found = self.field.split('.').try_fold(item, |value, name| value.get(name));
        let found = found.and_then(Value::as_str).unwrap_or_default();
        match self.operator {
            "=" => found == self.value,
            "!=" => found != self.value,
            _ => self.value == "*" && !found.is_empty() || found.contains(&self.value),
        }
    }
}

/// `protection_level` as `protectionLevel`; a label's name stays as it is.
fn camel_case(name: &str) -> String {
    match name {
        "protection_level" => "protectionLevel".to_owned(),
        "version_template" => "versionTemplate".to_owned(),
        "create_time" => "createTime".to_owned(),
        other => other.to_owned(),
    }
}

/// The id of a key ring or a crypto key.
pub(crate) fn is_id(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&text.len()) && text.bytes().all(letter)
}
