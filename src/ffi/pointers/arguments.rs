//! A type for each kind of argument.
//!
//! The contract of all of them is that of [`super`].

use crate::error::{Error, Result};
use cryptoki_sys::*;
use std::os::raw::c_void;
use zeroize::Zeroize;

/// Bytes that the caller hands in. Null with length 0 is empty.
#[derive(Clone, Copy)]
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    /// # Errors
    /// CKR_ARGUMENTS_BAD for null with a length, and for a length that no memory has.
    ///
    /// # Safety
    /// The contract at the head of the file.
    pub unsafe fn new(data: *const CK_BYTE, length: CK_ULONG) -> Result<Self> {
        match (data.is_null(), length) {
            (_, 0) => Ok(Self(&[])),
            (true, _) => Err(bad("a null pointer with a length")),
            (false, length) => {
                let length = in_memory::<CK_BYTE>(length)?;
                // SAFETY: not null, and `length` bytes long by the contract.
                Ok(Self(unsafe { std::slice::from_raw_parts(data, length) }))
            }
        }
    }
}

/// A buffer for a value, and the place of its length (section 5.2).
pub struct Output<'a, T> {
    buffer: *mut T,
    length: &'a mut CK_ULONG,
}

impl<T: Copy> Output<'_, T> {
    /// # Errors
    /// CKR_ARGUMENTS_BAD where there is no place for the length.
    ///
    /// # Safety
    /// The contract at the head of the file.
    pub unsafe fn new(buffer: *mut T, length: *mut CK_ULONG) -> Result<Self> {
        // SAFETY: null or valid by the contract.
        let length = unsafe { length.as_mut() }.ok_or_else(|| bad("a null pointer for the length"))?;
        Ok(Self { buffer, length })
    }

    /// None where the caller gives no place for the length: C_SignMessageNext, while parts follow.
    ///
    /// # Errors
    /// None.
    ///
    /// # Safety
    /// The contract at the head of the file.
    pub unsafe fn optional(buffer: *mut T, length: *mut CK_ULONG) -> Result<Option<Self>> {
        // SAFETY: the contract of this function.
        if length.is_null() { Ok(None) } else { unsafe { Self::new(buffer, length) }.map(Some) }
    }

    /// Whether the caller only wants to know the length.
    pub fn is_size_query(&self) -> bool {
        self.buffer.is_null()
    }

    /// Whether the caller has room for `needed` elements now. A size query is answered, and has none.
    ///
    /// # Errors
    /// CKR_BUFFER_TOO_SMALL, with the length that it takes.
    pub fn has_room(&mut self, needed: usize) -> Result<bool> {
        let offered = *self.length;
        if self.buffer.is_null() {
            *self.length = needed as CK_ULONG;
            return Ok(false);
        }
        if offered < needed as CK_ULONG {
            *self.length = needed as CK_ULONG;
            return Err(Error::new(CKR_BUFFER_TOO_SMALL, format!("{needed} are needed, there is room for {offered}")));
        }
        Ok(true)
    }

    /// Answers `values`: by their number for a size query, else by a copy.
    ///
    /// # Errors
    /// CKR_BUFFER_TOO_SMALL, with the length that it takes.
    pub fn write(mut self, values: &[T]) -> Result<()> {
        if self.has_room(values.len())? {
            *self.length = values.len() as CK_ULONG;
            // SAFETY: not null, and room for `values.len()` elements by the contract and the check above.
            unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.buffer, values.len()) };
        }
        Ok(())
    }
}

/// A buffer of handles, and the place of how many were written: C_FindObjects, which answers what there is room for.
pub struct Batch<'a> {
    buffer: *mut CK_OBJECT_HANDLE,
    most: usize,
    count: &'a mut CK_ULONG,
}

impl Batch<'_> {
    /// # Errors
    /// CKR_ARGUMENTS_BAD for null.
    ///
    /// # Safety
    /// The contract at the head of the file.
    pub unsafe fn new(buffer: *mut CK_OBJECT_HANDLE, most: CK_ULONG, count: *mut CK_ULONG) -> Result<Self> {
        // SAFETY: null or valid by the contract.
        let count = unsafe { count.as_mut() }.ok_or_else(|| bad("a null pointer for the count"))?;
        if buffer.is_null() && most > 0 {
            return Err(bad("a null pointer for the handles"));
        }
        Ok(Self { buffer, most: usize::try_from(most).unwrap_or(usize::MAX), count })
    }

    /// How many the caller has room for.
    pub fn room(&self) -> usize {
        self.most
    }

    /// Answers at most [`Batch::room`] handles.
    pub fn write(self, handles: &[CK_OBJECT_HANDLE]) {
        let handles = &handles[..handles.len().min(self.most)];
        *self.count = handles.len() as CK_ULONG;
        if !handles.is_empty() {
            // SAFETY: not null where there is room, and room for them by the contract and the line above.
            unsafe { std::ptr::copy_nonoverlapping(handles.as_ptr(), self.buffer, handles.len()) };
        }
    }
}

