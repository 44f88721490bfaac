//! Which hosts are meant: names, patterns of names and tags, each with a path or without.

use std::collections::BTreeSet;

use scout_plugin::inventory;
use scout_plugin::{Error, ErrorKind, text};

/// Hosts of one question.
const MOST: usize = 1_000;
/// Hosts of one page of the inventory.
const PAGE: u32 = 1_000;

/// A host, and the path there that is meant; absent: the home directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) path: Option<String>,
}

/// What one of the targets names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts<'a> {
    /// This one.
    Named(&'a str),
    /// Those that fit a word of the inventory.
    Fitting(&'a str),
}

/// A target, taken apart.
fn read(target: &str) -> Result<(Hosts<'_>, Option<&str>), Error> {
    let word = |end: usize| target.split_at_checked(end).map(|(word, path)| (word, path.strip_prefix(':')));
    let from = if target.starts_with("tag:") { "tag:".len() } else { 0 };
    let end = target.get(from..).and_then(|rest| rest.find(':')).map_or(target.len(), |at| at + from);
    match word(end) {
        Some((word, path)) if word.len() > from && !word.contains('/') => {
            let hosts = if from > 0 || word.contains(['*', '?']) { Hosts::Fitting(word) } else { Hosts::Named(word) };
            Ok((hosts, path.filter(|path| !path.is_empty())))
        }
        _ => {
            let shown = text::clipped(target, 100);
            Err(Error::new(ErrorKind::Invalid, format!("the target `{shown}` names no host"))
                .hint("write `web*:/path`, `tag:NAME:/path` or `host:/path`"))
        }
    }
}

/// The names that a folded one stands for, as answers tell them: `web[01-03,7]`. Any other is itself.
fn unfold(name: &str) -> Vec<String> {
    let parts = || {
        let (before, rest) = name.split_once('[')?;
        let (ranges, behind) = rest.split_once(']')?;
        let mut names = Vec::new();
        for range in ranges.split(',') {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let width = if from.starts_with('0') { from.len() } else { 0 };
            let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
            if to < from || to - from > MOST as u64 || names.len() > MOST {
                return None;
            }
            names.extend((from..=to).map(|number| format!("{before}{number:0width$}{behind}")));
        }
        Some(names)
    };
    parts().unwrap_or_else(|| vec![name.to_owned()])
}

/// All that is meant, in the order of the targets and of the configuration, each once.
///
/// # Errors
/// A target that names no host, patterns that fit none, and too many hosts.
pub(crate) fn resolved<'a>(targets: impl Iterator<Item = &'a str>) -> Result<Vec<Target>, Error> {
    resolved_by(targets, |word, start| {
        let page = inventory::select(&[word.to_owned()], start, PAGE)?;
        Ok((page.machines.into_iter().map(|host| host.name).collect(), page.next))
    })
}

/// The names of one page of hosts, and where the next one begins.
type Page = (Vec<String>, Option<String>);

fn resolved_by<'a>(
    targets: impl Iterator<Item = &'a str>,
    select: impl Fn(&str, Option<&str>) -> Result<Page, Error>,
) -> Result<Vec<Target>, Error> {
    let (mut meant, mut seen) = (Vec::new(), BTreeSet::new());
    for target in targets {
        let (hosts, path) = read(target)?;
        let mut add = |host: String| {
            let target = Target { host, path: path.map(str::to_owned) };
            if seen.insert(target.clone()) {
                meant.push(target);
            }
            match meant.len() > MOST {
                true => Err(Error::new(ErrorKind::Invalid, format!("the targets name more than {MOST} hosts"))
                    .hint("narrow them, and ask for the others apart")),
                false => Ok(()),
            }
        };
        match hosts {
            Hosts::Named(host) => unfold(host).into_iter().try_for_each(&mut add)?,
            Hosts::Fitting(word) => {
                let (mut next, mut found) = (None, false);
                loop {
                    let (names, following) = select(word, next.as_deref())?;
                    found |= !names.is_empty();
                    names.into_iter().try_for_each(&mut add)?;
                    match following {
                        Some(following) => next = Some(following),
                        None => break,
                    }
                }
                if !found {
                    let shown = text::clipped(word, 100);
                    return Err(Error::new(ErrorKind::NotFound, format!("no host fits `{shown}`"))
                        .hint("the target `hosts` lists them; a tag is one that the operator has given"));
                }
            }
        }
    }
    Ok(meant)
}

#[cfg(test)]
mod tests {
    use super::{Hosts, read, resolved_by, unfold};

    #[test]
    fn what_answers_fold_is_unfolded() {
        for (name, names) in [
            ("web[01-03,7]", &["web01", "web02", "web03", "web7"][..]),
            ("r[1-2].eu", &["r1.eu", "r2.eu"]),
            ("web1", &["web1"]),
            ("web[3-1]", &["web[3-1]"]),
            ("web[x]", &["web[x]"]),
            ("web[1-9999999]", &["web[1-9999999]"]),
        ] {
            assert_eq!(unfold(name), names);
        }
    }

    #[test]
    fn a_target_is_a_name_a_pattern_or_a_tag_and_a_path() {
        for (target, hosts, path) in [
            ("web1", Hosts::Named("web1"), None),
            ("web1:", Hosts::Named("web1"), None),
            ("web1:/etc/a:b", Hosts::Named("web1"), Some("/etc/a:b")),
            ("web*:~/x", Hosts::Fitting("web*"), Some("~/x")),
            ("db?", Hosts::Fitting("db?"), None),
            ("tag:front", Hosts::Fitting("tag:front"), None),
            ("tag:front:/etc", Hosts::Fitting("tag:front"), Some("/etc")),
            ("tag", Hosts::Named("tag"), None),
        ] {
            assert_eq!(read(target), Ok((hosts, path)), "{target}");
        }
        for target in ["", ":/etc", "/etc/hosts", "a/b:c", "tag:", "tag::/etc"] {
            assert!(read(target).is_err(), "{target}");
        }
    }

    #[test]
    fn each_host_is_meant_once_and_pages_are_read_to_their_end() {
        let select = |word: &str, start: Option<&str>| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            Ok(match (word, start) {
                ("web*", None) => (names(&["web1", "web2"]), Some("web3".to_owned())),
                ("web*", Some("web3")) => (names(&["web3"]), None),
                ("many*", _) => ((0..1_001).map(|n| format!("h{n}")).collect(), None),
                _ => (Vec::new(), None),
            })
        };
        let meant = |targets: &[&str]| {
            let meant = resolved_by(targets.iter().copied(), select)?;
            Ok::<_, scout_plugin::Error>(meant.into_iter().map(|target| target.host).collect::<Vec<_>>())
        };
        assert_eq!(meant(&["web2", "web*"]), Ok(vec!["web2".into(), "web1".into(), "web3".into()]));
        assert!(meant(&["many*"]).is_err_and(|error| error.message.contains("more than 1000 hosts")));
        assert!(meant(&["db*"]).is_err_and(|error| error.message == "no host fits `db*`"));
    }
}
