//! The fuzz target for calls in any order with arbitrary arguments, checked against the caller's knowledge of its
//! sessions.

use super::arguments::pointer;
use super::caller::{Caller, call, service};
use super::memory::GuardedMemory;
use super::model::SessionModel;
use crate::ffi::{C_GetFunctionList, C_GetInterface, C_GetInterfaceList};
use cryptoki_sys::*;

/// The maximum number of calls.
const MAX_CALLS: usize = 96;

/// Runs the target. Unless the first byte is 0xff, the caller begins correctly, by C_Initialize and C_OpenSession.
pub fn run(data: &[u8]) {
    let mut caller = Caller::new(data);
    if caller.source.byte() != 0xff {
        caller.initialize();
        let slot = CK_SLOT_ID::from(caller.source.byte() % 5);
        caller.open_and_find(slot);
    }
    for _ in 0..MAX_CALLS {
        if caller.source.is_empty() {
            break;
        }
        caller.step();
    }
}

impl Caller<'_> {
    fn step(&mut self) {
        let choice = self.source.byte();
        match choice % 64 {
            _ if choice >= 192 => self.other_call(),
            0 => self.c_initialize(),
            1 => self.c_finalize(),
            2 => self.lists(),
            3 => self.slot_list(),
            4 => self.infos(),
            5 => self.mechanism_list(),
            6 => self.mechanism_info(),
            7..=9 => self.open_session(),
            10 => self.close_session(),
            11 => self.close_all_sessions(),
            12 => self.session_info(),
            13 => self.login(),
            14 => self.logout(),
            15 => self.session_cancel(),
            16 => self.object_size(),
            17..=19 => {
                let (session, object) = (self.session().1, self.object());
                self.attribute_value(session, object);
            }
            20 => self.find_init(),
            21 => self.find(),
            22 => self.find_final(),
            23..=24 => self.digest_init(),
            25..=26 => self.digest(true),
            27 => self.digest_update(),
            28 => self.digest(false),
            29..=36 => self.sign_init(),
            37..=44 => self.sign(true),
            45..=47 => self.sign_update(),
            48..=50 => self.sign(false),
            51 => self.generate_random(),
            52 => self.call_stubs(),
            53..=54 => service().set_behavior(self.source.byte()),
            55 => service().set_behavior(0),
            56..=58 => {
                let slot = self.slot();
                if self.initialized {
                    self.open_and_find(slot);
                }
            }
            _ => {
                self.sign_init();
                self.sign(true);
            }
        }
    }

    fn c_initialize(&mut self) {
        let mut arguments = CK_C_INITIALIZE_ARGS {
            CreateMutex: None,
            DestroyMutex: None,
            LockMutex: None,
            UnlockMutex: None,
            flags: CK_FLAGS::from(self.source.byte()),
            pReserved: std::ptr::null_mut(),
        };
        unsafe extern "C" fn mutex(_: *mut std::os::raw::c_void) -> CK_RV {
            panic!("the module has no use for the caller's mutexes")
        }
        let given = self.source.byte();
        if given & 1 != 0 {
            arguments.DestroyMutex = Some(mutex);
        }
        if given & 2 != 0 {
            arguments.pReserved = (&raw mut arguments).cast();
        }
        let any = if given & 4 == 0 { std::ptr::null_mut() } else { (&raw mut arguments).cast() };
        match call!(self, C_Initialize(any)) {
            CKR_OK => {
                assert!(!self.initialized);
                self.initialized = true;
            }
            CKR_CRYPTOKI_ALREADY_INITIALIZED => assert!(self.initialized),
            other => assert!([CKR_ARGUMENTS_BAD, CKR_NEED_TO_CREATE_THREADS, CKR_CANT_LOCK].contains(&other)),
        }
    }

    fn c_finalize(&mut self) {
        let mut something = 0_u8;
        let reserved = if self.source.byte() < 0xc0 { std::ptr::null_mut() } else { (&raw mut something).cast() };
        match call!(self, C_Finalize(reserved)) {
            CKR_OK => {
                assert!(self.initialized && reserved.is_null());
                self.initialized = false;
                self.sessions.iter_mut().for_each(|known| known.is_open = false);
            }
            CKR_ARGUMENTS_BAD => assert!(!reserved.is_null()),
            other => assert!(other == CKR_CRYPTOKI_NOT_INITIALIZED && !self.initialized),
        }
    }

    fn lists(&mut self) {
        let mut answer = self.output_buffer(size_of::<CK_INTERFACE>());
        // SAFETY: the buffer has room for as many interfaces as the length says, or for all interfaces that exist.
        let rv = unsafe { C_GetInterfaceList(answer.buffer(), answer.length()) };
        self.check("C_GetInterfaceList", rv);
        answer.check("C_GetInterfaceList", rv);
        let mut list = self.output_structure::<*mut CK_FUNCTION_LIST>();
        // SAFETY: the pointer is valid for a write, or null.
        let rv = unsafe { C_GetFunctionList(pointer(&mut list)) };
        assert_eq!(rv, if list.is_some() { CKR_OK } else { CKR_ARGUMENTS_BAD });
        let mut version = CK_VERSION { major: self.source.byte() % 5, minor: self.source.byte() };
        let mut name = *b"PKCS 11\0";
        name[0] ^= self.source.byte() & 1;
        let flags = CK_FLAGS::from(self.source.byte());
        let mut place = self.output_structure::<*mut CK_INTERFACE>();
        // SAFETY: the name is a C string, the version is live, and the last pointer is valid for a write, or null.
        let rv = unsafe { C_GetInterface(name.as_mut_ptr(), &mut version, pointer(&mut place), flags) };
        self.check("C_GetInterface", rv);
        let known = [(3, 2), (3, 0), (2, 40)].contains(&(version.major, version.minor)) && name[0] == b'P';
        assert_eq!(rv == CKR_OK, place.is_some() && known && flags & !CKF_INTERFACE_FORK_SAFE == 0);
    }

    fn slot_list(&mut self) {
        let mut answer = self.output_buffer(size_of::<CK_SLOT_ID>());
        let present = self.source.byte();
        let rv = call!(self, C_GetSlotList(present, answer.buffer(), answer.length()));
        answer.check("C_GetSlotList", rv);
    }

    /// Calls C_GetInfo, C_GetSlotInfo and C_GetTokenInfo.
    fn infos(&mut self) {
        let slot = self.slot();
        let mut place = self.output_structure::<CK_INFO>();
        let rv = call!(self, C_GetInfo(pointer(&mut place)));
        check_output::<CK_INFO>(place, rv);
        let mut place = self.output_structure::<CK_SLOT_INFO>();
        let rv = call!(self, C_GetSlotInfo(slot, pointer(&mut place)));
        check_output::<CK_SLOT_INFO>(place, rv);
        let mut place = self.output_structure::<CK_TOKEN_INFO>();
        let rv = call!(self, C_GetTokenInfo(slot, pointer(&mut place)));
        check_output::<CK_TOKEN_INFO>(place, rv);
    }

    fn mechanism_list(&mut self) {
        let mut answer = self.output_buffer(size_of::<CK_MECHANISM_TYPE>());
        let slot = self.slot();
        let rv = call!(self, C_GetMechanismList(slot, answer.buffer(), answer.length()));
        answer.check("C_GetMechanismList", rv);
    }

    fn mechanism_info(&mut self) {
        let (slot, mut asked) = (self.slot(), self.mechanism());
        // SAFETY: the pointer is null, or points to a mechanism that lives as long as `asked`.
        let ckm = unsafe { asked.pointer().as_ref() }.map_or(0, |mechanism| mechanism.mechanism);
        let mut place = self.output_structure::<CK_MECHANISM_INFO>();
        let rv = call!(self, C_GetMechanismInfo(slot, ckm, pointer(&mut place)));
        check_output::<CK_MECHANISM_INFO>(place, rv);
    }

    fn open_session(&mut self) {
        let (slot, flags) = (self.slot(), CK_FLAGS::from(self.source.byte()));
        let mut place = self.output_structure::<CK_SESSION_HANDLE>();
        let rv = call!(self, C_OpenSession(slot, flags, std::ptr::null_mut(), None, pointer(&mut place)));
        let handle = place.as_ref().map_or(0, GuardedMemory::number);
        check_output::<CK_SESSION_HANDLE>(place, rv);
        if rv == CKR_OK {
            assert!(handle != 0 && self.sessions.iter().all(|known| known.handle != handle));
            self.sessions.push(SessionModel::new(handle, slot));
        }
    }

    fn close_session(&mut self) {
        let (index, handle) = self.session();
        let rv = call!(self, C_CloseSession(handle));
        self.check_session(index, rv);
        if let (Some(index), CKR_OK) = (index, rv) {
            self.sessions[index].is_open = false;
        }
    }

    fn close_all_sessions(&mut self) {
        let slot = self.slot();
        if call!(self, C_CloseAllSessions(slot)) == CKR_OK {
            self.sessions.iter_mut().filter(|known| known.slot == slot).for_each(|known| known.is_open = false);
        }
    }

    fn session_info(&mut self) {
        let (index, handle) = self.session();
        let mut place = self.output_structure::<CK_SESSION_INFO>();
        let rv = call!(self, C_GetSessionInfo(handle, pointer(&mut place)));
        self.check_session(index, rv);
        check_output::<CK_SESSION_INFO>(place, rv);
        let mut place = self.output_structure::<CK_FLAGS>();
        let rv = call!(self, C_GetSessionValidationFlags(handle, 1, pointer(&mut place)));
        check_output::<CK_FLAGS>(place, rv);
    }

    fn login(&mut self) {
        let (index, handle) = self.session();
        let (mut pin, user) = (self.input_buffer(), CK_USER_TYPE::from(self.source.byte() % 5));
        let rv = match self.source.byte() % 2 {
            0 => call!(self, C_Login(handle, user, pin.pointer(), pin.length)),
            _ => {
                let mut name = self.input_buffer();
                call!(self, C_LoginUser(handle, user, pin.pointer(), pin.length, name.pointer(), name.length))
            }
        };
        self.check_session(index, rv);
    }

    fn logout(&mut self) {
        let (index, handle) = self.session();
        let rv = call!(self, C_Logout(handle));
        self.check_session(index, rv);
    }

    fn session_cancel(&mut self) {
        let (index, handle) = self.session();
        let flags = self.source.pick(&[CKF_SIGN, CKF_DIGEST, CKF_FIND_OBJECTS, 0, CK_FLAGS::MAX]);
        let rv = call!(self, C_SessionCancel(handle, flags));
        self.check_session(index, rv);
        if let (Some(known), CKR_OK) = (index.map(|index| &mut self.sessions[index]), rv) {
            known.signature_length = known.signature_length.filter(|_| flags & CKF_SIGN == 0);
            known.digest = known.digest.take().filter(|_| flags & CKF_DIGEST == 0);
            known.is_searching &= flags & CKF_FIND_OBJECTS == 0;
        }
    }

    fn object_size(&mut self) {
        let ((index, handle), object) = (self.session(), self.object());
        let mut place = self.output_structure::<CK_ULONG>();
        let rv = call!(self, C_GetObjectSize(handle, object, pointer(&mut place)));
        self.check_session(index, rv);
        check_output::<CK_ULONG>(place, rv);
    }

    fn find_init(&mut self) {
        let (index, handle) = self.session();
        let count = self.source.pick(&[0, 0, 0, 1, CK_ULONG::MAX]);
        let rv = call!(self, C_FindObjectsInit(handle, std::ptr::null_mut(), count));
        self.check_session(index, rv);
        let Some(known) = index.map(|index| &mut self.sessions[index]).filter(|known| known.is_open) else { return };
        match rv {
            CKR_OK => assert!(!std::mem::replace(&mut known.is_searching, true)),
            CKR_OPERATION_ACTIVE => assert!(known.is_searching),
            other => assert!(other == CKR_ARGUMENTS_BAD && count > 0),
        }
    }

    fn find(&mut self) {
        let (index, handle) = self.session();
        let mut answer = self.output_buffer(size_of::<CK_OBJECT_HANDLE>());
        let (most, buffer) = (answer.reported_length(), answer.buffer::<CK_OBJECT_HANDLE>());
        let bad = answer.length().is_null() || (buffer.is_null() && most > 0);
        let rv = call!(self, C_FindObjects(handle, buffer, most, answer.length()));
        self.check_session(index, rv);
        if rv == CKR_OK {
            let found = answer.check("C_FindObjects", rv).unwrap_or_default();
            let handles =
                found.chunks_exact(8).map(|bytes| CK_ULONG::from_ne_bytes(bytes.try_into().unwrap_or_default()));
            self.objects.extend(handles);
        }
        if let Some(known) = index.map(|index| &self.sessions[index]).filter(|known| known.is_open) {
            assert_eq!(bad, rv == CKR_ARGUMENTS_BAD);
            SessionModel::check_continuation(known.is_searching, rv, false);
        }
    }

    fn find_final(&mut self) {
        let (index, handle) = self.session();
        let rv = call!(self, C_FindObjectsFinal(handle));
        self.check_session(index, rv);
        if let Some(known) = index.map(|index| &mut self.sessions[index]).filter(|known| known.is_open) {
            known.is_searching = SessionModel::check_continuation(known.is_searching, rv, true);
        }
    }

    fn generate_random(&mut self) {
        let (index, handle) = self.session();
        let mut room = GuardedMemory::new(self.source.below(2100));
        let rv = call!(self, C_GenerateRandom(handle, room.pointer(), room.size as CK_ULONG));
        self.check_session(index, rv);
        room.check_written(room.size);
        let length = self.source.pick(&[0, 1, CK_ULONG::MAX]);
        let rv = call!(self, C_GenerateRandom(handle, std::ptr::null_mut(), length));
        assert!(length == 0 || rv != CKR_OK);
    }

    /// Calls some of the functions that return one code for all arguments.
    fn call_stubs(&mut self) {
        let (handle, nothing) = (self.session().1, std::ptr::null_mut::<u8>());
        let codes = [
            call!(self, C_InitToken(handle, nothing, 9, nothing)),
            call!(self, C_DigestEncryptUpdate(handle, nothing, 9, nothing, nothing.cast())),
            call!(self, C_SignRecoverInit(handle, nothing.cast(), 9)),
            call!(self, C_DigestKey(handle, 9)),
        ];
        assert_eq!(codes, [CKR_FUNCTION_NOT_SUPPORTED; 4]);
        assert_eq!(call!(self, C_GetFunctionStatus(handle)), CKR_FUNCTION_NOT_PARALLEL);
        let flags = CK_FLAGS::from(self.source.byte());
        call!(self, C_WaitForSlotEvent(flags, nothing.cast(), nothing.cast()));
    }

    /// Checks that a session that is not open is refused, and that an open session is accepted.
    pub fn check_session(&self, index: Option<usize>, rv: CK_RV) {
        let open = index.is_some_and(|index| self.sessions[index].is_open);
        let pointers = [CKR_ARGUMENTS_BAD, CKR_MECHANISM_PARAM_INVALID, CKR_CRYPTOKI_NOT_INITIALIZED];
        match open {
            true => assert_ne!(rv, CKR_SESSION_HANDLE_INVALID),
            false => assert!(rv == CKR_SESSION_HANDLE_INVALID || pointers.contains(&rv), "0x{rv:x}"),
        }
    }
}

fn check_output<T>(place: Option<GuardedMemory>, rv: CK_RV) {
    match place {
        Some(place) if rv == CKR_OK => drop(place.check_written(size_of::<T>())),
        Some(place) => assert!(place.is_untouched()),
        None => assert_ne!(rv, CKR_OK),
    }
}
