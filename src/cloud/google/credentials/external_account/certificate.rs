//! X.509 certificates of a workload: the certificate identifies this machine to the token server in TLS.
//!
//! "Configure Workload Identity Federation with X.509 certificates".

use super::super::credential_file::CertificateSource;
use crate::cloud::credentials::file;
use crate::cloud::http::client_certificate::ClientCertificate;
use base64ct::{Base64, Encoding};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The certificate of a workload.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The file that names the files of the certificate and its key. None means the file of gcloud.
    configuration: Option<PathBuf>,
    trust_chain: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Configuration {
    cert_configs: CertificateConfigurations,
}

#[derive(Deserialize)]
struct CertificateConfigurations {
    workload: Option<Workload>,
}

#[derive(Deserialize)]
struct Workload {
    cert_path: PathBuf,
    key_path: PathBuf,
}

impl Certificate {
    pub(crate) fn new(source: &CertificateSource) -> Result<Self, String> {
        let configuration = match (source.use_default_certificate_config, &source.certificate_config_location) {
            (false, Some(path)) => Some(path.clone()),
            (true, None) => None,
            _ => return Err(EITHER.into()),
        };
        Ok(Self { configuration, trust_chain: source.trust_chain_path.clone() })
    }

    /// Returns the files of the certificate and its key.
    pub(crate) fn files(&self, variable: Variable) -> Result<ClientCertificate, String> {
        let path = self.configuration.clone().or_else(|| default_configuration(variable));
        let path = path.ok_or("HOME is not set, so the certificate configuration of gcloud is not found")?;
        let shown = path.display();
        let parsed: Configuration = serde_json::from_slice(&file::bytes(&path)?)
            .map_err(|error| format!("{shown}:{}: this is not a certificate configuration of gcloud", error.line()))?;
        let own =
            parsed.cert_configs.workload.ok_or_else(|| format!("{shown}: the file lacks \"cert_configs.workload\""))?;
        Ok(ClientCertificate { certificate: own.cert_path, key: own.key_path })
    }

    /// Returns the certificate and its chain in the form of the token server: base64 in a JSON array, the certificate first.
    pub(crate) fn token(&self, variable: Variable) -> Result<Zeroizing<String>, String> {
        let mut chain = certificates(&self.files(variable)?.certificate)?;
        chain.truncate(1);
        for certificate in self.trust_chain.as_deref().map(certificates).transpose()?.unwrap_or_default() {
            if !chain.contains(&certificate) {
                chain.push(certificate);
            }
        }
        Ok(Zeroizing::new(serde_json::json!(chain).to_string()))
    }
}

fn certificates(path: &Path) -> Result<Vec<String>, String> {
    let bytes = file::bytes(path)?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    match found.is_empty() {
        true => Err(format!("{}: the file contains no certificate in PEM", path.display())),
        false => Ok(found.iter().map(|der| Base64::encode_string(der)).collect()),
    }
}

fn default_configuration(variable: Variable) -> Option<PathBuf> {
    let home = || Some(PathBuf::from(variable("HOME")?).join(".config/gcloud/certificate_config.json"));
    variable("GOOGLE_API_CERTIFICATE_CONFIG").map(PathBuf::from).or_else(home)
}

/// Returns the value of an environment variable.
type Variable = fn(&str) -> Option<String>;

const EITHER: &str = "\"credential_source.certificate\" needs either \"use_default_certificate_config\": true or \
     \"certificate_config_location\"";
