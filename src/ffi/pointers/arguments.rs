//! One type for each kind of argument of a C function.
//!
//! All constructors have the contract of [`super`].

use crate::error::{Error, Result};
use cryptoki_sys::*;
use std::os::raw::c_void;
use zeroize::Zeroize;

/// Bytes that the caller passes in. Any pointer with length 0 is an empty input.
#[derive(Clone, Copy)]
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    /// Creates an input of `length` bytes.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for a null pointer with a length, and for a length that exceeds the address space.
    ///
    /// # Safety
    /// The contract of [`super`].
    pub unsafe fn new(data: *const CK_BYTE, length: CK_ULONG) -> Result<Self> {
        match (data.is_null(), length) {
            (_, 0) => Ok(Self(&[])),
            (true, _) => Err(arguments_bad("a pointer is null, but its length is not 0")),
            (false, length) => {
                let length = checked_len::<CK_BYTE>(length)?;
                // SAFETY: not null, and valid for `length` bytes by the contract.
                Ok(Self(unsafe { std::slice::from_raw_parts(data, length) }))
            }
        }
    }
}

/// A buffer for a value, and a pointer to its length, in elements of type `T` (section 5.2).
pub struct Output<'a, T> {
    buffer: *mut T,
    length: &'a mut CK_ULONG,
}

impl<T: Copy> Output<'_, T> {
    /// Creates an output. A null `buffer` is a size query.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD if `length` is null.
    ///
    /// # Safety
    /// The contract of [`super`].
    pub unsafe fn new(buffer: *mut T, length: *mut CK_ULONG) -> Result<Self> {
        // SAFETY: null or valid by the contract.
        let length = unsafe { length.as_mut() }.ok_or_else(|| arguments_bad("the pointer to the length is null"))?;
        Ok(Self { buffer, length })
    }

    /// Creates an output, or returns None if `length` is null. C_SignMessageNext is called without a length while more
    /// parts follow.
    ///
    /// # Errors
    /// Never fails.
    ///
    /// # Safety
    /// The contract of [`super`].
    pub unsafe fn optional(buffer: *mut T, length: *mut CK_ULONG) -> Result<Option<Self>> {
        // SAFETY: the contract of this function.
        if length.is_null() { Ok(None) } else { unsafe { Self::new(buffer, length) }.map(Some) }
    }

    /// Returns whether the caller only asks for the length.
    pub fn is_size_query(&self) -> bool {
        self.buffer.is_null()
    }

    /// Returns whether the buffer has room for `needed` elements. For a size query, writes `needed` as the length and
    /// returns false.
    ///
    /// # Errors
    /// CKR_BUFFER_TOO_SMALL if the buffer is too small. `needed` is then written as the length.
    pub fn check_capacity(&mut self, needed: usize) -> Result<bool> {
        let capacity = *self.length;
        if self.buffer.is_null() {
            *self.length = needed as CK_ULONG;
            return Ok(false);
        }
        if capacity < needed as CK_ULONG {
            *self.length = needed as CK_ULONG;
            return Err(Error::new(
                CKR_BUFFER_TOO_SMALL,
                format!("the buffer has room for {capacity}, but {needed} are needed"),
            ));
        }
        Ok(true)
    }

    /// Copies `values` into the buffer and writes their number as the length. For a size query, writes only the length.
    ///
    /// # Errors
    /// CKR_BUFFER_TOO_SMALL if the buffer is too small. The required length is then written.
    pub fn write(mut self, values: &[T]) -> Result<()> {
        if self.check_capacity(values.len())? {
            *self.length = values.len() as CK_ULONG;
            // SAFETY: not null, and valid for `values.len()` elements by the contract and the check above.
            unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.buffer, values.len()) };
        }
        Ok(())
    }
}

/// A buffer for handles, and a pointer to the number of handles that were written. Used by C_FindObjects, which returns
/// as many handles as the buffer has room for.
pub struct HandleBuffer<'a> {
    buffer: *mut CK_OBJECT_HANDLE,
    capacity: usize,
    count: &'a mut CK_ULONG,
}

impl HandleBuffer<'_> {
    /// Creates a batch with room for `capacity` handles.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD if `count` is null, or if `buffer` is null and `capacity` is not 0.
    ///
    /// # Safety
    /// The contract of [`super`].
    pub unsafe fn new(buffer: *mut CK_OBJECT_HANDLE, most: CK_ULONG, count: *mut CK_ULONG) -> Result<Self> {
        // SAFETY: null or valid by the contract.
        let count = unsafe { count.as_mut() }.ok_or_else(|| arguments_bad("the pointer to the count is null"))?;
        if buffer.is_null() && most > 0 {
            return Err(arguments_bad("the pointer to the handles is null"));
        }
        Ok(Self { buffer, capacity: usize::try_from(most).unwrap_or(usize::MAX), count })
    }

    /// Returns how many handles the buffer has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Writes at most [`HandleBuffer::capacity`] of the handles, and their number.
    pub fn write(self, handles: &[CK_OBJECT_HANDLE]) {
        let handles = &handles[..handles.len().min(self.capacity)];
        *self.count = handles.len() as CK_ULONG;
        if !handles.is_empty() {
            // SAFETY: not null, because there is room for a handle; valid for `capacity` handles by the contract.
            unsafe { std::ptr::copy_nonoverlapping(handles.as_ptr(), self.buffer, handles.len()) };
        }
    }
}

