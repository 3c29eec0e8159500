//! THE OPTION TABLE of the module's own file: name, place, cloud, kind of value, default, meaning.
//!
//! The reader checks every member of the file against the table. Tests check `docs/configuration.md` and
//! `config.example.json` against it. No check of the table involves the value of another option: rules for several
//! options are in `config::file`.

mod value;
pub mod variables;

use super::spelling::edit_distance;
pub use value::{KEY_KINDS, ValueKind, is_key_name};

/// A row of the table: an option.
pub struct OptionRow {
    /// The name of the member.
    pub name: &'static str,
    /// The objects in which the option is allowed.
    pub scopes: &'static [Scope],
    /// The clouds that the option is for. Empty if it is valid for every cloud.
    pub clouds: &'static [Cloud],
    /// The kind of its value.
    pub kind: ValueKind,
    /// The default in words, for `docs/configuration.md` and the tool. `variables` has the variables that it names.
    pub default: &'static str,
    /// The meaning, for `docs/configuration.md` and the schema.
    pub meaning: &'static str,
}

/// The kinds of objects in the file, in which an option may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole file. Options for slots are defaults for all slots.
    Top,
    /// An item of `slots`.
    Slot,
    /// An item of the `keys` of a slot.
    Key,
}

/// A cloud that has options of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// AWS KMS.
    Aws,
    /// Azure Key Vault or Managed HSM.
    Azure,
    /// The Transit engine of HashiCorp Vault or OpenBao.
    Vault,
    /// Google Cloud KMS.
    Google,
}

impl Scope {
    /// Returns the name of the object, for messages.
    fn object(self) -> &'static str {
        match self {
            Scope::Top => "the top-level object",
            Scope::Slot => "a slot",
            Scope::Key => "a key",
        }
    }
}

impl Cloud {
    /// All clouds.
    pub const ALL: [Cloud; 4] = [Cloud::Aws, Cloud::Azure, Cloud::Vault, Cloud::Google];

    /// The names of all clouds.
    pub const NAMES: [&str; 4] = [Cloud::Aws.name(), Cloud::Azure.name(), Cloud::Vault.name(), Cloud::Google.name()];

    /// Returns the name of the cloud, for messages and as the value of the option `cloud`.
    pub const fn name(self) -> &'static str {
        match self {
            Cloud::Aws => "aws",
            Cloud::Azure => "azure",
            Cloud::Vault => "vault",
            Cloud::Google => "google",
        }
    }

    /// Returns the clouds that this build of the module supports. Each cloud is a cargo feature.
    pub fn of_this_build() -> Vec<Cloud> {
        let is_supported = |cloud: &Cloud| match cloud {
            Cloud::Aws => cfg!(feature = "aws"),
            Cloud::Azure => cfg!(feature = "azure"),
            Cloud::Vault => cfg!(feature = "vault"),
            Cloud::Google => cfg!(feature = "google"),
        };
        Cloud::ALL.into_iter().filter(is_supported).collect()
    }
}

/// Returns the names of clouds, with `separator` between them, for messages.
pub fn names_of(clouds: &[Cloud], separator: &str) -> String {
    clouds.iter().map(|cloud| cloud.name()).collect::<Vec<_>>().join(separator)
}

/// Returns the option of that name, if it is allowed in that place.
pub fn find(name: &str, place: Scope) -> Option<&'static OptionRow> {
    allowed(place).find(|row| row.name == name)
}

/// Iterates over the options that are allowed in a place.
pub fn allowed(place: Scope) -> impl Iterator<Item = &'static OptionRow> {
    OPTIONS.iter().filter(move |row| row.scopes.contains(&place))
}

/// Returns the message for a name that is not allowed in that place: where the option is allowed, the option that
/// is probably meant, or all options that are allowed.
pub fn unknown_option_message(name: &str, place: Scope) -> String {
    if let Some(row) = OPTIONS.iter().find(|row| row.name == name) {
        let places: Vec<_> = row.scopes.iter().map(|place| place.object()).collect();
        let here = place.object();
        return format!("option \"{name}\" is not allowed in {here}; move it to {}", places.join(" or "));
    }
    match suggestion(name, place) {
        Some(close) => format!("unknown option \"{name}\"; did you mean \"{close}\"?"),
        None => {
            let names: Vec<_> = allowed(place).map(|row| row.name).collect();
            format!("unknown option \"{name}\"; options allowed in {}: {}", place.object(), names.join(", "))
        }
    }
}

