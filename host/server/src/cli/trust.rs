//! `scout trust HOST`: shows the host's key and adds it to known_hosts after a yes on the terminal; before that, the same
//! for each jump host on the way that a dial would not accept.
//!
//! Invariant: nothing but a person at a terminal adds a key.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use scout_machine::Call;
use scout_ssh::trust::{Decision, Verdict, known_as, learn};
use scout_ssh::{HostKey, HostSpec, Pool};

use super::{failed, print};
use crate::config::{Config, ConfigError, did_you_mean, near, with_hint};

/// A person reads a fingerprint at leisure; the handshake before it is bounded by the pool.
const HANDSHAKE: Duration = Duration::from_secs(30);

pub(super) async fn run(config: &Config, host: &str) -> Result<ExitCode, ConfigError> {
    let fleet = config.fleet()?;
    let Some(record) = fleet.get(host) else {
        let near = near(host, fleet.names().iter().map(|host| &**host));
        return Ok(failed(&format!("{} has no host `{host}`{}", config.ssh_config.display(), did_you_mean(&near))));
    };
    let settled = match record.looked_up().await {
        None => {
            print(&format!(
                "{host} is this machine, by `transport = \"local\"`: it shows no key, and none is asked for."
            ));
            Ok(())
        }
        Some(Ok(spec)) => all(config, fleet.pool(), &spec).await,
        Some(Err(error)) => Err(with_hint(error.message(), error.hint())),
    };
    Ok(settled.map_or_else(|why| failed(&why), |()| ExitCode::SUCCESS))
}

/// A jump host's key first: the next host is only reached through it.
async fn all(config: &Config, pool: &Pool, spec: &HostSpec) -> Result<(), String> {
    let told = |error: scout_machine::HostError| with_hint(error.message(), error.hint());
    let way = spec.way();
    for (place, stop) in way.iter().enumerate() {
        let is_hop = place + 1 < way.len();
        let call = Call::until(tokio::time::Instant::now() + HANDSHAKE);
        let shown = pool.host_key(stop, &call).await.map_err(told)?;
        // One that is learned or let pass as ssh_config wants it stands in nobody's way.
        if !is_hop || matches!(shown.decision, Decision::Refused(_)) {
            one(config, stop, shown, is_hop)?;
        }
    }
    Ok(())
}

/// Settles one host's key.
fn one(config: &Config, spec: &HostSpec, shown: HostKey, is_hop: bool) -> Result<(), String> {
    let HostSpec { alias, host_name, port, .. } = spec;
    let fingerprint = shown.key.fingerprint(russh::keys::HashAlg::Sha256);
    let what = if is_hop { "The jump host " } else { "" };
    print(&format!("{what}{alias} ({host_name}:{port}) shows this {} key:\n  {fingerprint}", shown.key.algorithm()));
    if shown.decision == Decision::Localhost {
        print("It is accepted whatever its key, by NoHostAuthenticationForLocalhost.");
        return Ok(());
    }
    match shown.decision.into_verdict() {
        Verdict::Unknown => {}
        Verdict::Known(source) => {
            print(&format!("It is trusted already: {}:{}", source.file.display(), source.line));
            return Ok(());
        }
        Verdict::Changed(source) => {
            return Err(format!(
                "{}:{} holds another key for this host: somebody may stand in between. If the host was set up anew, remove that line and ask again",
                source.file.display(),
                source.line
            ));
        }
        Verdict::Revoked(source) => {
            return Err(format!("{}:{} revokes this key", source.file.display(), source.line));
        }
    }
    let Some(file) = config.dial.known_hosts_of(spec).learn_into() else {
        return Err("no known_hosts file is configured to add it to; set `known_hosts`".to_owned());
    };
    if !std::io::stdin().is_terminal() {
        return Err(
            "nothing was added: compare the fingerprint and say yes at a terminal, where this command asks".to_owned()
        );
    }
    print(&format!(
        "Compare it with what the host's administrator says (on the host: ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub).\nTrust it and add it to {}? [yes/no]",
        file.display()
    ));
    drop(std::io::stdout().flush());
    // Reading a terminal blocks; nothing else is to be done meanwhile.
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_err() || !line.trim().eq_ignore_ascii_case("yes") {
        return Err("nothing was added".to_owned());
    }
    let (name, port) = known_as(spec);
    learn(file, &name, port, &shown.key, spec.hash_known_hosts)
        .map_err(|error| with_hint(error.message(), error.hint()))?;
    print("Added.");
    Ok(())
}
