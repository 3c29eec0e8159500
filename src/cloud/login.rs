//! Credentials that C_Login supplies: how a credential is checked, put in place and removed.
//!
//! The credential stays in memory until C_Logout removes it together with the clients that have used it. The
//! memory is then overwritten. A forked child has the credential of its parent. This file depends on no cloud.
//! PKCS#11 3.2 sections 5.6.8 (C_Login) to 5.6.10 (C_Logout).

use super::failure::{Cause, Failure};
use super::runtime;
use super::runtime::PerProcess;
use super::secret::Secret;
use crate::error::Error;
use cryptoki_sys::*;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The reason why a login with a PIN fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The authority rejected the PIN, in its own words.
    Wrong(String),
    /// The authority once accepted the PIN, which has expired. The words are the authority's own.
    Expired(String),
    /// The authority could not be asked, or reported another problem.
    Trouble(Failure),
}

/// A function that puts a verified credential in place.
pub type Entry<'a> = Box<dyn FnOnce() + 'a>;

/// The decision of an authority about a PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Wrong(String),
    Expired(String),
}

/// A function that turns the words of an authority into a verdict.
pub(crate) type Saying = fn(String) -> Verdict;

/// The clients of a backend, whose settings may contain a PIN.
pub(crate) trait Doors: Send + Sync + Sized + 'static {
    type Settings: Clone;

    /// Creates the clients. Makes no request.
    fn made(settings: Self::Settings) -> Self;

    /// Returns the same settings with the PIN that they require.
    fn with_pin(settings: &Self::Settings, pin: Secret) -> Self::Settings;

    /// Asks the authority whether the PIN in the settings is valid, by requesting what the next calls need.
    fn check(self: Arc<Self>) -> impl Future<Output = Result<Verdict, Failure>> + Send;
}

/// The settings of a backend, the PIN of the user who is logged in, and the clients that are made from both.
pub(crate) struct Access<C: Doors> {
    pub(crate) settings: C::Settings,
    pin: Mutex<Option<Secret>>,
    clients: PerProcess<C>,
}

impl<C: Doors> Access<C> {
    pub(crate) fn new(settings: C::Settings) -> Self {
        Self { settings, pin: Mutex::default(), clients: PerProcess::new() }
    }

    /// Returns the clients of this process. Must be called on the host's threads only.
    pub(crate) fn clients(&self) -> Arc<C> {
        self.clients.get(|| match &*self.pin() {
            Some(pin) => C::made(C::with_pin(&self.settings, pin.clone())),
            None => C::made(self.settings.clone()),
        })
    }

    /// Returns whether a PIN is in place.
    pub(crate) fn is_entered(&self) -> bool {
        self.pin().is_some()
    }

    /// Asks the authority whether the PIN is valid. Nothing changes until the caller runs the returned entry. The
    /// entry puts the clients in place that made the request, with everything that the authority gave them.
    pub(crate) fn log_in(&self, pin: Secret, deadline: Instant) -> Result<Entry<'_>, Refusal> {
        let clients = Arc::new(C::made(C::with_pin(&self.settings, pin.clone())));
        let asking = clients.clone();
        match runtime::spawn(LOGIN, move || asking.check()).wait(deadline) {
            Ok(Verdict::Good) => Ok(Box::new(move || {
                *self.pin() = Some(pin);
                self.clients.replace(Some(clients));
            })),
            Ok(Verdict::Wrong(words)) => Err(Refusal::Wrong(words)),
            Ok(Verdict::Expired(words)) => Err(Refusal::Expired(words)),
            Err(failure) => Err(Refusal::Trouble(failure)),
        }
    }

    /// Forgets the PIN, and the clients with their tokens. The connections stay open.
    pub(crate) fn log_out(&self) {
        *self.pin() = None;
        self.clients.replace(None);
    }

    fn pin(&self) -> MutexGuard<'_, Option<Secret>> {
        self.pin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the operation in failures.
pub(crate) const LOGIN: &str = "Login";

