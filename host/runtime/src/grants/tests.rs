//! Every limit is enforced for both who can set it, and every source has its say.

use scout_machine::RemotePath;

use super::*;
use crate::policy::{CommandPolicy, Pipeline, SecretPaths, Stage, StderrTo, Word};
use crate::{Effect, Interface};

fn place(line: u32) -> Place {
    Place::new(format!("scout.toml:{line}"))
}

fn limit<T>(line: u32, rules: Vec<(&str, T)>) -> Limit<T> {
    let rule = |(text, value): (&str, T)| Rule { value, text: text.into(), place: place(line) };
    Limit { rules: rules.into_iter().map(rule).collect(), place: place(line) }
}

fn hosts(line: u32, patterns: &[&str]) -> Limit<HostPattern> {
    limit(line, patterns.iter().map(|text| (*text, HostPattern::parse(text).unwrap())).collect())
}

fn remote(path: &str) -> RemotePath {
    RemotePath::parse(path).unwrap()
}

fn paths(line: u32, roots: &[&str]) -> Limit<Root> {
    limit(line, roots.iter().map(|text| (*text, Root::parse(text.as_bytes()).unwrap())).collect())
}

fn commands(line: u32, rules: &[&str]) -> Limit<Argv> {
    let argv = |text: &str| Argv::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap();
    limit(line, rules.iter().map(|text| (*text, argv(text))).collect())
}

fn pipeline(text: &str) -> Pipeline {
    let stage = |text: &str| Stage {
        words: text.split_whitespace().map(|word| Word::Literal(word.to_owned())).collect(),
        stderr: StderrTo::Capture,
    };
    Pipeline { stages: text.split('|').map(stage).collect(), directory: None }
}

/// Everything, on a host that runs anything.
fn everything() -> CallRights {
    CallRights::unlimited(Grants::ALL)
}

