//! One host as both have it: the same, refused by both, or refused by Scout for a reason that is written down.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use scout_ssh::config::Explained;

use crate::refusals::{is_expected, value_of};
use crate::settings::difference;
use crate::world::{Case, Printed, World, ask};

/// What came of one host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The same settings.
    Same,
    /// Both refuse, or a bad line of another host's is passed over.
    BothRefuse,
    /// Scout does not evaluate it.
    NotEvaluated,
}

/// Compares one host. `Err` is a difference.
pub(crate) fn compare(case: &Case, host: &str) -> Result<Outcome, String> {
    let world = World::new(case);
    let mine = world.scout().explain(host);
    let mut probes = Probes::default();
    // ssh refuses a file as a whole: it is asked until no line is left that it complains of.
    let (printed, chain) = loop {
        let answer = ask(&world, &[], host).and_then(|printed| Ok((chain(&world, &printed)?, printed)));
        match answer {
            Ok((chain, printed)) => break (printed, chain),
            Err(stderr) if probes.set(&world, case, &stderr) => {}
            Err(stderr) => {
                let Err(error) = mine else { return Err(format!("{host}: ssh refuses, Scout does not: {stderr}")) };
                // Which of the lines apply is not told then.
                return match probes.any_in(error.message()) || is_the_same(&world, &stderr, error.message()) {
                    true => Ok(Outcome::BothRefuse),
                    false => Err(format!("{host}: ssh says {stderr}, Scout {:?}", error.message())),
                };
            }
        }
    };
    // The bad lines that apply to the host or to one on the way.
    let sent: Vec<&String> =
        chain.iter().chain([&printed]).filter_map(|printed| printed.get("sendenv")).flatten().collect();
    let bad: Vec<&Probe> = probes.applying(&sent).collect();
    match mine {
        Ok(explained) => {
            // Where only the second reading comes to an IgnoreUnknown, ssh has refused the file in the first one.
            let is_ignored = |probe: &Probe| probe.is_unknown && world.has_keyword("ignoreunknown");
            if let Some(probe) = bad.iter().find(|probe| !is_ignored(probe)) {
                return Err(format!("{host}: ssh refuses {}, Scout does not", probe.place()));
            }
            let difference = difference(&world, &explained, &printed);
            match difference.or_else(|| difference_of_hops(&world, &chain, &explained)) {
                Some(difference) => Err(difference),
                None if probes.0.is_empty() => Ok(Outcome::Same),
                None => Ok(Outcome::BothRefuse),
            }
        }
        // Any of those that apply may be the one that Scout comes to first.
        Err(error) if bad.iter().any(|probe| error.message().contains(&probe.place())) => Ok(Outcome::BothRefuse),
        Err(error) => match is_expected(&world, error.message()) {
            Ok(()) => Ok(Outcome::NotEvaluated),
            Err(why) => {
                Err(format!("{host}: ssh takes it, Scout says {:?} ({:?}): {why}", error.message(), error.hint()))
            }
        },
    }
}

/// Whether both refuse a host for the same reason that stands on no line for ssh.
fn is_the_same(world: &World, stderr: &str, message: &str) -> bool {
    let is_loop = stderr.contains("jumphost loop via") || stderr.contains("leads back to itself");
    if is_loop && ["leads back to itself", "is the host itself"].iter().any(|words| message.contains(words)) {
        return true;
    }
    is_expected(world, message).is_ok()
}

/// A line that ssh complained of, replaced by one that tells whether it applies.
struct Probe {
    file: PathBuf,
    line: u32,
    /// ssh does not know its keyword.
    is_unknown: bool,
}

impl Probe {
    /// As Scout writes it.
    fn place(&self) -> String {
        format!("{}:{}: ", self.file.display(), self.line)
    }
}

#[derive(Default)]
struct Probes(Vec<Probe>);

impl Probes {
    /// Replaces the lines that ssh complains of; false if it names none.
    fn set(&mut self, world: &World, case: &Case, stderr: &str) -> bool {
        if stderr.contains("Too many recursive configuration includes") {
            let Some(looping) = looping_include(world, case) else { return false };
            let name = self.name(self.0.len());
            probe_include(world, case, &looping, &name);
            self.0.push(Probe { file: world.file(looping.file), line: looping.line, is_unknown: false });
            return true;
        }
        let bad = bad_lines(world, case, stderr);
        for (file, line) in &bad {
            let name = self.name(self.0.len());
            let unknown = format!("{}: line {line}: Bad configuration option", file.display());
            probe(file, *line, &name);
            self.0.push(Probe { file: file.clone(), line: *line, is_unknown: stderr.contains(&unknown) });
        }
        !bad.is_empty()
    }

