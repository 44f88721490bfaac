//! `[groups.NAME]`: hosts under one name, by their own names, by globs, by tags and by other groups.
//!
//! Which groups a host is in is found by its name and its tags, without a look at the hosts that are in them: of a hundred thousand
//! names in one group only the one that is asked about.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use scout_runtime::grants::{HostPattern, Rule};
use sha2::{Digest as _, Sha256};

use super::ConfigError;
use super::file::GroupTable;
use super::rights::Lines;

/// Groups of one configuration.
const MAX_GROUPS: usize = 4_096;

/// All groups. Copies share them.
#[derive(Clone, Default)]
pub struct Groups(Arc<Tables>);

#[derive(Default)]
struct Tables {
    /// In order.
    names: Vec<Arc<str>>,
    /// What stands in each.
    members: Vec<Vec<Rule<HostPattern>>>,
    /// In which groups each group stands.
    parents: Vec<Vec<usize>>,
    /// In which groups a name stands, a tag, and patterns that begin with the same letters.
    by_host: HashMap<String, Vec<usize>>,
    by_tag: HashMap<String, Vec<usize>>,
    by_beginning: HashMap<String, Vec<(HostPattern, usize)>>,
}

/// All that they say, of a hundred thousand hosts too, in a few bytes.
impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digest = Sha256::new();
        for (name, members) in self.0.names.iter().zip(&self.0.members) {
            let members = members.iter().map(|rule| format!("{} {}", rule.text, rule.place));
            for part in std::iter::once(name.to_string()).chain(members) {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
            digest.update(u64::MAX.to_be_bytes());
        }
        write!(f, "Groups({:?})", digest.finalize())
    }
}

impl Groups {
    /// The groups of these tables.
    ///
    /// # Errors
    /// A name or a member that is none, too many groups, and groups that contain themselves, with the line.
    pub(super) fn new(tables: &BTreeMap<String, GroupTable>, lines: &Lines) -> Result<Self, ConfigError> {
        if let Some(table) = tables.values().nth(MAX_GROUPS) {
            let why = format!("{} groups; {MAX_GROUPS} are allowed", tables.len());
            return Err(lines.refuse(&table.hosts, &why));
        }
        let places: HashMap<&str, usize> = tables.keys().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let mut all = Tables { parents: vec![Vec::new(); tables.len()], ..Tables::default() };
        for (at, (name, table)) in tables.iter().enumerate() {
            if HostPattern::parse(&format!("@{name}")).is_err() {
                let why = format!("[groups.{name}] has no name that can be written: 1 to 64 of A-Z a-z 0-9 _ - .");
                return Err(lines.refuse(&table.hosts, &why));
            }
            let mut members = Vec::with_capacity(table.hosts.get_ref().len());
            for text in table.hosts.get_ref() {
                let pattern = HostPattern::parse(text.get_ref()).map_err(|why| lines.refuse(text, &why))?;
                if let Some(group) = pattern.group() {
                    let place = places.get(group).copied().ok_or_else(|| {
                        let near = super::did_you_mean(&super::near(group, places.keys().copied()));
                        lines.refuse(text, &format!("no group is named \"{group}\"; a [groups.NAME] makes one{near}"))
                    })?;
                    all.parents.get_mut(place).into_iter().for_each(|parents| parents.push(at));
                } else if let Some(tag) = pattern.tag() {
                    all.by_tag.entry(tag.to_owned()).or_default().push(at);
                } else if let Some(host) = pattern.host() {
                    all.by_host.entry(host.to_owned()).or_default().push(at);
                } else {
                    all.by_beginning.entry(pattern.beginning().to_owned()).or_default().push((pattern.clone(), at));
                }
                members.push(Rule { value: pattern, text: text.get_ref().as_str().into(), place: lines.place(text) });
            }
            all.names.push(name.as_str().into());
            all.members.push(members);
        }
        match all.circle() {
            Some(circle) => {
                let first = circle.first().and_then(|at| tables.values().nth(*at));
                let named: Vec<String> =
                    circle.iter().filter_map(|at| all.names.get(*at)).map(|name| format!("@{name}")).collect();
                let why = format!("a group contains itself: {}", named.join(" is in "));
                Err(first.map_or_else(|| ConfigError::new(why.clone()), |table| lines.refuse(&table.hosts, &why)))
            }
            None => Ok(Self(Arc::new(all))),
        }
    }