#[derive(Clone, Copy, Debug)]
enum Do {
    See,
    Read(&'static str),
    Copy(&'static str),
    Write(&'static str),
    Run(&'static str),
    Shell,
    Keep,
}

/// What becomes of an operation on `web1`, a host with the tag `prod`.
fn judge(rights: &CallRights, what: Do, policy: CommandPolicy) -> Result<Permit, Denial> {
    let writable = Some(paths(1, &["/srv/in", "/var/log"]));
    let rules = HostRules { tags: vec!["prod".into()], commands: Some(place(1)), writable, ..HostRules::default() };
    let target = Target { name: "web1", commands: policy, rules: &rules, secrets: &SecretPaths::default() };
    match what {
        Do::See => decide(rights, target, Action::See),
        Do::Read(path) => decide(rights, target, Action::Read(&remote(path))),
        Do::Copy(path) => decide(rights, target, Action::Copy(&remote(path))),
        Do::Write(path) => decide(rights, target, Action::Write(&remote(path))),
        Do::Run(text) => decide(rights, target, Action::Run(&pipeline(text))),
        Do::Shell => decide(rights, target, Action::Shell),
        Do::Keep => decide(rights, target, Action::Keep),
    }
}

/// The sources that can set each limit.
fn with(source: Source, rights: Rights) -> CallRights {
    let rights = Arc::new(rights);
    match source {
        Source::Operator => CallRights { operator: rights, ..everything() },
        _ => CallRights { tenant: rights, ..everything() },
    }
}

/// Where transfers write is the host's to say, whoever asks; of the machine that Scout runs on that binds what they read too.
#[test]
fn transfers_write_where_the_host_is_open_and_nowhere_else() {
    let whose = |what| judge(&everything(), what, CommandPolicy::Shell).map_err(|denial| denial.reason.source);
    let permit = whose(Do::Write("/srv/in/x")).unwrap();
    assert_eq!(permit.within.roots.concat().len(), 2, "behind every link too");
    for path in ["/srv/x", "/srv/in/../x", "~/x", "/srv/inn", "/"] {
        assert_eq!(whose(Do::Write(path)).unwrap_err(), Source::Transfers, "{path}");
    }
    assert!(whose(Do::Copy("/srv/x")).is_ok());
    let closed = HostRules::default();
    let exchange = HostRules { writable: Some(paths(1, &["/srv/in"])), is_exchange: true, ..HostRules::default() };
    let secrets = SecretPaths::default();
    let on = |rules, action| {
        let target = Target { name: "web1", commands: CommandPolicy::None, rules, secrets: &secrets };
        decide(&everything(), target, action).map_err(|denial| denial.refusal.to_string())
    };
    let (inside, outside) = (remote("/srv/in/x"), remote("/srv/x"));
    assert!(on(&closed, Action::Write(&inside)).unwrap_err().contains("nothing may be written on `web1`"));
    assert!(on(&exchange, Action::Copy(&inside)).is_ok() && on(&exchange, Action::Write(&inside)).is_ok());
    assert!(on(&exchange, Action::Copy(&outside)).unwrap_err().contains("open to transfers"));
    // What limits hosts and what is on them says nothing of this machine.
    let limited = Rights { hosts: Some(hosts(2, &["db*"])), paths: Some(paths(2, &["/var"])), ..Rights::default() };
    let target = Target { name: "web1", commands: CommandPolicy::None, rules: &exchange, secrets: &secrets };
    assert!(decide(&with(Source::Principal, limited), target, Action::Copy(&inside)).is_ok());
}

/// Rows add to what a host runs for anybody; what limits a plugin or a principal has to let them through besides.
#[test]
fn as_root_runs_what_is_a_row_of_the_host_and_within_every_limit() {
    let judge_at = |rights: &CallRights, text: &str, policy: CommandPolicy, rows: Option<&[&str]>| {
        let rules = HostRules { sudo: rows.map(|rows| commands(1, rows)), ..HostRules::default() };
        let target = Target { name: "web1", commands: policy, rules: &rules, secrets: &SecretPaths::default() };
        decide(rights, target, Action::Run(&pipeline(text))).is_ok()
    };
    let read_only = |rights: &CallRights, text: &str| {
        judge_at(rights, text, CommandPolicy::ReadOnly, Some(&["journalctl -u *", "cat /var/log/*.log"]))
    };
    for (text, allowed) in [
        ("sudo journalctl -u nginx", true),
        ("sudo cat /var/log/a.log | head -3", true),
        ("journalctl -u nginx | sudo journalctl -u a", true),
        ("sudo journalctl -u a b", false),
        ("sudo journalctl -f -u a", false),
        ("sudo cat /var/log/../../etc/shadow.log", false),
        ("sudo cat /var/log/a.log | sudo head -3", false),
        ("sudo cat /var/log/a.log | tee /tmp/x", false),
        ("sudo -n journalctl -u nginx", false),
        ("sudo sudo journalctl -u nginx", false),
    ] {
        assert_eq!(read_only(&everything(), text), allowed, "{text}");
    }
    let text = "sudo cat /var/log/a.log";
    for rows in [None, Some(&[][..])] {
        assert!(!judge_at(&everything(), text, CommandPolicy::ReadOnly, rows));
    }
    assert!(!judge_at(&everything(), text, CommandPolicy::None, Some(&["cat *"])));
    for source in [Source::Operator, Source::Principal] {
        for (limit, allowed) in
            [(&["cat ..."][..], false), (&["sudo cat ..."], true), (&["sudo journalctl ..."], false)]
        {
            let limited = with(source, Rights { commands: Some(commands(2, limit)), ..Rights::default() });
            assert_eq!(read_only(&limited, text), allowed, "{limit:?}");
        }
        for (limit, allowed) in [("/var/log", true), ("/etc", false)] {
            let limited = with(source, Rights { paths: Some(paths(2, &[limit])), ..Rights::default() });
            assert_eq!(read_only(&limited, text), allowed, "{limit}");
            assert!(!judge_at(&limited, text, CommandPolicy::Shell, None), "nothing bounds it there");
        }
    }
}

/// For each limit: what it lets through, and what it does not. A new field of [`Rights`] does not compile here until it
/// has its line.
#[test]
fn every_limit_is_enforced_whoever_sets_it() {
    let Rights { grants: _, hosts: _, paths: _, commands: _, follow_links_out: _, addresses: _ } = Rights::default();
    let files = Some((Grants::only(Interface::Files), place(2)));
    let exec = Some((Grants::only(Interface::Exec), place(2)));
    let transfer = Some((Grants::only(Interface::Transfer), place(2)));
    let cases: Vec<(Rights, Do, Vec<Do>)> = vec![
        (
            Rights { grants: files, ..Rights::default() },
            Do::Read("/etc/hostname"),
            vec![Do::See, Do::Run("df"), Do::Shell, Do::Copy("/etc/hostname"), Do::Write("/srv/in/x")],
        ),
        (
            Rights { grants: transfer, ..Rights::default() },
            Do::Write("/srv/in/x"),
            vec![Do::Read("/etc/hostname"), Do::Shell],
        ),
        (
            Rights { paths: Some(paths(2, &["/var/log"])), ..Rights::default() },
            Do::Write("/var/log/x"),
            vec![Do::Write("/srv/in/x"), Do::Copy("/etc/hostname"), Do::Copy("/var/log/../x")],
        ),
        (
            Rights { paths: Some(paths(2, &["/var/log"])), ..Rights::default() },
            Do::Copy("/var/log/x"),
            vec![Do::Copy("/etc/shadow")],
        ),
        (
            Rights { grants: exec, ..Rights::default() },
            Do::Run("df"),
            vec![Do::Read("/etc/hostname"), Do::Shell, Do::Keep],
        ),
        (Rights { hosts: Some(hosts(2, &["web*"])), ..Rights::default() }, Do::Keep, vec![]),
        (Rights { hosts: Some(hosts(2, &["web*"])), ..Rights::default() }, Do::See, vec![]),
        (Rights { hosts: Some(hosts(2, &["tag:prod"])), ..Rights::default() }, Do::Shell, vec![]),
        (
            Rights { paths: Some(paths(2, &["/var/log"])), ..Rights::default() },
            Do::Read("/var/log/x"),
            vec![Do::Read("/etc/hostname"), Do::Run("cat /etc/hostname"), Do::Run("ls"), Do::Run("reboot"), Do::Shell],
        ),
        (
            Rights { paths: Some(paths(2, &["/var/log"])), follow_links_out: true, ..Rights::default() },
            Do::Read("/var/log/x"),
            vec![Do::Read("/etc/hostname"), Do::Read("~/x"), Do::Shell],
        ),
        (
            Rights { commands: Some(commands(2, &["df -h", "sort ..."])), ..Rights::default() },
            Do::Run("df -h | sort -r"),
            vec![Do::Run("df"), Do::Run("df -h | head"), Do::Shell],
        ),
    ];
    for source in [Source::Operator, Source::Principal] {
        for (rights, allowed, denied) in &cases {
            let rights = with(source, rights.clone());
            judge(&rights, *allowed, CommandPolicy::Shell)
                .unwrap_or_else(|denial| panic!("{allowed:?}: {}", denial.refusal));
            for what in denied {
                let denial = judge(&rights, *what, CommandPolicy::Shell).expect_err(&format!("{what:?}"));
                assert_eq!((denial.reason.source, &denial.reason.place), (source, &Some(place(2))), "{what:?}");
                assert!(denial.refusal.instead.is_some() && denial.refusal.why.contains("scout.toml:2"), "{denial:?}");
            }
        }
        for elsewhere in [&["db*"][..], &["tag:test"], &[]] {
            let rights = with(source, Rights { hosts: Some(hosts(2, elsewhere)), ..Rights::default() });
            for what in [Do::See, Do::Read("/x"), Do::Run("df"), Do::Shell] {
                assert_eq!(judge(&rights, what, CommandPolicy::Shell).unwrap_err().reason.source, source, "{what:?}");
            }
        }
    }
}

#[test]
fn who_may_not_see_addresses_is_told_none_whoever_sets_it() {
    for (sees, hides) in [(None, false), (Some(true), false), (Some(false), true)] {
        for source in [Source::Operator, Source::Principal] {
            let rights = with(source, Rights { addresses: sees.map(|sees| (sees, place(2))), ..Rights::default() });
            for what in [Do::See, Do::Read("/x"), Do::Run("df"), Do::Shell] {
                assert_eq!(judge(&rights, what, CommandPolicy::Shell).unwrap().hides_address, hides, "{what:?}");
            }
        }
    }
}

#[test]
fn without_a_limit_the_host_alone_decides() {
    for what in [Do::See, Do::Read("/etc/shadow"), Do::Run("reboot"), Do::Shell] {
        assert!(judge(&everything(), what, CommandPolicy::Shell).unwrap().reasons.is_empty(), "{what:?}");
    }
    for (what, policy, source) in [
        (Do::Shell, CommandPolicy::ReadOnly, Source::Host),
        (Do::Run("reboot"), CommandPolicy::ReadOnly, Source::Host),
        (Do::Run("df"), CommandPolicy::None, Source::Host),
        (Do::Read("/etc/shadow"), CommandPolicy::ReadOnly, Source::Secrets),
    ] {
        let denial = judge(&everything(), what, policy).unwrap_err();
        let place = (source == Source::Host).then(|| place(1));
        assert_eq!((denial.reason.source, denial.reason.place), (source, place), "{what:?}");
    }
}

#[test]
fn only_who_may_run_any_script_reads_secrets() {
    let reads = |rights: &CallRights, policy| judge(rights, Do::Read("/etc/shadow"), policy);
    let permit = reads(&everything(), CommandPolicy::Shell).unwrap();
    assert!(!permit.keeps_secrets);
    assert!(judge(&everything(), Do::Read("/etc/hostname"), CommandPolicy::ReadOnly).unwrap().keeps_secrets);
    let but_shell = Grants::ALL.without(Interface::Shell);
    let mut narrower = vec![
        CallRights { declared: but_shell, ..everything() },
        CallRights { linked: but_shell, ..everything() },
        CallRights { effect: says(Effect::Read), ..everything() },
    ];
    for source in [Source::Operator, Source::Principal] {
        for rights in [
            Rights { grants: Some((but_shell, place(2))), ..Rights::default() },
            Rights { paths: Some(paths(2, &["/"])), ..Rights::default() },
            Rights { commands: Some(commands(2, &["cat ..."])), ..Rights::default() },
        ] {
            narrower.push(with(source, rights));
        }
    }
    for rights in &narrower {
        let denial = reads(rights, CommandPolicy::Shell).unwrap_err();
        assert_eq!((denial.reason.source, denial.reason.place), (Source::Secrets, None), "{rights:?}");
        assert!(judge(rights, Do::Read("/etc/hostname"), CommandPolicy::Shell).unwrap().keeps_secrets);
    }
}

/// A tool that says this of itself.
fn says(effect: Effect) -> Option<DeclaredEffect> {
    Some(DeclaredEffect { of: "tool", name: "look".into(), effect })
}

#[test]
fn what_is_not_imported_or_not_the_tools_effect_is_refused() {
    let imports = CallRights { declared: Grants::only(Interface::Files), ..everything() };
    assert!(judge(&imports, Do::Read("/x"), CommandPolicy::Shell).is_ok());
    assert_eq!(judge(&imports, Do::Run("df"), CommandPolicy::Shell).unwrap_err().reason.source, Source::Plugin);
    for (effect, runs) in [(Effect::Read, false), (Effect::Exec, true), (Effect::Write, true)] {
        let rights = CallRights { effect: says(effect), ..everything() };
        assert!(judge(&rights, Do::Read("/x"), CommandPolicy::Shell).is_ok());
        assert!(judge(&rights, Do::See, CommandPolicy::Shell).is_ok());
        for what in [Do::Run("df"), Do::Shell] {
            let judged = judge(&rights, what, CommandPolicy::Shell).map_err(|denial| denial.reason.source);
            assert_eq!(judged.err(), (!runs).then_some(Source::Effect), "{effect:?} {what:?}");
        }
    }
}

#[test]
fn what_was_not_linked_is_refused_without_a_key() {
    let rights = CallRights { linked: Grants::only(Interface::Exec), ..everything() };
    let denial = judge(&rights, Do::Shell, CommandPolicy::Shell).unwrap_err();
    assert_eq!((denial.reason.source, denial.reason.place), (Source::Operator, None));
    assert_eq!(denial.refusal.to_string(), "`shell`: is not granted to this plugin");
}

#[test]
fn rights_intersect() {
    let operator =
        Rights { paths: Some(paths(2, &["/var", "~/app"])), hosts: Some(hosts(3, &["web*"])), ..Rights::default() };
    let tenant = Rights { paths: Some(paths(4, &["/var/log"])), hosts: Some(hosts(5, &["*1"])), ..Rights::default() };
    let both = CallRights { operator: Arc::new(operator), tenant: Arc::new(tenant), ..everything() };
    let permit = judge(&both, Do::Read("/var/log/x"), CommandPolicy::Shell).unwrap();
    let places: Vec<_> = permit.reasons.iter().map(|reason| reason.place.clone().unwrap().to_string()).collect();
    assert_eq!(places, ["scout.toml:3", "scout.toml:5", "scout.toml:2", "scout.toml:4"]);
    assert_eq!(permit.within.roots, [vec![remote("/var"), remote("~/app")], vec![remote("/var/log")]]);
    assert_eq!(judge(&both, Do::Read("/var/x"), CommandPolicy::Shell).unwrap_err().reason.source, Source::Principal);
    assert_eq!(judge(&both, Do::Read("/etc"), CommandPolicy::Shell).unwrap_err().reason.source, Source::Operator);
}

#[test]
fn a_path_is_written_as_its_root_is_and_the_host_holds_it_unless_links_are_followed() {
    let confined = Rights { paths: Some(paths(2, &["/home/me/app", "~/log"])), ..Rights::default() };
    let rights = with(Source::Operator, confined.clone());
    for (path, allowed) in
        [("/home/me/app/x", true), ("~/log/x", true), ("log/x", true), ("app/x", false), ("/home/me/log/x", false)]
    {
        let judged = judge(&rights, Do::Read(path), CommandPolicy::Shell);
        assert_eq!(judged.as_ref().is_ok(), allowed, "{path}");
        assert!(judged.is_ok_and(|permit| permit.within.roots[0].len() == 2) == allowed, "{path}");
    }
    let followed = with(Source::Operator, Rights { follow_links_out: true, ..confined });
    assert!(judge(&followed, Do::Read("/home/me/app/x"), CommandPolicy::Shell).unwrap().within.is_everything());
    assert!(judge(&followed, Do::Read("app/x"), CommandPolicy::Shell).is_err());
}

#[test]
fn of_a_command_every_path_and_the_directory_it_looks_at_are_held() {
    let rights = with(Source::Operator, Rights { paths: Some(paths(2, &["/var/log", "~/app"])), ..Rights::default() });
    for policy in [CommandPolicy::ReadOnly, CommandPolicy::Shell] {
        for (text, directory, allowed) in [
            ("cat /var/log/a | head -n 3", None, true),
            ("cat a", Some("/var/log"), true),
            ("cat a", None, false),
            ("cat app/a", None, true),
            ("cat ../a", Some("/var/log"), false),
            ("cat /var/log/x/../a", None, false),
            ("ls ..", Some("/var/log/x"), false),
            ("ls", Some("/var/log/x/.."), false),
            ("ls", Some("/var/log"), true),
            ("ls", None, false),
            ("ls", Some("~/app"), true),
            ("cat /var/log/a /etc/passwd", None, false),
            ("find /var/log -newer /etc/passwd", None, false),
            ("df -h", None, true),
            ("ps aux", None, true),
            ("sh", None, false),
        ] {
            let asked = Pipeline { directory: directory.map(remote), ..pipeline(text) };
            let rules = HostRules::default();
            let target = Target { name: "web1", commands: policy, rules: &rules, secrets: &SecretPaths::default() };
            let judged = decide(&rights, target, Action::Run(&asked));
            assert_eq!(judged.is_ok(), allowed, "{text} in {directory:?}: {judged:?}");
        }
    }
}

#[test]
fn a_principal_sees_only_its_hosts() {
    let limited = Rights { hosts: Some(hosts(2, &["tag:prod"])), ..Rights::default() };
    let access = Access { principals: [("ann".to_owned(), Arc::new(limited))].into(), ..Access::default() };
    let rules = |host: &str| match host {
        "web1" => Arc::new(HostRules { tags: vec!["prod".into()], ..HostRules::default() }),
        _ => Arc::default(),
    };
    let (ann, bob) = (Principal::new("test", "ann"), Principal::new("test", "bob"));
    let shows = |principal, host: &str| access.shows(principal, host, || rules(host));
    assert!(shows(&ann, "web1") && !shows(&ann, "web2"));
    assert!(shows(&bob, "web1") && shows(&bob, "web2"));
}

#[test]
fn whoever_is_not_named_has_what_others_have() {
    let nothing = Arc::new(Rights::none(place(1)));
    let principals = [("ann".to_owned(), Arc::default())].into();
    let access = Access { principals, others: Arc::clone(&nothing), ..Access::default() };
    let (ann, bob) = (Principal::new("test", "ann"), Principal::new("test", "bob"));
    assert_eq!((access.principal(&ann), access.principal(&bob)), (Arc::default(), nothing));
    let shows = |principal| access.shows(principal, "web1", Arc::default);
    assert!(shows(&ann) && !shows(&bob));
}
