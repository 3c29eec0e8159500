//! Signatures under a quota of the service, of which the threads together want three times as many: how much of the
//! quota they get, how long a call takes, and whether each thread gets its share.

use crate::outcome::Outcome;
use crate::table::Row;
use crate::world::{Cloud, World};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Signatures per second. KMS has this default quota for keys of one family in a region.
const QUOTA: usize = 1000;

/// The clouds that limit signatures by default. Vault limits no requests unless its operator says so.
const LIMITED: [Cloud; 3] = [Cloud::Aws, Cloud::Azure, Cloud::Google];

/// With this delay of the service, each thread can make 50 signatures per second, and 64 threads 3,200.
const DELAY_MS: u64 = 20;

const THREADS: usize = 64;

const TIME: Duration = Duration::from_secs(6);

pub fn rows(world: &World) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for cloud in LIMITED {
        for processes in [1, 8] {
            world.configure_one(cloud, false)?;
            world.delay_ms(DELAY_MS)?;
            world.control(&format!("quota/{QUOTA}"))?;
            let shares = measure(world, processes)?;
            let plural = if processes == 1 { "" } else { "es" };
            let what = format!(
                "{THREADS} threads in {processes} process{plural} want three times the quota of {QUOTA}/s, {}",
                cloud.name()
            );
            rows.push(Row::new("quota", what, Summary::of(&shares)?.to_string()).goal(GOAL));
        }
    }
    Ok(rows)
}

const GOAL: &str = "95 %, 0 failed";

/// Runs the processes at the same time. Returns the milliseconds of each call, by thread; a failed call is null.
fn measure(world: &World, processes: usize) -> Outcome<Vec<Vec<Value>>> {
    // Late enough for all processes to be ready.
    let start = (SystemTime::now() + Duration::from_secs(1)).duration_since(UNIX_EPOCH)?.as_millis();
    let numbers = [start, (THREADS / processes) as u128, TIME.as_millis()].map(|number| number.to_string());
    let [start, threads, time] = &numbers;
    let reports = std::thread::scope(|scope| {
        let client = || world.client(&["under-quota", &world.module, start, threads, time]).map_err(|e| e.to_string());
        let running: Vec<_> = (0..processes).map(|_| scope.spawn(client)).collect();
        running
            .into_iter()
            .map(|process| process.join().map_err(|_| "a thread panicked")?)
            .collect::<Result<Vec<_>, String>>()
    })?;
    Ok(serde_json::from_value::<Vec<Vec<Vec<Value>>>>(Value::Array(reports))?.into_iter().flatten().collect())
}

/// The figures of all calls.
struct Summary {
    goodput: f64,
    failed: usize,
    p50: f64,
    p99: f64,
    worst: f64,
    /// The signatures of the thread with the fewest, relative to the mean.
    least: f64,
}

impl Summary {
    fn of(threads: &[Vec<Value>]) -> Outcome<Self> {
        let mut times: Vec<f64> = threads.iter().flatten().filter_map(Value::as_f64).collect();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
        let made = |thread: &Vec<Value>| thread.iter().filter(|call| call.is_f64()).count();
        let least = threads.iter().map(made).min().unwrap_or(0) as f64;
        let mean = times.len() as f64 / threads.len() as f64;
        let (p50, p99) = at(0.5).zip(at(0.99)).ok_or("no call succeeded")?;
        Ok(Self {
            goodput: times.len() as f64 / TIME.as_secs_f64() / QUOTA as f64,
            failed: threads.iter().flatten().filter(|call| call.is_null()).count(),
            p50,
            p99,
            worst: times.last().copied().unwrap_or(p99),
            least: least / mean,
        })
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.1} % of the quota; {} calls failed; p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms; \
             the thread with the fewest signatures has {:.0} % of the mean",
            self.goodput * 100.0,
            self.failed,
            self.p50,
            self.p99,
            self.worst,
            self.least * 100.0
        )
    }
}