/// Returns the failure of a call without a login. The layers above refuse such a call earlier.
pub(crate) fn nobody(operation: &'static str) -> Failure {
    Failure::new(Cause::Credentials, operation, "nobody is logged in")
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Wrong(words) => Error::new(CKR_PIN_INCORRECT, words),
            Refusal::Expired(words) => Error::new(CKR_PIN_EXPIRED, words),
            Refusal::Trouble(failure) => failure.into(),
        }
    }
}

/// Returns the words with each quotation of the PIN masked. Only whole words are masked, because a short PIN may
/// be part of other words.
pub(crate) fn masked(words: &str, pin: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (mut masked, mut rest) = (String::new(), words);
    while let Some(at) = rest.find(pin).filter(|_| !pin.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + pin.len()..]);
        let whole = !is_part(before.chars().next_back()) && !is_part(after.chars().next());
        masked.push_str(before);
        masked.push_str(if whole { "(the PIN)" } else { pin });
        rest = after;
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Weak;
    use std::time::Duration;

    struct Vault(String);

    impl Doors for Vault {
        type Settings = String;

        fn made(settings: String) -> Self {
            Self(settings)
        }

        fn with_pin(settings: &String, pin: Secret) -> String {
            format!("{settings} {}", pin.expose())
        }

        async fn check(self: Arc<Self>) -> Result<Verdict, Failure> {
            match self.0.as_str() {
                "vault good" => Ok(Verdict::Good),
                "vault old" => Ok(Verdict::Expired("it was good".into())),
                _ => Ok(Verdict::Wrong("no".into())),
            }
        }
    }

    fn pin(text: &str) -> Secret {
        text.to_owned().into()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn nothing_changes_until_the_entry_is_made() {
        let _turn = runtime::testing::share();
        let access = Access::<Vault>::new("vault".into());
        assert_eq!(access.clients().0, "vault");
        assert_eq!(access.log_in(pin("bad"), soon()).err(), Some(Refusal::Wrong("no".into())));
        assert_eq!(access.log_in(pin("old"), soon()).err(), Some(Refusal::Expired("it was good".into())));
        let entry = access.log_in(pin("good"), soon()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert!(!access.is_entered());
        assert_eq!(access.clients().0, "vault");
        entry();
        assert!(access.is_entered());
        assert_eq!(access.clients().0, "vault good");
    }

    #[test]
    fn a_logout_and_the_end_leave_nothing() {
        let _turn = runtime::testing::share();
        let access = Access::<Vault>::new("vault".into());
        let enter = || -> Weak<Vault> {
            access.log_in(pin("good"), soon()).unwrap_or_else(|refusal| panic!("{refusal:?}"))();
            Arc::downgrade(&access.clients())
        };
        let clients = enter();
        access.log_out();
        assert!(!access.is_entered() && clients.upgrade().is_none(), "the clients hold the PIN, too");
        assert_eq!(access.clients().0, "vault");
        let clients = enter();
        drop(access);
        assert!(clients.upgrade().is_none());
    }

    #[test]
    fn a_child_has_what_its_parent_had() {
        let _turn = runtime::testing::share();
        let access = Access::<Vault>::new("vault".into());
        access.log_in(pin("good"), soon()).unwrap_or_else(|refusal| panic!("{refusal:?}"))();
        let parents = Arc::as_ptr(&access.clients());
        assert!(crate::host::fork::testing::holds_in_child(|| {
            access.clients().0 == "vault good" && Arc::as_ptr(&access.clients()) != parents
        }));
    }

    #[test]
    fn words_don_t_quote_the_pin() {
        assert_eq!(masked("profile `a` has no a", "a"), "profile `(the PIN)` has no (the PIN)");
        assert_eq!(masked("a profile", "profil"), "a profile");
        assert_eq!(masked("Value 'x.y-z' at", "x.y-z"), "Value '(the PIN)' at");
        assert_eq!(masked("nothing", ""), "nothing");
    }
}
