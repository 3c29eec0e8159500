//! Names of AWS resources, as far as a key's name tells its region.

/// What a configuration needs of an ARN of AWS KMS: `arn:PARTITION:kms:REGION:ACCOUNT:RESOURCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// As in "eu-central-1".
    pub region: &'a str,
    /// "key/1234abcd-..." or "alias/name".
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// From its text; None if it is no ARN of a KMS key or alias.
    pub fn parse(text: &'a str) -> Option<Self> {
        let fields: Vec<&str> = text.splitn(6, ':').collect();
        match fields[..] {
            ["arn", _, "kms", region, _, resource] if !region.is_empty() && is_key_or_alias(resource) => {
                Some(Self { region, resource })
            }
            _ => None,
        }
    }
}

/// What follows the last slash, or all of it.
pub fn after_slash(text: &str) -> &str {
    text.rsplit_once('/').map_or(text, |(_, last)| last)
}

fn is_key_or_alias(resource: &str) -> bool {
    ["key/", "alias/"].iter().any(|kind| resource.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
}
