//! Which operation of Key Vault a request is, by method and path; under its name it is counted and meets faults.

use crate::wire::Request;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    List,
    Versions(String),
    Get(String, String),
    Create(String),
    Operate { name: String, version: String, operation: String },
    Update(String, String),
    Delete(String),
    ListDeleted,
    GetDeleted(String),
    Recover(String),
    Purge(String),
    ListCertificates,
    CertificateVersions(String),
    GetCertificate(String, String),
    Random,
}

impl Asked {
    /// Reads method and path; `None` for what Key Vault does not have.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let segments = request.segments();
        let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if segments.len() > 1 && segments.last() == Some(&"") {
            segments.pop();
        }
        let owned = |text: &str| text.to_owned();
        Some(match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["keys"]) => Self::List,
            ("GET", ["keys", name, "versions"]) => Self::Versions(owned(name)),
            ("GET", ["keys", name]) => Self::Get(owned(name), String::new()),
            ("GET", ["keys", name, version]) => Self::Get(owned(name), owned(version)),
            ("POST", ["keys", name, "create"]) => Self::Create(owned(name)),
            ("POST", ["keys", name, operation]) => {
                Self::Operate { name: owned(name), version: String::new(), operation: owned(operation) }
            }
            ("POST", ["keys", name, version, operation]) => {
                Self::Operate { name: owned(name), version: owned(version), operation: owned(operation) }
            }
            ("PATCH", ["keys", name]) => Self::Update(owned(name), String::new()),
            ("PATCH", ["keys", name, version]) => Self::Update(owned(name), owned(version)),
            ("DELETE", ["keys", name]) => Self::Delete(owned(name)),
            ("GET", ["deletedkeys"]) => Self::ListDeleted,
            ("GET", ["deletedkeys", name]) => Self::GetDeleted(owned(name)),
            ("POST", ["deletedkeys", name, "recover"]) => Self::Recover(owned(name)),
            ("DELETE", ["deletedkeys", name]) => Self::Purge(owned(name)),
            ("GET", ["certificates"]) => Self::ListCertificates,
            ("GET", ["certificates", name, "versions"]) => Self::CertificateVersions(owned(name)),
            ("GET", ["certificates", name]) => Self::GetCertificate(owned(name), String::new()),
            ("GET", ["certificates", name, version]) => Self::GetCertificate(owned(name), owned(version)),
            ("POST", ["rng"]) => Self::Random,
            _ => return None,
        })
    }

    /// The name it is counted under.
    pub(crate) fn operation(&self) -> String {
        let name = match self {
            Self::List => "keys.list",
            Self::Versions(_) => "keys.versions",
            Self::Get(..) => "keys.get",
            Self::Create(_) => "keys.create",
            Self::Operate { operation, .. } => return format!("vault.keys.{operation}"),
            Self::Update(..) => "keys.update",
            Self::Delete(_) => "keys.delete",
            Self::ListDeleted | Self::GetDeleted(_) => "deletedkeys.get",
            Self::Recover(_) => "deletedkeys.recover",
            Self::Purge(_) => "deletedkeys.purge",
            Self::ListCertificates => "certificates.list",
            Self::CertificateVersions(_) => "certificates.versions",
            Self::GetCertificate(..) => "certificates.get",
            Self::Random => "rng",
        };
        format!("vault.{name}")
    }

    /// The key it is about.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Versions(name) | Self::Create(name) | Self::Delete(name) | Self::CertificateVersions(name) => {
                Some(name)
            }
            Self::Get(name, _) | Self::Update(name, _) | Self::GetCertificate(name, _) => Some(name),
            Self::GetDeleted(name) | Self::Recover(name) | Self::Purge(name) => Some(name),
            Self::Operate { name, .. } => Some(name),
            Self::List | Self::ListDeleted | Self::ListCertificates | Self::Random => None,
        }
    }
}
