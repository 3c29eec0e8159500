//! Files that contain a credential, in the forms that users' programs write: an editor of Windows, PowerShell,
//! `echo`.

use crate::host::permissions::FileWithMetadata;
use crate::host::process;
use crate::log_warn;

use std::fs::Metadata;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Returns the bytes of a file.
///
/// # Errors
/// A sentence with the path, which says what to do.
pub(crate) fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    read(path).map(|contents| contents.bytes)
}

/// Returns the time at which a file was last changed, if there is such a file.
pub(crate) fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|about| about.modified()).ok()
}

/// Returns the bytes of a file that contains a long-lived secret. Logs a warning if everybody can read the file,
/// once for each file.
pub(crate) fn private_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let contents = read(path)?;
    warn_of_readers(path, &contents);
    Ok(contents.bytes)
}

/// Logs a warning if everybody can read a file that contains a secret, once for each file.
pub(crate) fn warn_of_readers(path: &Path, contents: &FileWithMetadata) {
    if let Some(what) = contents.readable_by_others()
        && record_warning(path)
    {
        log_warn!("{}: the file contains a secret, and {what}", path.display());
    }
}

/// Returns the text of a file that contains a long-lived secret, without the byte order mark.
pub(crate) fn private_text(path: &Path) -> Result<Zeroizing<String>, String> {
    text(path, &private_bytes(path)?)
}

/// Returns the secret that a file contains, without surrounding white space. Logs a warning if everybody can read
/// the file.
pub(crate) fn secret(path: &Path) -> Result<Zeroizing<String>, String> {
    single_line(path, &private_text(path)?)
}

/// Returns the token that a file contains. The token soon expires, so everybody may read the file, as Kubernetes
/// writes it.
pub(crate) fn token(path: &Path) -> Result<Zeroizing<String>, String> {
    single_line(path, &text(path, &bytes(path)?)?)
}

fn read(path: &Path) -> Result<FileWithMetadata, String> {
    FileWithMetadata::read(path).map_err(|error| read_error(path, &error))
}

/// Returns whether this process has not warned of the file yet, and records the warning. The lock is taken on the
/// runtime's worker only, and a fork does not stop the worker while it holds the lock.
fn record_warning(path: &Path) -> bool {
    static WARNED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_first = !warned.iter().any(|known| known == path);
    if is_first {
        warned.push(path.to_owned());
    }
    is_first
}

fn text(path: &Path, bytes: &[u8]) -> Result<Zeroizing<String>, String> {
    decode_text(bytes)
        .ok_or_else(|| format!("{}: the file is not text in UTF-8 or UTF-16; save it as UTF-8", path.display()))
}

fn single_line(path: &Path, text: &str) -> Result<Zeroizing<String>, String> {
    let secret = Zeroizing::new(text.trim().to_owned());
    match &**secret {
        "" => Err(format!("{}: the file is empty", path.display())),
        several if several.contains(['\n', '\r']) => {
            Err(format!("{}: the file has several lines; it must contain the secret and nothing else", path.display()))
        }
        _ => Ok(secret),
    }
}

fn read_error(at: &Path, error: &Error) -> String {
    let path = at.display();
    match error.kind() {
        ErrorKind::NotFound => format!("{path}: the file does not exist"),
        ErrorKind::PermissionDenied => permission_error(at, process::effective_user_id()),
        ErrorKind::IsADirectory => format!("{path}: this is a directory, not a file"),
        _ => format!("{path}: {error}"),
    }
}

