//! How much is logged.

/// How much is logged. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing.
    Off,
    /// A call failed, or a key, certificate or configuration can't be used. The default.
    Error,
    /// Something works otherwise than the user may expect.
    Warn,
    /// What was loaded from where.
    Info,
    /// Each request to a service, each call of the host.
    Debug,
}

impl Level {
    /// The level of that name in a configuration file or environment variable.
    pub fn from_name(name: &str) -> Option<Level> {
        LEVELS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(level, _)| *level)
    }

    /// The names of all levels, for error messages.
    pub fn names() -> Vec<&'static str> {
        LEVELS.iter().map(|(_, name)| *name).collect()
    }
}

pub(super) const LEVELS: &[(Level, &str)] = &[
    (Level::Off, "off"),
    (Level::Error, "error"),
    (Level::Warn, "warn"),
    (Level::Info, "info"),
    (Level::Debug, "debug"),
];
