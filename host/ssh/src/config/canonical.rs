//! `CanonicalizeHostname`: whether OpenSSH could dial another name than the one that is written.
//!
//! Names are not looked up while a host is resolved. So a host is resolved where the rules change nothing, and refused
//! where what DNS says would decide: the rules are those of `resolve_canonicalize` and `check_follow_cname` in OpenSSH's
//! ssh.c.

use super::pattern;
use super::refusal::Refusal;

/// The value of `CanonicalizeHostname`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Canonicalize {
    No,
    /// Names that a proxy resolves stay as they are.
    Yes,
    Always,
}

impl Canonicalize {
    /// # Errors
    /// For another word.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        match text.to_ascii_lowercase().as_str() {
            "no" | "false" => Ok(Self::No),
            "yes" | "true" => Ok(Self::Yes),
            "always" => Ok(Self::Always),
            _ => Err(Refusal::bad(format!("{text} is not one of yes, no, always"))),
        }
    }
}

/// One rule of `CanonicalizePermittedCNAMEs`: the names whose alias in DNS is followed. To which names it may lead is
/// nothing that is asked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AllowedCname {
    sources: String,
}

/// The domains of `CanonicalDomains`; none for `none`.
///
/// # Errors
/// For what OpenSSH refuses.
pub(super) fn domains(arguments: &[String]) -> Result<Vec<String>, Refusal> {
    if let Some(bad) = arguments.iter().find(|domain| !is_domain(domain)) {
        return Err(Refusal::bad(format!("{bad:?} is not a domain")));
    }
    alone(arguments).map(<[String]>::to_vec)
}

/// The rules of `CanonicalizePermittedCNAMEs`; none for `none`.
///
/// # Errors
/// For what OpenSSH refuses.
pub(super) fn cnames(arguments: &[String]) -> Result<Vec<AllowedCname>, Refusal> {
    let rule = |text: &String| match text.split_once(':') {
        Some((sources, targets)) if !targets.is_empty() => Ok(AllowedCname { sources: sources.to_ascii_lowercase() }),
        None if text == "*" => Ok(AllowedCname { sources: text.clone() }),
        _ => Err(Refusal::bad(format!("{text} is not NAMES:NAMES"))),
    };
    alone(arguments)?.iter().map(rule).collect()
}

/// What stands there, nothing for `none`, which stands alone.
fn alone(arguments: &[String]) -> Result<&[String], Refusal> {
    match arguments {
        [] => Err(Refusal::bad("needs an argument")),
        [none] if none.eq_ignore_ascii_case("none") => Ok(&[]),
        several if several.iter().any(|one| one.eq_ignore_ascii_case("none")) => {
            Err(Refusal::bad("has `none` beside others"))
        }
        several => Ok(several),
    }
}

/// As OpenSSH's `valid_domain`.
fn is_domain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.contains("..")
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// What is configured, for one host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) how: Canonicalize,
    /// Neither a command nor another host is on the way.
    pub(super) is_direct: bool,
    pub(super) domains: &'a [String],
    pub(super) max_dots: u32,
    pub(super) falls_back: bool,
    pub(super) cnames: &'a [AllowedCname],
}

impl Rules<'_> {
    /// Looks whether a name, which is not an address, stays what it is.
    ///
    /// # Errors
    /// If DNS decides about it.
    pub(super) fn check(self, name: &str) -> Result<(), Refusal> {
        match self.how {
            Canonicalize::No => return Ok(()),
            // Whoever is on the way looks the name up.
            Canonicalize::Yes if !self.is_direct => return Ok(()),
            Canonicalize::Yes | Canonicalize::Always => {}
        }
        let dots = u32::try_from(name.matches('.').count()).unwrap_or(u32::MAX);
        let is_anchored = name.ends_with('.');
        if is_anchored || dots <= self.max_dots {
            if is_anchored || !self.domains.is_empty() {
                let why = format!("may make another name of {name}, by what DNS says of CanonicalDomains");
                return Err(Refusal::hinted(
                    why,
                    "write the whole name, with more dots than CanonicalizeMaxDots, in a \
                     HostName line for this host; or put `CanonicalizeHostname no` for it above this line",
                ));
            }
            if !self.falls_back {
                return Err(Refusal::hinted(
                    format!("finds no {name}: there are no CanonicalDomains, and CanonicalizeFallbackLocal is no"),
                    "name the domains, or switch CanonicalizeFallbackLocal on; ssh refuses it too",
                ));
            }
        }
        let is_followed =
            |rule: &AllowedCname| pattern::matches_list(&name.to_ascii_lowercase(), rule.sources.split(','));
        if self.cnames.iter().any(is_followed) {
            let why = format!("may make another name of {name}, by its alias in DNS (CanonicalizePermittedCNAMEs)");
            return Err(Refusal::hinted(
                why,
                "take the name out of CanonicalizePermittedCNAMEs, with `!` before it; or \
                 put `CanonicalizeHostname no` for this host above this line",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Canonicalize, Rules, cnames, domains};

    #[test]
    fn a_name_stays_where_no_rule_can_reach_it() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (two, some) = (
            domains(&words("a.org b.org")).expect("domains"),
            cnames(&words("*.in.org,!no.in.org:*.a.org")).expect("rules"),
        );
        let plain = Rules {
            how: Canonicalize::Yes,
            is_direct: true,
            domains: &two,
            max_dots: 1,
            falls_back: true,
            cnames: &[],
        };
        for (rules, name, stays) in [
            (plain, "web", false),
            (plain, "web.x", false),
            (plain, "web.x.org", true),
            (plain, "web.x.org.", false),
            (Rules { max_dots: 0, ..plain }, "web.x", true),
            (Rules { how: Canonicalize::No, ..plain }, "web", true),
            (Rules { is_direct: false, ..plain }, "web", true),
            (Rules { is_direct: false, how: Canonicalize::Always, ..plain }, "web", false),
            (Rules { domains: &[], ..plain }, "web", true),
            (Rules { domains: &[], falls_back: false, ..plain }, "web", false),
            (Rules { domains: &[], falls_back: false, ..plain }, "web.x.org", true),
            (Rules { cnames: &some, ..plain }, "x.in.org", false),
            (Rules { cnames: &some, ..plain }, "no.in.org", true),
            (Rules { cnames: &some, is_direct: false, ..plain }, "x.in.org", true),
        ] {
            assert_eq!(rules.check(name).is_ok(), stays, "{name} by {rules:?}");
        }
        for bad in ["", "none a.org", "a..org", "-a.org"] {
            assert!(domains(&words(bad)).is_err(), "{bad}");
        }
        for bad in ["", "a", "a:", "none a:b"] {
            assert!(cnames(&words(bad)).is_err(), "{bad}");
        }
        assert!(domains(&words("none")).is_ok_and(|none| none.is_empty()));
        assert!(cnames(&words("*")).is_ok_and(|all| all.len() == 1));
    }
}
