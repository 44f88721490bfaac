//! What the figures were made on, and how much memory a process has.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Memory of a process, in KiB as the kernel counts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
        write!(f, "{} resident, {} at its peak", mebibytes(self.resident), mebibytes(self.peak))
    }
}

/// The memory of a process that runs.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).with_context(|| format!("{path}: no {key}"))
    };
    Ok(Memory { resident: value("VmRSS")?, peak: value("VmHWM")? })
}

/// How long all processors together have worked since the machine started.
pub(crate) fn busy() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let ticks = |column: usize| stat.split_whitespace().nth(column).and_then(|text| text.parse::<u64>().ok());
    // After the word `cpu`: user, nice, system, idle, iowait, irq, softirq; in hundredths of a second.
    let sum = [1, 2, 3, 6, 7].into_iter().map(ticks).sum::<Option<u64>>().context("/proc/stat has no times")?;
    Ok(Duration::from_millis(sum * 10))
}

/// Becomes the parent of all that was started below this program and outlives its own parent: when a shell is killed with all its
/// children at once, what they have worked would go to whoever adopts them.
pub(crate) fn adopt_orphans() -> Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// How long all that this program has started has worked, with what that has started: those that run, those that were waited for, and
/// those that are dead and nobody has waited for ([`adopt_orphans`]).
pub(crate) fn work_of_others() -> Result<Duration> {
    let this = u64::from(std::process::id());
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // Behind the name, which may hold anything: state, parent, … and from the twelfth on the times in hundredths of a second.
        let Some((_, fields)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<u64> = fields.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect();
        parents.push((pid, *fields.first().unwrap_or(&0), fields.iter().skip(10).take(4).sum::<u64>()));
    }
    let (mut ours, mut ticks) = (vec![this], 0);
    while let Some(one) = ours.pop() {
        for (pid, _, worked) in parents.iter().filter(|(_, parent, _)| *parent == one) {
            ours.push(u64::from(*pid));
            ticks += worked;
        }
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// How many processors there are.
pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
}

/// Machine, versions, commit and date as a Markdown table.
pub(crate) fn facts() -> String {
    let cores = cores();
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let model = text.lines().find_map(|line| line.strip_prefix("model name"))?;
        Some(model.trim_start_matches([' ', '\t', ':']).to_owned())
    });
    // The report itself is being written while this runs.
    let changes =
        said("git", &["status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)benches/RESULTS.md"]);
    let dirty = if changes.is_empty() { "" } else { " and changes" };
    let profile = if cfg!(debug_assertions) { "dev: figures of an unoptimized build mean nothing" } else { "release" };
    let rows = [
        ("machine", format!("{cores} cores, {}", model.unwrap_or_else(|| "model unknown".to_owned()))),
        ("kernel", said("uname", &["-srm"])),
        ("compiler", said("rustc", &["--version"])),
        ("profile", profile.to_owned()),
        ("OpenSSH", said("ssh", &["-V"])),
        ("commit", format!("{}{dirty}", said("git", &["rev-parse", "--short=12", "HEAD"]))),
        ("date", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
    ];
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("| {name} | {value} |")).collect();
    format!("| | |\n|---|---|\n{}", lines.join("\n"))
}

/// What a program prints to either stream; nothing if it cannot be run.
fn said(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return String::new() };
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&all).trim().to_owned()
}
