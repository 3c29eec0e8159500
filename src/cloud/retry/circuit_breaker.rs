//! A circuit breaker: keeps calls away from a server that failed, and lets one call at a time try whether the
//! server works again.
//!
//! The circuit is closed while the server works. A failure opens it for a fixed time. After this time the circuit
//! is half open: one call, the probe, gets a permit. The result of the probe closes or opens the circuit. The lock
//! is held only while the state is read or changed, never during a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The circuit breaker of one server.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    open_time: Duration,
    circuit: Mutex<Circuit>,
}

#[derive(Debug)]
struct Circuit {
    state: State,
    /// The number of changes of the state. A result that belongs to an earlier state changes nothing.
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

/// The permission to make one call. A probe whose permit is dropped without a result leaves its place to the next
/// call.
#[derive(Debug)]
pub(crate) struct Permit {
    breaker: Arc<CircuitBreaker>,
    kind: Kind,
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The circuit was closed.
    Regular,
    /// The only call while the circuit is half open.
    Probe,
    /// A call that is made although the circuit is open.
    LastResort,
}

impl CircuitBreaker {
    /// Creates a closed circuit. A failure opens it for `open_time`.
    pub(crate) fn new(open_time: Duration) -> Arc<Self> {
        Arc::new(Self { open_time, circuit: Mutex::new(Circuit { state: State::Closed, generation: 0 }) })
    }

    /// Returns a permit if the circuit is closed, or if it is time for a probe and no other call is the probe.
    pub(crate) fn try_acquire(self: &Arc<Self>, now: Instant) -> Option<Permit> {
        let mut circuit = self.lock();
        let kind = match circuit.state {
            State::Closed => Kind::Regular,
            State::Open { until } if until <= now => {
                circuit.change(State::HalfOpen);
                Kind::Probe
            }
            State::Open { .. } | State::HalfOpen => return None,
        };
        Some(Permit { breaker: self.clone(), kind, generation: circuit.generation })
    }

    /// Returns whether [`CircuitBreaker::try_acquire`] would return a permit.
    pub(crate) fn is_available(&self, now: Instant) -> bool {
        match self.lock().state {
            State::Closed => true,
            State::Open { until } => until <= now,
            State::HalfOpen => false,
        }
    }

    /// Returns a permit in any state, for a call that has no other server left.
    pub(crate) fn acquire_last_resort(self: &Arc<Self>) -> Permit {
        let generation = self.lock().generation;
        Permit { breaker: self.clone(), kind: Kind::LastResort, generation }
    }

    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circuit {
    fn change(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

impl Permit {
    /// Reports that the server answered. Returns whether this closed the circuit.
    pub(crate) fn succeed(self) -> bool {
        let mut circuit = self.breaker.lock();
        // A regular call that began before the circuit opened does not show that the server works now.
        let closes = self.kind != Kind::Regular && circuit.state != State::Closed;
        if closes {
            circuit.change(State::Closed);
        }
        closes
    }

    /// Reports that the server failed. Returns whether this opened a circuit that was closed.
    pub(crate) fn fail(self, now: Instant) -> bool {
        let mut circuit = self.breaker.lock();
        if circuit.generation != self.generation || self.kind == Kind::LastResort {
            return false;
        }
        circuit.change(State::Open { until: now + self.breaker.open_time });
        self.kind == Kind::Regular
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut circuit = self.breaker.lock();
        if self.kind == Kind::Probe && circuit.generation == self.generation && circuit.state == State::HalfOpen {
            circuit.change(State::Open { until: Instant::now() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_TIME: Duration = Duration::from_secs(30);

    /// Returns a breaker whose circuit was opened at the returned time.
    fn opened() -> (Arc<CircuitBreaker>, Instant) {
        let (breaker, now) = (CircuitBreaker::new(OPEN_TIME), Instant::now());
        assert!(breaker.try_acquire(now).unwrap().fail(now), "the first failure opens the circuit");
        (breaker, now)
    }

    #[test]
    fn a_closed_circuit_admits_every_call() {
        let (breaker, now) = (CircuitBreaker::new(OPEN_TIME), Instant::now());
        let permits: Vec<_> = (0..64).map(|_| breaker.try_acquire(now).unwrap()).collect();
        assert!(permits.into_iter().all(|permit| !permit.succeed()), "the circuit was closed already");
        assert!(breaker.is_available(now));
    }

    #[test]
    fn a_failure_opens_the_circuit_for_its_time() {
        let (breaker, now) = opened();
        for time in [now, now + OPEN_TIME - Duration::from_nanos(1)] {
            assert!(breaker.try_acquire(time).is_none() && !breaker.is_available(time));
        }
        assert!(breaker.is_available(now + OPEN_TIME));
    }

    #[test]
    fn many_failures_open_the_circuit_once() {
        let (breaker, now) = (CircuitBreaker::new(OPEN_TIME), Instant::now());
        let permits: Vec<_> = (0..64).map(|_| breaker.try_acquire(now).unwrap()).collect();
        assert_eq!(permits.into_iter().map(|permit| permit.fail(now)).filter(|it| *it).count(), 1);
    }

    #[test]
    fn exactly_one_thread_gets_the_probe() {
        let (breaker, now) = opened();
        let later = now + OPEN_TIME;
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let breaker = breaker.clone();
                std::thread::spawn(move || breaker.try_acquire(later))
            })
            .collect();
        let permits: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(permits.iter().flatten().count(), 1);
        assert!(!breaker.is_available(later));
    }

    #[test]
    fn the_result_of_the_probe_closes_or_opens_the_circuit() {
        let (breaker, now) = opened();
        let later = now + OPEN_TIME;
        assert!(!breaker.try_acquire(later).unwrap().fail(later), "the circuit was open already");
        assert!(!breaker.is_available(later + OPEN_TIME - Duration::from_nanos(1)));
        assert!(breaker.try_acquire(later + OPEN_TIME).unwrap().succeed());
        let permits: Vec<_> = (0..8).map(|_| breaker.try_acquire(later)).collect();
        assert!(permits.iter().all(Option::is_some));
    }

    #[test]
    fn a_probe_without_a_result_leaves_its_place_to_the_next_call() {
        let (breaker, now) = opened();
        let later = now + OPEN_TIME;
        drop(breaker.try_acquire(later).unwrap());
        assert!(breaker.try_acquire(later.max(Instant::now())).is_some());
    }

    #[test]
    fn late_results_of_an_earlier_state_change_nothing() {
        let (breaker, now) = (CircuitBreaker::new(OPEN_TIME), Instant::now());
        let [first, second, third] = [0; 3].map(|_| breaker.try_acquire(now).unwrap());
        assert!(first.fail(now));
        assert!(!second.succeed() && !breaker.is_available(now), "it began before the failure");
        assert!(breaker.try_acquire(now + OPEN_TIME).unwrap().succeed());
        assert!(!third.fail(now + OPEN_TIME) && breaker.is_available(now), "it failed before the probe succeeded");
    }

    #[test]
    fn a_last_resort_closes_the_circuit_but_never_opens_it() {
        let (breaker, now) = opened();
        assert!(!breaker.acquire_last_resort().fail(now));
        let probe = breaker.try_acquire(now + OPEN_TIME).unwrap();
        assert!(breaker.acquire_last_resort().succeed());
        assert!(!probe.fail(now) && breaker.is_available(now), "the last resort succeeded after the probe began");
        drop(breaker.acquire_last_resort());
        assert!(breaker.is_available(now));
    }
}
