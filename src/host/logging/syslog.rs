//! Lines for the system's log, by one datagram each to its socket. RFC 3164 section 4.1, as the daemons take it locally.
//!
//! Not by syslog(3): its settings are the host's, and its lock is one that a fork could leave locked.

use super::level::Level;
use crate::host::file_id::FileId;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::OnceLock;

/// Where the daemon listens.
pub const PLACE: &str = "/dev/log";

/// Sockets of ours; each line names the daemon's anew, so that one that was started again gets the next. The next socket
/// takes over where the host has closed one (daemons close all that they find open), which is then left alone: its number
/// may be the host's.
static SOCKETS: [OnceLock<(UnixDatagram, FileId)>; 8] = [const { OnceLock::new() }; 8];

/// Makes ready to write lines.
pub fn open() -> io::Result<()> {
    socket().map(drop).ok_or_else(io::Error::last_os_error)
}

fn socket() -> Option<&'static UnixDatagram> {
    let is_open = |(socket, file): &&(UnixDatagram, FileId)| FileId::of(socket.as_raw_fd()) == Some(*file);
    if let Some((socket, _)) = SOCKETS.iter().filter_map(OnceLock::get).find(is_open) {
        return Some(socket);
    }
    let socket = UnixDatagram::unbound().ok()?;
    // A daemon that takes no lines must not hold the host.
    socket.set_nonblocking(true).ok()?;
    let file = FileId::of(socket.as_raw_fd())?;
    let place = SOCKETS.iter().find(|place| place.get().is_none())?;
    Some(&place.get_or_init(|| (socket, file)).0)
}

/// Writes one line; a failure is ignored, for there is nowhere to report it. A datagram raises no SIGPIPE.
pub fn write(level: Level, line: &str) {
    send(level, line, Path::new(PLACE));
}

fn send(level: Level, line: &str, place: &Path) {
    if let Some(socket) = socket() {
        let _ = socket.send_to(format!("<{}>{line}", USER | severity(level)).as_bytes(), place);
    }
}

/// The facility of programs that have none of their own.
const USER: u8 = 1 << 3;

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
            // It is started again.
            std::fs::remove_file(&place).unwrap();
        }
    }

    #[test]
    fn a_socket_that_the_host_has_closed_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        let daemon = UnixDatagram::bind(&place).unwrap();
        let own = folder.path().join("own");
        // In a child: its sockets are not those of the tests beside it.
        assert!(holds_in_child(|| {
            let number = socket().unwrap().as_raw_fd();
            crate::host::descriptors::replace(number, std::fs::File::create(&own).unwrap()).unwrap();
            send(Level::Error, "another socket", &place);
            let mut line = [0; 100];
            let length = daemon.recv(&mut line).unwrap();
            line[..length] == *b"<11>another socket" && socket().unwrap().as_raw_fd() != number
        }));
        assert_eq!(std::fs::read(&own).unwrap(), b"");
    }

    #[test]
    fn a_daemon_that_takes_nothing_holds_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        let _daemon = UnixDatagram::bind(&place).unwrap();
        open().unwrap();
        // More than the socket's buffer has room for.
        (0..10_000).for_each(|_| send(Level::Info, &"x".repeat(1000), &place));
    }
}