/// Returns the option that is probably meant by `name`, which is misspelled or lacks its prefix ("region").
fn suggestion(name: &str, place: Scope) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let near = |row: &&OptionRow| (edit_distance(&name, row.name), row.name);
    let best = allowed(place).min_by_key(near)?.name;
    let limit = if name.len() < 6 { 1 } else { 3 };
    let suffix =
        || allowed(place).find(|row| name.len() > 3 && row.name.ends_with(&format!("_{name}"))).map(|row| row.name);
    match edit_distance(&name, best) {
        0..=1 => Some(best),
        far => suffix().or((far <= limit).then_some(best)),
    }
}

const CREDENTIALS: &[&str] = &["default", "environment", "workload_identity", "auth_file", "cli", "managed_identity"];
const LOGINS: &[&str] =
    &["none", "azure_client_secret", "aws_web_identity_token", "aws_profile", "vault_token", "vault_secret_id"];
const VAULT_AUTH: &[&str] = &["token", "approle", "jwt", "kubernetes", "cert"];

const TOP: &[Scope] = &[Scope::Top];
const SLOT: &[Scope] = &[Scope::Slot];
const KEY: &[Scope] = &[Scope::Slot, Scope::Key];
const DEFAULT: &[Scope] = &[Scope::Top, Scope::Slot];

const ANY: &[Cloud] = &[];
const AWS: &[Cloud] = &[Cloud::Aws];
const AZURE: &[Cloud] = &[Cloud::Azure];
const VAULT: &[Cloud] = &[Cloud::Vault];
const GOOGLE: &[Cloud] = &[Cloud::Google];
const AZURE_OR_VAULT: &[Cloud] = &[Cloud::Azure, Cloud::Vault];

/// The option whose name is no identifier of Rust.
const SCHEMA: OptionRow = OptionRow {
    name: "$schema",
    scopes: TOP,
    clouds: ANY,
    kind: ValueKind::Text,
    default: "-",
    meaning: "The address of a JSON Schema, for editors. The module ignores it. [Details](#a-schema-for-editors).",
};

macro_rules! options {
    ($last:ident; $($name:ident $scopes:ident $clouds:ident $kind:expr; $default:literal; $meaning:literal;)*) => {
        &[$(OptionRow { name: stringify!($name), scopes: $scopes, clouds: $clouds, kind: $kind, default: $default, meaning: $meaning },)* $last]
    };
}