    /// The names of all of them, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().map(|name| &**name)
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.names.binary_search_by(|known| (**known).cmp(name)).is_ok()
    }

    /// All that stands in them, group by group.
    pub(super) fn members(&self) -> impl Iterator<Item = &Rule<HostPattern>> {
        self.0.members.iter().flatten()
    }

    /// The groups that a host with these tags is in, in order: those that name it, and those that they are in.
    pub(super) fn of(&self, host: &str, tags: &[Arc<str>]) -> Vec<Arc<str>> {
        let Tables { names, parents, by_host, by_tag, by_beginning, .. } = &*self.0;
        if names.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<usize> = by_host.get(host).into_iter().flatten().copied().collect();
        found.extend(tags.iter().filter_map(|tag| by_tag.get(&**tag)).flatten());
        if !by_beginning.is_empty() {
            let beginnings = host.char_indices().map(|(end, _)| end).chain([host.len()]);
            let tried = beginnings.filter_map(|end| by_beginning.get(host.get(..end)?)).flatten();
            found.extend(tried.filter(|(pattern, _)| pattern.names(host)).map(|(_, at)| *at));
        }
        let mut within = BTreeSet::new();
        while let Some(at) = found.pop() {
            if within.insert(at) {
                found.extend(parents.get(at).into_iter().flatten());
            }
        }
        within.into_iter().filter_map(|at| names.get(at).cloned()).collect()
    }
}

