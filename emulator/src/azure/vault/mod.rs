//! Azure Key Vault and Managed HSM (Key Vault REST API). The operations are in `keys` and `certificates`.

mod authorization;
mod call;
mod certificates;
mod error;
mod keys;
mod operation;
mod pagination;
mod place;
mod soft_delete;
mod tags;

use crate::faults::Tamper;
use crate::http::{Reply, Request};
use crate::state::State;
pub(crate) use authorization::{authorize, claims_challenge, expired};
use call::Call;
pub use certificates::VaultCertificate;
pub(crate) use error::VaultError;
use hyper::Method;
pub use keys::VaultKey;
pub(crate) use operation::Operation;
pub(crate) use place::Place;

/// Answers one request whose token was checked.
pub(crate) fn answer(state: &State, request: &Request, tamper: Tamper) -> Reply {
    let place = Place::of(state, request);
    let call = Call { state, request, vault: place.store_name(), place, tamper, now: state.clock.now() };
    let answer = match (Operation::of(request), request.query_value("api-version")) {
        (None, _) if request.method == Method::GET => {
            Err(VaultError::new(404, "NotFound", "The requested resource was not found."))
        }
        (None, _) => Err(VaultError::new(405, "MethodNotAllowed", "The requested method is not allowed.")),
        (_, None) => Err(VaultError::bad_parameter("api-version must be specified")),
        (Some(operation), Some(_)) => dispatch(&call, &operation),
    };
    answer.unwrap_or_else(|error| error.reply())
}

fn dispatch(call: &Call<'_>, operation: &Operation) -> Result<Reply, VaultError> {
    if let Some(name) = operation.key().filter(|name| !is_name(name)) {
        return Err(VaultError::bad_parameter(format!("The request URI contains an invalid name: {name}")));
    }
    let body = match operation {
        Operation::List => call.list_keys(),
        Operation::Versions(name) => call.list_versions(name),
        Operation::Get(name, version) => call.get_key(name, version),
        Operation::Create(name) => call.create_key(name),
        Operation::Operate { name, version, operation } => call.operate(name, version, operation),
        Operation::Update(name, version) => call.update_key(name, version),
        Operation::Delete(name) => call.delete_key(name),
        Operation::ListDeleted => call.list_deleted_keys(),
        Operation::GetDeleted(name) => call.get_deleted_key(name),
        Operation::Recover(name) => call.recover_key(name),
        Operation::Purge(name) => return call.purge_key(name).map(|()| Reply::empty(204)),
        Operation::ListCertificates => call.list_certificates(),
        Operation::CertificateVersions(name) => call.certificate_versions(name),
        Operation::GetCertificate(name, version) => call.get_certificate(name, version),
        Operation::CreateCertificate(name) => call.create_certificate(name),
        Operation::ImportCertificate(name) => call.import_certificate(name),
        Operation::Pending(name) => call.pending(name),
        Operation::DeletePending(name) => call.delete_pending(name),
        Operation::Merge(name) => call.merge(name),
        Operation::DeleteCertificate(name) => call.delete_certificate(name),
        Operation::GetDeletedCertificate(name) => call.get_deleted_certificate(name),
        Operation::RecoverCertificate(name) => call.recover_certificate(name),
        Operation::PurgeCertificate(name) => return call.purge_certificate(name).map(|()| Reply::empty(204)),
        Operation::Random => call.random(),
    };
    Ok(Reply::json(operation.status(), &body?))
}

/// Key Vault REST API, "Vault-name and object-name": 1 to 127 letters, digits and hyphens.
fn is_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
