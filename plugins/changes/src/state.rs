//! What a host is like at a time, part by part; how that is kept, and how two of them differ. Pure.

use std::collections::BTreeMap;

use scout_plugin::rows::{Cell, Row};
use scout_plugin::text;

/// A kind of what is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    File,
    Package,
    Unit,
    Account,
    Listener,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::File, Self::Package, Self::Unit, Self::Account, Self::Listener];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Package => "package",
            Self::Unit => "unit",
            Self::Account => "account",
            Self::Listener => "listener",
        }
    }
}

/// What was seen of one kind: names, and what each is; or why none of it was.
pub(crate) type Part = Result<BTreeMap<String, String>, String>;

/// What a file is that is not there. It is no digest.
pub(crate) const ABSENT: &str = "absent";
/// What a file is that could not be read. It is never told as a change.
pub(crate) const UNREAD: &str = "unread";

/// All kinds that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) parts: BTreeMap<Kind, Part>,
}

/// The first line of a state that is kept.
const HEAD: &str = "changes 1";
/// The most characters of a name and of a value.
const MAX_TEXT: usize = 1000;

/// A text as it is kept and shown: one line without tabs.
fn plain(text: &str) -> String {
    text::clipped(&text::one_line(text).replace('\t', "\\t"), MAX_TEXT)
}

impl State {
    pub(crate) fn put(&mut self, kind: Kind, part: Result<Vec<(String, String)>, String>) {
        let part = part.map(|found| {
            let mut names: BTreeMap<String, String> = BTreeMap::new();
            for (name, value) in found {
                let (name, value) = (plain(&name), plain(&value));
                // Several versions of one package, several sockets of one place.
                names.entry(name).and_modify(|known| *known = format!("{known}, {value}")).or_insert(value);
            }
            names
        });
        self.parts.insert(kind, part.map_err(|why| plain(&why)));
    }

    /// As it is kept: lines of words with tabs between them.
    pub(crate) fn print(&self) -> String {
        let mut out = format!("{HEAD}\n");
        for (kind, part) in &self.parts {
            match part {
                Err(why) => out.push_str(&format!("{}\tunseen\t{why}\n", kind.word())),
                Ok(names) => {
                    out.push_str(&format!("{}\tseen\t\n", kind.word()));
                    for (name, value) in names {
                        out.push_str(&format!("{}\t{name}\t{value}\n", kind.word()));
                    }
                }
            }
        }
        out
    }

    /// One that was kept, if it is one.
    pub(crate) fn parse(kept: &[u8]) -> Option<Self> {
        let kept = std::str::from_utf8(kept).ok()?;
        let mut lines = kept.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let mut state = Self::default();
        for line in lines {
            let mut words = line.splitn(3, '\t');
            let (word, name, value) = (words.next()?, words.next()?, words.next()?);
            let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word)?;
            match state.parts.get_mut(&kind) {
                // The first line of a kind says whether it was seen.
                None => {
                    let part = match name {
                        "seen" => Ok(BTreeMap::new()),
                        "unseen" => Err(value.to_owned()),
                        _ => return None,
                    };
                    state.parts.insert(kind, part);
                }
                Some(Ok(names)) => drop(names.insert(name.to_owned(), value.to_owned())),
                Some(Err(_)) => return None,
            }
        }
        Some(state)
    }

    /// How many of each kind were seen.
    pub(crate) fn counted(&self) -> String {
        let count = |(kind, part): (&Kind, &Part)| {
            let number = part.as_ref().map_or(0, BTreeMap::len) as u64;
            part.is_ok().then(|| text::count(number, kind.word(), &format!("{}s", kind.word())))
        };
        self.parts.iter().filter_map(count).collect::<Vec<_>>().join(", ")
    }

    /// What was not seen, and why.
    pub(crate) fn unseen(&self) -> Vec<String> {
        let why =
            |(kind, part): (&Kind, &Part)| Some(format!("{}s were not seen: {}", kind.word(), part.as_ref().err()?));
        let mut notes: Vec<String> = self.parts.iter().filter_map(why).collect();
        notes.extend(self.unread().map(|names| format!("not read, and so not compared: {names}")));
        notes
    }

    /// The files that could not be read.
    fn unread(&self) -> Option<String> {
        let files = self.parts.get(&Kind::File)?.as_ref().ok()?;
        let names: Vec<&str> =
            files.iter().filter(|(_, value)| *value == UNREAD).map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| text::clipped(&names.join(", "), MAX_TEXT))
    }
}

/// A change of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

impl Change {
    /// In the columns of [`SHAPE`](crate::schema::SHAPE).
    pub(crate) fn row(&self) -> Row {
        let change = match (&self.before, &self.after) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        vec![
            Cell::text(self.kind.word()),
            Cell::text(self.name.as_str()),
            Cell::text(change),
            Cell::text(self.before.as_deref()),
            Cell::text(self.after.as_deref()),
        ]
    }
}

/// What has changed, in the order of kinds and names; and what of it is not known, for it was not seen once.
pub(crate) fn changes(before: &State, after: &State) -> (Vec<Change>, Vec<String>) {
    let (mut changes, mut notes) = (Vec::new(), after.unseen());
    for kind in Kind::ALL {
        match (before.parts.get(&kind), after.parts.get(&kind)) {
            (Some(Ok(before)), Some(Ok(after))) => differ(kind, before, after, &mut changes),
            (Some(Err(why)), Some(Ok(_))) => {
                notes.push(format!("{}s are not compared: they were not seen for the baseline ({why})", kind.word()));
            }
            _ => {}
        }
    }
    let unread = before.unread().filter(|_| after.parts.get(&Kind::File).is_some_and(Result::is_ok));
    notes.extend(unread.map(|names| format!("not read for the baseline, and so not compared: {names}")));
    (changes, notes)
}

fn differ(kind: Kind, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, changes: &mut Vec<Change>) {
    let is_there = |value: &&String| *value != ABSENT;
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let mut found: Vec<Change> = Vec::new();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if [old, new].into_iter().flatten().any(|value| value == UNREAD) {
            continue;
        }
        let (old, new) = (old.filter(is_there), new.filter(is_there));
        if old != new {
            found.push(Change { kind, name: name.clone(), before: old.cloned(), after: new.cloned() });
        }
    }
    let mut places: Vec<usize> = (0..found.len()).collect();
    scout_plugin::rows::sort(&mut places, &|one, other| {
        let name = |at: usize| found.get(at).map(|change| change.name.as_str());
        name(one).cmp(&name(other))
    });
    changes.extend(places.iter().filter_map(|at| found.get(*at)).cloned());
}
