//! Many keys: one slot per key, all keys configured in one token, and all keys discovered in one token.

use crate::outcome::Outcome;
use crate::sections::start::requests;
use crate::service::KEY_RING;
use crate::table::Row;
use crate::world::{Cloud, World};
use serde_json::{Value, json};

/// The delay of each reply, in milliseconds. The delay shows how many requests are in flight at once.
const DELAY_MS: u64 = 5;

/// The number of profile objects of each token, besides its keys.
const PROFILES: usize = 4;

const COUNTS: [usize; 4] = [1, 100, 1_000, 10_000];

pub fn rows(world: &World) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for cloud in Cloud::TLS {
        for (layout, slots) in LAYOUTS {
            for count in COUNTS {
                world.configure(cloud, "127.0.0.1", slots(cloud, count))?;
                world.control(&format!("keys/{count}"))?;
                world.counts()?;
                world.delay_ms(DELAY_MS)?;
                let wanted = if layout == "discovered" { name(count - 1) } else { label(count - 1) };
                let report = world.client(&["keys", &world.module, &wanted])?;
                let tokens = if layout == "one slot per key" { count } else { 1 };
                if report["found"] != 1 || report["objects"] != 2 * count + PROFILES * tokens {
                    return Err(format!("{count} keys, {layout}: {report}").into());
                }
                let plural = if count == 1 { "" } else { "s" };
                let what = format!("{count} key{plural}, {layout}, {}", cloud.name());
                rows.push(row(count, what, &report, &world.counts()?));
            }
        }
    }
    Ok(rows)
}

type Layout = (&'static str, fn(Cloud, usize) -> Value);

const LAYOUTS: [Layout; 3] = [
    ("one slot per key", |cloud, count| (0..count).map(|n| World::slot(cloud, &label(n), &name(n))).collect()),
    ("one token", |cloud, count| {
        let keys: Vec<Value> =
            (0..count).map(|n| json!({ cloud.key_option(): cloud.key_name(&name(n)), "label": label(n) })).collect();
        json!([{ "label": "bench", "keys": keys }])
    }),
    ("discovered", |cloud, _| {
        let mut slot = json!({ "label": "bench", "cloud": cloud.id(), "discover": true });
        if cloud == Cloud::Google {
            slot["google_key_ring"] = json!(KEY_RING);
        }
        json!([slot])
    }),
];

/// Returns a label that fits into a token's label.
fn label(number: usize) -> String {
    format!("key {number}")
}

/// Returns the name under which the fake service lists a key.
fn name(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

fn row(count: usize, what: String, report: &Value, counts: &Value) -> Row {
    let ms = |name: &str| report[name].as_f64().unwrap_or(f64::NAN);
    let kib = report["kib"].as_f64().unwrap_or(f64::NAN) / count as f64;
    let memory = if count >= 1000 { format!(", {kib:.1} KiB per key") } else { String::new() };
    let measured = format!(
        "C_Initialize {:.1} ms, C_GetSlotList {:.1} ms, find one by label {:.1} ms, find all {:.0} ms{memory}; {}, at \
         most {} requests at once",
        ms("C_Initialize"),
        ms("C_GetSlotList"),
        ms("one"),
        ms("all"),
        requests(counts),
        counts["at once"],
    );
    Row::new("keys", what, measured).goal(if count == 10_000 { "C_Initialize below 5 ms" } else { "" })
}
