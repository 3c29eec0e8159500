//! Clock and wait functions that follow the kernel's clock, even if the host runs under `faketime`.
//!
//! `faketime` (used for reproducible builds) puts its own functions before those of the C library. Under
//! `faketime`, CLOCK_MONOTONIC may stand still, and then no timer expires. Where CLOCK_MONOTONIC runs, it is years
//! away from the kernel's clock. std passes absolute times to the kernel, so each wait of std lasts for decades.
//!
//! `build.rs` therefore makes the linker replace the C library's functions with the functions below (`--wrap`),
//! within this library only. The deadlines and pauses of this code, of tokio and of the SDKs then count real time.
//! The host's own clock is untouched. The date (CLOCK_REALTIME), by which certificates are judged, remains the
//! date that the host sees.

use super::descriptor_watch;
use std::arch::global_asm;
use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};

/// The size of the kernel's signal set, in bytes.
const SIGNAL_SET: usize = 8;

type ClockGettime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;

/// Replaces clock_gettime(2). Returns the host's date for CLOCK_REALTIME, and the C library's own time for every
/// other clock.
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    if clock == libc::CLOCK_REALTIME {
        // SAFETY: the caller upholds the contract of clock_gettime(2), so `time` is valid for a write.
        return unsafe { host_date(time) };
    }
    let mut genuine = LIBC_CLOCK_GETTIME.load(Ordering::Relaxed);
    if genuine.is_null() {
        genuine = libc_clock_gettime();
        LIBC_CLOCK_GETTIME.store(genuine, Ordering::Relaxed);
    }
    // SAFETY: `genuine` is the address of a function of this type. The arguments are those of clock_gettime(2).
    unsafe { std::mem::transmute::<*mut c_void, ClockGettime>(genuine)(clock, time) }
}

/// The address of the C library's clock_gettime, or null before it is looked up. No lock is needed: threads that
/// look it up at the same time find the same address.
static LIBC_CLOCK_GETTIME: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Returns the address of the C library's own clock_gettime, even if another function precedes it. A system call
/// would also work, but one signature reads the clock some 40 times, and the C library can do so without entering
/// the kernel.
fn libc_clock_gettime() -> *mut c_void {
    // SAFETY: the names are C strings. The C library is already loaded, and stays loaded.
    let found = unsafe {
        let library = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        if library.is_null() { null_mut() } else { libc::dlsym(library, c"clock_gettime".as_ptr()) }
    };
    if found.is_null() { by_system_call as ClockGettime as *mut c_void } else { found }
}

/// Reads the clock by a system call. Used where the C library has another name.
unsafe extern "C" fn by_system_call(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    // SAFETY: the arguments are those of clock_gettime(2).
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int }
}

/// Reads the date as the host sees it: gettimeofday(2) is not among the replaced functions.
unsafe fn host_date(time: *mut libc::timespec) -> c_int {
    let mut now = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: `now` lives as long as the call. The caller guarantees that `time` is valid for a write.
    unsafe {
        let answer = libc::gettimeofday(&mut now, null_mut());
        time.write(libc::timespec { tv_sec: now.tv_sec, tv_nsec: now.tv_usec * 1000 });
        answer
    }
}

/// Replaces epoll_wait(2): `faketime` divides the timeout by the rate of a clock that runs slow. Ends the calling
/// thread if the host has closed the thread's descriptors.
unsafe extern "C" fn epoll_wait(epoll: c_int, events: *mut libc::epoll_event, most: c_int, limit: c_int) -> c_int {
    if !descriptor_watch::is_watched() {
        // SAFETY: the caller upholds the contract of epoll_wait(2).
        return unsafe { epoll_pwait(epoll, events, most, limit) };
    }
    let start = Instant::now();
    let end = u64::try_from(limit).ok().map(|limit| start + Duration::from_millis(limit));
    loop {
        descriptor_watch::exit_thread_if_lost();
        let (waited, left) = (start.elapsed(), end.map(|end| end.saturating_duration_since(Instant::now())));
        let interval = waited.clamp(FIRST_CHECK_INTERVAL, MAX_CHECK_INTERVAL);
        // Rounded up, as in mio. Otherwise the last millisecond would be a busy loop.
        let part = (left.unwrap_or(interval).min(interval) + Duration::from_nanos(999_999)).as_millis() as c_int;
        // SAFETY: the caller upholds the contract of epoll_wait(2).
        let found = unsafe { epoll_pwait(epoll, events, most, part) };
        // The descriptor was closed, and its number has not been reused.
        if found == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EBADF) {
            descriptor_watch::exit_thread();
        }
        descriptor_watch::exit_thread_if_lost();
        if found != 0 || end.is_some_and(|end| Instant::now() >= end) {
            return found;
        }
    }
}

unsafe fn epoll_pwait(epoll: c_int, events: *mut libc::epoll_event, most: c_int, limit: c_int) -> c_int {
    let no_mask = null::<libc::sigset_t>();
    // SAFETY: the arguments are those of epoll_wait(2), and the caller upholds its contract.
    unsafe { libc::syscall(libc::SYS_epoll_pwait, epoll, events, most, limit, no_mask, SIGNAL_SET) as c_int }
}