    fn any_in(&self, message: &str) -> bool {
        self.0.iter().any(|probe| message.contains(&probe.place()))
    }

    /// Those that ssh would send.
    fn applying<'a>(&'a self, sent: &'a [&'a String]) -> impl Iterator<Item = &'a Probe> {
        let is_sent = |number| sent.iter().any(|name| **name == self.name(number));
        self.0.iter().enumerate().filter(move |(number, _)| is_sent(*number)).map(|(_, probe)| probe)
    }

    /// Not a prefix of the tenth.
    fn name(&self, number: usize) -> String {
        format!("SCOUT_PROBE_{number}_")
    }
}

/// The lines that ssh complains of.
fn bad_lines(world: &World, case: &Case, stderr: &str) -> Vec<(PathBuf, u32)> {
    let mut bad = Vec::new();
    for (name, _) in &case.files {
        let file = world.file(name);
        for message in stderr.lines() {
            let Some(rest) = message.strip_prefix(&file.display().to_string()) else { continue };
            let rest = rest.strip_prefix(':').unwrap_or(rest);
            let Some(rest) = rest.strip_prefix(" line ") else { continue };
            // A message, no refusal.
            if rest.contains(": Unsupported option ") {
                continue;
            }
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            let at = (file.clone(), digits.parse().unwrap());
            if !bad.contains(&at) {
                bad.push(at);
            }
        }
    }
    bad
}

/// Replaces a line by one that ssh prints if it applies. Of a block whose condition ssh cannot read, that is so if the
/// condition is looked at, and the block's lines never apply.
fn probe(file: &Path, line: u32, name: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let bad = &mut lines[usize::try_from(line).unwrap() - 1];
    assert!(!bad.contains("SCOUT_PROBE_"), "ssh does not know SendEnv");
    if ["host", "match"].contains(&keyword_of(bad).as_str()) {
        *bad = "Host scout-names-no-host-so".to_owned();
        // At the end, where no other line's number changes.
        lines.extend(["Host *".to_owned(), format!("SendEnv {name}")]);
    } else {
        *bad = format!("SendEnv {name}");
    }
    std::fs::write(file, lines.join("\n")).unwrap();
}

/// A line that includes a file from which its own file is reached.
struct LoopingInclude<'a> {
    file: &'a str,
    line: u32,
    /// What it includes so.
    included: &'a str,
}

/// The first one, looked for as ssh reads the files.
fn looping_include<'a>(world: &World, case: &'a Case) -> Option<LoopingInclude<'a>> {
    fn search<'a>(world: &World, case: &'a Case, file: &'a str, above: &[&str]) -> Option<LoopingInclude<'a>> {
        let text = std::fs::read_to_string(world.file(file)).ok()?;
        for (text, line) in text.lines().zip(1..).filter(|(text, _)| keyword_of(text) == "include") {
            for included in included(case, file, text) {
                if above.contains(&included) || included == file {
                    return Some(LoopingInclude { file, line, included });
                }
                let found = search(world, case, included, &[above, &[file]].concat());
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }
    case.files.iter().find_map(|(name, _)| search(world, case, name, &[]))
}

/// The files of the case that a line of one of them includes, in order.
fn included<'a>(case: &'a Case, file: &str, line: &str) -> Vec<&'a str> {
    let directory = if file.starts_with("/etc/ssh/") { "/etc/ssh/" } else { ".ssh/" };
    let value = value_of(line);
    let patterns = value.split_whitespace().map(|word| word.trim_matches('"'));
    let names = patterns.filter_map(|word| glob::Pattern::new(word.strip_prefix("~/.ssh/").unwrap_or(word)).ok());
    let below = |name: &'a str| name.strip_prefix(directory);
    let files = case.files.iter().map(|(name, _)| name.as_str());
    names
        .flat_map(|pattern| files.clone().filter(move |name| below(name).is_some_and(|name| pattern.matches(name))))
        .collect()
}

