//! Lines for the system's log, by one datagram each to its socket. RFC 3164 section 4.1, as the daemons take it locally.
//!
//! Not by syslog(3): its settings are the host's, and its lock is one that a fork could leave locked.

use super::Level;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::OnceLock;

/// Where the daemon listens.
pub const PLACE: &str = "/dev/log";

/// A socket of ours; each line names the daemon's anew, so that one that was started again gets the next.
static SOCKET: OnceLock<UnixDatagram> = OnceLock::new();

/// Makes ready to write lines.
pub fn open() -> io::Result<()> {
    if SOCKET.get().is_none() {
        let socket = UnixDatagram::unbound()?;
        // A daemon that takes no lines must not hold the host.
        socket.set_nonblocking(true)?;
        let _ = SOCKET.set(socket);
    }
    Ok(())
}

/// Writes one line; a failure is ignored, for there is nowhere to report it.
pub fn write(level: Level, line: &str) {
    send(level, line, Path::new(PLACE));
}

fn send(level: Level, line: &str, place: &Path) {
    if let Some(socket) = SOCKET.get() {
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
    fn a_daemon_that_takes_nothing_holds_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        let _daemon = UnixDatagram::bind(&place).unwrap();
        open().unwrap();
        // More than the socket's buffer has room for.
        (0..10_000).for_each(|_| send(Level::Info, &"x".repeat(1000), &place));
    }
}
