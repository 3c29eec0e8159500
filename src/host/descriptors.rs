//! Raw descriptors.

use super::signals::WriteSignals;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Puts /dev/null where standard input, output or error is closed: else a socket of ours gets its number, and whatever the
/// host or a library prints goes to the other side of a connection. The host may close them and open others at any time.
pub fn fill_standard_descriptors() {
    for standard in 0..=libc::STDERR_FILENO {
        // SAFETY: plain numbers.
        if unsafe { libc::fcntl(standard, libc::F_GETFD) } != -1 {
            continue;
        }
        // SAFETY: a C string that lives as long as the program. It gets the lowest number that is free.
        let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if opened > libc::STDERR_FILENO {
            // SAFETY: it is ours; another thread was quicker.
            unsafe { libc::close(opened) };
        }
    }
}

/// Makes `descriptor`, which is one of ours, mean `file` from now on.
pub fn replace(descriptor: i32, file: File) -> io::Result<()> {
    // SAFETY: both are open descriptors of ours; the new one is closed when `file` is dropped.
    match unsafe { libc::dup3(file.as_raw_fd(), descriptor, libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Writes `bytes` by one write(2), without a lock, if that can be done within `patience`. Answers whether all were written.
///
/// No signal comes of it: not SIGPIPE, where the reader of a pipe or socket is gone, nor SIGXFSZ, where a file may not grow.
/// Both would end the host.
pub fn write(descriptor: i32, bytes: &[u8], patience: Duration) -> bool {
    let mut ready = libc::pollfd { fd: descriptor, events: libc::POLLOUT, revents: 0 };
    let milliseconds = patience.as_millis().try_into().unwrap_or(i32::MAX);
    // SAFETY: one entry, which lives as long as the call.
    if unsafe { libc::poll(&mut ready, 1, milliseconds) } == 0 {
        return false;
    }
    let signals = WriteSignals::hold();
    // SAFETY: pointer and length are those of a live slice.
    let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    if written == -1 {
        signals.take_ours();
    }
    written == bytes.len() as isize
}
