//! One line of a diagnosis.

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In order.
    Ok,
    /// Something works, but not as well or as safely as it could.
    Warning,
    /// Something does not work.
    Problem,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked, a stable name for programs: "credentials", "identity", "name", "connection", "tls", "proxy",
    /// "clock", "key", "permission", "certificate", "replicas", "signature".
    pub name: &'static str,
    /// The outcome of the check.
    pub outcome: Outcome,
    /// What was found: one line.
    pub text: String,
    /// What to do, if it is not Ok.
    pub fix: Option<String>,
}
