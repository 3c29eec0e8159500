//! Names of certificates: the ARNs of AWS Certificate Manager and AWS Private CA.

use crate::cloud::aws::operations::{GET_ACM_CERTIFICATE, GET_PCA_CERTIFICATE, Operation};
use crate::cloud::key::CertificateName;

/// A service of AWS that stores certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateService {
    /// AWS Certificate Manager (ACM).
    Acm,
    /// AWS Private CA. Its certificates have the ARN of their authority.
    PrivateCa,
}

impl CertificateService {
    /// Returns the service that stores the certificate of this name.
    pub(crate) fn of(name: &CertificateName) -> Self {
        if name.authority.is_some() { Self::PrivateCa } else { Self::Acm }
    }

    /// Returns the operation that fetches a certificate.
    pub(crate) fn operation(self) -> &'static Operation {
        match self {
            Self::Acm => &GET_ACM_CERTIFICATE,
            Self::PrivateCa => &GET_PCA_CERTIFICATE,
        }
    }

    /// Returns the name of the service in ARNs, signatures and host names.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Acm => "acm",
            Self::PrivateCa => "acm-pca",
        }
    }

    /// Returns the name of the operation in the protocol.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Acm => "CertificateManager.GetCertificate",
            Self::PrivateCa => "ACMPrivateCA.GetCertificate",
        }
    }

    /// Returns the service ID, from which the SDKs derive the names of settings, and the variable with an endpoint.
    pub(super) fn settings(self) -> (&'static str, &'static str) {
        match self {
            Self::Acm => ("ACM", "AWS_ENDPOINT_URL_ACM"),
            Self::PrivateCa => ("ACM PCA", "AWS_ENDPOINT_URL_ACM_PCA"),
        }
    }

    /// Returns the name of the service for log lines.
    pub(super) fn full_name(self) -> &'static str {
        match self {
            Self::Acm => "AWS Certificate Manager",
            Self::PrivateCa => "AWS Private CA",
        }
    }
}

/// Returns whether `text` is the ARN of a certificate in that service.
pub fn is_certificate_arn(text: &str, service: CertificateService) -> bool {
    let fields: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, code, region, account, resource] = fields[..] else { return false };
    let is_known = match (service, resource.split('/').collect::<Vec<_>>().as_slice()) {
        (CertificateService::Acm, ["certificate", id]) => !id.is_empty(),
        (CertificateService::PrivateCa, ["certificate-authority", authority, "certificate", id]) => {
            !authority.is_empty() && !id.is_empty()
        }
        _ => false,
    };
    is_known && code == service.code() && [partition, region, account].iter().all(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_arns_of_its_own() {
        let acm = "arn:aws:acm:eu-central-1:111122223333:certificate/1234";
        let pca = "arn:aws-us-gov:acm-pca:us-gov-west-1:111122223333:certificate-authority/12/certificate/ab";
        for (text, is_acm, is_pca) in [
            (acm, true, false),
            (pca, false, true),
            ("arn:aws:acm-pca:eu-central-1:111122223333:certificate-authority/12", false, false),
            ("arn:aws:acm-pca:eu-central-1:111122223333:certificate-authority/12/certificate/", false, false),
            ("arn:aws:acm-pca:eu-central-1:111122223333:certificate/12", false, false),
            ("arn:aws:acm::111122223333:certificate/1234", false, false),
            ("arn:aws:acm:eu-central-1:111122223333:certificate/", false, false),
            ("arn:aws:kms:eu-central-1:111122223333:key/1234", false, false),
            ("1234", false, false),
        ] {
            assert_eq!(is_certificate_arn(text, CertificateService::Acm), is_acm, "{text}");
            assert_eq!(is_certificate_arn(text, CertificateService::PrivateCa), is_pca, "{text}");
        }
    }
}
