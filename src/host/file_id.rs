//! Which file a descriptor means: a host may close ours, and open its own under the same number.

use std::os::fd::RawFd;

/// A file's identity and kind, as fstat(2) tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
    kind: u32,
}

impl FileId {
    /// The file that the descriptor means now; None where it is closed.
    pub fn of(descriptor: RawFd) -> Option<Self> {
        // SAFETY: fstat fills the plain data that it is given.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(descriptor, &mut stat) != 0 {
                return None;
            }
            Some(Self { device: stat.st_dev, inode: stat.st_ino, kind: stat.st_mode & libc::S_IFMT })
        }
    }

    /// A short form of it, to be kept in a word.
    pub fn hash(self) -> u32 {
        let mixed = (self.device.rotate_left(32) ^ self.inode).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as u32
    }

    /// Whether it is a pipe, a terminal or /dev/null.
    pub fn is_stream(self) -> bool {
        [libc::S_IFIFO, libc::S_IFCHR].contains(&self.kind)
    }
}

/// Whether the descriptor was opened for writing only, as a log is and a database or a connection is not.
pub fn is_write_only(descriptor: RawFd) -> bool {
    // SAFETY: plain numbers.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
    flags >= 0 && flags & libc::O_ACCMODE == libc::O_WRONLY
}
