//! placeholder
use super::Failure;
use std::sync::Arc;
/// An answer that is under way.
pub struct Pending<T>(Arc<Option<Result<T, Failure>>>);
impl<T: Clone> Pending<T> {
    /// An answer that is there already.
    pub fn ready(answer: Result<T, Failure>) -> Self {
        Self(Arc::new(Some(answer)))
    }
}
