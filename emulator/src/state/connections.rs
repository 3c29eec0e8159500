//! The open connections, and how each is to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;

/// What is to become of a connection once the present reply is through.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// Close with RST instead of FIN.
    pub(crate) reset: AtomicBool,
    /// Close in good order.
    pub(crate) close: Notify,
    /// Never answer on it again, as where a router between has forgotten the connection.
    pub(crate) silent: AtomicBool,
}

/// The connections that are open, and some that were.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<Vec<Weak<Fate>>>,
}

impl Connections {
    pub(crate) fn add(&self, connection: &Arc<Fate>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|fate| fate.strong_count() > 0);
        open.push(Arc::downgrade(connection));
    }

    /// The connections that are open now are never answered again.
    pub(crate) fn silence(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().filter_map(Weak::upgrade).for_each(|fate| fate.silent.store(true, Ordering::SeqCst));
    }
}
