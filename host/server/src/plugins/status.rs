//! How the plugins are, for people and other processes: plain data, without anything that serves.

use std::time::Duration;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use scout_runtime::Grants;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::loaded::Identity;
use super::{Entry, PluginOutcome, Plugins};

/// Quarantines of one plugin that are told; of more, the longest.
const MAX_QUARANTINES: usize = 20;
/// The longest text that tells why, in characters.
const MAX_WHY: usize = 300;

/// How one plugin is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// Where its component comes from: `bundled`, or a file.
    pub source: String,
    /// How far what the configuration asks for is vetted: `bundled`, `vetted`, `pinned` or `unvetted`.
    #[serde(default)]
    pub standing: String,
    /// SHA-256 of the component that serves, or will as soon as somebody needs it, in hexadecimal. Absent: none does, or none does
    /// yet.
    pub digest: Option<String>,
    /// What it may import.
    pub grants: Vec<String>,
    /// Its tools under the names that clients see.
    pub tools: Vec<String>,
    /// The templates of its resources.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Whether what the configuration asks for is still being loaded. With a digest, the one before serves meanwhile.
    pub loading: bool,
    /// Why what the configuration asks for does not serve. With a digest, the one before goes on.
    pub error: Option<String>,
    /// For whom it is not called now.
    pub quarantines: Vec<QuarantineStatus>,
}

/// One principal for whom a plugin is not called now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineStatus {
    /// Who.
    pub principal: String,
    /// When it is tried again, RFC 3339.
    pub until: String,
    /// Its last crash, as a sentence.
    pub why: String,
}

impl Plugins {
    /// How all plugins are now.
    pub fn status(&self) -> Vec<PluginStatus> {
        let outcomes = self.state.borrow().outcomes.clone();
        let is_needed = *self.needed.borrow();
        self.entries.iter().zip(outcomes).map(|(entry, outcome)| Self::status_of(entry, outcome, is_needed)).collect()
    }

    fn status_of(entry: &Entry, outcome: PluginOutcome, is_needed: bool) -> PluginStatus {
        let PluginOutcome { serving, error, is_decided } = outcome;
        let tools = serving.iter().flat_map(|serving| &serving.tools).map(|tool| tool.name.clone()).collect();
        let templates = serving.iter().filter_map(|serving| serving.resources.as_ref()).flat_map(|all| &all.templates);
        let resources = templates.map(|template| template.uri.clone()).collect();
        let serving = serving.map(|serving| serving.loaded);
        // What nobody has needed yet is known all the same: it was loaded here before.
        let identity = serving.as_ref().map(|loaded| &loaded.identity);
        let identity = identity.or(entry.brought_along.as_ref().filter(|_| !is_needed));
        let now = (Instant::now(), Timestamp::now());
        let mut quarantines = serving.as_ref().map(|loaded| loaded.breaker.quarantines(now.0)).unwrap_or_default();
        quarantines.sort_by_key(|(_, quarantine)| std::cmp::Reverse(quarantine.left));
        let told = quarantines.into_iter().take(MAX_QUARANTINES).map(|(principal, quarantine)| QuarantineStatus {
            principal: bounded(principal.name()),
            until: in_whole_seconds(now.1, quarantine.left),
            why: bounded(&quarantine.why),
        });
        PluginStatus {
            name: entry.name.clone(),
            source: entry.source.clone(),
            standing: entry.standing.to_owned(),
            digest: identity.map(Identity::digest_text),
            grants: identity.map(|identity| grants(identity.grants)).unwrap_or_default(),
            tools,
            resources,
            loading: !is_decided && is_needed,
            error: error.map(|error| bounded(&error.message)),
            quarantines: told.collect(),
        }
    }
}

/// The time after so long, not before it.
fn in_whole_seconds(now: Timestamp, left: Duration) -> String {
    let up = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
    let until = now.checked_add(left).and_then(|until| until.round(up));
    until.map_or_else(|_| String::new(), |until| format!("{until:.0}"))
}

/// Grants as `scout.toml` spells them.
fn grants(grants: Grants) -> Vec<String> {
    grants.iter().map(|interface| interface.name().to_owned()).collect()
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_WHY).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn who_comes_at_the_time_that_is_told_does_not_come_too_early() {
        let now: Timestamp = "2026-11-21T12:00:00.4Z".parse().unwrap();
        for (left, until) in [(30_000, "2026-11-21T12:00:31Z"), (29_600, "2026-11-21T12:00:30Z")] {
            assert_eq!(in_whole_seconds(now, Duration::from_millis(left)), until);
        }
    }
}
