//! The token that is in use, and when it is replaced.

use super::credentials::access_token::AccessToken;
use super::credentials::memory::Memory;
use super::credentials::token_server::{Context, variable};
use super::credentials::{fetch, file_of, file_version};
use super::settings::Settings;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::http::transport::Transport;
use crate::{log_debug, log_info, log_warn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::OnceCell;

/// The token that is in use for one set of settings, in one process. It is used on the runtime only.
#[derive(Default)]
pub(crate) struct Tokens {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// A cell without a token is filled by the first call that needs the token.
    cell: Mutex<Cell>,
    memory: Memory,
}

type Cell = Arc<OnceCell<Arc<CachedToken>>>;

/// A token, and the times that concern it.
struct CachedToken {
    token: Arc<AccessToken>,
    /// The time from which the token is not used. None if it does not end.
    end: Option<Instant>,
    /// The time at which it is to be replaced. None while it is being replaced, and if it does not end.
    renewal: Mutex<Option<Instant>>,
    /// The time at which the file of the credentials was last changed.
    file_version: Option<SystemTime>,
}

/// How long before its end a token is replaced, beside a call. A metadata server returns the same token until 4 minutes
/// before its end.
const RENEWAL_BEFORE_END: Duration = Duration::from_secs(225);
/// The shortest time between two attempts to replace a token that is still valid.
const NEXT_RENEWAL: Duration = Duration::from_secs(10);
/// How long before its end a token is no longer used, because a request takes time.
const UNUSED_BEFORE_END: Duration = Duration::from_secs(10);

impl CachedToken {
    fn new(token: AccessToken, lifetime: Duration, file_version: Option<SystemTime>) -> Self {
        let now = Instant::now();
        // A lifetime that is longer than the clock can represent does not end.
        let end = now.checked_add(lifetime.saturating_sub(UNUSED_BEFORE_END.min(lifetime / 10)));
        let pause = lifetime.saturating_sub(RENEWAL_BEFORE_END).max(NEXT_RENEWAL.min(lifetime / 2));
        let renewal = end.and_then(|_| now.checked_add(pause));
        Self { token: Arc::new(token), end, renewal: Mutex::new(renewal), file_version }
    }

    fn is_valid(&self, now: Instant) -> bool {
        self.end.is_none_or(|end| now < end)
    }

    /// Returns whether the caller is to replace the token. Only one caller is told so.
    fn take_renewal(&self, now: Instant) -> bool {
        lock(&self.renewal).take_if(|time| *time <= now).is_some()
    }

    fn renew_after(&self, pause: Duration) {
        *lock(&self.renewal) = Instant::now().checked_add(pause);
    }
}

impl Tokens {
    /// Returns a token that is valid for a while yet. The first call fetches it, and all others wait for that. It is
    /// replaced beside a call before it ends, and used to its end if that fails.
    ///
    /// # Errors
    /// What is wrong with the credentials, or what the token server says; and what may help.
    pub(crate) async fn get(
        &self,
        operation: &'static str,
        settings: &Settings,
        transport: &Transport,
    ) -> Result<Arc<AccessToken>, FailedAttempt> {
        let now = Instant::now();
        let (cell, old) = self.shared.cell(settings, now);
        // Boxed: otherwise the future of every call would contain this future, which is rarely used.
        let fetch = || Box::pin(self.shared.fetch_or_keep(operation, settings, transport, old));
        let cached = cell.get_or_try_init(fetch).await?;
        if cached.take_renewal(now) {
            let (shared, cached) = (self.shared.clone(), cached.clone());
            let (settings, transport) = (settings.clone(), transport.clone());
            tokio::spawn(async move { shared.renew(operation, &settings, &transport, &cached).await });
        }
        Ok(cached.token.clone())
    }

    /// Forgets a token that the service has rejected, unless another one is in use by now. `date` is the header of that name
    /// of the service's reply. If it shows that the clock of this machine is wrong, the next token is made with the time of
    /// the service.
    pub(crate) fn rejected(&self, token: &AccessToken, date: Option<&str>) {
        self.shared.memory.learn_time(date);
        let mut cell = lock(&self.shared.cell);
        if cell.get().is_some_and(|current| std::ptr::eq(&*current.token, token)) {
            *cell = Arc::default();
        }
    }
}

impl Shared {
    /// Returns the cell of the token. If the token has ended, or if the file of the credentials has changed, it is a new cell.
    /// In the latter case the old token is returned, too.
    fn cell(&self, settings: &Settings, now: Instant) -> (Cell, Option<Arc<CachedToken>>) {
        // A file that is just being replaced may be missing for a moment.
        let file = file_version(&settings.credentials);
        let mut cell = lock(&self.cell);
        let Some(current) = cell.get().cloned() else { return (cell.clone(), None) };
        let has_changed = file.is_some() && file != current.file_version;
        if has_changed || !current.is_valid(now) {
            *cell = Arc::default();
        }
        let old = Some(current).filter(|token| has_changed && token.is_valid(now));
        (cell.clone(), old)
    }

    async fn fetch_or_keep(
        &self,
        operation: &'static str,
        settings: &Settings,
        transport: &Transport,
        old: Option<Arc<CachedToken>>,
    ) -> Result<Arc<CachedToken>, FailedAttempt> {
        match (self.fetch(operation, settings, transport).await, old) {
            (Ok(new), _) => Ok(new),
            (Err(refused), Some(old)) => {
                let path = file_of(&settings.credentials).map(|path| path.display().to_string()).unwrap_or_default();
                log_warn!("{path}: the file has changed, but the old token stays in use: {}", refused.failure);
                let renewal = Mutex::new(Instant::now().checked_add(NEXT_RENEWAL));
                let file_version = file_version(&settings.credentials);
                Ok(Arc::new(CachedToken { token: old.token.clone(), end: old.end, renewal, file_version }))
            }
            (Err(refused), None) => Err(refused),
        }
    }

    async fn fetch(
        &self,
        operation: &'static str,
        settings: &Settings,
        transport: &Transport,
    ) -> Result<Arc<CachedToken>, FailedAttempt> {
        let file_version = file_version(&settings.credentials);
        let context = Context { operation, settings, transport, memory: &self.memory, variable };
        let (token, lifetime) = fetch(&context).await?;
        log_debug!("got an access token for the {}, valid for {} s", token.origin, lifetime.as_secs());
        Ok(Arc::new(CachedToken::new(token, lifetime, file_version)))
    }

    /// Replaces a token. It stays in use if that fails.
    async fn renew(&self, operation: &'static str, settings: &Settings, transport: &Transport, old: &Arc<CachedToken>) {
        match self.fetch(operation, settings, transport).await {
            Ok(new) => {
                let mut cell = lock(&self.cell);
                if cell.get().is_some_and(|current| Arc::ptr_eq(current, old)) {
                    *cell = Arc::new(OnceCell::new_with(Some(new)));
                }
            }
            Err(refused) => {
                log_info!("the access token was not replaced, which is tried again: {}", refused.failure);
                old.renew_after(refused.retry_after.unwrap_or_default().max(NEXT_RENEWAL));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::failure::{Cause, Failure};
    use crate::cloud::google::settings::Credentials;
    use crate::cloud::http::exchange::Reply;
    use http::HeaderMap;
    use std::sync::atomic::{AtomicU32, Ordering};
    use zeroize::Zeroizing;

    /// Tokens of a user whose credential file is at `path`. The server replies with the token "tN" to its request N, or fails
    /// if `fails` is set.
    struct Fixture {
        tokens: Tokens,
        transport: Transport,
        settings: Settings,
        requests: Arc<AtomicU32>,
        fails: Arc<AtomicU32>,
        folder: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let (requests, fails) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
            let (counter, failing) = (requests.clone(), fails.clone());
            let transport = Transport::to(move |_| {
                let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                if failing.load(Ordering::SeqCst) != 0 {
                    return Err(Failure::new(Cause::Unreachable, "Sign", "no network").into());
                }
                let body = format!(r#"{{"access_token": "t{number}", "expires_in": 3599}}"#);
                Ok(Reply { status: 200, headers: HeaderMap::new(), body: Zeroizing::new(body.into_bytes()) })
            });
            let folder = tempfile::tempdir().unwrap();
            let credentials = Credentials::File(folder.path().join("user.json"));
            let settings = Settings { credentials, ..Settings::default() };
            let fixture = Self { tokens: Tokens::default(), transport, settings, requests, fails, folder };
            fixture.write(
                r#"{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}"#,
                0,
            );
            fixture
        }

        fn write(&self, text: &str, age: u64) {
            let path = self.folder.path().join("user.json");
            std::fs::write(&path, text).unwrap();
            // The clock of the file system may not have advanced.
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 - age);
            std::fs::File::open(&path).unwrap().set_modified(time).unwrap();
        }

        async fn token(&self) -> Result<Arc<AccessToken>, Failure> {
            let token = self.tokens.get("Sign", &self.settings, &self.transport).await;
            token.map_err(|refused| refused.failure)
        }

        async fn get(&self) -> Result<String, Failure> {
            self.token().await.map(|token| token.token.as_ref().unwrap().expose().to_owned())
        }

        fn make_renewal_due(&self) {
            lock(&self.tokens.shared.cell).get().unwrap().renew_after(Duration::ZERO);
        }

        fn requests(&self) -> u32 {
            self.requests.load(Ordering::SeqCst)
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn the_lifetime_sets_the_times() {
        let times = |seconds: u64| {
            let token =
                AccessToken { token: None, quota_project: None, universe_domain: String::new(), origin: String::new() };
            let (now, token) = (Instant::now(), CachedToken::new(token, Duration::from_secs(seconds), None));
            let after = |time: Option<Instant>| time.map(|time| (time - now).as_secs_f64().round());
            (after(*lock(&token.renewal)), after(token.end))
        };
        assert_eq!(times(3600), (Some(3375.0), Some(3590.0)));
        assert_eq!(times(230), (Some(10.0), Some(220.0)), "not at each call");
        assert_eq!(times(10), (Some(5.0), Some(9.0)));
        assert_eq!(times(0), (Some(0.0), Some(0.0)));
        assert_eq!(times(u64::MAX), (None, None));
    }

    #[test]
    fn many_calls_share_a_request() {
        let fixture = Arc::new(Fixture::new());
        block_on(async {
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..20 {
                let own = fixture.clone();
                calls.spawn(async move { own.get().await });
            }
            assert!(calls.join_all().await.into_iter().all(|token| token.as_deref() == Ok("t1")));
        });
        assert_eq!(fixture.requests(), 1);
    }

    #[test]
    fn a_token_is_replaced_beside_a_call_and_stays_if_that_fails() {
        let fixture = Fixture::new();
        block_on(async {
            assert_eq!(fixture.get().await.unwrap(), "t1");
            fixture.fails.store(1, Ordering::SeqCst);
            fixture.make_renewal_due();
            assert_eq!(fixture.get().await.unwrap(), "t1");
            while fixture.requests() < 2 {
                tokio::task::yield_now().await;
            }
            // The failure puts the next attempt off.
            assert_eq!(fixture.get().await.unwrap(), "t1");
            fixture.fails.store(0, Ordering::SeqCst);
            while lock(&lock(&fixture.tokens.shared.cell).get().unwrap().renewal).is_none() {
                tokio::task::yield_now().await;
            }
            fixture.make_renewal_due();
            assert_eq!(fixture.get().await.unwrap(), "t1", "the call does not wait");
            while fixture.get().await.unwrap() == "t1" {
                tokio::task::yield_now().await;
            }
            assert_eq!(fixture.get().await.unwrap(), "t3");
        });
        assert_eq!(fixture.requests(), 3);
    }

    #[test]
    fn a_rejected_token_is_forgotten_once() {
        let fixture = Fixture::new();
        block_on(async {
            let first = fixture.token().await.unwrap();
            fixture.tokens.rejected(&first, None);
            let second = fixture.token().await.unwrap();
            fixture.tokens.rejected(&first, None);
            assert!(Arc::ptr_eq(&second, &fixture.token().await.unwrap()), "another token is in use by now");
        });
        assert_eq!(fixture.requests(), 2);
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let fixture = Fixture::new();
        block_on(async {
            assert_eq!(fixture.get().await.unwrap(), "t1");
            fixture.write("{", 10);
            assert_eq!(fixture.get().await.unwrap(), "t1", "the new file is of no use yet");
            fixture.write(
                r#"{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "new"}"#,
                20,
            );
            assert_eq!(fixture.get().await.unwrap(), "t2");
            std::fs::remove_file(fixture.folder.path().join("user.json")).unwrap();
            assert_eq!(fixture.get().await.unwrap(), "t2", "the file is being replaced");
            fixture.write("{", 30);
            fixture.tokens.rejected(&fixture.token().await.unwrap(), None);
            let failure = fixture.get().await.unwrap_err();
            assert!(failure.cause == Cause::Credentials && failure.message.contains("not valid JSON"), "{failure}");
        });
        assert_eq!(fixture.requests(), 2);
    }
}