/// A region that is to be filled whole.
pub struct Region(*mut CK_BYTE, usize);

impl Region {
    /// # Errors
    /// CKR_ARGUMENTS_BAD for null with a length.
    ///
    /// # Safety
    /// The contract at the head of the file.
    pub unsafe fn new(region: *mut CK_BYTE, length: CK_ULONG) -> Result<Self> {
        if region.is_null() && length > 0 {
            return Err(bad("a null pointer with a length"));
        }
        Ok(Self(region, in_memory::<CK_BYTE>(length)?))
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.1
    }

    /// Fills it with bytes that are just as many.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR where they are not.
    pub fn write(self, bytes: &[u8]) -> Result<()> {
        if bytes.len() != self.1 {
            return Err(Error::new(CKR_GENERAL_ERROR, "not as many bytes as were wanted"));
        }
        // SAFETY: by the contract not null, unless it is empty, and that long.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0, bytes.len()) };
        Ok(())
    }

    /// Fills it piece by piece, since it may hold anything: what is not initialized must not be looked at.
    pub fn fill_with(self, fill: impl Fn(&mut [u8]) -> Result<()>) -> Result<()> {
        let mut piece = [0; 1024];
        let mut done = 0;
        while done < self.1 {
            let length = piece.len().min(self.1 - done);
            fill(&mut piece[..length])?;
            // SAFETY: `done + length` is at most the region's length, by the contract not null and that long.
            unsafe { std::ptr::copy_nonoverlapping(piece.as_ptr(), self.0.add(done), length) };
            done += length;
        }
        piece.zeroize();
        Ok(())
    }
}

/// The place of one structure or number that the caller wants.
pub struct Target<T>(*mut T);

impl<T> Target<T> {
    /// # Errors
    /// CKR_ARGUMENTS_BAD for null.
    ///
    /// # Safety
    /// The contract at the head of the file.
    pub unsafe fn new(place: *mut T) -> Result<Self> {
        if place.is_null() { Err(bad("a null pointer for the answer")) } else { Ok(Self(place)) }
    }

    /// Answers.
    pub fn write(self, value: T) {
        // SAFETY: not null, and valid by the contract.
        unsafe { self.0.write(value) };
    }
}

/// The arguments of C_Initialize (section 5.4.1), checked.
///
/// # Errors
/// CKR_ARGUMENTS_BAD, CKR_CANT_LOCK, CKR_NEED_TO_CREATE_THREADS.
///
/// # Safety
/// The contract at the head of the file.
pub unsafe fn initialize_args(args: *const c_void) -> Result<()> {
    // SAFETY: null or valid by the contract.
    let Some(args) = (unsafe { args.cast::<CK_C_INITIALIZE_ARGS>().as_ref() }) else { return Ok(()) };
    if !args.pReserved.is_null() {
        return Err(bad("pReserved is not null"));
    }
    let callbacks =
        [args.CreateMutex.is_some(), args.DestroyMutex.is_some(), args.LockMutex.is_some(), args.UnlockMutex.is_some()];
    let given = callbacks.iter().filter(|given| **given).count();
    let os_locking = args.flags & CKF_OS_LOCKING_OK != 0;
    match (given, os_locking) {
        (1..=3, _) => Err(bad("some mutex callbacks are given, but not all")),
        (4, false) => Err(Error::new(CKR_CANT_LOCK, "only the operating system's locks can be used")),
        // NSS sets this flag together with CKF_OS_LOCKING_OK in every program, and no host of it minds threads.
        // A host without the system's threading model is another matter.
        (_, false) if args.flags & CKF_LIBRARY_CANT_CREATE_OS_THREADS != 0 => {
            Err(Error::new(CKR_NEED_TO_CREATE_THREADS, "a thread is needed to talk to the service"))
        }
        _ => Ok(()),
    }
}

/// A count of elements that fits into memory: a slice may not be larger.
pub(super) fn in_memory<T>(count: CK_ULONG) -> Result<usize> {
    let most = isize::MAX as usize / size_of::<T>().max(1);
    usize::try_from(count).ok().filter(|count| *count <= most).ok_or_else(|| bad("a length that no memory has"))
}

pub(super) fn bad(text: &'static str) -> Error {
    Error::new(CKR_ARGUMENTS_BAD, text)
}
