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
pub enum LoginError {
    /// The authority rejected the PIN, in its own words.
    Incorrect(String),
    /// The authority once accepted the PIN, which has expired. The words are the authority's own.
    Expired(String),
    /// The authority could not be asked, or reported another problem.
    Failed(Failure),
}

/// A function that puts a verified credential in place.
pub type CommitLogin<'a> = Box<dyn FnOnce() + 'a>;

/// A login whose PIN is the service's credential.
pub trait PinLogin {
    /// What the PIN is, for messages: "the application's client secret".
    fn pin_description(&self) -> &'static str;

    /// Whether a credential is there, so that requests can be made.
    fn is_logged_in(&self) -> bool;

    /// Checks the PIN with the service's authority. The returned [`CommitLogin`] puts the credential in place.
    ///
    /// # Errors
    /// Why the PIN is refused, or what kept the authority from answering.
    fn log_in(&self, pin: Secret, deadline: Instant) -> Result<CommitLogin<'_>, LoginError>;

    /// Discards the PIN and the credentials that it has brought.
    fn log_out(&self);
}

/// The decision of an authority about a PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Incorrect(String),
    Expired(String),
}

/// A function that turns the words of an authority into a verdict.
pub(crate) type ParseVerdict = fn(String) -> Verdict;

/// The clients of a backend, whose settings may contain a PIN.
pub(crate) trait PinClients: Send + Sync + Sized + 'static {
    type Settings: Clone;

    /// Creates the clients. Makes no request.
    fn new(settings: Self::Settings) -> Self;

    /// Returns what the PIN is, for messages.
    fn pin_description(settings: &Self::Settings) -> &'static str;

    /// Returns the same settings with the PIN that they require.
    fn with_pin(settings: &Self::Settings, pin: Secret) -> Self::Settings;

    /// Asks the authority whether the PIN in the settings is valid, by requesting what the next calls need.
    fn check(self: Arc<Self>) -> impl Future<Output = Result<Verdict, Failure>> + Send;
}

/// The settings of a backend, the PIN of the user who is logged in, and the clients that are made from both.
pub(crate) struct LoginState<C: PinClients> {
    pub(crate) settings: C::Settings,
    pin: Mutex<Option<Secret>>,
    clients: PerProcess<C>,
}

impl<C: PinClients> LoginState<C> {
    pub(crate) fn new(settings: C::Settings) -> Self {
        Self { settings, pin: Mutex::default(), clients: PerProcess::new() }
    }

    /// Returns the clients of this process. Must be called on the host's threads only.
    pub(crate) fn clients(&self) -> Arc<C> {
        self.clients.get(|| match &*self.pin() {
            Some(pin) => C::new(C::with_pin(&self.settings, pin.clone())),
            None => C::new(self.settings.clone()),
        })
    }

    fn pin(&self) -> MutexGuard<'_, Option<Secret>> {
        self.pin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: PinClients> PinLogin for LoginState<C> {
    fn pin_description(&self) -> &'static str {
        C::pin_description(&self.settings)
    }

    fn is_logged_in(&self) -> bool {
        self.pin().is_some()
    }

    /// Nothing changes until the caller runs the returned function. It puts the clients in place that made the request,
    /// with everything that the authority gave them.
    fn log_in(&self, pin: Secret, deadline: Instant) -> Result<CommitLogin<'_>, LoginError> {
        let clients = Arc::new(C::new(C::with_pin(&self.settings, pin.clone())));
        let checking = clients.clone();
        match runtime::spawn(LOGIN, move || checking.check()).wait(deadline) {
            Ok(Verdict::Good) => Ok(Box::new(move || {
                *self.pin() = Some(pin);
                self.clients.replace(Some(clients));
            })),
            Ok(Verdict::Incorrect(words)) => Err(LoginError::Incorrect(words)),
            Ok(Verdict::Expired(words)) => Err(LoginError::Expired(words)),
            Err(failure) => Err(LoginError::Failed(failure)),
        }
    }

    /// Discards the clients with their tokens. The connections stay open.
    fn log_out(&self) {
        *self.pin() = None;
        self.clients.replace(None);
    }
}

