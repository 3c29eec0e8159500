//! The size of the library, and the resources that it takes in a process.

use crate::outcome::Outcome;
use crate::table::Row;
use crate::world::{Cloud, World};
use std::process::Command;

pub fn rows(world: &World) -> Outcome<Vec<Row>> {
    let bytes = std::fs::metadata(&world.module)?.len();
    let row = |what: &str, measured: String| Row::new("size", what, measured);
    let mut rows = vec![
        row("size of the library (.so), stripped", format!("{:.1} MB", bytes as f64 / 1e6))
            .goal("15 MB")
            .peers("5.5 MB, 1.6 MB"),
        row(
            "exported symbols",
            lines(Command::new("nm").args(["-D", "--defined-only", &world.module]), "")?.len().to_string(),
        )
        .goal("3")
        .peers("8652, 1"),
        row("libraries that it needs (readelf -d)", needed(&world.module)?).goal("only libgcc and the C library"),
    ];
    for cloud in Cloud::TLS {
        world.configure_one(cloud, false)?;
        let used = world.client(&["once", &world.module, "EC"])?["used"].take();
        let mib = |name: &str| used[name].as_f64().unwrap_or(f64::NAN) / 1024.0;
        let name = cloud.name();
        let peers = cloud.select([("39 MiB", "37"), ("33 MiB", "37"), ("", ""), ("", "")]);
        rows.extend([
            row(
                &format!("resident memory after the first signature, {name} (peak)"),
                format!("{:.1} MiB ({:.1} MiB)", mib("rss_kib"), mib("peak_kib")),
            )
            .goal("25 MiB")
            .peers(peers.0),
            row(&format!("shared libraries that it adds to the process, {name}"), used["libraries"].to_string())
                .peers(peers.1),
            row(&format!("threads of the process after a signature, {name}"), used["threads"].to_string()),
        ]);
    }
    Ok(rows)
}

/// Returns the libraries that the module needs. In the output of readelf each name is at the end of a line:
/// `[libc.so.6]`.
fn needed(module: &str) -> Outcome<String> {
    let lines = lines(Command::new("readelf").args(["-d", module]), "(NEEDED)")?;
    let names = lines.iter().filter_map(|line| Some(line.rsplit_once('[')?.1.trim_end_matches(']').to_owned()));
    Ok(names.collect::<Vec<_>>().join(", "))
}

/// Returns the lines of a program's output that contain `word`.
fn lines(command: &mut Command, word: &str) -> Outcome<Vec<String>> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|line| line.contains(word)).map(str::to_owned).collect())
}
