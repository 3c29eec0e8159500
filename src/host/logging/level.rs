//! Log levels.

/// How much is logged. Each level includes the levels before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing is logged.
    Off,
    /// A call failed, or a key, certificate or configuration cannot be used. This is the default.
    Error,
    /// Something behaves differently from what the user may expect.
    Warn,
    /// What was loaded, and from where.
    Info,
    /// Each request to a service, and each call of the host.
    Debug,
}

impl Level {
    /// Returns the level with this name in a configuration file or an environment variable. The name is not
    /// case-sensitive.
    pub fn from_name(name: &str) -> Option<Level> {
        LEVELS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(level, _)| *level)
    }

    /// Returns the name of the level.
    pub fn name(self) -> &'static str {
        LEVELS.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| *name)
    }

    /// Returns the names of all levels, for error messages.
    pub fn names() -> Vec<&'static str> {
        LEVELS.iter().map(|(_, name)| *name).collect()
    }
}

const LEVELS: &[(Level, &str)] = &[
    (Level::Off, "off"),
    (Level::Error, "error"),
    (Level::Warn, "warn"),
    (Level::Info, "info"),
    (Level::Debug, "debug"),
];
