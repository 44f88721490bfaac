//! One host as both have it: the same, refused by both, or refused by Scout for a reason that is written down.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use scout_ssh::config::Explained;

use crate::refusals::refused_for_a_reason;
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
    let mut probes: Vec<(PathBuf, u32)> = Vec::new();
    let mut unknown: Vec<String> = Vec::new();
    let mut answer = ask(&world, &[], host);
    while let Err(stderr) = &answer {
        let bad: Vec<(PathBuf, u32)> = bad_lines(&world, case, stderr);
        if bad.is_empty() {
            break;
        }
        for at in bad {
            if stderr.contains(&format!("{}: line {}: Bad configuration option", at.0.display(), at.1)) {
                unknown.push(place(&at));
            }
            if !probe(&at, probes.len()) {
                // A block whose hosts are not known.
                return match mine {
                    Err(error) if error.message().contains(&place(&at)) => Ok(Outcome::BothRefuse),
                    // It stands in an `Include` that does not reach the host, or an earlier line is refused.
                    _ => Ok(Outcome::NotEvaluated),
                };
            }
            probes.push(at);
        }
        answer = ask(&world, &[], host);
    }
    let printed = match answer {
        Ok(printed) => printed,
        Err(stderr) => {
            // Wherever that `Include` stands; here only for the hosts that it is read for.
            let elsewhere = stderr.contains("Too many recursive configuration includes");
            return match mine {
                Ok(_) if !elsewhere => Err(format!("{host}: ssh refuses, Scout does not: {stderr}")),
                _ => Ok(Outcome::BothRefuse),
            };
        }
    };
    let chain = match chain(&world, &printed) {
        Ok(chain) => chain,
        Err(_) if mine.is_err() => return Ok(Outcome::BothRefuse),
        // The ssh of a hop reads the whole file too, and an IgnoreUnknown may stand in a block that is not the hop's.
        Err(why) if why.contains("Bad configuration option") => return Ok(Outcome::BothRefuse),
        Err(why) => return Err(format!("{host}: ssh refuses, Scout does not: {why}")),
    };
    // The bad lines that apply to the host or to one on the way.
    let sent: Vec<&String> =
        chain.iter().chain([&printed]).filter_map(|printed| printed.get("sendenv")).flatten().collect();
    let applies = |i: usize| sent.iter().any(|name| **name == format!("SCOUT_PROBE_{i}_"));
    let bad: Vec<String> = (0..probes.len()).filter(|i| applies(*i)).map(|i| place(&probes[i])).collect();
    match mine {
        // Where only the second reading comes to an IgnoreUnknown, ssh has refused the file in the first one.
        Ok(_) if bad.iter().any(|at| !unknown.contains(at)) => {
            Err(format!("{host}: ssh refuses {bad:?}, Scout does not"))
        }
        Ok(explained) => {
            let difference = difference(&world, &explained, &printed);
            match difference.or_else(|| difference_of_hops(&world, &chain, &explained)) {
                Some(difference) => Err(difference),
                None if probes.is_empty() => Ok(Outcome::Same),
                None => Ok(Outcome::BothRefuse),
            }
        }
        // Any of those that apply may be the one that Scout comes to first.
        Err(error) if bad.iter().any(|place| error.message().contains(place)) => Ok(Outcome::BothRefuse),
        Err(error) => match refused_for_a_reason(&world, error.message()) {
            Ok(()) => Ok(Outcome::NotEvaluated),
            Err(why) => {
                Err(format!("{host}: ssh takes it, Scout says {:?} ({:?}): {why}", error.message(), error.hint()))
            }
        },
    }
}

fn place((file, line): &(PathBuf, u32)) -> String {
    format!("{}:{line}: ", file.display())
}

/// The lines that ssh complains of.
fn bad_lines(world: &World, case: &Case, stderr: &str) -> Vec<(PathBuf, u32)> {
    let mut bad = Vec::new();
    for (name, _) in &case.files {
        let file = world.path().join(name);
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

/// Replaces a bad line by one that ssh prints if it applies. Not possible for lines that begin blocks.
fn probe((file, line): &(PathBuf, u32), number: usize) -> bool {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let bad = &mut lines[usize::try_from(*line).unwrap() - 1];
    if ["host", "match", "include", "sendenv"].contains(&keyword_of(bad).as_str()) {
        return false;
    }
    // Not a prefix of the tenth.
    *bad = format!("SendEnv SCOUT_PROBE_{number}_");
    std::fs::write(file, lines.join("\n")).unwrap();
    true
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
    case.files.retain(|(_, text)| !text.is_empty());
    case
}

/// Compares all hosts of all cases on all processors; gives how many came to what, and the first cases that differ.
pub(crate) fn compare_all(cases: &[Case]) -> ([usize; 3], Vec<String>) {
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
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
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
