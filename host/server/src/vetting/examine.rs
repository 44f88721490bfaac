//! Looking into a component that nobody trusts: compiled, described and tried in a process of its own, whose memory, time and
//! files the kernel bounds. What comes back is text.
//!
//! The child is this same program (`scout plugin examine`): it bounds itself before it reads a byte, has no environment and
//! knows no host.

use std::io::Read as _;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use scout_runtime::{Externs, Grants, MAX_COMPONENT, PluginId, Runtime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::smoke::{self, Tried};
use super::surface::Surface;

/// Address space of the child, in bytes. A component of some MiB takes some hundred MiB to compile.
const MEMORY: u64 = 4 << 30;
/// CPU time of the child, in seconds. A component as large as Scout allows takes a few.
const CPU_SECONDS: u64 = 90;
/// Open files of the child: its threads, pipes and event queues.
const FILES: u64 = 64;
/// Wall time of the child.
const WALL: Duration = Duration::from_secs(180);
/// The longest report, in bytes: the descriptions of 100 tools, with their schemas.
const MAX_REPORT: u64 = 32 << 20;
/// What is read of the child's standard error, in bytes.
const MAX_STDERR: u64 = 64 << 10;

/// What an examination found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Examined {
    /// What the component shows of itself.
    pub(crate) surface: Surface,
    /// The versions of `scout:plugin` it is built for.
    pub(crate) wit_versions: Vec<String>,
    /// Interfaces that it needs and that were not granted, by their names in `scout.toml`.
    pub(crate) missing_grants: Vec<String>,
    /// Compiling it and letting it describe itself, in milliseconds.
    pub(crate) compile_wall_ms: u64,
    /// The same in CPU time of all threads.
    pub(crate) compile_cpu_ms: u64,
    /// The most memory that the process held by then, in bytes; where the system tells.
    pub(crate) compile_memory: Option<u64>,
    /// What came of trying it. Empty: it was not tried.
    pub(crate) tried: Vec<Tried>,
}

/// What the child is asked, before the component's bytes.
#[derive(Serialize, Deserialize)]
struct ExamineRequest {
    grants: Grants,
    settings: Map<String, Value>,
    smoke: bool,
}

/// Examines a component in a child process; with `smoke`, also tries it.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence that begins with the plugin's name.
///
/// # Cancel safety
/// Dropping the future kills the child.
pub(crate) async fn examine(
    component: &[u8],
    grants: Grants,
    settings: &Map<String, Value>,
    smoke: bool,
) -> Result<Examined, String> {
    let unable = |error: std::io::Error| format!("cannot be examined: no process can be started: {error}");
    let asked = ExamineRequest { grants, settings: settings.clone(), smoke };
    let mut input = serde_json::to_vec(&asked).map_err(|error| format!("cannot be examined: {error}"))?;
    input.push(b'\n');
    let mut child = Command::new(std::env::current_exe().map_err(unable)?)
        .args(["plugin", "examine"])
        .env_clear()
        // Each thread takes address space.
        .envs([("RAYON_NUM_THREADS", "2"), ("TOKIO_WORKER_THREADS", "2"), ("MALLOC_ARENA_MAX", "2")])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(unable)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("cannot be examined: its process has no pipes".to_owned());
    };
    let talk = async {
        let feed = async {
            // A child that has ended reads no more; how it ended says why.
            drop(stdin.write_all(&input).await);
            drop(stdin.write_all(component).await);
            drop(stdin);
        };
        let ((), report, log) = tokio::join!(feed, read(stdout, MAX_REPORT), read(stderr, MAX_STDERR));
        (report, log, child.wait().await)
    };
    let Ok((report, log, status)) = tokio::time::timeout(WALL, talk).await else {
        return Err(format!("was not examined within {} s", WALL.as_secs()));
    };
    let status = status.map_err(unable)?;
    if !status.success() {
        let log = String::from_utf8_lossy(&log);
        return Err(why_ended(status, log.lines().last().unwrap_or_default()));
    }
    let result: Result<Examined, String> = serde_json::from_slice(&report)
        .map_err(|error| format!("cannot be examined: its report cannot be read: {error}"))?;
    result
}

