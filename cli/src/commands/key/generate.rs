//! `key generate`: a new key.

use super::right::{ALLOW_GENERATE, not_allowed};
use crate::failure::{Failure, Outcome};
use crate::module::ModuleArguments;
use crate::output::{note, write};
use crate::token::Token;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use cloud_kms_pkcs11::key::{Kind, ParameterSet};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, MlDsaParameterSetType, ObjectHandle, SlhDsaParameterSetType};
use std::process::ExitCode;

/// Creates a key in the service
#[derive(Args)]
pub struct Arguments {
    /// The token that gets the key
    #[arg(long, value_name = "LABEL")]
    slot: String,
    /// The kind of the key
    #[arg(long, value_parser = PossibleValuesParser::new(Kind::all().map(short_name)))]
    kind: String,
    /// The label, which becomes the key's name in the service (in AWS KMS: its alias)
    #[arg(long)]
    label: String,
    /// What the key is for
    #[arg(long, value_enum, default_value = "sign")]
    purpose: Purpose,
    #[command(flatten)]
    module: ModuleArguments,
}

/// What a new key is for. In some services, a key always has several purposes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
enum Purpose {
    Sign,
    Decrypt,
    Derive,
}

impl Arguments {
    /// Runs the command, and prints the URI of the key.
    ///
    /// # Errors
    /// If the configuration or the service does not permit it.
    pub fn run(&self) -> Outcome<ExitCode> {
        let token = self.module.token(&self.slot)?;
        let handle = self.generate(&token)?;
        let key = token.object(handle).map_err(|error| Failure::from(error).of(&token))?;
        let name = String::from_utf8_lossy(&key.id);
        write(&format!("{}\n", token.uri_of(&key)))?;
        note(&format!("the key's name in the service is {name}; name it in a slot, or use a slot with \"discover\""));
        Ok(ExitCode::SUCCESS)
    }

    fn generate(&self, token: &Token) -> Outcome<ObjectHandle> {
        let kind = Kind::all().find(|kind| short_name(*kind) == self.kind);
        let kind = kind.ok_or_else(|| Failure::new(format!("no kind of key is called {}", self.kind)))?;
        let (mechanism, described) = description(kind);
        let mut private = vec![Attribute::Token(true), Attribute::Label(self.label.clone().into_bytes())];
        private.push(match self.purpose {
            Purpose::Sign => Attribute::Sign(true),
            Purpose::Decrypt => Attribute::Decrypt(true),
            Purpose::Derive => Attribute::Derive(true),
        });
        let generated = match kind {
            Kind::Hmac(_) => {
                private.extend(described);
                token.session().generate_key(&mechanism, &private)
            }
            _ => token.session().generate_key_pair(&mechanism, &described, &private).map(|(_, private)| private),
        };
        generated.map_err(|error| not_allowed(error, &ALLOW_GENERATE).of(token))
    }
}

/// Returns the mechanism that makes keys of a kind, and the attributes that describe the kind.
fn description(kind: Kind) -> (Mechanism<'static>, Vec<Attribute>) {
    match kind {
        Kind::Rsa(bits) => (
            Mechanism::RsaPkcsKeyPairGen,
            vec![Attribute::ModulusBits((bits as u64).into()), Attribute::PublicExponent(vec![1, 0, 1])],
        ),
        Kind::Ec(curve) => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(curve.ec_params())]),
        Kind::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, vec![Attribute::EcParams(EDWARDS25519.to_vec())]),
        Kind::MlDsa(set) => {
            let set = match set {
                ParameterSet::MlDsa44 => MlDsaParameterSetType::ML_DSA_44,
                ParameterSet::MlDsa65 => MlDsaParameterSetType::ML_DSA_65,
                ParameterSet::MlDsa87 => MlDsaParameterSetType::ML_DSA_87,
            };
            (Mechanism::MlDsaKeyPairGen, vec![Attribute::ParameterSet(set.into())])
        }
        Kind::SlhDsa(_) => {
            (Mechanism::SlhDsaKeyPairGen, vec![Attribute::ParameterSet(SlhDsaParameterSetType::SHA2_128S.into())])
        }
        Kind::Hmac(hash) => (Mechanism::GenericSecretKeyGen, vec![Attribute::ValueLen((hash.len() as u64).into())]),
    }
}

/// DER of id-Ed25519, RFC 8410 section 3.
const EDWARDS25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];

/// Returns the name of a kind as people type it: `p256`, `mldsa65`, `hmacsha256`.
fn short_name(kind: Kind) -> String {
    kind.name().to_lowercase().replace('-', "")
}
