//! Engines of containers: what each is asked, and how its answer is read. Pure.
//!
//! Each line of an answer is an array of JSON that a template made: fields that were named one by one, so that neither labels nor
//! environments leave the host.

use scout_plugin::exec::Output;
use scout_plugin::json::Value;
use scout_plugin::{Error, ErrorKind, text};

use crate::What;
use crate::amount::{amounts, bytes, tenths};
use crate::moment::Moment;

/// Who runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Docker,
    Podman,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) image: String,
    /// In lower-case letters: `running`, `exited`, `created` and others.
    pub(crate) state: String,
    /// In the engine's words.
    pub(crate) status: String,
    pub(crate) created: Option<String>,
    pub(crate) ports: String,
    pub(crate) command: String,
    /// Of compose.
    pub(crate) project: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) directory: Option<String>,
    pub(crate) files: Vec<String>,
}

/// An image under one of its names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) repository: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) created: Option<String>,
    /// Rounded to three digits by the engine.
    pub(crate) size: Option<u64>,
}

/// What a container uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Tenths of a percent of one processor.
    pub(crate) cpu: Option<u64>,
    /// Bytes used and how many may be.
    pub(crate) memory: [Option<u64>; 2],
    /// Bytes received and sent.
    pub(crate) network: [Option<u64>; 2],
    /// Bytes read and written.
    pub(crate) disk: [Option<u64>; 2],
    pub(crate) processes: Option<u64>,
}

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Container(Container),
    Image(Image),
    Usage(Usage),
}

/// What an engine told.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) items: Vec<Item>,
    /// Lines that could not be read.
    pub(crate) unread: usize,
}

const DOCKER_PS: &[&str] = &[
    "docker",
    "ps",
    "-a",
    "--no-trunc",
    "--format",
    r#"[{{json .ID}},{{json .Names}},{{json .Image}},{{json .State}},{{json .Status}},{{json .CreatedAt}},{{json .Ports}},{{json .Command}},{{json (.Label "com.docker.compose.project")}},{{json (.Label "com.docker.compose.service")}},{{json (.Label "com.docker.compose.project.working_dir")}},{{json (.Label "com.docker.compose.project.config_files")}}]"#,
];
const PODMAN_PS: &[&str] = &[
    "podman",
    "ps",
    "-a",
    "--no-trunc",
    "--format",
    r#"[{{json .ID}},{{json .Names}},{{json .Image}},{{json .State}},{{json .Status}},{{json .CreatedAt}},{{json .Ports}},{{json .Command}},{{json (index .Labels "com.docker.compose.project")}},{{json (index .Labels "com.docker.compose.service")}},{{json (index .Labels "com.docker.compose.project.working_dir")}},{{json (index .Labels "com.docker.compose.project.config_files")}}]"#,
];
const IMAGES: &str =
    "[{{json .ID}},{{json .Repository}},{{json .Tag}},{{json .Digest}},{{json .CreatedAt}},{{json .Size}}]";
const USAGE: &str = "[{{json .ID}},{{json .Name}},{{json .CPUPerc}},{{json .MemUsage}},{{json .NetIO}},{{json .BlockIO}},{{json .PIDs}}]";

/// What docker's client says when its daemon is not there (20.10 to 28).
const NO_DAEMON: [&str; 2] = ["Cannot connect to the Docker daemon", "Is the docker daemon running"];

impl Engine {
    /// In the order in which they are asked.
    pub(crate) const ALL: [Self; 2] = [Self::Docker, Self::Podman];

