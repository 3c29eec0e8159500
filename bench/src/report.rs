//! The documents that a run writes: the table, and the summary and plots that are made from its text.

use crate::outcome::Outcome;
use crate::plot::{self, Bar, Panel, Plot, Scale, Series, grouped};
use crate::table::{Table, number};
use std::path::Path;

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";
const CLOUDS: [&str; 4] = ["AWS", "Azure", "Vault", "Google"];

/// Writes the table into the documents in `folder`, with everything that is made from it.
pub fn write(folder: &Path, table: &str) -> Outcome<()> {
    let documents = [("performance-table.md", table.to_owned()), ("performance.md", summary(&Table(table))?)];
    let plots = plots(&Table(table))?;
    for (name, text) in documents {
        let file = folder.join(name);
        let (head, _, tail) = split(&std::fs::read_to_string(&file)?, name)?;
        std::fs::write(file, format!("{head}{BEGIN}\n{text}{END}{tail}"))?;
    }
    for (name, svg) in plots {
        std::fs::write(folder.join("images").join(name), svg)?;
    }
    Ok(())
}

/// Makes summary and plots again from the table that is in `folder`.
pub fn redraw(folder: &Path) -> Outcome<()> {
    let name = "performance-table.md";
    let (_, table, _) = split(&std::fs::read_to_string(folder.join(name))?, name)?;
    write(folder, &table)
}

/// Returns what is before, between and after the marks.
fn split(text: &str, name: &str) -> Outcome<(String, String, String)> {
    let parts = text.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?)));
    let (head, (inside, tail)) = parts.ok_or_else(|| format!("{name} has no lines {BEGIN} and {END}"))?;
    Ok((head.to_owned(), inside.trim_start_matches('\n').to_owned(), tail.to_owned()))
}

fn warm(cloud: &str, delay: u64, figure: &str) -> String {
    format!("one warm P-256 signature, {cloud}, {delay} ms service: {figure}")
}

fn rate(cloud: &str, threads: u64, delay: u64) -> String {
    let plural = if threads == 1 { "" } else { "s" };
    format!("signatures/s, {threads} thread{plural}, {cloud}, {delay} ms service")
}

/// Returns the main figures as a list in Markdown.
fn summary(table: &Table) -> Outcome<String> {
    let each = |what: &dyn Fn(&str) -> String, value: &dyn Fn(&str) -> Outcome<String>| {
        let named = |cloud: &str| Outcome::Ok(format!("{} ({cloud})", value(&what(cloud))?));
        Outcome::Ok(CLOUDS.into_iter().map(named).collect::<Outcome<Vec<_>>>()?.join(", "))
    };
    let measured = |what: &str| Ok(table.measured(what)?.to_owned());
    let first =
        |what: &str| Ok(table.measured(what)?.split([';', ',', '(']).next().unwrap_or_default().trim().to_owned());
    let initialize = |what: &str| Ok(first(what)?.replace("C_Initialize ", ""));
    let floor = |what: &str| Ok(table.floor(what)?.to_owned());
    let times = |what: &str| Ok(format!("{} times", table.ratio(what)?));
    let requests = |what: &str| Ok(requests(table, what)?.len().to_string());
    let count = |what: &str| Ok(grouped(number(table.measured(what)?)?));
    let limit = |what: &str| {
        let cell = table.measured(what)?;
        Ok(cell.split_once('(').map_or(cell, |(_, share)| share.split_once(" of").map_or(share, |s| s.0)).to_owned())
    };
    let latency = |cloud: &str| warm(cloud, 0, "latency");
    let cpu = |cloud: &str| warm(cloud, 0, "CPU");
    let slow = |cloud: &str| warm(cloud, 5, "latency");
    let once = |cloud: &str| format!("one-shot program, {cloud}: whole process");
    let sent = |cloud: &str| format!("one-shot program, {cloud}: requests");
    let cached = |cloud: &str| format!("one-shot program, {cloud}, cached public key");
    let keys = |cloud: &str| format!("10000 keys, one slot per key, {cloud}");
    let memory = |cloud: &str| format!("resident memory after the first signature, {cloud} (peak)");
    Ok(format!(
        "* **A program that starts, signs once and ends**: {}, plus the service's time.\n  \
         Requests: {}. With a cached public key: {}. `scripts/bench.sh start`\n\
         * **One more signature in a running program**: {}, plus the service's time.\n  \
         The bare client: {}. CPU time: {}. `scripts/bench.sh warm`\n\
         * **Latency with a service that takes 5 ms**, relative to the bare client: {}. `scripts/bench.sh warm`\n\
         * **64 threads, service takes 20 ms**: {} of the limit (64 signatures in 20 ms).\n  \
         `scripts/bench.sh throughput`\n\
         * **64 threads, service takes no time**: {} signatures/s. `scripts/bench.sh throughput`\n\
         * **C_Initialize with 10,000 keys**: {}. `scripts/bench.sh keys`\n\
         * **Size**: the library is {}. Resident memory of the process after a signature: {}.\n  `scripts/bench.sh size`\n",
        each(&once, &first)?,
        each(&sent, &requests)?,
        each(&cached, &requests)?,
        each(&latency, &measured)?,
        each(&latency, &floor)?,
        each(&cpu, &measured)?,
        each(&slow, &times)?,
        each(&|cloud| rate(cloud, 64, 20), &limit)?,
        each(&|cloud| rate(cloud, 64, 0), &count)?,
        each(&keys, &initialize)?,
        table.measured("size of the library (.so), stripped")?,
        each(&memory, &first)?,
    ))
}

