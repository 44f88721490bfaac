//! Services of OpenRC, from the directories in which it keeps their states. Pure.
//!
//! Not from `rc-status`: that program writes OpenRC's cache of dependencies anew and runs init scripts for it where the cache is old.
//! A directory of links for each state is what it reads too; only that a started service has crashed is not to be seen there.

use crate::show::Unit;

/// The words of the command that lists them.
pub(crate) const LIST: [&str; 15] = [
    "ls",
    "-1",
    "--",
    "/run/openrc/started",
    "/run/openrc/starting",
    "/run/openrc/stopping",
    "/run/openrc/inactive",
    "/run/openrc/failed",
    "/run/openrc/scheduled",
    "/etc/runlevels/sysinit",
    "/etc/runlevels/boot",
    "/etc/runlevels/default",
    "/etc/runlevels/shutdown",
    "/etc/init.d",
    SYSTEMD,
];

/// The directory by which systemd tells programs that it runs (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";

/// States of OpenRC as systemd calls them. A later one is more telling: a service may be started and inactive.
const STATES: [(&str, &str); 6] = [
    ("started", "active"),
    ("scheduled", "inactive"),
    ("inactive", "inactive"),
    ("starting", "activating"),
    ("stopping", "deactivating"),
    ("failed", "failed"),
];

/// The most that is read of their names, in bytes: a host has some dozens of services, and each is looked for among all.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// Files beside the services that are none.
const NO_SERVICES: [&str; 5] = ["functions.sh", "rc", "rcS", "README", "skeleton"];

/// Whether systemd runs, as its directory says.
pub(crate) fn runs_systemd(output: &str) -> bool {
    output.lines().any(|line| line.strip_suffix(':') == Some(SYSTEMD))
}

/// Services out of what `ls -1` says of several directories. Absent if there is no OpenRC.
pub(crate) fn parse(output: &str) -> Option<Vec<Unit>> {
    // Name, state, and whether it is in a runlevel.
    let mut services: Vec<(&str, Option<usize>, bool)> = Vec::new();
    let mut directory = "";
    let mut runs = false;
    for line in output.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| name.starts_with('/')) {
            directory = name;
            runs |= name.starts_with("/run/openrc/");
        } else if !line.is_empty() && directory != SYSTEMD && !NO_SERVICES.contains(&line) {
            let at = services.iter().position(|(name, ..)| *name == line).unwrap_or(services.len());
            if at == services.len() {
                services.push((line, None, false));
            }
            let Some((_, state, enabled)) = services.get_mut(at) else { continue };
            if let Some(found) = directory.strip_prefix("/run/openrc/") {
                *state = (*state).max(STATES.iter().position(|(known, _)| *known == found));
            }
            *enabled |= directory.starts_with("/etc/runlevels/");
        }
    }
    runs.then(|| services.into_iter().map(|(name, state, enabled)| unit(name, state, enabled)).collect())
}

fn unit(name: &str, state: Option<usize>, enabled: bool) -> Unit {
    let (sub, active) = state.and_then(|at| STATES.get(at)).copied().unwrap_or(("stopped", "inactive"));
    Unit {
        name: name.to_owned(),
        load: Some("loaded".to_owned()),
        active: Some(active.to_owned()),
        sub: Some(sub.to_owned()),
        enabled: Some(if enabled { "enabled" } else { "disabled" }.to_owned()),
        ..Unit::default()
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn rows(output: &str) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut services = parse(output).expect("is OpenRC");
        services.sort_by(|one, other| one.name.cmp(&other.name));
        services
            .iter()
            .map(|unit| format!("{} {} {} {}", unit.name, text(&unit.active), text(&unit.sub), text(&unit.enabled)))
            .collect()
    }

    #[test]
    fn services_have_the_state_and_runlevel_in_which_they_are_listed() {
        let expected = [
            "agetty inactive stopped disabled",
            "bad inactive stopped enabled",
            "cgroups inactive stopped disabled",
            "cron inactive stopped disabled",
            "dbus inactive stopped disabled",
            "fragile active started enabled",
            "plain active started enabled",
            "procps inactive stopped disabled",
            "savecache inactive stopped disabled",
            "ssh inactive stopped disabled",
            "steady active started enabled",
        ];
        assert_eq!(rows(include_str!("../tests/fixtures/openrc-ls.txt")), expected);
        assert_eq!(rows(include_str!("../tests/fixtures/openrc-busybox-ls.txt")), expected);
    }

    #[test]
    fn the_more_telling_of_two_states_counts() {
        assert_eq!(
            rows(
                "/run/openrc/failed:\na\n\n/run/openrc/inactive:\nb\n\n/run/openrc/started:\na\nb\n\n/run/openrc/odd:\nc\n"
            ),
            ["a failed failed disabled", "b inactive inactive disabled", "c inactive stopped disabled"]
        );
    }

    #[test]
    fn init_scripts_alone_are_no_openrc() {
        assert_eq!(parse("/etc/init.d:\ncron\nssh\n"), None);
        let systemd = "/etc/init.d:\ncron\n\n/run/systemd/system:\nrun-r1.scope\n";
        assert_eq!(
            (parse(systemd), super::runs_systemd(systemd), super::runs_systemd("/etc/init.d:\n")),
            (None, true, false)
        );
        assert_eq!(parse(""), None);
        assert_eq!(parse("\u{fffd}\u{1b}[2J\n:\n/:\n"), None);
    }
}