/// The name of the operation in failures.
pub(crate) const LOGIN: &str = "Login";

/// Returns the failure of a call without a login. The layers above refuse such a call earlier.
pub(crate) fn not_logged_in(operation: &'static str) -> Failure {
    Failure::new(Cause::Credentials, operation, "no user is logged in; call C_Login first")
}

impl From<LoginError> for Error {
    fn from(refusal: LoginError) -> Self {
        match refusal {
            LoginError::Incorrect(words) => Error::new(CKR_PIN_INCORRECT, words),
            LoginError::Expired(words) => Error::new(CKR_PIN_EXPIRED, words),
            LoginError::Failed(failure) => failure.into(),
        }
    }
}

/// Returns the words with each quotation of the PIN masked. Only whole words are masked, because a short PIN may
/// be part of other words.
pub(crate) fn mask_pin(words: &str, pin: &str) -> String {
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

    impl PinClients for Vault {
        type Settings = String;

        fn new(settings: String) -> Self {
            Self(settings)
        }

        fn pin_description(_settings: &Self::Settings) -> &'static str {
            "the test's PIN"
        }

        fn with_pin(settings: &String, pin: Secret) -> String {
            format!("{settings} {}", pin.expose())
        }

        async fn check(self: Arc<Self>) -> Result<Verdict, Failure> {
            match self.0.as_str() {
                "vault good" => Ok(Verdict::Good),
                "vault old" => Ok(Verdict::Expired("it was good".into())),
                _ => Ok(Verdict::Incorrect("no".into())),
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
        let access = LoginState::<Vault>::new("vault".into());
        assert_eq!(access.clients().0, "vault");
        assert_eq!(access.log_in(pin("bad"), soon()).err(), Some(LoginError::Incorrect("no".into())));
        assert_eq!(access.log_in(pin("old"), soon()).err(), Some(LoginError::Expired("it was good".into())));
        let entry = access.log_in(pin("good"), soon()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert!(!access.is_logged_in());
        assert_eq!(access.clients().0, "vault");
        entry();
        assert!(access.is_logged_in());
        assert_eq!(access.clients().0, "vault good");
    }

    #[test]
    fn logout_and_drop_release_the_clients() {
        let _turn = runtime::testing::share();
        let access = LoginState::<Vault>::new("vault".into());
        let enter = || -> Weak<Vault> {
            access.log_in(pin("good"), soon()).unwrap_or_else(|refusal| panic!("{refusal:?}"))();
            Arc::downgrade(&access.clients())
        };
        let clients = enter();
        access.log_out();
        assert!(
            !access.is_logged_in() && clients.upgrade().is_none(),
            "the clients, which contain the PIN, are dropped"
        );
        assert_eq!(access.clients().0, "vault");
        let clients = enter();
        drop(access);
        assert!(clients.upgrade().is_none());
    }

    #[test]
    fn a_child_has_what_its_parent_had() {
        let _turn = runtime::testing::share();
        let access = LoginState::<Vault>::new("vault".into());
        access.log_in(pin("good"), soon()).unwrap_or_else(|refusal| panic!("{refusal:?}"))();
        let parents = Arc::as_ptr(&access.clients());
        assert!(crate::host::fork::testing::holds_in_child(|| {
            access.clients().0 == "vault good" && Arc::as_ptr(&access.clients()) != parents
        }));
    }

    #[test]
    fn words_don_t_quote_the_pin() {
        assert_eq!(mask_pin("profile `a` has no a", "a"), "profile `(the PIN)` has no (the PIN)");
        assert_eq!(mask_pin("a profile", "profil"), "a profile");
        assert_eq!(mask_pin("Value 'x.y-z' at", "x.y-z"), "Value '(the PIN)' at");
        assert_eq!(mask_pin("nothing", ""), "nothing");
    }
}
