//! A token, the times that concern it, and the place of the token that is in use.

use crate::cloud::http::exchange::Reply;
use crate::cloud::secret::Secret;
use serde::Deserialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// The token that is in use. A cell without a token is filled by the first call that needs the token.
#[derive(Default)]
pub(crate) struct Tokens {
    cell: Mutex<Arc<OnceCell<Arc<Token>>>>,
}

/// A token, and the times that concern it.
pub(crate) struct Token {
    pub(crate) value: Secret,
    /// The time from which the token is not used.
    end: Option<Instant>,
    /// The time at which it is to be renewed. None while it is being renewed, and if it can't be renewed.
    renewal: Mutex<Option<Instant>>,
    /// The time at which the server has last said that the token is valid.
    confirmed: Mutex<Option<Instant>>,
    /// The time at which the token's file was last changed.
    file_version: Option<SystemTime>,
}

/// How long a token counts as valid after the server has accepted it, for the meaning of a denial.
const CONFIRMED_FOR: Duration = Duration::from_secs(10);

/// The reply to a login or a renewal.
#[derive(Deserialize)]
struct AuthReply {
    auth: Option<Authentication>,
}

#[derive(Deserialize)]
pub(crate) struct Authentication {
    client_token: Zeroizing<String>,
    /// Seconds. 0 means that the token does not end.
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl Token {
    pub(crate) fn new(value: Secret, end: Option<Instant>, renewal: Option<Instant>) -> Self {
        Self { value, end, renewal: Mutex::new(renewal), confirmed: Mutex::default(), file_version: None }
    }

    /// Returns a token with the times that its lease sets: it is renewed after two thirds of the lease, and a tenth remains
    /// for the requests that are under way at the end.
    pub(crate) fn leased(auth: Authentication) -> Self {
        let (now, lease) = (Instant::now(), Duration::from_secs(auth.lease_duration));
        // A lease that is longer than the clock can represent does not end.
        let after = |part: f64| now.checked_add(lease.mul_f64(part)).filter(|_| !lease.is_zero());
        let value = Secret::from(auth.client_token.to_string());
        let renewal = after(2.0 / 3.0).filter(|_| auth.renewable);
        Self::new(value, after(0.9), renewal)
    }

    /// Returns the token, which is used until the server rejects it.
    pub(crate) fn without_end(self) -> Self {
        Self { end: None, ..self }
    }

    /// Returns the token, with the time at which its file was last changed.
    pub(crate) fn of_file(self, file_version: Option<SystemTime>) -> Self {
        Self { file_version, ..self }
    }

    /// Returns whether the token's file has been changed since the token was read. `file` is the time of the file's last
    /// change. A file that is just being replaced may be missing for a moment.
    pub(crate) fn is_of_older_file(&self, file: Option<SystemTime>) -> bool {
        file.is_some() && file != self.file_version
    }

    pub(crate) fn has_ended(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now)
    }

    /// Returns whether the caller is to renew the token. Only one caller is told so.
    pub(crate) fn take_renewal(&self, now: Instant) -> bool {
        lock(&self.renewal).take_if(|time| *time <= now).is_some()
    }

    pub(crate) fn renew_at(&self, time: Instant) {
        *lock(&self.renewal) = Some(time);
    }

    /// Records that the server has just said that the token is valid.
    pub(crate) fn confirm(&self) {
        *lock(&self.confirmed) = Some(Instant::now());
    }

    /// Returns whether the server has said lately that the token is valid.
    pub(crate) fn is_confirmed(&self) -> bool {
        lock(&self.confirmed).is_some_and(|time| time.elapsed() < CONFIRMED_FOR) && !self.has_ended(Instant::now())
    }
}

impl Tokens {
    /// Returns the cell of the token. If `is_stale` says so, it is a new cell.
    pub(crate) fn cell(&self, is_stale: impl Fn(&Token) -> bool) -> Arc<OnceCell<Arc<Token>>> {
        let mut cell = lock(&self.cell);
        if cell.get().is_some_and(|token| is_stale(token)) {
            *cell = Arc::default();
        }
        cell.clone()
    }

    /// Puts a token in place, whatever was there before.
    pub(crate) fn set(&self, token: Token) {
        *lock(&self.cell) = Arc::new(OnceCell::new_with(Some(Arc::new(token))));
    }

    /// Replaces a token, unless another one is in use by now.
    pub(crate) fn replace(&self, old: &Arc<Token>, new: Token) {
        let mut cell = lock(&self.cell);
        if cell.get().is_some_and(|current| Arc::ptr_eq(current, old)) {
            *cell = Arc::new(OnceCell::new_with(Some(Arc::new(new))));
        }
    }

    /// Discards a token, unless another one is in use by now.
    pub(crate) fn discard(&self, old: &Arc<Token>) {
        self.cell(|current| std::ptr::eq(current, Arc::as_ptr(old)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the token in the reply to a login or a renewal.
pub(crate) fn authentication(reply: &Reply) -> Option<Authentication> {
    serde_json::from_slice::<AuthReply>(&reply.body).ok()?.auth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leased(lease_duration: u64, renewable: bool) -> Token {
        Token::leased(Authentication { client_token: Zeroizing::new("t".to_owned()), lease_duration, renewable })
    }

    #[test]
    fn a_lease_sets_the_times() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let token = leased(90, true);
        assert!(!token.has_ended(after(80)) && token.has_ended(after(82)));
        assert!(!token.take_renewal(after(59)));
        assert!(token.take_renewal(after(61)) && !token.take_renewal(after(61)), "one caller renews the token");
        let endless = leased(0, true);
        assert!(!endless.has_ended(after(1_000_000)) && !endless.take_renewal(after(1_000_000)));
        assert!(!leased(90, false).take_renewal(after(80)));
        assert!(!leased(u64::MAX, true).has_ended(after(1_000_000)));
    }

    #[test]
    fn only_the_token_in_use_is_replaced() {
        let tokens = Tokens::default();
        tokens.set(leased(1, false));
        let first = tokens.cell(|_| false).get().unwrap().clone();
        tokens.discard(&Arc::new(leased(1, false)));
        assert!(tokens.cell(|_| false).get().is_some());
        tokens.replace(&first, leased(2, false));
        let second = tokens.cell(|_| false).get().unwrap().clone();
        assert!(!Arc::ptr_eq(&first, &second));
        tokens.discard(&first);
        assert!(tokens.cell(|_| false).get().is_some_and(|token| Arc::ptr_eq(token, &second)));
        tokens.discard(&second);
        assert!(tokens.cell(|_| false).get().is_none());
    }
}
