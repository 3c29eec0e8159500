//! Amazon Resource Names (ARNs) of KMS keys, which contain the region, and of certificates.

use crate::cloud::CertificateName;

/// The parts of a KMS ARN that the configuration needs: `arn:PARTITION:kms:REGION:ACCOUNT:RESOURCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// The region, such as "eu-central-1".
    pub region: &'a str,
    /// The resource: "key/1234abcd-..." or "alias/name".
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Parses an ARN. Returns `None` if `text` is not the ARN of a KMS key or alias.
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

/// Returns the name of the certificate with that ARN. The ARN of a certificate of AWS Private CA starts with the ARN of
/// its authority, unless the configuration names the `authority`.
pub fn certificate_name(id: String, authority: Option<String>) -> CertificateName {
    let own = || id.split(':').nth(2).filter(|service| *service == "acm-pca").and(id.split_once("/certificate/"));
    let authority = authority.or_else(|| own().map(|(authority, _)| authority.to_owned()));
    CertificateName { id, authority }
}

/// Returns the part after the last slash, or all of `text` if it contains no slash.
pub fn after_slash(text: &str) -> &str {
    text.rsplit_once('/').map_or(text, |(_, last)| last)
}

fn is_key_or_alias(resource: &str) -> bool {
    ["key/", "alias/"].iter().any(|kind| resource.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
}
