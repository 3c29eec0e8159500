//! What a process has used: time, CPU time, memory, threads and libraries. Also the figures of a series of calls.

use crate::outcome::Outcome;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Returns the CPU time of all threads of this process.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Returns a number from /proc/self/status: VmRSS or VmHWM in KiB, or Threads.
pub fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Returns the paths of the shared libraries that are mapped into this process.
pub fn libraries() -> BTreeSet<String> {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = text.lines().filter_map(|line| line.split_whitespace().nth(5));
    paths.filter(|path| path.contains(".so")).map(str::to_owned).collect()
}

pub fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Starts `threads` threads, each of which calls a closure from `make` repeatedly for `time`. Returns the figures
/// of all calls. Times per call are in microseconds.
pub fn series<F>(threads: usize, time: Duration, make: impl Fn() -> Outcome<F>) -> Outcome<Value>
where
    F: FnMut() -> Outcome<()> + Send,
{
    let mut workers = (0..threads).map(|_| make()).collect::<Outcome<Vec<F>>>()?;
    // Warm up: open the connections and fill the caches.
    std::thread::scope(|scope| {
        let warm: Vec<_> = workers.iter_mut().map(|once| scope.spawn(|| (0..20).try_for_each(|_| once()))).collect();
        warm.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    let (start, cpu_before) = (Instant::now(), cpu());
    let mut calls = std::thread::scope(|scope| {
        let running: Vec<_> = workers.iter_mut().map(|once| scope.spawn(move || timed(once, start + time))).collect();
        running.into_iter().try_fold(Vec::new(), |mut all, thread| {
            all.extend(thread.join().map_err(|_| "a thread panicked")??);
            Outcome::Ok(all)
        })
    })?;
    let (elapsed, used) = (start.elapsed(), cpu() - cpu_before);
    calls.sort_by(f64::total_cmp);
    let at = |share: f64| calls.get((calls.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    let count = calls.len().max(1) as f64;
    Ok(json!({
        "calls": calls.len(), "min": at(0.0), "median": at(0.5), "p99": at(0.99),
        "rate": count / elapsed.as_secs_f64(), "cpu": us(used) / count,
        "threads": status("Threads"), "rss_kib": status("VmRSS"), "peak_kib": status("VmHWM"),
    }))
}

fn timed(once: &mut impl FnMut() -> Outcome<()>, end: Instant) -> Outcome<Vec<f64>> {
    let mut calls = Vec::with_capacity(1 << 16);
    let mut now = Instant::now();
    while now < end {
        once()?;
        let then = Instant::now();
        calls.push(us(then - now));
        now = then;
    }
    Ok(calls)
}
