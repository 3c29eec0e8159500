//! Operations on raw file descriptors.

use super::signals::WriteSignals;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Opens /dev/null in place of a closed standard input, output or error.
///
/// Otherwise a socket of this module would get the free number, and whatever the host or a library prints would go
/// to the peer of a connection. The host may close the standard descriptors and open others at any time, so every
/// request calls this function again.
pub fn fill_standard_descriptors() {
    for standard in 0..=libc::STDERR_FILENO {
        // SAFETY: the call takes integers only.
        if unsafe { libc::fcntl(standard, libc::F_GETFD) } != -1 {
            continue;
        }
        // SAFETY: the path is a static C string. The new descriptor gets the lowest number that is free.
        let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if opened > libc::STDERR_FILENO {
            // SAFETY: this function has opened the descriptor. Another thread has filled the standard descriptor
            // meanwhile.
            unsafe { libc::close(opened) };
        }
    }
}

/// Makes `descriptor`, which must belong to this module, refer to `file` from now on.
///
/// # Errors
/// Returns the operating system's error if dup3(2) fails.
pub fn redirect(descriptor: i32, file: File) -> io::Result<()> {
    // SAFETY: both descriptors are open and belong to this module. The descriptor of `file` is closed when `file`
    // is dropped.
    match unsafe { libc::dup3(file.as_raw_fd(), descriptor, libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Writes `bytes` by one write(2), without a lock, if the descriptor becomes ready within `patience`. Returns
/// whether all bytes were written.
///
/// The write raises neither SIGPIPE, if the reader of a pipe or socket is gone, nor SIGXFSZ, if the file may not
/// grow. Either signal would end the host.
pub fn write(descriptor: i32, bytes: &[u8], patience: Duration) -> bool {
    let mut ready = libc::pollfd { fd: descriptor, events: libc::POLLOUT, revents: 0 };
    let milliseconds = patience.as_millis().try_into().unwrap_or(i32::MAX);
    // SAFETY: poll(2) receives one entry, which lives as long as the call.
    if unsafe { libc::poll(&mut ready, 1, milliseconds) } == 0 {
        return false;
    }
    let signals = WriteSignals::block();
    // SAFETY: the pointer and the length are those of a live slice.
    let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    if written == -1 {
        signals.discard_raised();
    }
    written == bytes.len() as isize
}
