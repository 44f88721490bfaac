//! Which plugin has which names of tools: a rule of the configuration and of what serves, whatever is loaded first.
//!
//! Plugins take names one after the other in a fixed order, each all of its names or none. What a plugin has is its own until
//! it is decided without it; one that cannot have what it wants keeps what it has, if it may go on. A plugin is decided as soon
//! as none before it in the order can still change what it gets, so it never waits for one that could not own one of its
//! names. Pure: knows neither tools nor how they are loaded.
//!
//! A scheme of resources is a name too ([`as_name`]): it has no prefix, and is no tool that is counted.
//!
//! Names that differ only in what a reader overlooks ([`alike`]) are one name: whoever has the one has the other.

use scout_runtime::MAX_TOOLS_OF_PLUGIN;

/// Tools of all plugins together.
const MAX_TOOLS: usize = 500;

/// The claims of all plugins, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Vec<Claim>);

/// One plugin's claim.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    plugin: String,
    /// What the names that it will want begin with.
    prefix: String,
    /// The names that it will want, if that is known before it is loaded.
    foreseen: Option<Vec<String>>,
    /// The names that it has.
    has: Vec<String>,
    /// Whether it may keep them if it cannot have what it wants.
    goes_on: bool,
    wants: Wants,
}

/// What a plugin wants.
#[derive(Clone, Debug)]
enum Wants {
    /// It is not loaded.
    Unknown,
    These(Vec<String>),
    /// It cannot be used.
    Nothing,
    /// It is decided: what it has it keeps.
    Decided,
}

/// What is decided of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It has what it wanted.
    Gets,
    /// It wanted nothing.
    CannotBeUsed,
    /// It wanted a name that is, or is [`alike`], one that another plugin has.
    Taken { name: String, by: String, theirs: String },
    /// There would be more than so many tools.
    TooMany(usize),
}

impl Claim {
    /// Of a plugin that is not loaded and has nothing.
    pub(super) fn new(plugin: &str, prefix: &str, foreseen: Option<Vec<String>>) -> Self {
        let (plugin, prefix) = (plugin.to_owned(), prefix.to_owned());
        Self { plugin, prefix, foreseen, has: Vec::new(), goes_on: false, wants: Wants::Unknown }
    }

    /// With the names that it has, and whether it may keep them.
    pub(super) fn having(self, has: Vec<String>, goes_on: bool) -> Self {
        Self { has, goes_on, ..self }
    }

    fn is_decided(&self) -> bool {
        matches!(self.wants, Wants::Decided)
    }

    /// What it has that is alike.
    fn has_alike(&self, name: &str) -> Option<&String> {
        self.has.iter().find(|other| alike(other, name))
    }

    /// Whether this name may be its own in the end, as far as is known.
    fn could_have(&self, name: &str) -> bool {
        self.could_have_one(|other| other == name, is_scheme(name) || name.starts_with(&self.prefix))
    }

    /// Whether one that is alike may be.
    fn could_have_alike(&self, name: &str) -> bool {
        self.could_have_one(|other| alike(other, name), is_scheme(name) || begins_alike(name, &self.prefix))
    }

    fn could_have_one(&self, is_meant: impl Fn(&str) -> bool, has_prefix: bool) -> bool {
        let among = |names: &[String]| names.iter().any(|other| is_meant(other));
        let may_get = match (&self.wants, &self.foreseen) {
            (Wants::Decided | Wants::Nothing, _) => false,
            (Wants::These(names), _) | (Wants::Unknown, Some(names)) => among(names),
            (Wants::Unknown, None) => has_prefix,
        };
        may_get || among(&self.has)
    }

    /// The most tools that may be its own in the end.
    fn at_most(&self) -> usize {
        let may_get = match (&self.wants, &self.foreseen) {
            (Wants::Decided | Wants::Nothing, _) => 0,
            (Wants::These(names), _) | (Wants::Unknown, Some(names)) => tools(names),
            (Wants::Unknown, None) => MAX_TOOLS_OF_PLUGIN,
        };
        may_get.max(tools(&self.has))
    }
}

impl Names {
    /// These claims, the first one first.
    pub(super) fn new(claims: Vec<Claim>) -> Self {
        Self(claims)
    }

