//! Checks of who else can read or write a file that holds secrets or leads to them. ssh checks its own files in
//! the same way.
//!
//! Root is trusted, and so is the owner's private group: many systems give each user a group with the user's own
//! number, and make files writable for that group.

use super::process;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The contents of a file, and the metadata of the same open file.
pub struct FileWithMetadata {
    path: PathBuf,
    metadata: Metadata,
    /// The contents. They are overwritten when dropped.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl FileWithMetadata {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Returns the operating system's error if the file cannot be opened or read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let about = file.metadata()?;
        // Reserved for the whole file: a vector that grows leaves copies of the contents in memory.
        let room = usize::try_from(about.len()).unwrap_or_default().min(MAX_RESERVED) + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        file.read_to_end(&mut bytes)?;
        Ok(Self { path: path.to_owned(), metadata: about, bytes })
    }

    /// Returns what is wrong, and the command that fixes it, if somebody else can write to the file.
    pub fn writable_by_others(&self) -> Option<String> {
        let (mode, path) = (self.metadata.mode(), self.path.display());
        let (who, letters) = match (mode & OTHERS_WRITE != 0, mode & GROUP_WRITES != 0 && !self.has_private_group()) {
            (true, false) => ("everybody", "o-w"),
            (false, true) => ("its group", "g-w"),
            (true, true) => ("everybody", "go-w"),
            (false, false) => return None,
        };
        Some(format!("{who} can write to it (mode {:04o}): chmod {letters} {path}", mode & 0o7777))
    }

    /// Returns what is wrong if somebody else can change the file later: because the file belongs to another user,
    /// or because everybody can replace the file in its directory.
    pub fn replaceable_by_others(&self) -> Option<String> {
        let owner = self.metadata.uid();
        if ![0, process::effective_user_id()].contains(&owner) {
            return Some(format!(
                "it belongs to another user (uid {owner}), who can change it; make root or this user its owner"
            ));
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
        let mode = folder.metadata().ok()?.mode();
        (mode & OTHERS_WRITE != 0 && mode & STICKY == 0)
            .then(|| format!("everybody can replace it: chmod o-w {}", folder.display()))
    }

    /// Returns what is wrong, and the command that fixes it, if everybody can read the file. A group may read the
    /// file, because a service often has a group of its own.
    pub fn readable_by_others(&self) -> Option<String> {
        let mode = self.metadata.mode();
        (mode & OTHERS_READ != 0)
            .then(|| format!("everybody can read it (mode {:04o}): chmod o-r {}", mode & 0o7777, self.path.display()))
    }

    fn has_private_group(&self) -> bool {
        self.metadata.gid() == self.metadata.uid()
    }
}

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const OTHERS_READ: u32 = 0o004;
const STICKY: u32 = 0o1000;

/// The maximum capacity to reserve, in bytes. Most files are smaller. For a larger file, the vector grows.
const MAX_RESERVED: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};

    struct TestDirectory(tempfile::TempDir);

    impl TestDirectory {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, mode: u32) -> FileWithMetadata {
            let path = self.0.path().join("file");
            fs::write(&path, "text").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            FileWithMetadata::read(&path).unwrap()
        }

        fn is_root(&self) -> bool {
            self.0.path().metadata().unwrap().uid() == 0
        }
    }

    #[test]
    fn writable_files_are_reported_with_a_fix() {
        let place = TestDirectory::new();
        let path = place.0.path().join("file");
        let message = |mode| place.file(mode).writable_by_others();
        for mode in [0o600, 0o644, 0o640, 0o400, 0o755] {
            assert_eq!(message(mode), None, "{mode:o}");
        }
        let everybody = format!("everybody can write to it (mode 0646): chmod o-w {}", path.display());
        assert_eq!(message(0o646), Some(everybody));
        // A group with the owner's own number is the owner's private group.
        let file = place.file(0o664);
        assert_eq!(file.writable_by_others().is_none(), file.metadata.gid() == file.metadata.uid());
        if place.is_root() {
            chown(&path, None, Some(12)).unwrap();
            let said = |mode| place.file(mode).writable_by_others();
            let group = format!("its group can write to it (mode 0664): chmod g-w {}", path.display());
            assert_eq!(said(0o664), Some(group));
            let both = format!("everybody can write to it (mode 0666): chmod go-w {}", path.display());
            assert_eq!(said(0o666), Some(both));
        }
    }

    #[test]
    fn readable_files_are_reported_with_a_fix() {
        let place = TestDirectory::new();
        let path = place.0.path().join("file");
        assert_eq!(place.file(0o600).readable_by_others(), None);
        assert_eq!(place.file(0o640).readable_by_others(), None, "a service's group may read the file");
        let message = format!("everybody can read it (mode 0644): chmod o-r {}", path.display());
        assert_eq!(place.file(0o644).readable_by_others(), Some(message));
    }

    #[test]
    fn replaceable_files_are_reported() {
        let place = TestDirectory::new();
        let file = place.file(0o600);
        assert_eq!(&file.bytes[..], b"text");
        let folder = |mode| fs::set_permissions(place.0.path(), Permissions::from_mode(mode)).unwrap();
        assert_eq!(file.replaceable_by_others(), None);
        folder(0o777);
        assert!(file.replaceable_by_others().is_some_and(|said| said.contains("chmod o-w")));
        folder(0o1777);
        assert_eq!(
            file.replaceable_by_others(),
            None,
            "others can't replace a file in a sticky directory such as /tmp"
        );
        folder(0o700);
        if place.is_root() {
            chown(place.0.path().join("file"), Some(1234), None).unwrap();
            assert!(place.file(0o600).replaceable_by_others().is_some_and(|said| said.contains("uid 1234")));
        }
    }
}
