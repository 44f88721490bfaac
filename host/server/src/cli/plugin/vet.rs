//! `scout plugin vet`: looks at a plugin, tries it, shows what is new, and locks it into `scout.lock`.
//!
//! Invariant: what may do more than what was vetted before, tells models something else, has faults or could not be tried is
//! locked only after a yes, on the terminal or by `--accept`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::{failed, print};
use super::report::{Report, Subject};
use crate::config::{Config, ConfigError, Source};
use crate::plugins;
use crate::vetting::{Changes, Entry, Lock, grant_names, shown};
use scout_machine::visible;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A plugin of scout.toml, or a file, https:// or oci://
    plugin: String,
    /// Agree to what it may now do or say beyond what was vetted, to faults that were found, and to what could not be tried
    #[arg(long)]
    accept: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// What comes of it.
struct Verdict {
    changes: Changes,
    /// Why it cannot be locked at all.
    hindrance: Option<String>,
    /// Whether somebody has to agree.
    is_doubtful: bool,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, ConfigError> {
    let lock = Lock::read(&config.vetting.lock_file).map_err(ConfigError::new)?;
    let subject = Subject::find(config, &arguments.plugin)?;
    if subject.source == Source::Bundled {
        return Ok(failed(&format!("plugin `{}` is a part of Scout and needs no vetting", subject.title())));
    }
    let report = match Report::make(config, &lock, &subject, true).await {
        Ok(report) => report,
        Err(why) => return Ok(failed(&visible(&why))),
    };
    match &subject.name {
        Some(name) => {
            let code = lock_it(config, lock, name, &subject, &report, &arguments)?;
            // The first start after this finds it compiled. That is for speed: without it nothing is wrong.
            if code == ExitCode::SUCCESS
                && let Err(error) = Box::pin(plugins::warm(config, name, report.component)).await
            {
                tracing::warn!(%error, "a plugin is locked, and compiled only when it is served");
            }
            Ok(code)
        }
        None => Ok(tell(&report, &arguments)),
    }
}

/// Of a plugin that `scout.toml` does not name there is nothing to lock.
fn tell(report: &Report, arguments: &Arguments) -> ExitCode {
    if arguments.json {
        print(&format!("{:#}", report.json()));
    } else {
        let needs = report.examined.missing_grants.iter().map(|grant| format!("{grant:?}")).collect::<Vec<_>>();
        let table = format!(
            "\nIt is not a plugin of scout.toml, so nothing is locked. To use it, add this and vet it by its name:\n\n[plugins.NAME]\nsource = {:?}\nsha256 = \"{}\"\ngrants = [{}]",
            report.source,
            report.sha256,
            needs.join(", ")
        );
        print(&format!("{}{}", report.text(), visible(&table)));
    }
    if report.is_doubtful() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn lock_it(
    config: &Config,
    lock: Lock,
    name: &str,
    subject: &Subject,
    report: &Report,
    arguments: &Arguments,
) -> Result<ExitCode, ConfigError> {
    let entry = Entry {
        source: shown(&subject.source, lock.path()),
        sha256: report.sha256.clone(),
        size: report.component.len() as u64,
        signer: report.signer.as_ref().map(|signer| signer.principal.clone()),
        signing_key: report.signer.as_ref().map(|signer| signer.fingerprint.clone()),
        grants: grant_names(report.grants),
        fingerprint: report.examined.surface.fingerprint(),
        surface: report.examined.surface.clone(),
    };
    let before = lock.entry(name).cloned();
    let changes = before.as_ref().map(|before| before.changes_to(&entry)).unwrap_or_default();
    let needs = &report.examined.missing_grants;
    let verdict = Verdict {
        is_doubtful: !changes.wider.is_empty() || report.is_doubtful(),
        hindrance: (!needs.is_empty())
            .then(|| format!("it needs {}, which [plugins.{name}] does not grant", needs.join(", "))),
        changes,
    };
    if !arguments.json {
        print(&report.text());
        print(&visible(&told(&verdict.changes)));
    }
    let path = lock.path().to_owned();
    let outcome = if let Some(why) = &verdict.hindrance {
        Err(why.clone())
    } else if verdict.is_doubtful && !arguments.accept && !(is_asked(arguments) && says_yes(name)) {
        Err("it has faults, was not tried as it should be, may do more than before or says something else; look at what is marked with !!, and agree with --accept"
            .to_owned())
    } else if before.as_ref() == Some(&entry) {
        Ok(format!("{} says so already", path.display()))
    } else {
        let is_known = |name: &str| Subject::all(config).iter().any(|known| known.name.as_deref() == Some(name));
        lock.write(name, entry, is_known).map(|()| format!("locked in {}", path.display()))
    };
    if arguments.json {
        let mut json = report.json();
        let outcome = json!({
            "wider": verdict.changes.wider,
            "other": verdict.changes.other,
            "locked": outcome.is_ok(),
            "why_not": outcome.as_ref().err(),
        });
        if let (Value::Object(fields), Value::Object(more)) = (&mut json, outcome) {
            fields.extend(more);
        }
        print(&format!("{json:#}"));
    }
    Ok(match outcome {
        Ok(done) => {
            if !arguments.json {
                print(&format!("plugin `{name}`: {done}"));
            }
            ExitCode::SUCCESS
        }
        Err(why) => failed(&visible(&format!("plugin `{name}` is not locked: {why}"))),
    })
}

/// What is new, one line each: `!!` what needs a yes, `~` the rest.
fn told(changes: &Changes) -> String {
    let wider = changes.wider.iter().map(|change| format!("  !! {change}\n"));
    let other = changes.other.iter().map(|change| format!("  ~  {change}\n"));
    let lines: String = wider.chain(other).collect();
    if lines.is_empty() { lines } else { format!("since it was vetted:\n{lines}") }
}

fn is_asked(arguments: &Arguments) -> bool {
    !arguments.json && std::io::stdin().is_terminal()
}

fn says_yes(name: &str) -> bool {
    print(&format!("Lock `{name}` all the same? [yes/no]"));
    drop(std::io::stdout().flush());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).is_ok() && line.trim().eq_ignore_ascii_case("yes")
}
