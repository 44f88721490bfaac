//! The command line: what each subcommand does, what it prints, how it exits.
//!
//! Exit codes: 0 as asked; 1 the answer is a failure or there is trouble to see to; 2 wrong usage or configuration.

mod audit;
mod doctor;
mod explain;
mod key;
mod plugin;
mod policy;
mod trust;

use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use tracing::field::Field;
use tracing_subscriber::fmt::format::Writer;

use crate::arguments;
use crate::config::{Config, ConfigError, Flags};
use crate::http::{self, Address};
use crate::live::Renewal;
use crate::render::{Base64, Reply};
use crate::router::{Caller, Router};
use crate::target::Request;
use crate::tenant::Tenant;
use crate::{demo, serve};
use scout_machine::visible;

/// The exit code of wrong usage and configuration; clap uses it too.
const USAGE: u8 = 2;

/// Looks at a fleet of machines over SSH, for AI agents and for people.
#[derive(Debug, Parser)]
#[command(name = "scout", version, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "Hosts are those of ~/.ssh/config. Try it without any: scout demo")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve MCP over stdin and stdout, or to many over HTTP
    #[command(
        after_help = "Examples:\n  scout serve\n  scout serve --http unix:/run/scout/mcp.sock\n  scout serve --http 127.0.0.1:8750 --health 127.0.0.1:8751"
    )]
    Serve {
        /// Over HTTP, at /mcp of `127.0.0.1:8750`, of `unix:/PATH`, or of the socket that `systemd` hands over
        #[arg(long, value_name = "ADDRESS")]
        http: Option<Address>,
        /// Answer /health and /ready at this address
        #[arg(long, value_name = "ADDRESS", requires = "http")]
        health: Option<Address>,
        /// The address of a proxy that encrypts and passes on: connections from elsewhere are closed
        #[arg(long, value_name = "IP", requires = "http")]
        behind_proxy: Vec<IpAddr>,
    },
    /// Make, list and revoke the keys with which clients ask over HTTP
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Prove, sign, show and export the log of what was asked
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Ask one thing, as an MCP client would, and print the answer
    #[command(
        after_help = "Examples:\n  scout call hosts\n  scout call web1:/etc/os-release\n  scout call web1:/var/log 'tail -n 20 syslog'\n  \
                      scout call web1:/srv --find '*.conf' --where 'size > 10K'\n  scout call --targets 'web*' 'uptime -p'"
    )]
    Call {
        /// `hosts`, `host:/path` or `host:~/path`
        #[arg(required_unless_present_any = ["targets", "beam_source"])]
        target: Option<String>,
        /// A command to run there
        query: Option<String>,
        /// Print the structured answer as JSON
        #[arg(long)]
        json: bool,
        /// Have the bytes of a binary file in it, in base64
        #[arg(long, requires = "json")]
        base64: bool,
        #[command(flatten)]
        about: Box<About>,
    },
    /// Read a resource by its URI, as an MCP client would, and print it
    #[command(after_help = "Examples:\n  scout read scout://web1/etc/os-release\n  scout read docker://web1")]
    Read {
        /// `scout://HOST/PATH`, `hosts://list`, or one of a plugin
        uri: String,
        /// Print the structured answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the hosts, 200 at once, and whether they answer
    #[command(
        after_help = "Examples:\n  scout hosts 'web*'\n  scout hosts '@front status:unreachable' --refresh\n  scout hosts tag:prod --sort=-latency --limit 20"
    )]
    Hosts {
        /// Which of them: a pattern such as `web*`, a part of a name, `@GROUP`, `tag:NAME`, `status:unreachable`, `from NAME`
        query: Option<String>,
        /// In which order: name, status, latency, with `-` before for the other way round
        #[arg(long, value_name = "ORDER", allow_hyphen_values = true)]
        sort: Option<String>,
        /// How many are shown at most, up to 1000
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// That of the answer before
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
        /// Ask anew whether those that are shown answer
        #[arg(long)]
        refresh: bool,
        /// Print the structured answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show every setting of a host with the line that set it, its way, its identities and what is known of its key
    Explain {
        /// A name of ssh_config
        host: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the keys of a host's jump hosts and of the host, and trust each that is new after a yes on the terminal
    Trust {
        /// A name of ssh_config
        host: String,
    },
    /// Say what plugins may do, and which line of scout.toml decides
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Check configuration, keys, agent, known_hosts and each host; name the first trouble of each
    Doctor,
    /// Make, try, test, vet, sign and list plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// See Scout answer over real SSH, from a host that lives inside this process
    Demo {
        /// Be an MCP server over that host instead, to try from a real client
        #[arg(long)]
        serve: bool,
    },
}

/// Runs the command line of this process.
pub async fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap prints help to stdout and mistakes to stderr.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    if let Command::Plugin(plugin::PluginCommand::Examine) = arguments.command {
        return plugin::examine().await;
    }
    let mut arguments = arguments;
    arguments.flags.serves_http = matches!(arguments.command, Command::Serve { http: Some(_), .. });
    let config = match Config::load(&arguments.flags) {
        Ok(config) => config,
        Err(error) => return usage(&error.to_string()),
    };
    if let Err(error) = log_to_stderr(&config.log) {
        return usage(&error.to_string());
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // In a box, as the larger of its parts are: the compiler follows futures in each other only so deep.
    match Box::pin(dispatch(arguments.command, &arguments.flags, &config)).await {
        Ok(code) => code,
        Err(error) => usage(&error.to_string()),
    }
}

async fn dispatch(command: Command, flags: &Flags, config: &Config) -> Result<ExitCode, ConfigError> {
    match command {
        Command::Serve { http, health, behind_proxy } => {
            let (tenant, router) = (Tenant::local(config)?, Arc::new(Router::default()));
            let renewal = Renewal::new(Arc::clone(tenant.live()), flags.clone(), config);
            let served = match (renewal, http) {
                (Ok(renewal), Some(address)) => {
                    let options = http::Options { address, health, proxies: behind_proxy };
                    Box::pin(http::serve(router, tenant, renewal, options)).await?;
                    Ok(())
                }
                (Ok(renewal), None) => {
                    let caller = Caller::local(&tenant, CancellationToken::new());
                    Box::pin(serve::stdio(router, caller, renewal)).await
                }
                (Err(error), _) => Err(error),
            };
            Ok(served.map_or_else(|error| failed(&format!("serving ended: {error}")), |()| ExitCode::SUCCESS))
        }
        Command::Call { target, query, about, json, base64 } => {
            // The first word is the command where the targets are named apart.
            let (target, query) = match (about.targets.is_empty(), &query) {
                (false, None) => (None, target),
                _ => (target, query),
            };
            match arguments::request((target.as_deref(), query.as_deref(), None), about.arguments()) {
                Ok(request) => ask(config, request, json, base64).await,
                Err(error) => Ok(usage(&error.to_string())),
            }
        }
        Command::Read { uri, json } => {
            answered(config, json, Base64::LeftOut, async |router, caller| router.read(&uri, caller).await).await
        }
        Command::Hosts { query, sort, limit, cursor, refresh, json } => {
            let given = [
                ("sort", sort.map(Value::from)),
                ("limit", limit.map(Value::from)),
                ("cursor", cursor.map(Value::from)),
                ("refresh", refresh.then(|| true.into())),
            ];
            let given = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
            match arguments::request((Some("hosts"), query.as_deref(), None), given) {
                Ok(request) => ask(config, request, json, false).await,
                Err(error) => Ok(usage(&error.to_string())),
            }
        }
        Command::Explain { host, json } => explain::run(config, &host, json).await,
        Command::Trust { host } => trust::run(config, &host).await,
        Command::Policy(command) => policy::run(config, command).await,
        Command::Key(command) => key::run(command, config),
        Command::Audit(command) => audit::run(command, config).await,
        Command::Doctor => doctor::run(config).await,
        Command::Plugin(command) => Box::pin(plugin::run(command, config)).await,
        Command::Demo { serve } => {
            let ended = if serve { demo::serve().await } else { demo::run().await.map(|()| ExitCode::SUCCESS) };
            Ok(ended.unwrap_or_else(|error| failed(&error.to_string())))
        }
    }
}

/// What is asked about a path beside its content: the arguments of the tool `scout`, as flags.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "About the path")]
struct About {
    /// Show what lies below the directory
    #[arg(long)]
    tree: bool,
    /// Find names below the directory: a pattern such as `*.log`
    #[arg(long, value_name = "PATTERN")]
    find: Option<String>,
    /// What `--find` looks for: file, directory or symlink
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// Levels of `--tree` or `--find` (5)
    #[arg(long, value_name = "N")]
    depth: Option<u64>,
    /// Which of those that `--find` found: `size > 10M and modified > 2026-11-01`
    #[arg(long, value_name = "CONDITION")]
    r#where: Option<String>,
    /// Columns in whose order they are shown: `-size`; of `hosts` name, status or latency
    #[arg(long, value_name = "COLUMNS")]
    sort: Option<String>,
    /// Columns that are wanted: name, kind, size, modified, uid
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<String>,
    /// How many are shown at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// That of the answer before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Ask anew whether the hosts that are shown answer
    #[arg(long)]
    refresh: bool,
    /// Compare with this `host:/path`
    #[arg(long, value_name = "TARGET")]
    diff: Option<String>,
    /// Compare the file with this text
    #[arg(long, value_name = "TEXT")]
    diff_content: Option<String>,
    /// Read the file from this byte on
    #[arg(long, value_name = "BYTE")]
    offset: Option<u64>,
    /// Read so many lines
    #[arg(long, value_name = "N")]
    lines: Option<u64>,
    /// Read the last lines
    #[arg(long, value_name = "N")]
    tail: Option<u64>,
    /// Read the lines with this text
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Instead of TARGET, many hosts: `web*:/path`, `@GROUP:/path`, `tag:NAME:/path`, or without a path with QUERY; once for each
    #[arg(long, value_name = "TARGET")]
    targets: Vec<String>,
    /// Copy: this path of the machine that Scout runs on to TARGET if it is there, else TARGET to it
    #[arg(long, value_name = "PATH")]
    beam: Option<String>,
    /// Copy from here, `host:/path` or a path of this machine
    #[arg(long, value_name = "PLACE", requires = "beam_target")]
    beam_source: Option<String>,
    /// Copy to here
    #[arg(long, value_name = "PLACE", requires = "beam_source")]
    beam_target: Option<String>,
    /// A file that is there may be replaced by the copy
    #[arg(long)]
    replace: bool,
}

impl About {
    /// As a client gives them.
    fn arguments(self) -> Map<String, Value> {
        let Self { tree, find, r#type, depth, r#where, sort, columns, limit, cursor, refresh, .. } = self;
        let Self { diff, diff_content, offset, lines, tail, grep, targets, .. } = self;
        let Self { beam, beam_source, beam_target, replace, .. } = self;
        let given = [
            ("tree", tree.then(|| true.into())),
            ("find", find.map(Value::from)),
            ("type", r#type.map(Value::from)),
            ("depth", depth.map(Value::from)),
            ("where", r#where.map(Value::from)),
            ("sort", sort.map(Value::from)),
            ("columns", columns.map(Value::from)),
            ("limit", limit.map(Value::from)),
            ("cursor", cursor.map(Value::from)),
            ("refresh", refresh.then(|| true.into())),
            ("diff", diff.map(Value::from)),
            ("diff_content", diff_content.map(Value::from)),
            ("offset", offset.map(Value::from)),
            ("lines", lines.map(Value::from)),
            ("tail", tail.map(Value::from)),
            ("grep", grep.map(Value::from)),
            ("targets", (!targets.is_empty()).then(|| targets.into())),
            ("beam", beam.map(Value::from)),
            ("beam_source", beam_source.map(Value::from)),
            ("beam_target", beam_target.map(Value::from)),
            ("replace", replace.then(|| true.into())),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// Asks one thing.
async fn ask(config: &Config, request: Request, json: bool, base64: bool) -> Result<ExitCode, ConfigError> {
    let base64 = if base64 { Base64::Given } else { Base64::LeftOut };
    answered(config, json, base64, async |router, caller| router.answer(request, caller).await).await
}

/// Has one question answered and prints that. Interrupting it stops a running command on its host before the process ends.
async fn answered(
    config: &Config,
    json: bool,
    base64: Base64,
    ask: impl AsyncFnOnce(&Router, Caller) -> Reply,
) -> Result<ExitCode, ConfigError> {
    let (tenant, router, cancel) = (Tenant::local(config)?, Router::default(), CancellationToken::new());
    let caller = Caller::local(&tenant, cancel.clone()).wanting(base64);
    // What answers is loaded while its host is dialled.
    tenant.revision().plugins.need();
    let answer = ask(&router, caller);
    tokio::pin!(answer);
    let reply = tokio::select! {
        reply = &mut answer => reply,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            answer.await
        }
    };
    let code = show(&reply, json);
    tenant.pool().shutdown().await;
    Ok(code)
}

fn show(reply: &Reply, json: bool) -> ExitCode {
    let text = match &reply.structured {
        Some(structured) if json => format!("{:#}", serde_json::Value::Object(structured.clone().into_fields())),
        Some(_) | None => reply.joined(),
    };
    // A failure that says nothing but why belongs to stderr; a command's output that ran into its timeout does not.
    if reply.is_only_why() {
        if json {
            print(&text);
        }
        return failed(&reply.joined());
    }
    print(&text);
    if reply.is_error { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints to stdout, ending the last line; hidden characters are made visible, whoever they come from. A reader that has
/// gone away is no failure.
fn print(text: &str) {
    let text = visible(text);
    let newline = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    drop(write!(std::io::stdout().lock(), "{text}{newline}"));
}

fn failed(why: &str) -> ExitCode {
    drop(writeln!(std::io::stderr().lock(), "scout: {}", visible(why)));
    ExitCode::FAILURE
}

fn usage(why: &str) -> ExitCode {
    drop(writeln!(std::io::stderr().lock(), "scout: {}", visible(why)));
    ExitCode::from(USAGE)
}

fn log_to_stderr(filter: &str) -> Result<(), ConfigError> {
    use std::io::IsTerminal as _;
    use tracing_subscriber::field::MakeExt as _;
    use tracing_subscriber::fmt;

    let filter = tracing_subscriber::EnvFilter::try_new(with_rmcp(filter))
        .map_err(|error| ConfigError::new(format!("the log filter `{filter}` is not understood: {error}")))?;
    tracing_subscriber::fmt()
        .fmt_fields(fmt::format::debug_fn(log_field).delimited(" "))
        .with_env_filter(filter)
        // How long each span took. None is open below `debug`.
        .with_span_events(fmt::format::FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| ConfigError::new(format!("logging cannot be set up: {error}")))
}

/// One field of an event on its line: what it says is often a host's or a plugin's.
fn log_field(writer: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    let value = visible(&value).replace('\r', "␍").replace('\n', "␊");
    match field.name() {
        "message" => write!(writer, "{value}"),
        name => write!(writer, "{name}={value}"),
    }
}

/// The filter as it was given, but that rmcp is heard only where all is to be heard, or where it is named: it warns of each
/// error that a client is answered with, and of each client that has gone away.
fn with_rmcp(filter: &str) -> String {
    let mut directives = filter.split(',').map(str::trim);
    let all = |directive: &str| ["debug", "trace"].iter().any(|level| directive.eq_ignore_ascii_case(level));
    match directives.any(|directive| all(directive) || directive.contains("rmcp")) || filter.is_empty() {
        true => filter.to_owned(),
        false => format!("{filter},rmcp=off"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use clap::CommandFactory as _;
    use scout_runtime::{PluginId, Runtime};

    use super::*;
    use crate::documents::{self, CommandLines};
    use crate::plugins::bundled_plugin;

    /// What stands after the help of a command and of its subcommands.
    fn after_help(command: &clap::Command) -> Vec<String> {
        let own = command.get_after_help().map(ToString::to_string);
        own.into_iter().chain(command.get_subcommands().flat_map(after_help)).collect()
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<parking_lot::Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn rmcp_is_heard_where_it_is_asked_for() {
        for (given, filter) in [
            ("warn", "warn,rmcp=off"),
            ("scout_ssh=debug,info", "scout_ssh=debug,info,rmcp=off"),
            ("debug", "debug"),
            ("warn,rmcp=info", "warn,rmcp=info"),
        ] {
            assert_eq!(with_rmcp(given), filter);
        }
    }

    #[test]
    fn an_event_is_one_line_of_the_log_whoever_speaks_in_it() {
        use tracing_subscriber::field::MakeExt as _;
        let lines = Lines::default();
        let sink = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(tracing_subscriber::fmt::format::debug_fn(log_field).delimited(" "))
            .with_writer(move || sink.clone())
            .with_ansi(false)
            .without_time()
            .finish();
        let foreign = "a\u{1b}[2J\r\nb\u{202e}";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(host = %foreign, said = foreign, debug = ?foreign, "he said {foreign}");
        });
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        assert!(text.ends_with("\n") && text.lines().count() == 1, "{text:?}");
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text:?}");
        assert!(text.contains("he said a␛[2J␍␊b<U+202E> host=a␛[2J"), "{text:?}");
    }

    /// What is wrong with a command line, if anything is.
    fn fault(words: &[String]) -> Option<clap::Error> {
        let given = std::iter::once("scout").chain(words.iter().map(String::as_str));
        let error = Arguments::try_parse_from(given).err()?;
        // Help is an answer.
        (error.exit_code() != 0).then_some(error)
    }

    #[test]
    fn the_command_lines_of_the_documentation_are_understood() {
        use clap::error::ErrorKind;
        let lines = documents::command_lines();
        for (place, words) in &lines.whole {
            if let Some(error) = fault(words) {
                panic!("{place}: scout {}: {error}", words.join(" "));
            }
        }
        // A mention may leave out what a subcommand needs, not name one that there is not, or a flag that it has not.
        for (place, words) in &lines.mentioned {
            let left_out = [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
            if let Some(error) = fault(words).filter(|error| !left_out.contains(&error.kind())) {
                panic!("{place}: scout {}: {error}", words.join(" "));
            }
        }
        let CommandLines { whole, mentioned, clients } = &lines;
        assert!(whole.len() > 35 && mentioned.len() > 25, "{} {}", whole.len(), mentioned.len());
        assert!(*clients >= 8, "{clients}");
    }

    #[test]
    fn the_documentation_has_every_flag_that_all_commands_take() {
        let manual = documents::manual();
        let page = manual.iter().find(|page| page.path.ends_with("configuration.md")).unwrap();
        let spans = page.spans();
        for flag in Arguments::command().get_arguments().filter_map(clap::Arg::get_long) {
            assert!(spans.contains(&format!("--{flag}")), "--{flag}");
        }
    }

    #[tokio::test]
    async fn the_examples_in_help_texts_parse_and_name_tools_that_there_are() {
        let help = after_help(&Arguments::command()).join("\n");
        let lines: Vec<&str> = help.lines().map(str::trim).collect();
        let examples = lines.iter().filter(|line| line.starts_with("scout "));
        let examples: Vec<_> = examples.flat_map(|line| documents::commands(line)).collect();
        assert!(examples.len() >= 9, "{help}");
        let mut tools = Vec::new();
        for words in &examples {
            assert!(Arguments::try_parse_from(words).is_ok(), "{words:?}");
            if let [_, plugin, run, name, tool, ..] = words.as_slice()
                && (plugin.as_str(), run.as_str()) == ("plugin", "run")
            {
                tools.push((name.clone(), tool.clone()));
            }
        }
        let value = |key: &str| {
            let line = lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")).unwrap();
            line.split('"').next().unwrap().to_owned()
        };
        tools.push((value("plugin"), value("tool")));
        assert_eq!(tools.len(), 2);
        for (name, tool) in tools {
            let (component, grants) = bundled_plugin(&name).unwrap();
            let (runtime, id) = (Runtime::small().unwrap(), PluginId::new(&name).unwrap());
            let plugin = runtime.load(id, component, grants, serde_json::Map::new()).await.unwrap();
            assert!(plugin.tools().iter().any(|described| described.name == tool), "{tool}");
        }
    }
}
