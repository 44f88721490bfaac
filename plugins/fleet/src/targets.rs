//! Which hosts are meant: names, patterns of names, groups and tags, each with a path or without; and which of them are asked now.

use std::collections::BTreeSet;

use scout_plugin::{Error, ErrorKind, cursors, inventory, text};

/// Hosts that are asked at once. The others are for the cursor.
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
    let from = ["tag:", "@"].into_iter().find(|word| target.starts_with(word)).map_or(0, str::len);
    let end = target.get(from..).and_then(|rest| rest.find(':')).map_or(target.len(), |at| at + from);
    match word(end) {
        Some((word, path)) if word.len() > from && !word.contains('/') => {
            let hosts = if from > 0 || word.contains(['*', '?']) { Hosts::Fitting(word) } else { Hosts::Named(word) };
            Ok((hosts, path.filter(|path| !path.is_empty())))
        }
        _ => {
            let shown = text::clipped(target, 100);
            Err(Error::new(ErrorKind::Invalid, format!("the target `{shown}` names no host"))
                .hint("write `web*:/path`, `@GROUP:/path`, `tag:NAME:/path` or `host:/path`"))
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

/// Which of all that is meant was asked, and what is left of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    /// How many were asked or are left, of the first.
    offset: usize,
    /// Of these the ones that are asked once more.
    left: Vec<usize>,
    /// What those were.
    check: u64,
}

impl State {
    /// As it is sealed.
    fn write(&self) -> String {
        let mut left: Vec<String> = Vec::new();
        for run in self.left.chunk_by(|one, next| one + 1 == *next) {
            left.extend(match run {
                [one] => Some(one.to_string()),
                [from, .., to] => Some(format!("{from}-{to}")),
                [] => None,
            });
        }
        format!("{} {:x} {}", self.offset, self.check, left.join(","))
    }

    fn read(state: &str) -> Option<Self> {
        let mut words = state.split(' ');
        let (offset, check) = (words.next()?.parse().ok()?, u64::from_str_radix(words.next()?, 16).ok()?);
        let mut left = Vec::new();
        for run in words.next()?.split(',').filter(|run| !run.is_empty()) {
            let (from, to) = run.split_once('-').unwrap_or((run, run));
            let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
            if to >= offset || to - from.min(to) > MOST {
                return None;
            }
            left.extend(from..=to);
        }
        Some(Self { offset, left, check })
    }
}

/// A number that differs where these do (FNV-1a, 64 bits): the cursor is sealed, so that it finds changes and needs to find no attacks.
fn check(targets: &[Target]) -> u64 {
    let byte = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let text = |hash, text: &str| byte(text.bytes().fold(hash, byte), 0xff);
    targets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, target| {
        text(text(hash, &target.host), target.path.as_deref().unwrap_or("\0"))
    })
}

/// What is asked now, of all that is meant.
pub(crate) struct Asked {
    /// All that is meant, as far as it is known.
    all: Vec<Target>,
    /// Places of those that are asked now.
    places: Vec<usize>,
    /// How many of them are asked once more.
    again: usize,
    /// How many were asked then, of the first.
    offset: usize,
}

/// What was not answered, and how to ask for it.
pub(crate) struct Rest {
    pub(crate) cursor: String,
    /// How many did not answer while there was time and room.
    pub(crate) unanswered: usize,
    /// Whether there are others that were not asked yet.
    pub(crate) has_more: bool,
}