/// Puts a file that tells whether it is read in the place of the one that an include leads back to.
fn probe_include(world: &World, case: &Case, looping: &LoopingInclude<'_>, name: &str) {
    let path = world.file(looping.file);
    let probe = path.with_file_name(name);
    std::fs::write(&probe, format!("SendEnv {name}\n")).unwrap();
    std::fs::set_permissions(&probe, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let line = &mut lines[usize::try_from(looping.line).unwrap() - 1];
    let files = included(case, looping.file, line);
    let others = files.iter().map(|file| if *file == looping.included { probe.clone() } else { world.file(file) });
    let others: Vec<String> = others.map(|file| format!("\"{}\"", file.display())).collect();
    *line = format!("Include {}", others.join(" "));
    std::fs::write(path, lines.join("\n")).unwrap();
}

/// Follows `ProxyJump` as ssh does: it starts itself for the last host, with the others as `-J`. The nearest host, which
/// is dialled last, comes first. `Err` if ssh refuses one of them.
fn chain(world: &World, printed: &Printed) -> Result<Vec<Printed>, String> {
    let jump_of = |printed: &Printed| printed.get("proxyjump").map(|values| values[0].clone());
    let mut chain: Vec<Printed> = Vec::new();
    let mut jump = jump_of(printed);
    while let Some(text) = jump {
        // ssh would go on for ever.
        if chain.len() > 20 {
            return Err(format!("{text} leads back to itself"));
        }
        let (before, last) = match text.rsplit_once(',') {
            Some((before, last)) => (Some(before), last),
            None => (None, text.as_str()),
        };
        let (user, address) = match last.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, last),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').unwrap();
                (host, port.strip_prefix(':'))
            }
            None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
        };
        let mut options = Vec::new();
        for (option, value) in [("-l", user), ("-p", port), ("-J", before)] {
            if let Some(value) = value {
                options.extend([option.to_owned(), value.to_owned()]);
            }
        }
        let hop = ask(world, &options, host).map_err(|stderr| format!("hop {last}: {stderr}"))?;
        jump = jump_of(&hop);
        chain.push(hop);
    }
    Ok(chain)
}

/// The first difference in the hosts that both jump through.
fn difference_of_hops(world: &World, chain: &[Printed], explained: &Explained) -> Option<String> {
    if chain.len() != explained.hops.len() {
        return Some(format!("Scout jumps through {} hosts, ssh through {}", explained.hops.len(), chain.len()));
    }
    let pairs = explained.hops.iter().rev().zip(chain);
    pairs
        .filter_map(|(hop, printed)| difference(world, hop, printed))
        .map(|difference| format!("hop {difference}"))
        .next()
}

/// Takes lines out of a case as long as it still differs.
fn shrunk(case: &Case, host: &str) -> Case {
    let differs = |case: &Case| std::panic::catch_unwind(|| compare(case, host)).map_or(true, |result| result.is_err());
    let mut case = case.clone();
    let mut progress = true;
    while progress {
        progress = false;
        for file in 0..case.files.len() {
            let mut line = 0;
            while line < case.files[file].1.split('\n').count() {
                let mut smaller = case.clone();
                let mut lines: Vec<&str> = case.files[file].1.split('\n').collect();
                lines.remove(line);
                smaller.files[file].1 = lines.join("\n");
                if smaller.files[file].1 != case.files[file].1 && differs(&smaller) {
                    case = smaller;
                    progress = true;
                } else {
                    line += 1;
                }
            }
        }
    }
    let mut fewer = case.clone();
    fewer.files.retain(|(_, text)| !text.is_empty());
    if differs(&fewer) { fewer } else { case }
}

/// Compares all hosts of all cases, so many at once; gives how many came to what, and the first cases that differ.
pub(crate) fn compare_all(cases: &[Case], threads: usize) -> ([usize; 3], Vec<String>) {
    let next = AtomicUsize::new(0);
    let worker = || {
        let (mut counts, mut differences) = ([0; 3], Vec::new());
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            // To shrink one takes seconds.
            if !differences.is_empty() {
                break;
            }
            for host in &case.hosts {
                match compare(case, host) {
                    Ok(Outcome::Same) => counts[0] += 1,
                    Ok(Outcome::BothRefuse) => counts[1] += 1,
                    Ok(Outcome::NotEvaluated) => counts[2] += 1,
                    Err(_) => {
                        let small = shrunk(case, host);
                        let why = compare(&small, host).expect_err("a shrunk case differs");
                        let mut text = format!("{} for {host}: {why}\n", case.name);
                        for (name, content) in &small.files {
                            writeln!(text, "--- {name}\n{content}").unwrap();
                        }
                        differences.push(text);
                    }
                }
            }
        }
        (counts, differences)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut total = ([0; 3], Vec::new());
        for worker in workers {
            let (counts, differences) = worker.join().unwrap();
            total.0.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            total.1.extend(differences);
        }
        total
    })
}

pub(crate) fn keyword_of(line: &str) -> String {
    let line = line.trim_start().replace('"', "");
    line.split([' ', '\t', '=']).next().unwrap_or_default().to_ascii_lowercase()
}