    /// As the answer calls it, and its program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// The words of the command that answers a question.
    pub(crate) fn words(self, what: What) -> Vec<&'static str> {
        match (what, self) {
            (What::Images, _) => vec![self.name(), "images", "--no-trunc", "--digests", "--format", IMAGES],
            (What::Usage, _) => vec![self.name(), "stats", "--no-stream", "--no-trunc", "--format", USAGE],
            (_, Self::Docker) => DOCKER_PS.to_vec(),
            (_, Self::Podman) => PODMAN_PS.to_vec(),
        }
    }

    /// Whether it is another engine under this name: podman's package brings a `docker` that runs podman.
    pub(crate) fn is_another(self, output: &Output) -> bool {
        self == Self::Docker
            && (output.stderr.contains("Emulate Docker CLI using podman") || output.stderr.contains("psReporter"))
    }

    /// Why it told nothing.
    pub(crate) fn failure(self, host: &str, output: &Output) -> Error {
        let name = self.name();
        let said = text::clipped(&text::one_line(output.stderr.trim()), 300);
        let lower = said.to_ascii_lowercase();
        let fail = |kind, message: String| Error::new(kind, message);
        if self == Self::Docker && lower.contains("permission denied") {
            let message = format!("the account may not ask docker's daemon on {host}: {said}");
            return fail(ErrorKind::Permission, message)
                .hint("the operator adds the account to the group docker, which makes it root on that host");
        }
        if NO_DAEMON.iter().any(|known| said.contains(known)) {
            let message = format!("docker is installed on {host}, and its daemon does not answer: {said}");
            return fail(ErrorKind::Remote, message)
                .hint("see why with the tool `service` for docker.service, or `logs` with the unit docker.service");
        }
        if lower.contains("no such container") || lower.contains("no container with name or id") {
            return fail(ErrorKind::NotFound, format!("{name} on {host} has no such container: {said}"))
                .hint("without `logs` the tool lists the names");
        }
        if lower.contains("does not support reading") {
            return fail(ErrorKind::Unsupported, format!("{name} on {host} does not keep this log: {said}")).hint(
                "where it goes is the operator's choice: the journal (the tool `logs`), syslog or another machine",
            );
        }
        output.failure(host, name)
    }

    /// The items of its answer.
    pub(crate) fn parse(self, what: What, output: &[u8]) -> Listing {
        let output = String::from_utf8_lossy(output);
        let mut listing = Listing::default();
        for line in output.lines().filter(|line| !line.trim().is_empty()) {
            let fields = match Value::parse(line) {
                Some(Value::Array(fields)) => fields,
                _ => Vec::new(),
            };
            let item = match what {
                What::Images => image(&fields).map(Item::Image),
                What::Usage => usage(&fields).map(Item::Usage),
                _ => container(&fields).map(Item::Container),
            };
            match item {
                Some(item) => listing.items.push(item),
                None => listing.unread += 1,
            }
        }
        listing
    }
}

/// A text that says something: engines write `<none>` for what there is not.
fn told(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty() && *text != "<none>").map(str::to_owned)
}

/// The word for a state. podman 4.3 gives the status in its place: `Up 2 hours ago`, `Exited (3) 2 hours ago`.
fn state(told: &str) -> String {
    match told.split(' ').next().unwrap_or_default() {
        "Up" => "running".to_owned(),
        word => word.to_ascii_lowercase(),
    }
}

fn container(fields: &[Value]) -> Option<Container> {
    let text = |at: usize| fields.get(at).and_then(Value::as_text);
    let files = text(11).unwrap_or_default().split(',').filter_map(told);
    Some(Container {
        id: told(text(0)?)?,
        name: told(text(1)?)?,
        image: text(2)?.to_owned(),
        state: state(text(3)?),
        status: text(4)?.to_owned(),
        created: text(5).and_then(Moment::parse).and_then(|moment| moment.seconds()),
        ports: text(6)?.to_owned(),
        // docker puts it in quotes, and does not escape it.
        command: text(7)?.trim_matches('"').to_owned(),
        project: text(8).and_then(told),
        service: text(9).and_then(told),
        directory: text(10).and_then(told),
        files: files.collect(),
    })
}

fn image(fields: &[Value]) -> Option<Image> {
    let text = |at: usize| fields.get(at).and_then(Value::as_text);
    Some(Image {
        id: told(text(0)?)?,
        repository: told(text(1)?),
        tag: told(text(2)?),
        digest: text(3).and_then(told),
        created: text(4).and_then(Moment::parse).and_then(|moment| moment.seconds()),
        size: text(5).and_then(bytes),
    })
}

fn usage(fields: &[Value]) -> Option<Usage> {
    let text = |at: usize| fields.get(at).and_then(Value::as_text);
    let processes = fields.get(6)?;
    Some(Usage {
        id: told(text(0)?)?,
        name: told(text(1)?)?,
        cpu: tenths(text(2)?),
        memory: amounts(text(3)?),
        network: amounts(text(4)?),
        disk: amounts(text(5)?),
        // docker writes a text, podman a number.
        processes: processes.as_integer().or_else(|| processes.as_text()?.parse().ok()),
    })
}

impl Container {
    /// What its health check says, as the status tells it: `healthy`, `unhealthy` or `starting`.
    pub(crate) fn health(&self) -> Option<&str> {
        let (_, word) = self.status.rsplit_once('(')?;
        let word = word.strip_suffix(')')?;
        let word = word.strip_prefix("health: ").unwrap_or(word);
        ["healthy", "unhealthy", "starting"].contains(&word).then_some(word)
    }

    /// How it ended, as the status tells it: `Exited (3) 2 hours ago`.
    pub(crate) fn exit_code(&self) -> Option<u64> {
        let rest = self.status.strip_prefix("Exited (")?;
        rest.split_once(')')?.0.parse().ok()
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