    /// The plugin at this place of the order is loaded and wants these names.
    pub(super) fn wants(&mut self, place: usize, names: Vec<String>) {
        self.tells(place, Wants::These(names));
    }

    /// The plugin at this place of the order cannot be used.
    pub(super) fn cannot_be_used(&mut self, place: usize) {
        self.tells(place, Wants::Nothing);
    }

    fn tells(&mut self, place: usize, wants: Wants) {
        if let Some(claim) = self.0.get_mut(place) {
            claim.wants = wants;
        }
    }

    /// The plugins that are not decided and may have this name in the end.
    pub(super) fn may_come(&self, name: &str) -> impl Iterator<Item = &str> {
        let come = self.0.iter().filter(move |claim| !claim.is_decided() && claim.could_have(name));
        come.map(|claim| claim.plugin.as_str())
    }

    /// Decides all that can be decided, by place.
    pub(super) fn decide(&mut self) -> Vec<(usize, Decision)> {
        // One pass is enough: who comes later changes nothing for those before.
        (0..self.0.len()).filter_map(|place| Some((place, self.decide_one(place)?))).collect()
    }

    fn decide_one(&mut self, place: usize) -> Option<Decision> {
        let (earlier, rest) = self.0.split_at_mut(place);
        let (claim, later) = rest.split_first_mut()?;
        let decision = match &claim.wants {
            Wants::Unknown | Wants::Decided => return None,
            Wants::Nothing => Decision::CannotBeUsed,
            Wants::These(names) => judge(earlier, names, later)?,
        };
        match (std::mem::replace(&mut claim.wants, Wants::Decided), &decision) {
            (Wants::These(names), Decision::Gets) => claim.has = names,
            _ if claim.goes_on => {}
            _ => claim.has.clear(),
        }
        Some(decision)
    }
}

/// What becomes of a plugin that wants these names; `None` as long as one before it could change that.
fn judge(earlier: &[Claim], names: &[String], later: &[Claim]) -> Option<Decision> {
    let mut undecided = earlier.iter().filter(|claim| !claim.is_decided());
    if undecided.clone().any(|claim| names.iter().any(|name| claim.could_have_alike(name))) {
        return None;
    }
    let others = || earlier.iter().chain(later);
    let taken = |name: &String| {
        others().find_map(|claim| {
            let (name, by, theirs) = (name.clone(), claim.plugin.clone(), claim.has_alike(name)?.clone());
            Some(Decision::Taken { name, by, theirs })
        })
    };
    if let Some(taken) = names.iter().find_map(taken) {
        return Some(taken);
    }
    let at_most: usize = earlier.iter().map(Claim::at_most).chain(later.iter().map(|claim| tools(&claim.has))).sum();
    if tools(names) == 0 || at_most + tools(names) <= MAX_TOOLS {
        return Some(Decision::Gets);
    }
    undecided.next().is_none().then_some(Decision::TooMany(MAX_TOOLS))
}

/// How many of these names are tools.
fn tools(names: &[String]) -> usize {
    names.iter().filter(|name| !is_scheme(name)).count()
}

/// What the name of a scheme ends in, and no tool's.
const SCHEME: &str = "://";

/// A scheme of resources among names of tools.
pub(super) fn as_name(scheme: &str) -> String {
    format!("{scheme}{SCHEME}")
}

/// Whether this is the name of a scheme.
pub(super) fn is_scheme(name: &str) -> bool {
    name.ends_with(SCHEME)
}

/// Whether two names differ at most in case, in `_` and `-`, and in digits that look like letters: a model, or a person who
/// is asked to allow a call, takes the one for the other.
pub(super) fn alike(one: &str, other: &str) -> bool {
    folded(one).eq(folded(other))
}

fn begins_alike(name: &str, prefix: &str) -> bool {
    let mut name = folded(name);
    folded(prefix).all(|expected| name.next() == Some(expected))
}

