//! Values that each process makes for itself.

use super::life::{Incarnation, drop_or_leak};
use crate::host::fork;
use std::sync::{Arc, Mutex, PoisonError};

/// A value that is made anew in each process and after each C_Initialize, for example clients with their
/// connections. Must be used on the host's threads only, while they are inside the gate.
pub struct PerProcess<T>(Mutex<Option<(Incarnation, Arc<T>)>>);

#[allow(clippy::new_without_default, reason = "Default is not const")]
impl<T> PerProcess<T> {
    /// Creates a holder whose value is made at its first use.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Returns the value. Calls `make` if this process has no value yet.
    pub fn get(&self, make: impl FnOnce() -> T) -> Arc<T> {
        fork::inside_gate(|| {
            let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, value)) = made.as_ref().filter(|(life, _)| *life == Incarnation::current()) {
                return value.clone();
            }
            let value = Arc::new(make());
            drop_or_leak(made.replace((Incarnation::current(), value.clone())));
            value
        })
    }

    /// Replaces the value. With `None`, the next use makes a new value.
    pub fn replace(&self, value: Option<Arc<T>>) {
        fork::inside_gate(|| {
            let value = value.map(|value| (Incarnation::current(), value));
            let earlier = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), value);
            drop_or_leak(earlier);
        });
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        drop_or_leak(self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}
