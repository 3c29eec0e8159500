//! The module as its caller sees it: a service in memory, and the handles that the caller has received.

use super::model::SessionModel;
use crate::cloud::{KeyName, aws};
use crate::config::{CertificateSource, Config, Key, Keys, Management, Quirks, Right, Service, Slot, Slots};
use crate::error;
use crate::error::Result;
use crate::ffi;
use crate::ffi::guard;
use crate::fuzzing::fake;
use crate::fuzzing::fake::FakeBackend;
use crate::fuzzing::input::ByteSource;
use crate::host::logging;
use crate::host::logging::Level;
use crate::provider::Provider;
use cryptoki_sys::*;
use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Once, OnceLock};

/// Makes the provider that C_Initialize installs, instead of one from a configuration file.
fn provider() -> Result<Provider> {
    Ok(Provider::with_backends(config(), |_| Some(service().clone())))
}

/// Returns the service in memory, which all runs share.
pub(super) fn service() -> &'static Arc<FakeBackend> {
    static SERVICE: OnceLock<Arc<FakeBackend>> = OnceLock::new();
    SERVICE.get_or_init(Arc::default)
}

/// Returns slots of every kind: with one key, with many keys, with discovered keys, and with certificates that are
/// right or wrong. The keys of a further service are listed at the first C_GetSlotList.
fn config() -> Config {
    let service = || Service::Aws(aws::Settings::default());
    let named = |label: &str, keys: Vec<Key>| Slot {
        label: label.into(),
        service: Arc::new(service()),
        keys: Keys::Named(keys),
        hide_keys: Vec::new(),
        quirks: Quirks { accept_bare_digest: label == "many", ..Quirks::default() },
        management: None,
    };
    let with = |id: &str, certificate| Key { name: name(id), label: id.into(), certificate };
    let plain = |id: &str| with(id, CertificateSource::Service);
    let own = fake::public_key("p256").map(|key| fake::certificate_of(&key)).into_iter();
    let chain = own.chain([fake::example().clone()]).collect();
    let wrong = vec![fake::example().clone()];
    let discover =
        Slot { keys: Keys::Discovered, hide_keys: vec!["P-521".into()], ..named("discovered \u{e9}", Vec::new()) };
    let discover = Slot { management: Some(Arc::new(Management::allowing(&[Right::Labels]))), ..discover };
    Config {
        slots: Slots::from_iter([
            named("one", vec![plain("p256")]),
            named("many", fake::NAMES.into_iter().chain(["gone"]).map(plain).collect()),
            discover,
            named("a label of far more than thirty-two bytes", vec![with("p256", CertificateSource::Inline(chain))]),
            named("wrong", vec![with("p256", CertificateSource::Inline(wrong))]),
        ]),
        legacy_services: vec![service()],
        ..Config::default()
    }
}

fn name(id: &str) -> KeyName {
    KeyName { id: id.into(), version: None }
}

/// Prepares a run. Log lines are composed, because that is also code to test, and are written to /dev/null.
fn prepare_module() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        ffi::PROVIDER_FACTORY.set(provider).unwrap_or_else(|_| panic!("another provider"));
        let _ = logging::set_file(Path::new("/dev/null"));
        logging::set_level(Level::Debug);
    });
    let _ = guard::remove();
    service().set_behavior(0);
}

/// The module as its caller sees it.
pub(super) struct Caller<'a> {
    pub(super) source: ByteSource<'a>,
    pub(super) list: &'static CK_FUNCTION_LIST_3_2,
    pub(super) initialized: bool,
    pub(super) sessions: Vec<SessionModel>,
    pub(super) objects: Vec<CK_OBJECT_HANDLE>,
    /// The objects among `objects` that were created in a session.
    pub(super) session_objects: Vec<CK_OBJECT_HANDLE>,
}

/// Calls a function of the list, and checks what is required of all functions.
macro_rules! call {
    ($caller:ident, $name:ident($($argument:expr),* $(,)?)) => {{
        let function = $caller.list.$name.unwrap_or_else(|| panic!("no {}", stringify!($name)));
        // SAFETY: every pointer is null, or points to as many bytes as the length beside it says, or that length
        // is one that the module must refuse before it reads the memory.
        let rv = unsafe { function($($argument),*) };
        $caller.check(stringify!($name), rv);
        rv
    }};
}
pub(super) use call;

impl<'a> Caller<'a> {
    /// Starts a run with the module not yet initialized.
    pub(super) fn new(data: &'a [u8]) -> Self {
        prepare_module();
        let mut interface = std::ptr::null_mut();
        let mut version = CK_VERSION { major: 3, minor: 2 };
        // SAFETY: the name may be null, the version is live, and the pointer to the result is valid for a write.
        let rv = unsafe { crate::ffi::C_GetInterface(std::ptr::null_mut(), &mut version, &mut interface, 0) };
        assert_eq!(rv, CKR_OK);
        // SAFETY: the interface is that of version 3.2, whose list is a static CK_FUNCTION_LIST_3_2.
        let list = unsafe { &*(*interface).pFunctionList.cast::<CK_FUNCTION_LIST_3_2>() };
        Self {
            source: ByteSource(data),
            list,
            initialized: false,
            sessions: Vec::new(),
            objects: Vec::new(),
            session_objects: Vec::new(),
        }
    }

    /// Checks what is required of the CK_RV of every function.
    pub(super) fn check(&self, function: &str, rv: CK_RV) {
        assert!(matches!(error::rv_name(rv), Cow::Borrowed(_)), "{function}: 0x{rv:x} has no name");
        assert_ne!(rv, CKR_GENERAL_ERROR, "{function}");
        let needs_none =
            matches!(function, "C_Initialize" | "C_GetFunctionList" | "C_GetInterface" | "C_GetInterfaceList");
        if !self.initialized && !needs_none {
            let stub = [CKR_FUNCTION_NOT_SUPPORTED, CKR_FUNCTION_NOT_PARALLEL, CKR_RANDOM_SEED_NOT_SUPPORTED];
            assert!(rv == CKR_CRYPTOKI_NOT_INITIALIZED || stub.contains(&rv) || function == "C_Finalize", "{function}");
        }
    }

    /// Calls C_Initialize, which must succeed.
    pub(super) fn initialize(&mut self) {
        assert_eq!(call!(self, C_Initialize(std::ptr::null_mut())), CKR_OK);
        self.initialized = true;
    }

    /// Opens a session with a slot, and stores the handles of all objects that a search finds there.
    pub(super) fn open_and_find(&mut self, slot: CK_SLOT_ID) {
        let mut handle = 0;
        let flags = CKF_SERIAL_SESSION | if self.source.byte().is_multiple_of(2) { 0 } else { CKF_RW_SESSION };
        if call!(self, C_OpenSession(slot, flags, std::ptr::null_mut(), None, &mut handle)) != CKR_OK {
            return;
        }
        self.sessions.push(SessionModel::new(handle, slot));
        assert_eq!(call!(self, C_FindObjectsInit(handle, std::ptr::null_mut(), 0)), CKR_OK);
        let (mut found, mut count) = ([0; 64], 0);
        assert_eq!(call!(self, C_FindObjects(handle, found.as_mut_ptr(), 64, &mut count)), CKR_OK);
        self.objects.extend(&found[..count as usize]);
        assert_eq!(call!(self, C_FindObjectsFinal(handle)), CKR_OK);
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let _ = guard::remove();
    }
}