/// Returns the names of the requests of a row, each as often as it was sent.
fn requests(table: &Table, what: &str) -> Outcome<Vec<String>> {
    let cell = table.measured(what)?.split(';').find(|part| !part.trim_end().ends_with("ms")).unwrap_or_default();
    let mut names = Vec::new();
    for request in cell.split(',') {
        let (name, count) = request.trim().rsplit_once(' ').ok_or_else(|| format!("{what}: no requests"))?;
        names.extend(std::iter::repeat_n(name.to_owned(), count.parse()?));
    }
    Ok(names)
}

fn bar(series: Series, cell: &str) -> Outcome<Bar> {
    let value = number(cell)?;
    let text =
        if value >= 1000.0 { cell.replacen(&format!("{value:.0}"), &grouped(value), 1) } else { cell.to_owned() };
    Ok(Bar { series, value, text, boxes: Vec::new() })
}

/// Returns the bars of one row of the table: module, floor and peer, as far as the row has them.
fn bars(table: &Table, what: &str) -> Outcome<Vec<Bar>> {
    let short = |cell: &str| cell.split([';', '(']).next().unwrap_or_default().trim().to_owned();
    let mut bars = vec![bar(Series::Module, &short(table.measured(what)?))?];
    let others = [(Series::Floor, table.floor(what)?), (Series::Peer, table.peer(what)?)];
    for (series, cell) in others.into_iter().filter(|(_, cell)| !cell.is_empty()) {
        let text = if series == Series::Peer { cell.to_owned() } else { short(cell) };
        bars.push(bar(series, &text)?);
    }
    Ok(bars)
}

type Groups = Vec<(String, Vec<Bar>)>;

/// Returns a panel whose axis goes from the power of ten below the least figure to the one above the greatest.
fn logarithmic(title: &str, unit: &'static str, groups: Groups) -> Panel {
    let values = || groups.iter().flat_map(|(_, bars)| bars).map(|bar| bar.value.log10());
    let from = 10_f64.powf(values().fold(f64::INFINITY, f64::min).floor());
    let to = 10_f64.powf(values().fold(f64::NEG_INFINITY, f64::max).ceil());
    Panel { title: title.to_owned(), scale: Scale::Log { from, to, unit }, groups }
}

