//! The identity of the file that a descriptor refers to.
//!
//! A host may close a descriptor of this module and open a file of its own under the same number. The identity of
//! the file reveals this.

use std::os::fd::RawFd;

/// The device, inode and type of a file, as fstat(2) reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
    kind: u32,
}

impl FileId {
    /// Returns the identity of the file that the descriptor refers to now, or `None` if the descriptor is closed.
    pub fn of(descriptor: RawFd) -> Option<Self> {
        // SAFETY: `stat` is plain data, which fstat(2) fills.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(descriptor, &mut stat) != 0 {
                return None;
            }
            Some(Self { device: stat.st_dev, inode: stat.st_ino, kind: stat.st_mode & libc::S_IFMT })
        }
    }

    /// Returns a short hash of the device and inode, for storage in one word together with the descriptor's
    /// number.
    pub fn hash(self) -> u32 {
        let mixed = (self.device.rotate_left(32) ^ self.inode).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as u32
    }

    /// Returns whether the file is a pipe or a character device, such as a terminal or /dev/null.
    pub fn is_stream(self) -> bool {
        [libc::S_IFIFO, libc::S_IFCHR].contains(&self.kind)
    }
}

/// Returns whether the descriptor was opened for writing only. The descriptor of a log usually is; that of a
/// database or a connection is not.
pub fn is_write_only(descriptor: RawFd) -> bool {
    // SAFETY: the call takes integers only.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
    flags >= 0 && flags & libc::O_ACCMODE == libc::O_WRONLY
}
