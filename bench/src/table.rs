//! The table of results, in Markdown. The page's summary and plots are made from the same text.

use crate::outcome::Outcome;

/// A row: what was measured, the figure, the floor and the ratio to it, the goal, the figures of peer projects,
/// and the section.
#[derive(Default)]
pub struct Row {
    pub what: String,
    pub measured: String,
    pub floor: String,
    pub ratio: String,
    pub goal: &'static str,
    pub peers: &'static str,
    pub section: &'static str,
}

impl Row {
    pub fn new(section: &'static str, what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { section, what: what.into(), measured: measured.into(), ..Self::default() }
    }

    pub fn floor(mut self, floor: impl Into<String>, ratio: f64) -> Self {
        (self.floor, self.ratio) = (floor.into(), format!("{ratio:.2}"));
        self
    }

    pub fn goal(mut self, goal: &'static str) -> Self {
        self.goal = goal;
        self
    }

    pub fn peers(mut self, peers: &'static str) -> Self {
        self.peers = peers;
        self
    }
}

/// Returns one table per section in Markdown.
pub fn render(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut current = "";
    for Row { what, measured, floor, ratio, goal, peers, section } in rows {
        if *section != current {
            text += if current.is_empty() { "" } else { "\n" };
            text += &format!("## `scripts/bench.sh {section}`\n\n{HEAD}");
            current = section;
        }
        text += &format!("| {what} | {measured} | {floor} | {ratio} | {goal} | {peers} |\n");
    }
    text
}

const HEAD: &str = "| what | module | floor | ratio | goal | peer, measured earlier |\n|---|---|---|---|---|---|\n";

/// The text of a table, to look figures up by row.
pub struct Table<'a>(pub &'a str);

impl Table<'_> {
    fn cell(&self, what: &str, column: usize) -> Outcome<&str> {
        let mut rows = self.0.lines().map(|line| line.split('|').map(str::trim));
        let row = rows.find(|row| row.clone().nth(1) == Some(what));
        Ok(row.and_then(|mut row| row.nth(column)).ok_or_else(|| format!("the table has no row \"{what}\""))?)
    }

    pub fn measured(&self, what: &str) -> Outcome<&str> {
        self.cell(what, 2)
    }

    pub fn floor(&self, what: &str) -> Outcome<&str> {
        self.cell(what, 3)
    }

    pub fn ratio(&self, what: &str) -> Outcome<&str> {
        self.cell(what, 4)
    }

    pub fn peer(&self, what: &str) -> Outcome<&str> {
        self.cell(what, 6)
    }
}

/// Returns the number at the start of a cell. Times are converted to milliseconds.
pub fn number(cell: &str) -> Outcome<f64> {
    let mut words = cell.split([' ', ';']);
    let number: f64 = words.next().unwrap_or_default().parse().map_err(|_| format!("\"{cell}\" has no number"))?;
    Ok(if words.next() == Some("µs") { number / 1e3 } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendered_table_is_read_again() {
        let row = Row::new("warm", "latency", "196 µs").floor("55 µs", 3.578).peers("43 ms");
        let text = render(&[row, Row::new("size", "threads", "2")]);
        let table = Table(&text);
        assert_eq!(table.measured("latency").unwrap(), "196 µs");
        assert_eq!(table.floor("latency").unwrap(), "55 µs");
        assert_eq!(table.ratio("latency").unwrap(), "3.58");
        assert_eq!(table.peer("latency").unwrap(), "43 ms");
        assert_eq!(table.peer("threads").unwrap(), "");
        assert!(table.measured("late").is_err());
        assert_eq!(text.matches("## ").count(), 2);
    }

    #[test]
    fn a_number_is_in_milliseconds() {
        assert_eq!(number("196 µs").unwrap(), 0.196);
        assert_eq!(number("5.52 ms").unwrap(), 5.52);
        assert_eq!(number("4.5 ms; Sign 1").unwrap(), 4.5);
        assert_eq!(number("3110 (97.2 % of the limit)").unwrap(), 3110.0);
        assert!(number("skipped: not installed").is_err());
    }
}