impl Tables {
    /// Groups of which each is in the next, and the last is the first, if there are such.
    fn circle(&self) -> Option<Vec<usize>> {
        // How many groups stand in each that are not done with.
        let mut open = vec![0usize; self.parents.len()];
        for parent in self.parents.iter().flatten() {
            open.get_mut(*parent).into_iter().for_each(|count| *count += 1);
        }
        let mut done: Vec<usize> = (0..open.len()).filter(|at| open.get(*at) == Some(&0)).collect();
        while let Some(at) = done.pop() {
            for parent in self.parents.get(at).into_iter().flatten() {
                if let Some(count) = open.get_mut(*parent) {
                    *count -= 1;
                    if *count == 0 {
                        done.push(*parent);
                    }
                }
            }
        }
        // Each that is left contains one that is left: whoever goes down comes round.
        let is_left = |at: usize| open.get(at).is_some_and(|count| *count > 0);
        let child = |of: usize| {
            let contains = |at: &usize| self.parents.get(*at).is_some_and(|parents| parents.contains(&of));
            (0..open.len()).find(|at| is_left(*at) && contains(at))
        };
        let mut way = vec![(0..open.len()).find(|at| is_left(*at))?];
        loop {
            let next = child(*way.last()?)?;
            if let Some(from) = way.iter().position(|at| *at == next) {
                way.drain(..from);
                way.push(next);
                way.reverse();
                return Some(way);
            }
            way.push(next);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::super::file::File;
    use super::*;

    fn groups(toml: &str) -> Result<Groups, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scout.toml");
        std::fs::write(&path, toml).unwrap();
        File::read(&path).and_then(|file| Groups::new(&file.groups, &file.lines))
    }

    fn of(groups: &Groups, host: &str, tags: &[&str]) -> Vec<String> {
        let tags: Vec<Arc<str>> = tags.iter().map(|tag| (*tag).into()).collect();
        groups.of(host, &tags).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_host_is_in_the_groups_that_name_it_and_in_those_that_contain_them() {
        let groups = groups(
            "[groups.front]\nhosts = [\"web*\", \"lb1\"]\n[groups.eu]\nhosts = [\"*.eu\", \"tag:eu\"]\n\
             [groups.all]\nhosts = [\"@front\", \"@eu\", \"db?\"]\n[groups.more]\nhosts = [\"@all\", \"@front\"]\n[groups.none]\nhosts = []\n",
        )
        .unwrap();
        for (host, tags, expected) in [
            ("web1", &[][..], &["all", "front", "more"][..]),
            ("web1.eu", &[], &["all", "eu", "front", "more"]),
            ("lb1", &["eu", "prod"], &["all", "eu", "front", "more"]),
            ("lb12", &[], &[]),
            ("db1", &[], &["all", "more"]),
            ("other", &["eur"], &[]),
            ("w\u{e9}b.eu", &[], &["all", "eu", "more"]),
        ] {
            assert_eq!(of(&groups, host, tags), expected, "{host}");
        }
        assert!(groups.has("front") && !groups.has("fron") && groups.names().count() == 5);
    }

    #[test]
    fn what_is_no_group_is_refused_with_its_line() {
        let many: String = (0..=MAX_GROUPS).map(|n| format!("[groups.g{n}]\nhosts = []\n")).collect();
        for (toml, says) in [
            ("[groups.\"a b\"]\nhosts = []\n", ":2: [groups.a b] has no name that can be written"),
            ("[groups.a]\nhosts = [\n\"web 1\"]\n", ":3: not a host"),
            (
                "[groups.a]\nhosts = [\"@fron\"]\n[groups.front]\nhosts = []\n",
                ":2: no group is named \"fron\"; a [groups.NAME] makes one; did you mean `front`?",
            ),
            ("[groups.a]\n", ":1: missing field `hosts`"),
            ("[groups.a]\nhosts = []\nhost = []\n", ":3: unknown key `host`; did you mean `hosts`"),
            ("[groups.a]\nhosts = [\"@a\"]\n", ":2: a group contains itself: @a is in @a"),
            (
                "[groups.x]\nhosts = [\"@a\"]\n[groups.a]\nhosts = [\"@b\", \"@d\"]\n[groups.b]\nhosts = [\"@c\"]\n[groups.c]\nhosts = [\"@a\"]\n[groups.d]\nhosts = []\n",
                ":4: a group contains itself: @a is in @c is in @b is in @a",
            ),
            (&*many, "4097 groups; 4096 are allowed"),
        ] {
            let error = groups(toml).unwrap_err().to_string();
            assert!(error.contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn a_change_of_a_group_is_another_configuration() {
        let debug = |toml: &str| format!("{:?}", groups(toml).unwrap());
        let one = debug("[groups.a]\nhosts = [\"x\", \"y\"]\n");
        assert_eq!(one, debug("[groups.a]\nhosts = [\"x\", \"y\"]\n"));
        for other in [
            "",
            "[groups.a]\nhosts = [\"x\"]\n",
            "[groups.b]\nhosts = [\"x\", \"y\"]\n",
            "[groups.a]\nhosts = [\"y\", \"x\"]\n",
        ] {
            assert_ne!(one, debug(other));
        }
    }

    /// Twice as many members are no more to look at for one host.
    #[test]
    fn of_a_hundred_thousand_members_one_is_looked_at() {
        let members: Vec<String> = (0..100_000).map(|n| format!("\"h{n:06}\"")).collect();
        let globs: Vec<String> = (0..1_000).map(|n| format!("\"rack{n:04}-*\"")).collect();
        let groups = groups(&format!(
            "[groups.many]\nhosts = [{}]\n[groups.racks]\nhosts = [{}]\n[groups.both]\nhosts = [\"@many\", \"@racks\"]\n",
            members.join(","),
            globs.join(",")
        ))
        .unwrap();
        assert_eq!(of(&groups, "h099999", &[]), ["both", "many"]);
        assert_eq!(of(&groups, "rack0999-x", &[]), ["both", "racks"]);
        let Tables { by_host, by_beginning, .. } = &*groups.0;
        let most = by_host.values().map(Vec::len).chain(by_beginning.values().map(Vec::len)).max();
        assert_eq!((by_host.len(), by_beginning.len(), most), (100_000, 1_000, Some(1)));
    }
}
