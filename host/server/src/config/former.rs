//! Variables of scout_mcp, the server in Python that Scout replaces: those that mean the same, and what there is instead of the others.

/// Its first names for variables that Scout has.
const NAMES: [(&str, &str); 3] = [
    ("SCOUT_MAX_FILE_SIZE", "MCP_CAT_MAX_FILE_SIZE"),
    ("SCOUT_COMMAND_TIMEOUT", "MCP_CAT_COMMAND_TIMEOUT"),
    ("SCOUT_IDLE_TIMEOUT", "MCP_CAT_IDLE_TIMEOUT"),
];

const HTTP: &str = "`scout serve --http ADDRESS:PORT` serves over HTTP";
const KEYS: &str = "`scout key add` makes keys, and over HTTP nobody is answered without one";
const BOUNDS: &str = "what a client may have under way is bounded, without a setting";

/// Those that Scout does not have, and what there is instead.
const REPLACED: [(&str, &str); 13] = [
    ("SCOUT_TRANSPORT", HTTP),
    ("SCOUT_HTTP_HOST", HTTP),
    ("SCOUT_HTTP_PORT", HTTP),
    ("SCOUT_API_KEYS", KEYS),
    ("SCOUT_AUTH_ENABLED", KEYS),
    ("SCOUT_RATE_LIMIT_PER_MINUTE", BOUNDS),
    ("SCOUT_RATE_LIMIT_BURST", BOUNDS),
    ("SCOUT_STRICT_HOST_KEY_CHECKING", "host keys are always checked; `scout trust HOST` settles a new one"),
    ("SCOUT_LOG_LEVEL", "SCOUT_LOG says what is logged, as in `info`"),
    ("SCOUT_LOG_PAYLOADS", "the audit log has each command; `audit_reads = true` adds what was read"),
    ("SCOUT_SLOW_THRESHOLD_MS", "SCOUT_LOG=debug logs how long each operation took"),
    ("SCOUT_INCLUDE_TRACEBACK", "a fault of Scout is told with an id that is in the log"),
    ("SCOUT_ENABLE_UI", "answers are text, pictures and fields"),
];

/// The name that scout_mcp first had for a variable of ours.
pub(super) fn name_of(variable: &str) -> Option<&'static str> {
    NAMES.iter().find(|(ours, _)| *ours == variable).map(|(_, name)| *name)
}

/// What there is instead of a variable that Scout does not have.
pub(super) fn instead_of(variable: &str) -> Option<&'static str> {
    REPLACED.iter().find(|(name, _)| *name == variable).map(|(_, instead)| *instead)
}

/// All of them.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(_, name)| *name).chain(REPLACED.iter().map(|(name, _)| *name))
}
