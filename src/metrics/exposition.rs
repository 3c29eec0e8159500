//! The text of metrics: OpenMetrics 1.0 ("OpenMetrics, a cloud-native, highly scalable metrics protocol", section 5.2.1).
//!
//! Only the types that Prometheus's older text format also has are used, because node_exporter reads its files by that
//! format: `counter`, `gauge` and `histogram`, but not `info`.

use std::fmt::{Display, Write};
use std::time::Duration;

/// A text under construction.
pub struct Exposition<'a> {
    /// The labels that each sample has.
    common: &'a [(&'static str, &'a str)],
    text: String,
}

impl<'a> Exposition<'a> {
    /// Begins a text. Each sample gets these labels, too.
    pub fn new(common: &'a [(&'static str, &'a str)]) -> Self {
        Self { common, text: String::with_capacity(16 << 10) }
    }

    /// Begins the samples of a metric family.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    /// Names the unit of the current metric family.
    pub fn unit(&mut self, name: &str, unit: &str) {
        let _ = writeln!(self.text, "# UNIT {name} {unit}");
    }

    /// Writes a sample.
    pub fn sample(&mut self, name: &str, labels: &[(&'static str, &str)], value: impl Display) {
        self.text.push_str(name);
        let mut separator = '{';
        for (label, value) in self.common.iter().chain(labels) {
            let _ = write!(self.text, "{separator}{label}=\"{}\"", escaped(value));
            separator = ',';
        }
        let end = if separator == ',' { "}" } else { "" };
        let _ = writeln!(self.text, "{end} {value}");
    }

    /// Writes a family whose only sample is 1 and whose labels are the information.
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&'static str, &str)]) {
        self.family(name, "gauge", help);
        self.sample(name, labels, 1);
    }

    /// Writes a family whose only sample is a time in seconds.
    pub fn seconds(&mut self, name: &str, help: &str, time: Duration) {
        self.family(name, "gauge", help);
        self.unit(name, "seconds");
        self.sample(name, &[], format_args!("{:?}", time.as_secs_f64()));
    }

    /// Ends the text.
    pub fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}

/// Returns the value of a label with the escape sequences of the format.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Exposition::new(&[("program", "a\"b\\c\nd")]);
        text.sample("x", &[("kind", "e")], 7);
        assert_eq!(text.finish(), "x{program=\"a\\\"b\\\\c\\nd\",kind=\"e\"} 7\n# EOF\n");
        let mut text = Exposition::new(&[]);
        text.sample("x", &[], 7);
        assert_eq!(text.finish(), "x 7\n# EOF\n");
    }
}
