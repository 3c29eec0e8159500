//! Warm signatures: latency, CPU time and throughput, each next to the floor of the same run.

use crate::outcome::Outcome;
use crate::table::Row;
use crate::world::{Cloud, World};
use serde_json::Value;

/// Several alternating rounds of module and floor. The best figure of all rounds counts, because other load on the
/// machine only makes figures worse.
pub struct Pair {
    module: Vec<Value>,
    floor: Vec<Value>,
}

const ROUNDS: usize = 3;

impl Pair {
    pub fn measure(world: &World, cloud: Cloud, rsa: bool, threads: usize, ms: u64) -> Outcome<Self> {
        world.configure_one(cloud, rsa)?;
        let mut pair = Self { module: Vec::new(), floor: Vec::new() };
        for _ in 0..ROUNDS {
            pair.module.push(world.warm(threads, ms, rsa)?);
            pair.floor.push(world.floor(cloud, threads, ms)?);
        }
        Ok(pair)
    }

    /// Returns the least value of a figure, for the module and for the floor.
    pub fn least(&self, name: &str) -> (f64, f64) {
        let least = |all: &[Value]| all.iter().filter_map(|one| one[name].as_f64()).fold(f64::INFINITY, f64::min);
        (least(&self.module), least(&self.floor))
    }

    fn most(&self, name: &str) -> (f64, f64) {
        let most = |all: &[Value]| all.iter().filter_map(|one| one[name].as_f64()).fold(0.0, f64::max);
        (most(&self.module), most(&self.floor))
    }
}

pub fn rows(world: &World) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for (cloud, rsa, delay) in [
        (Cloud::AwsPlain, false, 0),
        (Cloud::Aws, false, 0),
        (Cloud::Azure, false, 0),
        (Cloud::Vault, false, 0),
        (Cloud::Google, false, 0),
        (Cloud::Aws, true, 0),
        (Cloud::Aws, false, 5),
        (Cloud::Azure, false, 5),
        (Cloud::Vault, false, 5),
        (Cloud::Google, false, 5),
    ] {
        world.delay_ms(delay)?;
        let pair = Pair::measure(world, cloud, rsa, 1, 1500)?;
        let key = if rsa { "RSA-2048" } else { "P-256" };
        let what = format!("one warm {key} signature, {}, {delay} ms service", cloud.name());
        let (module, floor) = pair.least("median");
        let latency = Row::new("warm", format!("{what}: latency"), micros(module)).floor(micros(floor), module / floor);
        let (module, floor) = pair.least("cpu");
        let cpu = Row::new("warm", format!("{what}: CPU"), micros(module)).floor(micros(floor), module / floor);
        let peer = |figures| if rsa || cloud == Cloud::AwsPlain { "" } else { cloud.select(figures) };
        match delay {
            0 => rows.extend([
                latency.peers(peer(["43 ms", "0.54 ms", "", ""])),
                cpu.goal("0.25 ms").peers(peer(["43 ms", "0.42 ms", "", ""])),
            ]),
            _ => rows.push(latency.goal("ratio 1.05")),
        }
    }
    Ok(rows)
}

fn micros(us: f64) -> String {
    if us >= 1000.0 { format!("{:.2} ms", us / 1000.0) } else { format!("{us:.0} µs") }
}

pub fn throughput(world: &World) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for delay in [20, 0] {
        for threads in [1, 8, 64] {
            for cloud in Cloud::TLS {
                world.delay_ms(delay)?;
                let pair = Pair::measure(world, cloud, false, threads, 1500)?;
                let (module, floor) = pair.most("rate");
                let plural = if threads == 1 { "" } else { "s" };
                let what = format!("signatures/s, {threads} thread{plural}, {}, {delay} ms service", cloud.name());
                let row =
                    Row::new("throughput", what, format!("{module:.0}")).floor(format!("{floor:.0}"), module / floor);
                let row = row.peers(peers(cloud, delay, threads));
                let row = match delay {
                    0 if threads == 1 => row.goal("3000, close to the floor"),
                    0 => row.goal("close to the floor"),
                    _ => {
                        let share = module / (threads as f64 * 1000.0 / delay as f64);
                        let measured = format!("{} ({:.1} % of the limit)", row.measured, share * 100.0);
                        Row { measured, ..row }.goal("95 % of the limit")
                    }
                };
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

/// Returns the throughput that the peer project for that cloud reached.
fn peers(cloud: Cloud, delay: u64, threads: usize) -> &'static str {
    cloud.select(match (delay, threads) {
        (0, 1) => ["23", "1840", "", ""],
        (0, _) => ["19 (16 threads)", "2370 (16 threads)", "", ""],
        (_, 8..) => ["15 (16 threads)", "582 (16 threads)", "", ""],
        _ => [""; 4],
    })
}
