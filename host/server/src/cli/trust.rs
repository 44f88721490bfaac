//! `scout trust HOST`: shows the host's key and adds it to known_hosts after a yes on the terminal.
//!
//! Invariant: nothing but a person at a terminal adds a key.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use scout_ssh::Call;
use scout_ssh::trust::{KnownHosts, Verdict, known_as, learn};

use super::{failed, print};
use crate::config::{Config, ConfigError, did_you_mean, near, with_hint};

/// A person reads a fingerprint at leisure; the handshake before it is bounded by the pool.
const HANDSHAKE: Duration = Duration::from_secs(30);

pub(super) async fn run(config: &Config, host: &str) -> Result<ExitCode, ConfigError> {
    let fleet = config.fleet()?;
    let Some(record) = fleet.get(host) else {
        let near = near(host, fleet.hosts().iter().map(|host| host.name.as_str()));
        return Ok(failed(&format!("{} has no host `{host}`{}", config.ssh_config.display(), did_you_mean(&near))));
    };
    let spec = match &record.spec {
        Ok(spec) => spec,
        Err(error) => return Ok(failed(&with_hint(error.message(), error.hint()))),
    };
    let call = Call::until(tokio::time::Instant::now() + HANDSHAKE);
    let key = match fleet.pool().host_key(spec, &call).await {
        Ok(key) => key,
        Err(error) => return Ok(failed(&with_hint(error.message(), error.hint()))),
    };
    let files = config.pool.known_hosts_of(spec);
    let known = match KnownHosts::load(&files.all().collect::<Vec<_>>()) {
        Ok(known) => known,
        Err(error) => return Ok(failed(&with_hint(error.message(), error.hint()))),
    };
    let fingerprint = key.fingerprint(russh::keys::HashAlg::Sha256);
    print(&format!("{host} ({}:{}) shows this {} key:\n  {fingerprint}", spec.host_name, spec.port, key.algorithm()));
    let (name, port) = known_as(spec);
    match known.check(&name, port, &key) {
        Verdict::Unknown => {}
        Verdict::Known(source) => {
            print(&format!("It is trusted already: {}:{}", source.file.display(), source.line));
            return Ok(ExitCode::SUCCESS);
        }
        Verdict::Changed(source) => {
            return Ok(failed(&format!(
                "{}:{} holds another key for this host: somebody may stand in between. If the host was set up anew, remove that line and ask again",
                source.file.display(),
                source.line
            )));
        }
        Verdict::Revoked(source) => {
            return Ok(failed(&format!("{}:{} revokes this key", source.file.display(), source.line)));
        }
    }
    let Some(file) = files.learn_into() else {
        return Ok(failed("no known_hosts file is configured to add it to; set `known_hosts`"));
    };
    if !std::io::stdin().is_terminal() {
        return Ok(failed(
            "nothing was added: compare the fingerprint and say yes at a terminal, where this command asks",
        ));
    }
    print(&format!(
        "Compare it with what the host's administrator says (on the host: ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub).\nTrust it and add it to {}? [yes/no]",
        file.display()
    ));
    drop(std::io::stdout().flush());
    // Reading a terminal blocks; nothing else is to be done meanwhile.
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_err() || !line.trim().eq_ignore_ascii_case("yes") {
        return Ok(failed("nothing was added"));
    }
    match learn(file, &name, port, &key, spec.hash_known_hosts) {
        Ok(()) => {
            print("Added.");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Ok(failed(&with_hint(error.message(), error.hint()))),
    }
}
