//! How the plugins are in the processes that serve, in lines for people.

use jiff::Timestamp;

use crate::plugins::QuarantineStatus;
use crate::status_file::{Numbers, ProcessStatus};
use crate::tally::CallCounts;

/// Whether a process has the plugins that its configuration asks for, and calls them for everybody at this time.
pub(super) fn is_well(process: &ProcessStatus, now: Timestamp) -> bool {
    let well = process
        .plugins
        .iter()
        .all(|plugin| plugin.error.is_none() && plugin.quarantines.iter().all(|quarantine| is_over(quarantine, now)));
    process.refused.is_none() && well
}

/// Whether the next call is let through. A process tells of a quarantine again only when such a call was made.
fn is_over(quarantine: &QuarantineStatus, now: Timestamp) -> bool {
    quarantine.until.parse().is_ok_and(|until: Timestamp| until <= now)
}

/// A line for each process, and one for each thing that is not well in it. They hold text of plugins as it is.
pub(super) fn lines(processes: &[ProcessStatus], now: Timestamp) -> Vec<String> {
    if processes.is_empty() {
        return vec!["no `scout serve` runs".to_owned()];
    }
    let mut lines = Vec::new();
    for process in processes {
        let config = process.config.as_ref().map_or("defaults".to_owned(), |config| config.display().to_string());
        let (pid, revision, since) = (process.pid, process.revision, &process.since);
        lines.push(format!("serving since {since}: process {pid}, revision {revision} of {config}"));
        lines.extend(numbers(&process.numbers));
        lines.extend(process.refused.iter().map(|why| format!("  the configuration on disk does not serve: {why}")));
        for plugin in &process.plugins {
            let name = &plugin.name;
            if let Some(why) = &plugin.error {
                let meanwhile = plugin.digest.as_ref().map_or("nothing serves", |_| "the one before goes on");
                lines.push(format!("  {name}: cannot be used, {meanwhile}: {why}"));
            }
            for quarantine in &plugin.quarantines {
                let (principal, until, why) = (&quarantine.principal, &quarantine.until, &quarantine.why);
                lines.push(match is_over(quarantine, now) {
                    true => format!(
                        "  {name}: the next call of `{principal}` tries it again, after a quarantine until {until}: {why}"
                    ),
                    false => format!("  {name}: in quarantine for `{principal}` until {until}: {why}"),
                });
            }
        }
    }
    lines
}

/// What a process has done, for people: all its calls together.
fn numbers(numbers: &Numbers) -> Vec<String> {
    let Numbers { calls, connections, dialing, waiting, dials, hosts_without_shells: _ } = numbers;
    let total = CallCounts::total(calls);
    let outcomes: Vec<_> =
        total.outcomes.iter().map(|(outcome, calls)| format!("{calls} {}", outcome.name())).collect();
    let took = |of_hundred| match total.took(of_hundred) {
        Some(most) => format!("{} ms", most.as_millis()),
        None => "more time than is counted".to_owned(),
    };
    let mut lines = Vec::new();
    if total.calls() > 0 {
        lines.push(format!(
            "  calls: {} ({}), half within {}, 99 of 100 within {}",
            total.calls(),
            outcomes.join(", "),
            took(50),
            took(99)
        ));
        lines.push(format!(
            "  hosts: round trips {}, commands {} ({} in shells that stay), bytes {}",
            total.round_trips, total.execs, total.shell_execs, total.remote_bytes
        ));
    }
    if *dials > 0 {
        lines.push(format!("  connections: {connections} now, {dialing} being made, {dials} begun since the start; requests waiting: {waiting}"));
    }
    lines
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;
    use crate::plugins::{PluginStatus, QuarantineStatus};
    use crate::tally::Outcome;

    #[test]
    fn a_quarantine_a_broken_plugin_and_a_refused_configuration_are_told_with_why() {
        let good = PluginStatus {
            standing: "bundled".to_owned(),
            name: "mine".to_owned(),
            source: "/x/mine.wasm".to_owned(),
            digest: Some("0123456789abcdef".to_owned()),
            grants: vec!["files".to_owned(), "exec".to_owned()],
            tools: vec!["read".to_owned()],
            resources: Vec::new(),
            loading: false,
            error: None,
            quarantines: Vec::new(),
        };
        let quarantine = QuarantineStatus {
            principal: "local".to_owned(),
            until: "2026-11-21T12:00:00Z".to_owned(),
            why: "it crashed".to_owned(),
        };
        let running = PluginStatus {
            error: Some("is not a component".to_owned()),
            quarantines: vec![quarantine],
            ..good.clone()
        };
        let process = ProcessStatus {
            pid: 7,
            since: "2026-11-21T11:00:00Z".to_owned(),
            config: None,
            revision: 3,
            refused: Some("scout.toml:2: unknown key".to_owned()),
            plugins: vec![running.clone()],
            numbers: Numbers::default(),
        };
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let (during, after) = (at("2026-11-21T11:59:59Z"), at("2026-11-21T12:00:00Z"));
        let well = |plugin: &PluginStatus, now| {
            is_well(&ProcessStatus { refused: None, plugins: vec![plugin.clone()], ..process.clone() }, now)
        };
        assert!(!is_well(&process, after) && well(&good, during));
        let quarantined = PluginStatus { error: None, ..running };
        assert!(!well(&quarantined, during) && well(&quarantined, after));
        let text = lines(std::slice::from_ref(&process), after).join("\n");
        assert!(!text.contains("calls:") && !text.contains("connections:"), "nothing was asked: {text}");
        let says =
            "mine: the next call of `local` tries it again, after a quarantine until 2026-11-21T12:00:00Z: it crashed";
        assert!(text.contains(says), "{text}");
        let text = lines(&[process], during).join("\n");
        for says in [
            "process 7, revision 3 of defaults\n",
            "does not serve: scout.toml:2: unknown key\n",
            "mine: cannot be used, the one before goes on: is not a component\n",
            "mine: in quarantine for `local` until 2026-11-21T12:00:00Z: it crashed",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
    }

    #[test]
    fn what_a_process_has_done_is_told_in_numbers() {
        let counts = |outcome, calls, wall_ms| CallCounts {
            outcomes: [(outcome, calls)].into(),
            round_trips: calls,
            execs: 2,
            shell_execs: 1,
            remote_bytes: 10,
            wall_ms,
            ..CallCounts::default()
        };
        let calls =
            vec![counts(Outcome::Answered, 3, vec![(Some(4), 3)]), counts(Outcome::Refused, 1, vec![(Some(1), 1)])];
        let slow = counts(Outcome::Failed, 1, vec![(None, 1)]);
        let told = |calls, connections, dials| {
            numbers(&Numbers { calls, connections, dials, ..Numbers::default() }).join("\n")
        };
        assert_eq!(
            told(calls, 1, 2),
            "  calls: 4 (3 answered, 1 refused), half within 4 ms, 99 of 100 within 4 ms\n  \
             hosts: round trips 4, commands 4 (2 in shells that stay), bytes 20\n  \
             connections: 1 now, 0 being made, 2 begun since the start; requests waiting: 0"
        );
        assert!(told(vec![slow], 0, 0).contains("half within more time than is counted"));
    }
}