/// A buffer that must be filled completely. Used by C_GenerateRandom.
pub struct FixedOutput(*mut CK_BYTE, usize);

impl FixedOutput {
    /// Creates a region of `length` bytes.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for a null pointer with a length, and for a length that exceeds the address space.
    ///
    /// # Safety
    /// The contract of [`super`].
    pub unsafe fn new(region: *mut CK_BYTE, length: CK_ULONG) -> Result<Self> {
        if region.is_null() && length > 0 {
            return Err(arguments_bad("a pointer is null, but its length is not 0"));
        }
        Ok(Self(region, checked_len::<CK_BYTE>(length)?))
    }

    /// Returns the length of the region in bytes.
    pub fn len(&self) -> usize {
        self.1
    }

    /// Fills the region with `bytes`, which must have the length of the region.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the lengths differ.
    pub fn write(self, bytes: &[u8]) -> Result<()> {
        if bytes.len() != self.1 {
            return Err(Error::new(CKR_GENERAL_ERROR, "the output does not have the requested length"));
        }
        // SAFETY: not null unless the region is empty, and valid for its length by the contract.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0, bytes.len()) };
        Ok(())
    }

    /// Fills the region in pieces of up to 1024 bytes. `fill` writes to a separate array, because the caller's memory
    /// may be uninitialized and must not be read.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn fill_with(self, fill: impl Fn(&mut [u8]) -> Result<()>) -> Result<()> {
        let mut piece = [0; 1024];
        let mut done = 0;
        while done < self.1 {
            let length = piece.len().min(self.1 - done);
            fill(&mut piece[..length])?;
            // SAFETY: `done + length` is at most the region's length. The region is not null, because it is not empty,
            // and valid for its length by the contract.
            unsafe { std::ptr::copy_nonoverlapping(piece.as_ptr(), self.0.add(done), length) };
            done += length;
        }
        piece.zeroize();
        Ok(())
    }
}

/// A pointer to the structure or number that the C function returns through an argument.
pub struct OutputValue<T>(*mut T);

impl<T> OutputValue<T> {
    /// Creates a target.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD if `place` is null.
    ///
    /// # Safety
    /// The contract of [`super`].
    pub unsafe fn new(place: *mut T) -> Result<Self> {
        if place.is_null() { Err(arguments_bad("the pointer for the result is null")) } else { Ok(Self(place)) }
    }

    /// Writes the value.
    pub fn write(self, value: T) {
        // SAFETY: not null, and valid by the contract.
        unsafe { self.0.write(value) };
    }
}

/// Checks the arguments of C_Initialize (section 5.4.1).
///
/// # Errors
/// * CKR_ARGUMENTS_BAD if pReserved is not null, or if only some of the mutex callbacks are given.
/// * CKR_CANT_LOCK if the module must use the mutex callbacks, because CKF_OS_LOCKING_OK is not set.
/// * CKR_NEED_TO_CREATE_THREADS if CKF_LIBRARY_CANT_CREATE_OS_THREADS is set without CKF_OS_LOCKING_OK.
///
/// # Safety
/// The contract of [`super`].
pub unsafe fn initialize_args(args: *const c_void) -> Result<()> {
    // SAFETY: null or valid by the contract.
    let Some(args) = (unsafe { args.cast::<CK_C_INITIALIZE_ARGS>().as_ref() }) else { return Ok(()) };
    if !args.pReserved.is_null() {
        return Err(arguments_bad("pReserved must be null"));
    }
    let callbacks =
        [args.CreateMutex.is_some(), args.DestroyMutex.is_some(), args.LockMutex.is_some(), args.UnlockMutex.is_some()];
    let given = callbacks.iter().filter(|given| **given).count();
    let os_locking = args.flags & CKF_OS_LOCKING_OK != 0;
    match (given, os_locking) {
        (1..=3, _) => Err(arguments_bad("CK_C_INITIALIZE_ARGS has some of the four mutex callbacks, but not all")),
        (4, false) => Err(Error::new(
            CKR_CANT_LOCK,
            "the module can't use the program's mutex callbacks; set CKF_OS_LOCKING_OK as well",
        )),
        // NSS sets this flag together with CKF_OS_LOCKING_OK in every program, and no program that uses NSS is harmed
        // by the module's threads. Only a host that leaves out CKF_OS_LOCKING_OK is refused, because such a host does
        // not use the system's threading model.
        (_, false) if args.flags & CKF_LIBRARY_CANT_CREATE_OS_THREADS != 0 => Err(Error::new(
            CKR_NEED_TO_CREATE_THREADS,
            "the module needs a thread for its requests, but CKF_LIBRARY_CANT_CREATE_OS_THREADS is set without CKF_OS_LOCKING_OK",
        )),
        _ => Ok(()),
    }
}

/// Converts a number of elements of type `T` to usize. A slice must not be larger than `isize::MAX` bytes.
///
/// # Errors
/// CKR_ARGUMENTS_BAD if the elements are larger than that.
pub(super) fn checked_len<T>(count: CK_ULONG) -> Result<usize> {
    let most = isize::MAX as usize / size_of::<T>().max(1);
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= most)
        .ok_or_else(|| arguments_bad("the length is larger than the address space"))
}

pub(super) fn arguments_bad(text: &'static str) -> Error {
    Error::new(CKR_ARGUMENTS_BAD, text)
}