/// Returns why the user may not read a file, and what to do.
fn permission_error(path: &Path, user: u32) -> String {
    let is_hidden = |own: &&Path| own.metadata().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    let folder = path.ancestors().filter(is_hidden).last().and_then(Path::parent);
    let tried = format!("{}: this program runs as uid {user}, which may not", path.display());
    match (folder, path.metadata()) {
        (Some(folder), _) => {
            let folder = folder.display();
            format!("{tried} enter {folder}; allow it (chmod o+x {folder}), or move the file to another directory")
        }
        (None, Ok(about)) if is_permitted(&about, user) => {
            let mode = about.mode() & 0o7777;
            format!(
                "{tried} read the file, although its mode ({mode:04o}) allows it; SELinux, AppArmor or a sandbox forbids it, see journalctl -k"
            )
        }
        _ => {
            let path = path.display();
            format!(
                "{tried} read the file; give it to that user (chown {user} {path}), or to a group of that user (chgrp, chmod g+r)"
            )
        }
    }
}

/// Returns whether the mode of the file lets the user read the file. Groups are not considered.
fn is_permitted(about: &Metadata, user: u32) -> bool {
    let bit = if about.uid() == user { 0o400 } else { 0o004 };
    user == 0 || about.mode() & bit != 0
}

/// Decodes UTF-8 or UTF-16. Bytes without a byte order mark are UTF-8.
pub(crate) fn decode_text(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let utf16 = |bytes: &[u8], order: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks();
        // The capacity suffices for the whole text, because a string that grows leaves copies of its contents in
        // memory.
        let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
        for letter in char::decode_utf16(pairs.iter().map(|pair| order(*pair))) {
            text.push(letter.ok()?);
        }
        rest.is_empty().then_some(text)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            std::str::from_utf8(bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    fn file(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
        let path = folder.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn a_secret_is_found_in_whatever_an_editor_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let utf16 =
            |order: fn(u16) -> [u8; 2]| "\u{feff}s3~cret\r\n".encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for bytes in [
            b"s3~cret".to_vec(),
            b"s3~cret\n".to_vec(),
            b" s3~cret\r\n\r\n".to_vec(),
            b"\xef\xbb\xbfs3~cret\r\n".to_vec(),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
        ] {
            assert_eq!(secret(&file(&folder, &bytes)).unwrap().as_str(), "s3~cret", "{bytes:?}");
        }
    }

    #[test]
    fn errors_do_not_quote_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret").display().to_string();
        for (bytes, words) in [
            (&b""[..], "the file is empty"),
            (b"\xef\xbb\xbf \r\n", "the file is empty"),
            (b"one\ntwo", "several lines"),
            (b"\xff\xfes", "not text"),
            (b"caf\xe9", "not text"),
        ] {
            let why = secret(&file(&folder, bytes)).unwrap_err();
            assert!(why.starts_with(&path) && why.contains(words), "{why}");
            assert!(!why.contains("one") && !why.contains("caf"), "{why}");
        }
        let why = secret(Path::new("/nowhere/secret")).unwrap_err();
        assert_eq!(why, "/nowhere/secret: the file does not exist");
        assert_eq!(
            secret(folder.path()).unwrap_err(),
            format!("{}: this is a directory, not a file", folder.path().display())
        );
        let denied = read_error(Path::new("/s"), &ErrorKind::PermissionDenied.into());
        assert!(
            denied.starts_with("/s: ") && denied.contains(&format!("uid {}", process::effective_user_id())),
            "{denied}"
        );
    }

    #[test]
    fn an_unreadable_file_is_reported_with_a_fix() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder, b"s");
        let mode = |mode| std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let (shown, stranger) = (path.display(), 4242);
        mode(0o600);
        assert_eq!(
            permission_error(&path, stranger),
            format!(
                "{shown}: this program runs as uid 4242, which may not read the file; give it to that user (chown 4242 {shown}), or to a group of that user (chgrp, chmod g+r)"
            )
        );
        mode(0o604);
        let forbidden = permission_error(&path, stranger);
        assert!(forbidden.contains("although its mode (0604) allows it; SELinux"), "{forbidden}");
    }

    #[test]
    fn a_secret_that_everybody_can_read_is_warned_of_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder, b"s");
        assert!(record_warning(&path) && !record_warning(&path));
        assert!(record_warning(&folder.path().join("another")));
    }
}