impl Asked {
    /// Of these targets the first, in their order and that of the configuration, each once; or those that a cursor stands for.
    ///
    /// # Errors
    /// A target that names no host, patterns that fit none, and a cursor of other hosts than there are now.
    pub(crate) fn of<'a>(targets: impl Iterator<Item = &'a str>, cursor: Option<&str>) -> Result<Self, Error> {
        Self::by(targets, cursor, |word, start| {
            let page = inventory::select(&[word.to_owned()], start, PAGE)?;
            Ok((page.machines.into_iter().map(|host| host.name).collect(), page.next))
        })
    }

    fn by<'a>(
        targets: impl Iterator<Item = &'a str>,
        cursor: Option<&str>,
        select: impl Fn(&str, Option<&str>) -> Result<Page, Error>,
    ) -> Result<Self, Error> {
        let changed = || {
            Error::new(
                ErrorKind::Invalid,
                "the hosts that the targets name have changed since the answer that told this `cursor`",
            )
            .hint("leave `cursor` out to begin anew")
        };
        let state = match cursor {
            Some(cursor) => State::read(&cursors::open(cursor)?).ok_or_else(changed)?,
            None => State { check: check(&[]), ..State::default() },
        };
        let State { offset, left, check: expected } = state;
        // One more than is asked now tells whether there are others.
        let all = resolved_by(targets, offset + MOST + 1, select)?;
        if all.get(..offset).map(check) != Some(expected) {
            return Err(changed());
        }
        let (again, mut places) = (left.len(), left);
        let fresh = MOST.saturating_sub(again).min(all.len() - offset);
        places.extend(offset..offset + fresh);
        Ok(Self { all, places, again, offset: offset + fresh })
    }

    /// The targets that are asked now.
    pub(crate) fn targets(&self) -> Vec<Target> {
        self.places.iter().filter_map(|place| self.all.get(*place)).cloned().collect()
    }

    /// What is left when these have failed for want of time or room. Who was asked twice is not asked again.
    ///
    /// # Errors
    /// No cursor can be sealed.
    pub(crate) fn rest(&self, failed: impl Fn(&Target) -> bool) -> Result<Option<Rest>, Error> {
        let asked = self.places.iter().skip(self.again);
        let left: Vec<usize> = asked.copied().filter(|place| self.all.get(*place).is_some_and(&failed)).collect();
        let (unanswered, has_more) = (left.len(), self.all.len() > self.offset);
        if unanswered == 0 && !has_more {
            return Ok(None);
        }
        let check = check(self.all.get(..self.offset).unwrap_or_default());
        let cursor = cursors::seal(&State { offset: self.offset, left, check }.write())?;
        Ok(Some(Rest { cursor, unanswered, has_more }))
    }
}

/// The names of one page of hosts, and where the next one begins.
type Page = (Vec<String>, Option<String>);

