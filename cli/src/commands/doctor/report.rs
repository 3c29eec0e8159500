//! The report: groups of checks, as text and as JSON.

use crate::output::{BOLD, DIMMED, GREEN, RED, YELLOW, styled};
use anstyle::Style;
use cloud_kms_pkcs11::diagnosis::SlotReport;
use cloud_kms_pkcs11::diagnosis::check::{Check, Outcome};
use serde_json::{Value, json};

/// Everything that was checked.
pub struct Report {
    /// The checks of this machine, by the name of their group.
    pub groups: Vec<(&'static str, Vec<Check>)>,
    /// The checks of each slot.
    pub slots: Vec<SlotReport>,
}

impl Report {
    /// Returns the number of checks with this outcome.
    pub fn count(&self, outcome: &Outcome) -> usize {
        let of_slots = self.slots.iter().flat_map(|slot| &slot.checks);
        let all = self.groups.iter().flat_map(|(_, checks)| checks).chain(of_slots);
        all.filter(|check| check.outcome == *outcome).count()
    }

    /// Returns the report with one line per check, and one per fix.
    pub fn text(&self) -> String {
        let groups = self.groups.iter().map(|(name, checks)| paragraph(&styled(BOLD, name), checks));
        let slots = self.slots.iter().map(|slot| {
            let place =
                if slot.place.is_empty() { String::new() } else { format!("  {}", styled(DIMMED, &slot.place)) };
            paragraph(&format!("{}{place}", styled(BOLD, &slot.label)), &slot.checks)
        });
        let paragraphs: Vec<_> = groups.chain(slots).chain([self.summary()]).collect();
        paragraphs.join("\n")
    }

    fn summary(&self) -> String {
        let (problems, warnings) = (self.count(&Outcome::Problem), self.count(&Outcome::Warning));
        let style = appearance(if problems > 0 {
            &Outcome::Problem
        } else if warnings > 0 {
            &Outcome::Warning
        } else {
            &Outcome::Ok
        })
        .0;
        let text = format!("{}, {}", number(problems, "problem"), number(warnings, "warning"));
        format!("{}\n", styled(style, &text))
    }

    /// Returns the report as a JSON document. Its members and the names of checks are stable; texts and fixes are for
    /// people.
    pub fn json(&self) -> Value {
        let groups = self.groups.iter().map(|(name, checks)| json!({ "name": name, "checks": as_json(checks) }));
        let slots = self
            .slots
            .iter()
            .map(|slot| json!({ "label": slot.label, "place": slot.place, "checks": as_json(&slot.checks) }));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "problems": self.count(&Outcome::Problem),
            "warnings": self.count(&Outcome::Warning),
            "groups": groups.collect::<Vec<_>>(),
            "slots": slots.collect::<Vec<_>>(),
        })
    }
}

fn number(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// Returns how an outcome looks.
fn appearance(outcome: &Outcome) -> (Style, &'static str) {
    match outcome {
        Outcome::Ok => (GREEN, "ok"),
        Outcome::Warning => (YELLOW, "warning"),
        Outcome::Problem => (RED, "problem"),
    }
}

fn paragraph(head: &str, checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let lines = checks.iter().map(|check| {
        let (style, word) = appearance(&check.outcome);
        let (name, padding) = (check.name, " ".repeat(7 - word.len()));
        let fix = check.fix.as_deref().filter(|_| check.outcome != Outcome::Ok);
        let fix = fix.map(|fix| format!("           {} {}\n", styled(BOLD, "fix:"), visible(fix)));
        format!(
            "  {}{padding}  {name:<width$}  {}\n{}",
            styled(style, word),
            visible(&check.text),
            fix.unwrap_or_default()
        )
    });
    format!("{head}\n{}", lines.collect::<String>())
}

/// Returns a text of which no part moves the cursor of a terminal or begins a line: it may quote a service or a file.
fn visible(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

fn as_json(checks: &[Check]) -> Vec<Value> {
    let outcome = |check: &Check| appearance(&check.outcome).1;
    let object =
        |check: &Check| json!({ "name": check.name, "outcome": outcome(check), "text": check.text, "fix": check.fix });
    checks.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let slots = vec![SlotReport {
            label: "web".into(),
            place: "AWS KMS in eu-central-1".into(),
            checks: vec![Check::problem("key", "the key is\x1b[2J\ndisabled", "enable it")],
        }];
        Report {
            groups: vec![("host", vec![Check::ok("openssl", "fine"), Check::warning("p11-kit", "none", "add it")])],
            slots,
        }
    }

    #[test]
    fn a_check_is_a_line_and_a_fix_another() {
        let text = anstream::adapter::strip_str(&report().text()).to_string();
        let expected = "host\n  ok       openssl  fine\n  warning  p11-kit  none\n           fix: add it\n\n\
                        web  AWS KMS in eu-central-1\n  problem  key  the key is [2J disabled\n           fix: enable it\n\n\
                        1 problem, 1 warning\n";
        assert_eq!(text, expected);
        assert!(!report().text().contains("\x1b[2J"), "a reply of a service can't clear the terminal");
    }

    #[test]
    fn json_has_every_check() {
        let made = report().json();
        assert_eq!((&made["problems"], &made["warnings"]), (&json!(1), &json!(1)));
        let expected = json!({ "name": "p11-kit", "outcome": "warning", "text": "none", "fix": "add it" });
        assert_eq!(made["groups"][0]["checks"][1], expected);
        assert_eq!(made["slots"][0]["label"], "web");
    }
}
