//! Faults, switches, counts and the clock, for Rust tests.

use crate::faults::Fault;
use crate::state::{Entry, State, Switches};
use std::collections::BTreeMap;
use std::time::Duration;

/// Faults, switches, counts and the clock of an emulator.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    pub(crate) state: &'a State,
}

impl Control<'_> {
    /// Sets a fault.
    pub fn fault(&self, fault: Fault) {
        self.state.faults.add(fault);
    }

    /// The connections that are open now stay so and are never answered again; new ones are good.
    pub fn silence_open_connections(&self) {
        self.state.connections.silence();
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// The faults that are set, with what is left of their number.
    pub fn faults(&self) -> Vec<Fault> {
        self.state.faults.list()
    }

    /// Changes switches.
    pub fn switches(&self, change: impl FnOnce(&mut Switches)) {
        self.state.set_switches(change);
    }

    /// How often each operation was asked, with `connections`, `tls_handshakes`, `connect` and `vault.challenge`.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state.traffic.counts()
    }

    /// How often one operation was asked.
    pub fn count(&self, operation: &str) -> u64 {
        self.counts().get(operation).copied().unwrap_or_default()
    }

    /// Waits until an operation was asked so many times; false if that does not happen in time.
    pub fn wait_for(&self, operation: &str, count: u64, limit: Duration) -> bool {
        self.state.traffic.wait(operation, count, limit)
    }

    /// The last requests and how they were answered.
    pub fn log(&self) -> Vec<Entry> {
        self.state.traffic.log()
    }

    /// Forgets counts and log.
    pub fn reset(&self) {
        self.state.traffic.reset();
    }

    /// Sets the services' clock so many seconds ahead of the machine's; behind if negative; 0 is right again.
    pub fn shift_clock(&self, seconds: i64) {
        self.state.clock.set_shift(seconds);
    }

    /// The time on the services' clock, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.state.clock.now()
    }
}
