//! The table of results.

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

/// Returns the table in Markdown.
pub fn render(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | module | floor | ratio | goal | peer (A, Z) | command |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Row { what, measured, floor, ratio, goal, peers, section } = row;
        text +=
            &format!("| {what} | {measured} | {floor} | {ratio} | {goal} | {peers} | `scripts/bench.sh {section}` |\n");
    }
    text
}