async fn read(stream: impl AsyncRead + Unpin, max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut bounded = stream.take(max);
    drop(bounded.read_to_end(&mut bytes).await);
    // What is beyond is read and dropped: a child must not wait for a full pipe.
    drop(tokio::io::copy(&mut bounded.into_inner(), &mut tokio::io::sink()).await);
    bytes
}

fn why_ended(status: ExitStatus, last: &str) -> String {
    use std::os::unix::process::ExitStatusExt as _;

    let last: String = last.chars().filter(|c| !c.is_control()).take(300).collect();
    let said = if last.is_empty() { String::new() } else { format!(" ({last})") };
    const SIGXCPU: i32 = 24;
    const SIGKILL: i32 = 9;
    const SIGABRT: i32 = 6;
    match status.signal() {
        Some(SIGXCPU | SIGKILL) => {
            format!("takes more than {CPU_SECONDS} s of CPU to compile and describe itself{said}")
        }
        Some(SIGABRT) => {
            format!("takes more than {} GiB of memory to compile, or breaks the compiler{said}", MEMORY >> 30)
        }
        Some(signal) => format!("ended its examination with signal {signal}{said}"),
        None => format!("cannot be examined{said}"),
    }
}

/// The child's side: bounds this process, reads what is asked and the component from stdin, and gives the report for stdout.
///
/// # Errors
/// A process that cannot be bounded, and input that is none.
pub(crate) async fn child() -> Result<String, String> {
    bound()?;
    let mut input = Vec::new();
    let most = (MAX_COMPONENT as u64).saturating_add(4 << 20);
    std::io::stdin().take(most).read_to_end(&mut input).map_err(|error| format!("stdin: {error}"))?;
    let newline = input.iter().position(|byte| *byte == b'\n').ok_or("stdin holds no question")?;
    let (asked, component) = input.split_at(newline);
    let asked: ExamineRequest = serde_json::from_slice(asked).map_err(|error| format!("stdin: {error}"))?;
    let component = component.get(1..).unwrap_or_default().to_vec();
    let result = look(asked, component).await;
    serde_json::to_string(&result).map_err(|error| error.to_string())
}

fn bound() -> Result<(), String> {
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, FILES),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::As, MEMORY),
    ] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        // macOS bounds no address space; elsewhere a bound that cannot be set is a bound that is not there.
        if let Err(error) = setrlimit(resource, limit)
            && !(cfg!(target_os = "macos") && matches!(resource, Resource::As))
        {
            return Err(format!("this process cannot be bounded ({resource:?}): {error}"));
        }
    }
    Ok(())
}

async fn look(asked: ExamineRequest, component: Vec<u8>) -> Result<Examined, String> {
    let externs = Externs::read(&component)?;
    externs.check()?;
    let missing_grants = externs.missing(asked.grants).into_iter().map(str::to_owned).collect();
    let id = PluginId::new("examined").ok_or("no name")?;
    let (begun, cpu) = (Instant::now(), cpu_time());
    let settings = asked.settings;
    // There is no host in reach: what it may not do later, it may ask for here, and be looked at all the same.
    let runtime = Runtime::small().map_err(|error| error.message)?;
    let plugin = runtime.load(id, component, Grants::ALL, settings).await.map_err(|error| error.message)?;
    let (wall, cpu) = (begun.elapsed(), cpu_time().saturating_sub(cpu));
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(Examined {
        surface: Surface::of(&externs, &plugin),
        wit_versions: externs.versions().into_iter().map(str::to_owned).collect(),
        missing_grants,
        compile_wall_ms: milliseconds(wall),
        compile_cpu_ms: milliseconds(cpu),
        compile_memory: peak_memory(),
        tried: if asked.smoke { smoke::run(&plugin).await } else { Vec::new() },
    })
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// The most memory that this process has held, in bytes, where /proc tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