/// All options.
#[rustfmt::skip]
pub const OPTIONS: &[OptionRow] = options![
    SCHEMA;
    slots TOP ANY ValueKind::Objects; "required"; "The slots. The id of a slot is its position, from 0.";
    log_level TOP ANY ValueKind::LogLevel; "`error`"; "`off`, `error`, `warn`, `info` or `debug`. `CLOUD_KMS_PKCS11_LOG` takes precedence.";
    log_file TOP ANY ValueKind::Path; "standard error"; "A file to which the log is appended. Rotate it with `copytruncate`. `CLOUD_KMS_PKCS11_LOG_FILE` takes precedence.";
    log_destination TOP ANY ValueKind::Choice(&["stderr", "file", "syslog"]); "`file` if there is a `log_file`, else `stderr`"; "`stderr`, `file` or `syslog`. `CLOUD_KMS_PKCS11_LOG_DESTINATION` and `CLOUD_KMS_PKCS11_LOG_FILE` take precedence.";
    cache TOP ANY ValueKind::Flag; "`true`"; "Store public keys on disk, so that a signature needs one request from the start. If a key's name can come to mean another key (a KMS alias, a key of another cloud without its version), a program that reads the public key before it signs makes two requests.";
    cache_folder TOP ANY ValueKind::Path; "`cloud-kms-pkcs11` in `$XDG_CACHE_HOME` or `~/.cache`, if that directory exists"; "The directory of the stored public keys. The module creates it if its parent exists. No other user may be able to write to it.";
    metrics_file TOP ANY ValueKind::Path; "none"; "A file with counters and latencies in the OpenMetrics format, which the module writes each minute and at C_Finalize. In its name, `%p` stands for the process id. [Details](monitoring.md#metrics).";
    audit_file TOP ANY ValueKind::Path; "none"; "A file to which the module appends a line for each signature and each other use of a private or secret key. [Details](monitoring.md#audit-trail).";
    audit_required TOP ANY ValueKind::Flag; "`false`"; "A call that uses a key fails with CKR_FUNCTION_FAILED if its line can't be written to the `audit_file`.";

    label KEY ANY ValueKind::Text; "the key's id or name; for Google the key's id in its key ring"; "The label of the token, truncated to 32 bytes, and CKA_LABEL of its single key, in full. Required with `keys` and `discover`. In a key: CKA_LABEL.";
    cloud SLOT ANY ValueKind::Choice(&Cloud::NAMES); "what the other options imply"; "`aws`, `azure`, `vault` or `google`.";
    kms_key_id KEY AWS ValueKind::Text; "-"; "A KMS key, as KMS accepts it: an id, `mrk-...`, `alias/...` or an ARN. Also CKA_ID.";
    kms_key_arn SLOT AWS ValueKind::Text; "-"; "The ARN of a KMS key. The part after its last `/` is the id of the key and CKA_ID.";
    key_name KEY AZURE ValueKind::KeyName; "-"; "The name of a Key Vault key. Also CKA_ID.";
    transit_key KEY VAULT ValueKind::TransitName; "-"; "The name of a key in the Transit engine of Vault or OpenBao. Also CKA_ID.";
    google_key KEY GOOGLE ValueKind::GoogleKey; "-"; "The name of a key in Google Cloud KMS: `projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY`, for the newest enabled version, or that and `/cryptoKeyVersions/NUMBER`. Also CKA_ID.";
    key_version KEY AZURE_OR_VAULT ValueKind::KeyVersion; "the newest"; "The version to use, even if there is a newer one. For Google, the version is part of `google_key`.";
    keys SLOT ANY ValueKind::Objects; "-"; "Several keys in one token: an array of objects with `kms_key_id`, `key_name`, `transit_key` or `google_key` and the other options of a key.";
    discover SLOT ANY ValueKind::Flag; "`false`"; "The token has every usable key that the service lists. The service determines the labels: the newest alias of a key in KMS, the tag or label `pkcs11-label` in Key Vault and Google Cloud KMS, else the id or name.";
    certificate KEY ANY ValueKind::Text; "the one in Key Vault or Vault, else none"; "The certificate of the key, and optionally those of its issuers, in any order: PEM, PKCS#7, or base64 of either.";
    certificate_path KEY ANY ValueKind::Path; "the one in Key Vault or Vault, else none"; "A file with the certificate of the key, and optionally those of its issuers, in any order: PEM, DER or PKCS#7. It is read when it is first needed. [Details](#certificates).";
    acm_certificate_arn KEY AWS ValueKind::Text; "-"; "The ARN of the key's certificate in AWS Certificate Manager (ACM). The certificate and its chain are requested when they are first needed. [Details](#certificates).";
    acm_pca_certificate_arn KEY AWS ValueKind::Text; "-"; "The ARN of the key's certificate in AWS Private CA, as IssueCertificate returns it. The certificate and its chain are requested when they are first needed. [Details](#certificates).";

    aws_region DEFAULT AWS ValueKind::Text; "the ARN's, else the SDK's"; "The region of the key.";
    aws_failover_regions DEFAULT AWS ValueKind::Regions; "`[]`"; "Regions with replicas of multi-Region keys, in the order in which they are tried if the key's own region fails. The keys need an id `mrk-...`, and a region from `aws_region` or their ARN. [Details](servers.md#a-region-fails).";
    aws_profile DEFAULT AWS ValueKind::Text; "the SDK's"; "A profile of the shared AWS configuration and credentials files.";
    aws_role_arn DEFAULT AWS ValueKind::Text; "none"; "The ARN of a role to assume.";
    aws_external_id DEFAULT AWS ValueKind::Text; "none"; "The external id for that role.";
    aws_endpoint_url DEFAULT AWS ValueKind::Url; "`AWS_ENDPOINT_URL_KMS`, `AWS_ENDPOINT_URL`, the profile's; else the region's"; "The URL of another endpoint of KMS.";
    aws_use_fips_endpoint DEFAULT AWS ValueKind::Flag; "`AWS_USE_FIPS_ENDPOINT`, the profile's `use_fips_endpoint`; else `false`"; "Use the region's FIPS endpoints of KMS and STS. Can't be combined with an endpoint URL.";
    aws_use_dualstack_endpoint DEFAULT AWS ValueKind::Flag; "`AWS_USE_DUALSTACK_ENDPOINT`, the profile's `use_dualstack_endpoint`; else `false`"; "Use the region's endpoints of KMS and STS for IPv4 and IPv6. Can't be combined with an endpoint URL.";

    login DEFAULT ANY ValueKind::Choice(LOGINS); "`none`"; "The PIN of C_Login is this credential: `azure_client_secret`, `aws_web_identity_token` (for the role in `aws_role_arn`), `aws_profile`, `vault_token` or `vault_secret_id` (for `vault_role_id`). [Details](#a-pin-that-is-a-credential).";

    vault_url DEFAULT AZURE ValueKind::Https; "required for Azure"; "The URL of the vault or Managed HSM: `https://NAME.vault.azure.net`.";
    azure_credential DEFAULT AZURE ValueKind::Choice(CREDENTIALS); "`default`"; "The source of access tokens: `environment` (client secret or certificate), `workload_identity`, `auth_file`, `cli` or `managed_identity`. `default`: only the first source that is configured is used, and options come before variables and files. If none is configured, `cli` is tried, then `managed_identity`.";
    azure_tenant_id DEFAULT AZURE ValueKind::Text; "`AZURE_TENANT_ID`"; "The id of the tenant.";
    azure_client_id DEFAULT AZURE ValueKind::Text; "`AZURE_CLIENT_ID`"; "The id of the application, or of the user-assigned managed identity.";
    azure_client_secret DEFAULT AZURE ValueKind::Secret; "`AZURE_CLIENT_SECRET`"; "The client secret of the application. `azure_client_secret_file` keeps it out of this file.";
    azure_client_secret_file DEFAULT AZURE ValueKind::Path; "none"; "A file that contains the client secret of the application.";
    azure_client_certificate_path DEFAULT AZURE ValueKind::Path; "`AZURE_CLIENT_CERTIFICATE_PATH`"; "A file with the certificate of the application and its RSA key: PEM, in any order, or PKCS#12 (PFX).";
    azure_client_certificate_password_file DEFAULT AZURE ValueKind::Path; "`AZURE_CLIENT_CERTIFICATE_PASSWORD`, the password itself; else none"; "A file that contains the password of the certificate's private key or PKCS#12 file.";
    azure_federated_token_file DEFAULT AZURE ValueKind::Path; "`AZURE_FEDERATED_TOKEN_FILE`"; "A file that contains a federated token, for workload identity.";
    azure_auth_file DEFAULT AZURE ValueKind::Path; "`AZURE_AUTH_LOCATION`, then `azure-keyvault-pkcs11/azureauth.json` of user and system"; "An `azureauth.json`: the output of `az ad sp create-for-rbac`, also with `--create-cert` or `--sdk-auth`.";
    azure_authority_host DEFAULT AZURE ValueKind::Https; "`AZURE_AUTHORITY_HOST`, else that of the vault's cloud"; "The authority that issues access tokens. The name of the vault implies its cloud: public, Government or China.";
    verify_challenge_resource DEFAULT AZURE ValueKind::Flag; "`true`"; "Check that a vault requests access tokens for its own domain. Set `false` for emulators only.";

    vault_address DEFAULT VAULT ValueKind::Url; "`VAULT_ADDR`"; "The URL of the server of Vault or OpenBao: `https://HOST:8200`. Each variable `VAULT_...` below also has OpenBao's name `BAO_...`, which comes first.";
    vault_namespace DEFAULT VAULT ValueKind::Text; "`VAULT_NAMESPACE`, else none"; "The namespace of the Transit engine and of the login.";
    transit_mount DEFAULT VAULT ValueKind::Text; "`transit`"; "The path at which the Transit engine is mounted.";
    vault_auth DEFAULT VAULT ValueKind::Choice(VAULT_AUTH); "`approle` with `vault_role_id`, `jwt` with `vault_jwt_file`, else `token`"; "Where the token comes from: a `token` itself, or a login by `approle`, `jwt`, `kubernetes` or `cert` (TLS certificate). [Details](servers.md#vault).";
    vault_auth_mount DEFAULT VAULT ValueKind::Text; "the value of `vault_auth`"; "The path at which the auth method is mounted.";
    vault_token DEFAULT VAULT ValueKind::Secret; "`VAULT_TOKEN`"; "A token. `vault_token_file` keeps it out of this file.";
    vault_token_file DEFAULT VAULT ValueKind::Path; "`~/.vault-token`, unless there is another token"; "A file that contains a token, such as the sink of Vault's agent. It is read again when it changes.";
    vault_role_id DEFAULT VAULT ValueKind::Text; "-"; "The RoleID of an AppRole.";
    vault_secret_id DEFAULT VAULT ValueKind::Secret; "none"; "The SecretID of an AppRole. `vault_secret_id_file` keeps it out of this file.";
    vault_secret_id_file DEFAULT VAULT ValueKind::Path; "none"; "A file that contains the SecretID of an AppRole. It is read at each login.";
    vault_role DEFAULT VAULT ValueKind::Text; "that of the auth method"; "The role of a login by `jwt`, `kubernetes` or `cert`. Required for `kubernetes`.";
    vault_jwt_file DEFAULT VAULT ValueKind::Path; "for `kubernetes` the token of the service account"; "A file that contains the token (JWT) for a login by `jwt` or `kubernetes`. It is read at each login.";
    vault_client_certificate_path DEFAULT VAULT ValueKind::Path; "`VAULT_CLIENT_CERT`, else none"; "A PEM file with a client certificate for TLS, followed by its chain. It is read again when it changes.";
    vault_client_key_path DEFAULT VAULT ValueKind::Path; "`VAULT_CLIENT_KEY`, else the certificate's file"; "A PEM file with the private key of the client certificate.";
    vault_tls_server_name DEFAULT VAULT ValueKind::Text; "`VAULT_TLS_SERVER_NAME`, else the host in the URL"; "The name that the server's certificate has.";

    google_key_ring DEFAULT GOOGLE ValueKind::GoogleKeyRing; "-"; "The key ring whose keys the token has with `discover`, in which programs create keys, and whose location generates random bytes: `projects/PROJECT/locations/LOCATION/keyRings/RING`.";
    google_versions DEFAULT GOOGLE ValueKind::Choice(&["all", "newest"]); "`all`"; "The versions that a token with `discover` has: `all` enabled versions of each key, or the `newest` enabled one.";
    google_protection_level DEFAULT GOOGLE ValueKind::Choice(&["hsm", "software"]); "`hsm`"; "The protection level of keys that programs create.";
    google_credentials_file DEFAULT GOOGLE ValueKind::Path; "`GOOGLE_APPLICATION_CREDENTIALS`, then the file that `gcloud auth application-default login` writes, then the metadata server"; "A file with credentials: the key of a service account, or the configuration of a workload identity federation.";
    google_impersonate_service_account DEFAULT GOOGLE ValueKind::ServiceAccount; "none"; "The email address of a service account to impersonate.";
    google_quota_project DEFAULT GOOGLE ValueKind::Text; "`GOOGLE_CLOUD_QUOTA_PROJECT`, then that of the credentials"; "The project whose quota requests use.";
    google_endpoint_url DEFAULT GOOGLE ValueKind::Url; "`https://cloudkms.` and the domain of the universe"; "The URL of another endpoint of Cloud KMS: a regional, restricted or private one.";
    google_universe_domain DEFAULT GOOGLE ValueKind::Domain; "`GOOGLE_CLOUD_UNIVERSE_DOMAIN`, then that of the credentials, then `googleapis.com`"; "The domain of the universe, for a cloud of a partner of Google.";

    ca_bundle DEFAULT ANY ValueKind::Path; "for AWS `AWS_CA_BUNDLE`, then the profile's `ca_bundle`; for Vault `VAULT_CACERT`, then `VAULT_CAPATH`; else none"; "A PEM file of certificate authorities to trust in addition to the system's, or a directory of such files.";
    proxy DEFAULT ANY ValueKind::Url; "`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`"; "The URL of an HTTP proxy. Requests to the machine's metadata services do not use it.";
    connect_timeout_ms DEFAULT ANY ValueKind::Milliseconds; "`3000`, at most `call_timeout_ms`"; "The time limit for connecting to a server.";
    call_timeout_ms DEFAULT ANY ValueKind::Milliseconds; "`10000`"; "The time limit for a whole call, including credentials, connecting and retries.";
    retries DEFAULT ANY ValueKind::Count; "`3`"; "How often a request is repeated after a broken connection or an internal error of the service. If the service throttles, the request is repeated until the call times out, unless `retries` is 0.";
    accept_bare_digest DEFAULT ANY ValueKind::Flag; "`false`"; "CKM_RSA_PKCS signs a bare digest of 32, 48 or 64 bytes as SHA-256, SHA-384 or SHA-512, as the old modules did.";
    rsnull DEFAULT AZURE ValueKind::Flag; "`false`"; "CKM_RSA_PKCS signs any input (such as a DigestInfo of SHA-1), with the algorithm RSNULL.";
    edwards_point DEFAULT ANY ValueKind::Choice(&["octet_string", "raw"]); "`octet_string`"; "The encoding of CKA_EC_POINT of an Ed25519 key: `octet_string`, DER, which most programs expect, or `raw`, which PKCS#11 3.1 defines.";
    generate_certificate DEFAULT ANY ValueKind::Flag; "`false`"; "A key that has no other certificate has one that the module makes, for programs that use a key only beside a certificate, such as Java's SunPKCS11. [Details](#generated-certificates).";
    random DEFAULT ANY ValueKind::Choice(&["system", "service"]); "`system`"; "The source of C_GenerateRandom: `system` for the operating system, `service` for the service (AWS KMS, Managed HSM, Vault, Google Cloud HSM in the location of `google_key_ring`).";
    hide_keys DEFAULT ANY ValueKind::KeyKinds; "`[]`; with `discover` Ed25519, ML-DSA and SLH-DSA keys, because OpenSSL's engine rejects a whole token with such a key"; "Kinds of keys that the token does not show: `rsa2048`, `rsa3072`, `rsa4096`, `P-256`, `P-384`, `P-521`, `secp256k1`, `Ed25519`, `ML-DSA-44`, `ML-DSA-65`, `ML-DSA-87`, `SLH-DSA-SHA2-128s`, `HMAC-SHA-1`, `HMAC-SHA-224`, `HMAC-SHA-256`, `HMAC-SHA-384`, `HMAC-SHA-512`.";

    allow DEFAULT ANY ValueKind::Rights; "`[]`"; "What programs may do in the service: `generate` keys, `destroy` keys, write and delete `certificates`, change `labels` of keys (with `discover`). See [managing keys](managing-keys.md).";
    confirm_destroy SLOT ANY ValueKind::Text; "-"; "The token's label once more. Required to allow `destroy`.";
    destroy_days DEFAULT AWS ValueKind::Count; "`30`"; "The number of days, 7 to 30, for which KMS keeps a destroyed key. The key can be restored during this time.";
    certificate_store DEFAULT ANY ValueKind::Path; "none"; "A directory of certificates that programs have written, for keys whose service stores no certificates. No other user may be able to write to it.";
];
