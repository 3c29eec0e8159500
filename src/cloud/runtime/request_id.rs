//! The service's id of the request that a task has made, for the audit trail.
//!
//! A failure has its request id with it. A success does not, because nobody else needs it. So the HTTP client leaves the id
//! of each reply with the task in which the request is made, and the last one is that of the operation.

use crate::audit;
use std::cell::RefCell;

tokio::task_local! {
    static REQUEST_ID: RefCell<Option<String>>;
}

/// The fields of a reply with the service's id of the request.
const FIELDS: [&str; 2] = ["x-amzn-requestid", "x-ms-request-id"];

/// Runs a task that can remember a request id.
pub(crate) async fn scope<T>(task: impl Future<Output = T>) -> T {
    REQUEST_ID.scope(RefCell::new(None), task).await
}

/// Returns the id of the last reply that the current task got.
pub(crate) fn take() -> Option<String> {
    REQUEST_ID.try_with(RefCell::take).ok().flatten()
}

/// Remembers the request id of a reply in the current task. `field` returns a field of the reply's header. Does nothing if
/// no audit trail needs the id.
pub(crate) fn remember_field<'a>(field: impl Fn(&'static str) -> Option<&'a str>) {
    if audit::is_enabled() {
        let id = FIELDS.into_iter().find_map(field).map(str::to_owned);
        let _ = REQUEST_ID.try_with(|own| *own.borrow_mut() = id);
    }
}

/// Remembers the request id of a reply whose body contains it.
pub(crate) fn remember(id: Option<String>) {
    if audit::is_enabled() {
        let _ = REQUEST_ID.try_with(|own| *own.borrow_mut() = id);
    }
}
