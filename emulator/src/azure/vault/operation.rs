//! The operations of Key Vault, by method and path. Counts and faults use their names.

use crate::http::Request;

/// An operation, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
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
    CreateCertificate(String),
    ImportCertificate(String),
    Pending(String),
    DeletePending(String),
    Merge(String),
    DeleteCertificate(String),
    GetDeletedCertificate(String),
    RecoverCertificate(String),
    PurgeCertificate(String),
    Random,
}

impl Operation {
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
            ("POST", ["certificates", name, "create"]) => Self::CreateCertificate(owned(name)),
            ("POST", ["certificates", name, "import"]) => Self::ImportCertificate(owned(name)),
            ("GET", ["certificates", name, "pending"]) => Self::Pending(owned(name)),
            ("DELETE", ["certificates", name, "pending"]) => Self::DeletePending(owned(name)),
            ("POST", ["certificates", name, "pending", "merge"]) => Self::Merge(owned(name)),
            ("DELETE", ["certificates", name]) => Self::DeleteCertificate(owned(name)),
            ("GET", ["deletedcertificates", name]) => Self::GetDeletedCertificate(owned(name)),
            ("POST", ["deletedcertificates", name, "recover"]) => Self::RecoverCertificate(owned(name)),
            ("DELETE", ["deletedcertificates", name]) => Self::PurgeCertificate(owned(name)),
            ("GET", ["certificates", name]) => Self::GetCertificate(owned(name), String::new()),
            ("GET", ["certificates", name, version]) => Self::GetCertificate(owned(name), owned(version)),
            ("POST", ["rng"]) => Self::Random,
            _ => return None,
        })
    }

    /// The name it is counted under.
    pub(crate) fn name(&self) -> String {
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
            Self::CreateCertificate(_) => "certificates.create",
            Self::ImportCertificate(_) => "certificates.import",
            Self::Pending(_) => "certificates.pending",
            Self::DeletePending(_) => "certificates.deletepending",
            Self::Merge(_) => "certificates.merge",
            Self::DeleteCertificate(_) => "certificates.delete",
            Self::GetDeletedCertificate(_) => "deletedcertificates.get",
            Self::RecoverCertificate(_) => "deletedcertificates.recover",
            Self::PurgeCertificate(_) => "deletedcertificates.purge",
            Self::Random => "rng",
        };
        format!("vault.{name}")
    }

    /// What a reply to it has if it succeeds.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::CreateCertificate(_) => 202,
            Self::Merge(_) => 201,
            _ => 200,
        }
    }

    /// The key or certificate it is about.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::List | Self::ListDeleted | Self::ListCertificates | Self::Random => None,
            Self::Get(name, _) | Self::Update(name, _) | Self::GetCertificate(name, _) => Some(name),
            Self::Operate { name, .. } => Some(name),
            Self::Versions(name)
            | Self::Create(name)
            | Self::Delete(name)
            | Self::GetDeleted(name)
            | Self::Recover(name)
            | Self::Purge(name)
            | Self::CertificateVersions(name)
            | Self::CreateCertificate(name)
            | Self::ImportCertificate(name)
            | Self::Pending(name)
            | Self::DeletePending(name)
            | Self::Merge(name)
            | Self::DeleteCertificate(name)
            | Self::GetDeletedCertificate(name)
            | Self::RecoverCertificate(name)
            | Self::PurgeCertificate(name) => Some(name),
        }
    }
}