/// The first interval after which a wait is interrupted to check that the descriptors still belong to this module.
/// Each later interval is as long as the time waited so far, so that an idle process is hardly ever woken.
const FIRST_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The longest interval between two checks of the descriptors.
const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Replaces poll(2), for the same reason as epoll_wait(2).
unsafe extern "C" fn poll(polled: *mut libc::pollfd, count: libc::nfds_t, limit: c_int) -> c_int {
    let timeout = i64::from(limit);
    let time = libc::timespec { tv_sec: timeout / 1000, tv_nsec: timeout % 1000 * 1_000_000 };
    let time = if timeout < 0 { null() } else { &raw const time };
    let no_mask = null::<libc::sigset_t>();
    // SAFETY: the arguments are those of poll(2); `time` lives as long as the call.
    unsafe { libc::syscall(libc::SYS_ppoll, polled, count, time, no_mask, SIGNAL_SET) as c_int }
}

/// Replaces nanosleep(2), for the same reason as epoll_wait(2).
unsafe extern "C" fn nanosleep(time: *const libc::timespec, left: *mut libc::timespec) -> c_int {
    // SAFETY: the arguments are those of nanosleep(2).
    unsafe { libc::syscall(libc::SYS_nanosleep, time, left) as c_int }
}

#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    () => {
        "jmp"
    };
}

#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    () => {
        "b"
    };
}

/// Defines the symbols that the linker's `--wrap` looks for. They are written in assembly, because `no_mangle`
/// would export them from the library.
macro_rules! stand_in {
    ($($name:literal: $function:path;)*) => { $(
        global_asm!(
            concat!(".pushsection .text.__wrap_", $name, ", \"ax\", %progbits"),
            concat!(".globl __wrap_", $name),
            concat!(".hidden __wrap_", $name),
            concat!(".type __wrap_", $name, ", %function"),
            concat!("__wrap_", $name, ":"),
            concat!(jump!(), " {function}"),
            ".popsection",
            function = sym $function,
        );
    )* };
}

stand_in! {
    "clock_gettime": clock_gettime;
    "epoll_wait": epoll_wait;
    "poll": poll;
    "nanosleep": nanosleep;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn now(clock: libc::clockid_t) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a live timespec.
        assert_eq!(unsafe { clock_gettime(clock, &mut time) }, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    #[test]
    fn clocks_return_kernel_time_and_host_date() {
        let since_start = || {
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            Duration::from_secs_f64(uptime.split(' ').next().unwrap().parse().unwrap())
        };
        // The file's resolution is a hundredth of a second.
        let (before, time, after) = (since_start(), now(libc::CLOCK_BOOTTIME), since_start());
        assert!(before <= time && time <= after + Duration::from_millis(20), "{before:?} {time:?} {after:?}");
        let (before, time) = (now(libc::CLOCK_MONOTONIC), &mut libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: `time` is a live timespec.
        assert_eq!(unsafe { by_system_call(libc::CLOCK_MONOTONIC, time) }, 0);
        let time = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        assert!(before <= time && time <= now(libc::CLOCK_MONOTONIC), "{before:?} {time:?}");
        let date = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let (before, time, after) = (date(), now(libc::CLOCK_REALTIME), date());
        assert!(before <= time + Duration::from_micros(1) && time <= after, "{before:?} {time:?} {after:?}");
    }

    #[test]
    fn an_unknown_clock_is_an_error() {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a live timespec.
        assert_eq!(unsafe { clock_gettime(-1000, &mut time) }, -1);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn waits_last_until_their_timeout() {
        let start = Instant::now();
        // SAFETY: `poll` receives no descriptors. The times and events live as long as the calls.
        unsafe {
            assert_eq!(poll(null_mut(), 0, 30), 0);
            let time = libc::timespec { tv_sec: 0, tv_nsec: 30_000_000 };
            assert_eq!(nanosleep(&time, null_mut()), 0);
            let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            assert_eq!(epoll_wait(epoll, &mut event, 1, 30), 0);
            libc::close(epoll);
        }
        assert!(start.elapsed() >= Duration::from_millis(90));
    }

    #[test]
    fn a_watched_wait_lasts_until_its_timeout() {
        let marker = tempfile::tempfile().unwrap();
        descriptor_watch::watch(marker.as_raw_fd());
        for limit in [0, 20, 1100] {
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            let start = Instant::now();
            // SAFETY: there is room for one event, and the descriptor belongs to this test.
            unsafe {
                let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
                assert_eq!(epoll_wait(epoll, &mut event, 1, limit), 0);
                libc::close(epoll);
            }
            assert!(start.elapsed() >= Duration::from_millis(limit as u64), "{limit} {:?}", start.elapsed());
        }
        descriptor_watch::unwatch();
    }

    #[test]
    fn poll_without_timeout_waits_for_an_event() {
        let mut ends = [0; 2];
        // SAFETY: `ends` has room for two descriptors, which belong to this test.
        unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            let mut polled = libc::pollfd { fd: ends[0], events: libc::POLLIN, revents: 0 };
            assert_eq!(poll(&mut polled, 1, 0), 0);
            assert_eq!(libc::write(ends[1], [7u8].as_ptr().cast(), 1), 1);
            assert_eq!(poll(&mut polled, 1, -1), 1);
            for end in ends {
                libc::close(end);
            }
        }
    }
}
