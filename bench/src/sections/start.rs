//! A program that starts, signs once and ends: the time, the number of requests, and the parts of the time.

use crate::outcome::Outcome;
use crate::service::CONNECTIONS;
use crate::table::Row;
use crate::world::{Cloud, KeyNameKind, World};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Instant;

const ROUNDS: usize = 10;

/// The fastest of several runs of one program.
struct Run {
    wall_ms: f64,
    /// The least CPU time of all runs.
    cpu_ms: f64,
    report: Value,
    counts: Value,
}

impl Run {
    fn best(world: &World, environment: &[(&str, &str)]) -> Outcome<Self> {
        world.counts()?;
        let mut best: Option<Self> = None;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let report = world.client_with(&["once", &world.module, "EC"], environment)?;
            let wall_ms = start.elapsed().as_secs_f64() * 1e3;
            let cpu_ms = report["cpu_ms"].as_f64().unwrap_or(f64::NAN);
            let run = Self { wall_ms, cpu_ms, report, counts: world.counts()? };
            let least = best.as_ref().map_or(cpu_ms, |best| best.cpu_ms.min(cpu_ms));
            best = best.filter(|best| best.wall_ms < run.wall_ms).or(Some(run));
            best.iter_mut().for_each(|best| best.cpu_ms = least);
        }
        best.ok_or_else(|| "no run".into())
    }

    fn step(&self, name: &str) -> f64 {
        self.report["ms"][name].as_f64().unwrap_or(f64::NAN)
    }
}

pub fn rows(world: &World) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for cloud in Cloud::TLS {
        world.configure_one(cloud, false)?;
        let run = Run::best(world, &[])?;
        let name = cloud.name();
        let peers = cloud.select(["390 ms (CPU 250 ms)", "100 ms", "", ""]);
        let wall = format!("{:.1} ms (CPU {:.1} ms)", run.wall_ms, run.cpu_ms);
        rows.push(row(format!("one-shot program, {name}: whole process"), wall).goal("30 ms").peers(peers));
        let steps = ["dlopen", "C_Initialize", "find the key", "sign", "C_Finalize"];
        let steps = steps.map(|step| format!("{step} {:.1}", run.step(step))).join(", ");
        rows.push(row(format!("one-shot program, {name}: steps in ms"), steps));
        rows.push(
            row(format!("one-shot program, {name}: requests"), requests(&run.counts))
                .goal(cloud.select(["2", "2, token", "2", "2"])),
        );
        for kind in KeyNameKind::ALL {
            rows.push(cached_row(world, cloud, kind)?);
        }
        rows.push(row(format!("one-shot program, {name}: shares of the CPU time"), shares(world, cloud, &run)?));
        world.configure_one(cloud, false)?;
        let trips = round_trips(world, &run)?;
        rows.push(row(format!("one-shot program, {name}: sequential round trips, 20 ms service"), trips));
    }
    Ok(rows)
}

/// Measures a program that finds the public key in the cache.
fn cached_row(world: &World, cloud: Cloud, kind: KeyNameKind) -> Outcome<Row> {
    world.configure_one_cached(cloud, kind)?;
    Run::best(world, &[])?;
    let cached = Run::best(world, &[])?;
    let trips = round_trips(world, &cached)?;
    let measured = format!("{:.1} ms; {}; sequential round trips {trips}", cached.wall_ms, requests(&cached.counts));
    let goal = cloud.select(["1 request", "1 request, token", "1 request", "1 request with the version"]);
    Ok(row(format!("one-shot program, {}, {}", cloud.name(), kind.title(cloud)), measured).goal(goal))
}

/// Returns the number of replies of the service that the program waits for one after the other. `fast` is a run with a
/// service that replies at once.
fn round_trips(world: &World, fast: &Run) -> Outcome<String> {
    world.delay_ms(20)?;
    let slow = Run::best(world, &[])?;
    world.delay_ms(0)?;
    Ok(format!("{:.1}", (slow.wall_ms - fast.wall_ms) / 20.0))
}

fn row(what: impl Into<String>, measured: impl Into<String>) -> Row {
    Row::new("start", what, measured)
}

/// Returns the requests that the service received, by name, and the number of connections.
pub fn requests(counts: &Value) -> String {
    let counts = counts.as_object().cloned().unwrap_or_default();
    let named = counts.iter().filter(|(name, _)| *name != CONNECTIONS && *name != "at once");
    let named: Vec<String> =
        named.map(|(name, count)| format!("{} {count}", name.replace("TrentService.", ""))).collect();
    let connections = counts.get(CONNECTIONS).cloned().unwrap_or_default();
    format!("{}; connections {connections}", named.join(", "))
}

