//! Lines for the system's log, each sent as one datagram to the socket of the system's log daemon.
//!
//! The format is that of RFC 3164 section 4.1, as daemons accept it locally. syslog(3) is not used: its settings
//! belong to the host, and a fork could leave its lock locked.

use super::level::Level;
use crate::host::file_id::FileId;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::OnceLock;

/// The path of the daemon's socket.
pub const SOCKET_PATH: &str = "/dev/log";

/// Sockets of this module. Each datagram is addressed by path, so a daemon that was restarted receives the next
/// line. If the host has closed a socket (daemons close all descriptors that they find open), the next socket of
/// this list is used. The closed socket is left alone, because its number may belong to the host now.
static SOCKETS: [OnceLock<(UnixDatagram, FileId)>; 8] = [const { OnceLock::new() }; 8];

/// Creates the socket, if no open socket exists.
///
/// # Errors
/// Returns the operating system's error if no socket can be created.
pub fn open() -> io::Result<()> {
    socket().map(drop).ok_or_else(io::Error::last_os_error)
}

fn socket() -> Option<&'static UnixDatagram> {
    let is_open = |(socket, file): &&(UnixDatagram, FileId)| FileId::of(socket.as_raw_fd()) == Some(*file);
    if let Some((socket, _)) = SOCKETS.iter().filter_map(OnceLock::get).find(is_open) {
        return Some(socket);
    }
    let socket = UnixDatagram::unbound().ok()?;
    // A daemon that reads no lines must not block the host.
    socket.set_nonblocking(true).ok()?;
    let file = FileId::of(socket.as_raw_fd())?;
    let path = SOCKETS.iter().find(|place| place.get().is_none())?;
    Some(&path.get_or_init(|| (socket, file)).0)
}

/// Sends one line. A failure is ignored, because there is nowhere to report it. A datagram raises no SIGPIPE.
pub fn write(level: Level, line: &str) {
    send(level, line, Path::new(SOCKET_PATH));
}

fn send(level: Level, line: &str, place: &Path) {
    if let Some(socket) = socket() {
        let _ = socket.send_to(format!("<{}>{line}", FACILITY_USER | severity(level)).as_bytes(), place);
    }
}

/// The facility for programs that have none of their own.
const FACILITY_USER: u8 = 1 << 3;

fn severity(level: Level) -> u8 {
    match level {
        Level::Off | Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fork::testing::holds_in_child;

    #[test]
    fn a_line_is_a_datagram_with_its_priority() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        open().unwrap();
        open().unwrap();
        send(Level::Error, "nobody listens", &place);
        for _ in 0..2 {
            let daemon = UnixDatagram::bind(&place).unwrap();
            send(Level::Error, "cloud-kms-pkcs11[1]: error: no", &place);
            send(Level::Debug, "cloud-kms-pkcs11[1]: debug: yes", &place);
            let received = || {
                let mut line = [0; 100];
                let length = daemon.recv(&mut line).unwrap();
                String::from_utf8_lossy(&line[..length]).into_owned()
            };
            assert_eq!(received(), "<11>cloud-kms-pkcs11[1]: error: no");
            assert_eq!(received(), "<15>cloud-kms-pkcs11[1]: debug: yes");
            // The next iteration starts the daemon again.
            std::fs::remove_file(&place).unwrap();
        }
    }

    #[test]
    fn a_socket_closed_by_the_host_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        let daemon = UnixDatagram::bind(&place).unwrap();
        let own = folder.path().join("own");
        // Runs in a child, which does not share its sockets with the tests that run at the same time.
        assert!(holds_in_child(|| {
            let number = socket().unwrap().as_raw_fd();
            crate::host::descriptors::redirect(number, std::fs::File::create(&own).unwrap()).unwrap();
            send(Level::Error, "another socket", &place);
            let mut line = [0; 100];
            let length = daemon.recv(&mut line).unwrap();
            line[..length] == *b"<11>another socket" && socket().unwrap().as_raw_fd() != number
        }));
        assert_eq!(std::fs::read(&own).unwrap(), b"");
    }

    #[test]
    fn a_full_socket_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        let _daemon = UnixDatagram::bind(&place).unwrap();
        open().unwrap();
        // More lines than fit into the socket's buffer.
        (0..10_000).for_each(|_| send(Level::Info, &"x".repeat(1000), &place));
    }
}