/// What a reader sees of a name. Names of tools are ASCII.
fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(|byte| !b"_-".contains(byte)).map(|byte| match byte.to_ascii_lowercase() {
        b'0' => b'o',
        b'1' | b'i' => b'l',
        b'5' => b's',
        byte => byte,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// A plugin that was not vetted: what it will want is not known.
    fn unknown(plugin: &str) -> Claim {
        Claim::new(plugin, "", None)
    }

    /// Loads plugins in the order in which they are given here; gives who has which names in the end.
    fn settled(claims: &[Claim], loads: &[(usize, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let mut all = Names::new(claims.to_vec());
        for (place, wants) in loads {
            all.wants(*place, names(wants));
            all.decide();
        }
        assert!(all.0.iter().all(Claim::is_decided), "{all:?}");
        all.0.into_iter().map(|claim| (claim.plugin, claim.has)).collect()
    }

    fn taken(name: &str, by: &str, theirs: &str) -> Decision {
        Decision::Taken { name: name.to_owned(), by: by.to_owned(), theirs: theirs.to_owned() }
    }

    fn permutations<T: Copy>(of: &[T]) -> Vec<Vec<T>> {
        let Some((first, rest)) = of.split_first() else { return vec![Vec::new()] };
        let rest = permutations(rest);
        let with_first_at = |at: usize| {
            rest.iter().map(move |others| {
                let mut all = others.clone();
                all.insert(at, *first);
                all
            })
        };
        (0..of.len()).flat_map(with_first_at).collect()
    }

    #[test]
    fn who_gets_a_name_does_not_depend_on_who_is_loaded_first() {
        let having = |plugin: &str, has: &[&str]| unknown(plugin).having(names(has), true);
        let claims = [
            having("keeps", &["a"]),
            having("moves", &["b"]),
            unknown("takes"),
            having("later", &["e"]),
            Claim::new("locked", "", Some(names(&["c", "f"]))),
        ];
        let loads: [(usize, &[&str]); 5] = [
            (0, &["a"]),
            // What an earlier one has is not free, and neither is what a later one has.
            (1, &["b", "e"]),
            (2, &["c"]),
            (3, &["d"]),
            (4, &["c", "f"]),
        ];
        let expected = [("keeps", "a"), ("moves", "b"), ("takes", "c"), ("later", "d"), ("locked", "")];
        let expected: BTreeMap<String, Vec<String>> =
            expected.iter().map(|(plugin, has)| ((*plugin).to_owned(), names(&[has]))).collect();
        let orders = permutations(&loads);
        assert_eq!(orders.len(), 120);
        for order in orders {
            let mut settled = settled(&claims, &order);
            settled.values_mut().filter(|has| has.is_empty()).for_each(|has| has.push(String::new()));
            assert_eq!(settled, expected, "{order:?}");
        }
    }

    #[test]
    fn a_name_that_is_given_up_goes_to_who_comes_later_and_waits_for_it() {
        let mut all = Names::new(vec![unknown("old").having(names(&["disk"]), true), unknown("new")]);
        all.wants(1, names(&["disk"]));
        assert_eq!(all.decide(), []);
        all.wants(0, names(&["other"]));
        assert_eq!(all.decide(), [(0, Decision::Gets), (1, Decision::Gets)]);
    }

    #[test]
    fn a_plugin_that_cannot_be_used_keeps_its_names_only_if_it_may_go_on() {
        for goes_on in [true, false] {
            let claims = vec![unknown("old").having(names(&["disk"]), goes_on), unknown("new")];
            let mut all = Names::new(claims);
            all.cannot_be_used(0);
            all.wants(1, names(&["disk"]));
            let taken = taken("disk", "old", "disk");
            let new = if goes_on { taken } else { Decision::Gets };
            assert_eq!(all.decide(), [(0, Decision::CannotBeUsed), (1, new)]);
        }
    }

    #[test]
    fn nobody_waits_for_one_that_could_not_own_its_names() {
        let claims =
            vec![Claim::new("locked", "", Some(names(&["a"]))), Claim::new("prefixed", "b_", None), unknown("c")];
        let mut all = Names::new(claims);
        assert_eq!(all.may_come("b_x").collect::<Vec<_>>(), ["prefixed", "c"]);
        all.wants(2, names(&["c"]));
        assert_eq!(all.decide(), [(2, Decision::Gets)]);
        assert_eq!(all.may_come("b_x").collect::<Vec<_>>(), ["prefixed"]);
        assert_eq!(all.may_come("x").count(), 0);
    }

    #[test]
    fn the_number_of_all_tools_is_bounded_in_the_same_order() {
        let many = |n: usize| (0..100).map(|i| format!("{n}_{i}")).collect::<Vec<_>>();
        let mut claims: Vec<Claim> = (0..6).map(|n| Claim::new(&n.to_string(), &format!("{n}_"), None)).collect();
        // The last one keeps room for what it has.
        claims.push(Claim::new("last", "last_", None).having(names(&["last_has"]), true));
        let mut all = Names::new(claims);
        for n in 1..6 {
            all.wants(n, many(n));
        }
        let decided: Vec<usize> = all.decide().into_iter().map(|(place, _)| place).collect();
        assert_eq!(decided, [1, 2, 3], "of a fifth hundred the first one may need room");
        all.cannot_be_used(0);
        let decided = all.decide();
        assert_eq!(decided, [(0, Decision::CannotBeUsed), (4, Decision::Gets), (5, Decision::TooMany(MAX_TOOLS))]);
        all.wants(6, many(6));
        assert_eq!(all.decide(), [(6, Decision::Gets)]);
    }

    #[test]
    fn names_are_alike_that_a_reader_takes_for_each_other() {
        for name in ["scout", "Scout", "SCOUT", "scout_", "_scout", "s-cout", "s_c_o_u_t", "sc0ut", "5cout", "Sc0-Ut_"]
        {
            assert!(alike("scout", name) && alike(name, "scout"), "{name}");
        }
        assert!(alike("diskIO", "disk_l0") && alike("read_text", "ReadText") && alike("v1", "vI"));
        for name in ["scouts", "scou", "scout2", "my_scout", "", "-"] {
            assert!(!alike("scout", name), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_alike_is_taken_whoever_is_loaded_first() {
        for order in [[0, 1], [1, 0]] {
            let mut all = Names::new(vec![unknown("first"), unknown("second")]);
            let mut decided = Vec::new();
            for place in order {
                all.wants(place, names(&[if place == 0 { "read_text" } else { "ReadText" }]));
                decided.extend(all.decide());
            }
            assert_eq!(decided, [(0, Decision::Gets), (1, taken("ReadText", "first", "read_text"))]);
        }
        let mut all = Names::new(vec![Claim::new("prefixed", "My_", None), unknown("other")]);
        all.wants(1, names(&["my-tool"]));
        assert_eq!(all.decide(), [], "`My_tool` may come");
        assert_eq!(all.may_come("my-tool").collect::<Vec<_>>(), ["other"], "a call means one name");
    }

    #[test]
    fn tools_of_one_plugin_may_be_alike() {
        let mut all = Names::new(vec![unknown("one")]);
        all.wants(0, names(&["a_b", "ab"]));
        assert_eq!(all.decide(), [(0, Decision::Gets)]);
    }

    #[test]
    fn a_scheme_is_one_plugins_whatever_prefix_it_has_and_is_no_tool() {
        let mut all = Names::new(vec![unknown("first"), Claim::new("second", "my_", None)]);
        all.wants(1, names(&["my_tool", "d0cker://"]));
        assert_eq!(all.decide(), [], "the first one may want it");
        all.wants(0, names(&["docker://"]));
        let decided = all.decide();
        assert_eq!(decided, [(0, Decision::Gets), (1, taken("d0cker://", "first", "docker://"))]);
        let mut all = Names::new(vec![Claim::new("prefixed", "my_", None), unknown("other")]);
        all.wants(1, names(&["docker://"]));
        assert_eq!(all.decide(), [], "a prefix is none of a scheme");
        assert_eq!(all.may_come("docker://").collect::<Vec<_>>(), ["prefixed", "other"]);
        let many = |n: usize| (0..100).map(|i| format!("{n}_{i}")).collect::<Vec<_>>();
        let mut all = Names::new((0..6).map(|n| unknown(&n.to_string())).collect());
        (0..5).for_each(|n| all.wants(n, many(n)));
        all.wants(5, names(&["docker://"]));
        assert!(all.decide().iter().all(|(_, decision)| *decision == Decision::Gets));
    }
}