/// All that is meant, in the order of the targets and of the configuration, each once; of more than these the first.
fn resolved_by<'a>(
    targets: impl Iterator<Item = &'a str>,
    most: usize,
    select: impl Fn(&str, Option<&str>) -> Result<Page, Error>,
) -> Result<Vec<Target>, Error> {
    let (mut meant, mut seen) = (Vec::new(), BTreeSet::new());
    for target in targets {
        let (hosts, path) = read(target)?;
        let mut add = |host: String| {
            let target = Target { host, path: path.map(str::to_owned) };
            if meant.len() < most && seen.insert(target.clone()) {
                meant.push(target);
            }
            meant.len() < most
        };
        match hosts {
            Hosts::Named(host) => {
                for host in unfold(host) {
                    add(host);
                }
            }
            Hosts::Fitting(word) => {
                let (mut next, mut found) = (None, false);
                loop {
                    let (names, following) = select(word, next.as_deref())?;
                    found |= !names.is_empty();
                    let has_room = names.into_iter().fold(true, |_, name| add(name));
                    match following {
                        Some(following) if has_room => next = Some(following),
                        _ => break,
                    }
                }
                if !found {
                    let shown = text::clipped(word, 100);
                    return Err(Error::new(ErrorKind::NotFound, format!("no host fits `{shown}`"))
                        .hint("the target `hosts` lists them; groups and tags are those that the operator has given"));
                }
            }
        }
    }
    Ok(meant)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::{Asked, Hosts, MOST, Page, State, Target, read, resolved_by, unfold};

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
            ("@front", Hosts::Fitting("@front"), None),
            ("@front:~/x:y", Hosts::Fitting("@front"), Some("~/x:y")),
        ] {
            assert_eq!(read(target), Ok((hosts, path)), "{target}");
        }
        for target in ["", ":/etc", "/etc/hosts", "a/b:c", "tag:", "tag::/etc", "@", "@:/etc", "@a/b"] {
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
            let meant = resolved_by(targets.iter().copied(), 1_001, select)?;
            Ok::<_, scout_plugin::Error>(meant.into_iter().map(|target| target.host).collect::<Vec<_>>())
        };
        assert_eq!(meant(&["web2", "web*"]), Ok(vec!["web2".into(), "web1".into(), "web3".into()]));
        assert_eq!(meant(&["many*", "web*"]).map(|meant| meant.len()), Ok(1_001));
        assert!(meant(&["db*"]).is_err_and(|error| error.message == "no host fits `db*`"));
    }

    /// Of 2,500 hosts a page.
    fn select(_: &str, start: Option<&str>) -> Result<Page, scout_plugin::Error> {
        let from: usize = start.map_or(0, |name| name[1..].parse().expect("a number"));
        let names = (from..2_500).take(1_000).map(|n| format!("h{n}")).collect();
        Ok((names, Some(from + 1_000).filter(|next| *next < 2_500).map(|next| format!("h{next}"))))
    }

    fn asked(cursor: Option<&str>) -> Asked {
        Asked::by(["h*", "db"].into_iter(), cursor, select).expect("it can be asked")
    }

    #[test]
    fn what_was_not_answered_is_asked_once_more_and_then_the_others_until_all_were() {
        let (mut cursor, mut times, mut pages) = (None, vec![0; 2_501], Vec::new());
        // These never answer.
        let fails = |target: &Target| target.host.ends_with("77");
        loop {
            let page = asked(cursor.as_deref());
            let targets = page.targets();
            for place in &page.places {
                times[*place] += 1;
            }
            let rest = page.rest(fails).expect("it can be sealed");
            pages.push((targets.len(), rest.as_ref().map(|rest| (rest.unanswered, rest.has_more))));
            match rest {
                Some(rest) => cursor = Some(rest.cursor),
                None => break,
            }
        }
        let of = |unanswered, has_more| Some((unanswered, has_more));
        assert_eq!(pages, [(MOST, of(10, true)), (MOST, of(10, true)), (521, of(5, false)), (5, None)]);
        let twice = times.iter().filter(|times| **times == 2).count();
        assert!(times.iter().all(|times| (1..=2).contains(times)) && twice == 25, "{twice}");
    }

    #[test]
    fn a_cursor_of_hosts_that_have_changed_is_refused() {
        let cursor = asked(None).rest(|_| false).expect("it can be sealed").expect("there is more").cursor;
        let other = |word: &str, start: Option<&str>| {
            let (mut names, next) = select(word, start)?;
            names.retain(|name| name != "h500");
            Ok((names, next))
        };
        let refused = Asked::by(["h*"].into_iter(), Some(&cursor), other).map(|_| ());
        assert!(refused.is_err_and(|error| error.message.contains("have changed since")));
        for cursor in ["", "5", "9 x ", "9 0 9", "9 0 8-99999", "1 0 0-", "99999999999999999999 0 "] {
            assert!(State::read(cursor).is_none(), "{cursor}");
            let refused = Asked::by(["h*"].into_iter(), Some(&format!("{cursor}-unsealed")), select).map(|_| ());
            assert!(refused.is_err(), "{cursor}");
        }
        let state = State { offset: 40, left: vec![0, 1, 2, 5, 7, 8], check: 10 };
        assert_eq!((state.write().as_str(), State::read(&state.write())), ("40 a 0-2,5,7-8", Some(state.clone())));
    }

    #[test]
    fn the_longest_state_can_be_sealed() {
        let left = (99_000..100_000).step_by(2).collect();
        assert!(State { offset: 100_000, left, check: u64::MAX }.write().len() < 4096);
    }
}