/// Returns the pictures with their file names.
fn plots(table: &Table) -> Outcome<[(&'static str, String); 2]> {
    let each = |label: &str, what: &dyn Fn(&str) -> String| -> Outcome<Groups> {
        CLOUDS.iter().map(|cloud| Ok((format!("{cloud}, {label}"), bars(table, &what(cloud))?))).collect()
    };
    let mut latency = each("service takes 0 ms", &|cloud| warm(cloud, 0, "latency"))?;
    latency.extend(each("service takes 5 ms", &|cloud| warm(cloud, 5, "latency"))?);
    let mut rates = each("1 thread, 0 ms", &|cloud| rate(cloud, 1, 0))?;
    rates.extend(each("64 threads, 0 ms", &|cloud| rate(cloud, 64, 0))?);
    rates.extend(each("64 threads, 20 ms", &|cloud| rate(cloud, 64, 20))?);
    let signing = Plot {
        title: "Signing in a running program".to_owned(),
        description: "Latency of one P-256 signature and signatures per second, for this module, for a minimal HTTP \
                      client and, measured earlier, for the modules that it replaces. The same figures are in \
                      performance-table.md."
            .to_owned(),
        panels: vec![
            logarithmic("Latency of one P-256 signature (logarithmic, shorter is better)", " ms", latency),
            logarithmic("Signatures per second (logarithmic, longer is better)", "", rates),
        ],
    };
    Ok([("performance-signing.svg", plot::render(&signing)), ("performance-one-shot.svg", one_shot(table)?)])
}

fn one_shot(table: &Table) -> Outcome<String> {
    let (mut times, mut sent) = (Vec::new(), Vec::new());
    for cloud in CLOUDS {
        let whole = format!("one-shot program, {cloud}: whole process");
        let cached = format!("one-shot program, {cloud}, cached public key");
        times.push((format!("{cloud}, minimal program"), bars(table, &whole)?));
        for program in ["openssl dgst", "pkcs11-tool"] {
            if let Ok(bars) = bars(table, &format!("{program}, {cloud}, 0 ms service")) {
                times.push((format!("{cloud}, {program}"), bars));
            }
        }
        for (label, row) in
            [("first run", format!("one-shot program, {cloud}: requests")), ("cached public key", cached)]
        {
            let boxes = requests(table, &row)?;
            let (value, text) = (boxes.len() as f64, boxes.len().to_string());
            sent.push((format!("{cloud}, {label}"), vec![Bar { series: Series::Module, value, text, boxes }]));
        }
    }
    Ok(plot::render(&Plot {
        title: "A program that starts, signs once and ends".to_owned(),
        description: "Milliseconds and requests of a program that signs once, with this module and, measured earlier, \
                      with the modules that it replaces. The same figures are in performance-table.md."
            .to_owned(),
        panels: vec![
            logarithmic("Time of the whole process, service takes 0 ms (logarithmic, shorter is better)", " ms", times),
            Panel { title: "Requests, in order of name".to_owned(), scale: Scale::Linear { to: 4.0 }, groups: sent },
        ],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_and_plots_are_those_of_the_table() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let (_, table, _) = split(&read("performance-table.md"), "table").unwrap();
        let hint = "make them again: cloud-kms-bench redraw docs";
        assert_eq!(split(&read("performance.md"), "page").unwrap().1, summary(&Table(&table)).unwrap(), "{hint}");
        for (name, svg) in plots(&Table(&table)).unwrap() {
            assert_eq!(read(&format!("images/{name}")), svg, "{hint}");
            assert_eq!(labels_outside(&svg), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn the_axis_has_room_for_each_figure() {
        let groups =
            vec![("group".to_owned(), vec![bar(Series::Module, "15").unwrap(), bar(Series::Floor, "112415").unwrap()])];
        let panel = logarithmic("panel", "", groups);
        assert!(matches!(panel.scale, Scale::Log { from: 10.0, to: 1_000_000.0, .. }));
        assert_eq!(panel.groups[0].1[1].text, "112,415");
    }

    #[test]
    fn a_label_outside_of_the_picture_is_found() {
        let svg = "<svg viewBox=\"0 0 860 100\">\n  <text x=\"800.0\" y=\"20.0\" fill=\"x\">far too long a text</text>";
        assert_eq!(labels_outside(svg).len(), 1);
    }

    /// Returns the texts that reach over the edge of the picture, if a character takes 7.5 of its width.
    fn labels_outside(svg: &str) -> Vec<String> {
        let number = |line: &str, name: &str| -> f64 {
            line.split_once(&format!(" {name}=\"")).unwrap().1.split_once('"').unwrap().0.parse().unwrap()
        };
        let size = svg.split_once("viewBox=\"0 0 ").unwrap().1.split_once('"').unwrap().0;
        let (width, height) = size.split_once(' ').map(|(w, h)| (w.parse().unwrap(), h.parse().unwrap())).unwrap();
        let outside = |line: &&str| {
            let text = line.split_once('>').unwrap().1.trim_end_matches("</text>");
            let (x, y, long): (f64, f64, f64) =
                (number(line, "x"), number(line, "y"), text.chars().count() as f64 * 7.5);
            let from = if line.contains("\"end\"") {
                x - long
            } else if line.contains("\"middle\"") {
                x - long / 2.0
            } else {
                x
            };
            from < 0.0 || from + long > width || y < 0.0_f64 || y > height
        };
        svg.lines().filter(|line| line.contains("<text ")).filter(outside).map(str::to_owned).collect()
    }
}
