//! Values that each process makes for itself.

use super::life::{Life, discard};
use crate::host::fork;
use std::sync::{Arc, Mutex, PoisonError};

/// A value that is made anew in each process and after each C_Initialize, for example clients with their
/// connections. Must be used on the host's threads only, while they are inside the gate.
pub struct PerProcess<T>(Mutex<Option<(Life, Arc<T>)>>);

#[allow(clippy::new_without_default, reason = "Default is not const")]
impl<T> PerProcess<T> {
    /// Creates a holder whose value is made at its first use.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Returns the value. Calls `make` if this process has no value yet.
    pub fn get(&self, make: impl FnOnce() -> T) -> Arc<T> {
        fork::inside(|| {
            let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, value)) = made.as_ref().filter(|(life, _)| *life == Life::current()) {
                return value.clone();
            }
            let value = Arc::new(make());
            discard(made.replace((Life::current(), value.clone())));
            value
        })
    }

    /// Replaces the value. With `None`, the next use makes a new value.
    pub fn replace(&self, value: Option<Arc<T>>) {
        fork::inside(|| {
            let value = value.map(|value| (Life::current(), value));
            let earlier = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), value);
            discard(earlier);
        });
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        discard(self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}