/// Returns the CPU time that single causes take. Each is the difference between a run with the cause and a run
/// without it.
fn shares(world: &World, cloud: Cloud, run: &Run) -> Outcome<String> {
    let ca = world.home.join("ca.pem").display().to_string();
    let without_anchors = Run::best(world, &[("SSL_CERT_FILE", &ca)])?;
    let slot = json!([World::slot(cloud, "bench", "ec")]);
    world.configure(cloud, "localhost", slot.clone())?;
    let by_name = Run::best(world, &[])?;
    let mut shares = vec![
        ("the system's trust anchors", run.cpu_ms - without_anchors.cpu_ms),
        ("resolving a host name in /etc/hosts", by_name.cpu_ms - run.cpu_ms),
    ];
    if cloud == Cloud::Aws {
        world.configure(Cloud::AwsPlain, "127.0.0.1", slot.clone())?;
        let plain = Run::best(world, &[])?;
        shares.push(("TLS without the trust anchors", without_anchors.cpu_ms - plain.cpu_ms));
        let file = world.home.join("credentials");
        std::fs::write(&file, "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n")?;
        let file = file.display().to_string();
        world.configure(cloud, "127.0.0.1", slot.clone())?;
        let own = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", ""), ("AWS_SHARED_CREDENTIALS_FILE", &*file)];
        let from_file = Run::best(world, &own)?;
        shares.push(("credentials in a file instead of variables", from_file.cpu_ms - run.cpu_ms));
    }
    world.configure(cloud, "127.0.0.1", slot)?;
    let shares: Vec<String> = shares.iter().map(|(name, ms)| format!("{name} {ms:.1} ms")).collect();
    Ok(shares.join(", "))
}

/// A program of another project that signs once.
struct Program {
    name: &'static str,
    title: &'static str,
    /// The arguments, separated by spaces. MODULE and DATA stand for the files.
    arguments: &'static str,
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "openssl",
        title: "openssl dgst",
        arguments: "dgst -sha256 -engine pkcs11 -keyform engine -sign pkcs11:token=bench;type=private -out /dev/null DATA",
    },
    Program {
        name: "pkcs11-tool",
        title: "pkcs11-tool",
        arguments: "--module MODULE --sign --mechanism ECDSA-SHA256 --token-label bench --input-file DATA \
                    --output-file /dev/null",
    },
];

/// Measures programs of other projects.
pub fn programs(world: &World) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    let data = world.home.join("data");
    std::fs::write(&data, "data")?;
    let data = data.display().to_string();
    for cloud in Cloud::TLS {
        for Program { name, title, arguments } in PROGRAMS {
            let argument = |word| match word {
                "MODULE" => &*world.module,
                "DATA" => &*data,
                word => word,
            };
            let arguments: Vec<&str> = arguments.split(' ').map(argument).collect();
            let what = format!("{title}, {}, 0 ms service", cloud.name());
            world.configure_one(cloud, false)?;
            let measured = |(ms, counts): (f64, Value)| format!("{ms:.1} ms; {}", requests(&counts));
            let Some(best) = best_of(world, name, &arguments)? else {
                rows.push(Row::new("programs", what, "skipped: not installed"));
                continue;
            };
            rows.push(Row::new("programs", what.clone(), measured(best)));
            for kind in KeyNameKind::ALL {
                world.configure_one_cached(cloud, kind)?;
                let cached = best_of(world, name, &arguments)?.map(measured).unwrap_or_default();
                rows.push(Row::new("programs", format!("{what}, {}", kind.title(cloud)), cached));
            }
        }
    }
    Ok(rows)
}

fn best_of(world: &World, program: &str, arguments: &[&str]) -> Outcome<Option<(f64, Value)>> {
    let mut best: Option<(f64, Value)> = None;
    world.counts()?;
    for _ in 0..ROUNDS {
        let mut command = world.command(program);
        command.env("PKCS11_MODULE_PATH", &world.module).args(arguments).stdin(Stdio::null());
        let start = Instant::now();
        let output = match command.output() {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let ms = start.elapsed().as_secs_f64() * 1e3;
        if !output.status.success() {
            return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let counts = world.counts()?;
        best = best.filter(|(least, _)| *least < ms).or(Some((ms, counts)));
    }
    Ok(best)
}
