//! placeholder
use super::Failure;
use std::sync::Arc;
use std::time::{Duration, Instant};
/// An answer that is under way.
#[derive(Clone, Debug)]
pub struct Pending<T>(Arc<Option<Result<T, Failure>>>);
impl<T: Clone> Pending<T> {
    /// An answer that is there already.
    pub fn ready(answer: Result<T, Failure>) -> Self {
        Self(Arc::new(Some(answer)))
    }
    /// wait
    pub fn wait(&self, _deadline: Instant) -> Result<T, Failure> {
        self.0.as_ref().clone().unwrap()
    }
    /// peek
    pub fn peek(&self) -> Option<Result<T, Failure>> {
        self.0.as_ref().clone()
    }
    /// stale
    pub fn is_stale(&self) -> bool {
        false
    }
}
/// arm
pub fn arm() {}
/// shutdown
pub fn shutdown(_limit: Duration) {}
