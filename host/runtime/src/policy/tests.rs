//! What the table lets through, what it does not, and that the shell gives back what was quoted.

use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use super::table::{Kind, Operands};
use super::*;

/// A small notation for tests: words separated by spaces, `|` between stages, `'…'` around a literal with spaces or wildcards. A word
/// outside quotes that holds `*`, `?` or `[` is a glob.
pub(super) fn pipeline(text: &str) -> Pipeline {
    let mut stages = vec![Stage { words: Vec::new(), stderr: StderrTo::Capture }];
    let mut characters = text.chars().peekable();
    while let Some(first) = characters.next() {
        let (mut word, mut quoted) = (String::new(), false);
        let mut next = Some(first);
        let mut inside = false;
        while let Some(character) = next.filter(|character| inside || *character != ' ') {
            if character == '\'' {
                inside = !inside;
                quoted = true;
            } else {
                word.push(character);
            }
            next = characters.next();
        }
        if word == "|" && !quoted {
            stages.push(Stage { words: Vec::new(), stderr: StderrTo::Capture });
        } else if quoted || !word.is_empty() {
            let wild = !quoted && word.contains(['*', '?', '[']);
            stages.last_mut().expect("one from the start").words.push(if wild {
                Word::Glob(word)
            } else {
                Word::Literal(word)
            });
        }
    }
    Pipeline { stages, directory: None }
}

pub(super) fn verdict(text: &str) -> Result<(), Refusal> {
    check(CommandPolicy::ReadOnly, &pipeline(text))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

pub(super) fn all_refused(text: &str) {
    let through: Vec<_> = lines(text).filter(|line| verdict(line).is_ok()).collect();
    assert!(through.is_empty(), "slipped through: {through:#?}");
    for refusal in lines(text).filter_map(|line| verdict(line).err()) {
        assert!(refusal.instead.is_some() && !refusal.why.is_empty(), "no reason or no way out: {refusal}");
    }
}

pub(super) fn all_allowed(text: &str) {
    let held: Vec<_> =
        lines(text).filter_map(|line| verdict(line).err().map(|refusal| format!("{line}: {refusal}"))).collect();
    assert!(held.is_empty(), "held back: {held:#?}");
}

#[test]
fn what_people_look_with_is_allowed() {
    all_allowed(include_str!("allowed.txt"));
}

#[test]
fn what_is_not_listed_is_refused() {
    all_refused(include_str!("refused.txt"));
}

#[test]
fn every_row_is_tried_by_an_allowed_line() {
    // The last where the operator lets it.
    let lines = concat!(include_str!("allowed.txt"), "\ncrontab -l");
    for row in table::rows() {
        let begins =
            |stage: &str| row.words().zip(stage.split_whitespace()).filter(|(name, word)| name == word).count();
        let tried = lines.split(['\n', '|']).any(|stage| begins(stage) == row.words().count());
        assert!(tried, "no line of allowed.txt runs {}", row.name);
    }
}

/// The paths that a command names or looks at, as they are written.
fn paths(text: &str) -> Vec<String> {
    let found = std::cell::RefCell::new(Vec::new());
    let held = |operand: PathOperand<'_>| {
        found.borrow_mut().push(String::from_utf8_lossy(operand.path).into_owned());
        Ok(())
    };
    check_paths(&pipeline(text), &held).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
    found.into_inner()
}

#[test]
fn every_path_of_a_command_is_found() {
    for (text, named) in [
        ("cat a /b/* | head -n 5 | sort", &["a", "/b/*"][..]),
        ("ls", &["."]),
        ("ls -l | grep x | wc -l", &["."]),
        ("grep x", &[]),
        ("grep -r x", &["."]),
        ("grep -r x a", &["a"]),
        ("grep -e x --directories=recurse", &["."]),
        ("rg x", &["."]),
        ("find -name x", &["."]),
        ("find a b -newer c", &["a", "b", "c"]),
        ("diff a /b/c", &["a", "/b/c", "a/c", "/b/c/a"]),
        ("du -sh", &["."]),
        ("df -h", &[]),
        ("df -h a", &["a"]),
        ("date -r a", &["a"]),
        ("ps aux | sort", &[]),
        ("journalctl -u x", &[]),
        ("realpath --relative-to=a b", &["a", "b"]),
    ] {
        assert_eq!(paths(text), named, "{text}");
    }
}

#[test]
fn what_a_program_makes_of_a_value_is_found_too() {
    for (text, named) in [
        ("zcat a", &["a", "a.gz", "a-gz", "a.z", "a-z", "a_z", "a.Z"][..]),
        ("ps --tty tty1", &["/dev/tty1", "/dev/ttytty1", "/dev/pts/tty1", "/dev/ptytty1", "/dev/tty1nsole"]),
        ("grep -r x a --include b", &["b", "a"]),
        ("date --date=now", &[]),
        ("find . -samefile a -newer b", &[".", "a", "b"]),
    ] {
        assert_eq!(paths(text), named, "{text}");
    }
    let gz = (PathPattern::parse("**/*.gz").expect("a pattern"), "scout.toml:1".to_owned());
    let secrets = SecretPaths::new(vec![gz], Vec::new());
    assert!(check_with(&secrets, CommandPolicy::ReadOnly, &pipeline("cat a")).is_ok());
    assert!(check_with(&secrets, CommandPolicy::ReadOnly, &pipeline("zcat a")).is_err());
    assert!(check_with(&secrets, CommandPolicy::ReadOnly, &pipeline("zcat a*")).is_err());
}

#[test]
fn what_a_program_opens_without_being_told_is_held_too() {
    const KEY: &str = "/proc/sys/net/ipv4/tcp_fastopen_key";
    let pattern = |pattern: &str| PathPattern::parse(pattern).expect("a pattern");
    for (secret, text) in [
        (KEY, "sysctl -a"),
        (KEY, "sysctl -aN"),
        (KEY, "sysctl net"),
        (KEY, "sysctl net/ipv4"),
        (KEY, "sysctl net.ipv4"),
        (KEY, "sysctl 'net.*.tcp_fastopen_key'"),
        (KEY, "sysctl net/ipv4/tcp_fastopen_key"),
        ("/proc/sys/net/ipv4/conf/eth0.1/forwarding", "sysctl net.ipv4.conf.eth0/1.forwarding"),
        ("/etc/passwd", "getent passwd"),
        ("/etc/passwd", "getent passwd root"),
        ("/etc/systemd/system/**", "systemctl --no-pager cat nginx"),
        ("**/.config/systemd/**", "systemctl --user cat x"),
        ("/etc/fstab", "findmnt -s"),
        ("/etc/fstab", "findmnt --fstab -o TARGET"),
    ] {
        assert_eq!(verdict(text), Ok(()), "{text}");
        let secrets = SecretPaths::new(vec![(pattern(secret), "scout.toml:1".to_owned())], Vec::new());
        let refusal = check_with(&secrets, CommandPolicy::ReadOnly, &pipeline(text)).expect_err(text);
        assert!(refusal.why.contains("scout.toml:1"), "{text}: {refusal}");
    }
    for (secret, text) in [
        (KEY, "sysctl kernel.hostname"),
        (KEY, "sysctl net.core"),
        ("/etc/passwd", "getent group"),
        ("/etc/systemd/system/**", "systemctl status nginx"),
        ("/etc/fstab", "findmnt"),
    ] {
        let secrets = SecretPaths::new(vec![(pattern(secret), "scout.toml:1".to_owned())], Vec::new());
        assert_eq!(check_with(&secrets, CommandPolicy::ReadOnly, &pipeline(text)), Ok(()), "{text}");
    }
}

#[test]
fn the_accounts_own_jobs_are_shown_where_its_file_may_be_read() {
    let refusal = verdict("crontab -l").expect_err("on the list");
    assert!(refusal.why.contains("/var/spool/cron"), "{refusal}");
    let readable = ["/var/spool/cron/**", "/var/cron/tabs/**"].map(|path| PathPattern::parse(path).expect("a pattern"));
    let secrets = SecretPaths::new(Vec::new(), readable.to_vec());
    assert_eq!(check_with(&secrets, CommandPolicy::ReadOnly, &pipeline("crontab -l")), Ok(()));
    assert!(check_with(&secrets, CommandPolicy::ReadOnly, &pipeline("crontab -e")).is_err());
}

#[test]
fn plain_text_may_look_like_a_repetition() {
    all_allowed("grep -F 'a{5000}' f\nrg -F 'a{5000}'\ngrep -rF -e 'a{5000}' .");
    // A flag's value is no flag.
    assert!(verdict("grep -e -F 'a{5000}' f").is_ok() && verdict("grep -E -m 1 -e 'a{5000}' -e -F f").is_err());
}

#[test]
fn a_program_that_takes_paths_and_needs_none_is_known_to_look_nowhere_or_looks_at_its_directory() {
    let looks_here = ["ls", "tree", "find", "du", "rg", "lsattr"];
    for row in table::rows() {
        let may_be_without = match row.operands {
            Operands::Each(Kind::Path | Kind::MountPath, least, _) => least == 0,
            Operands::FirstThenPaths(..) | Operands::Find => true,
            _ => false,
        };
        let nowhere = table::LOOKS_NOWHERE.split_whitespace().any(|name| name == row.name);
        assert_eq!(nowhere ^ looks_here.contains(&row.name), may_be_without, "{}", row.name);
    }
}

#[test]
fn programs_that_only_tell_are_rows_that_take_paths() {
    for name in [table::ONLY_TELLS, table::SEARCHES, table::COMBINES].into_iter().flat_map(str::split_whitespace) {
        let takes = match table::row(name).expect(name).operands {
            Operands::Each(Kind::Path | Kind::MountPath, ..) | Operands::FirstThenPaths(..) | Operands::Find => true,
            _ => name == "date",
        };
        assert!(takes, "{name}");
    }
}

#[test]
fn every_named_reason_is_given_for_a_flag_that_is_refused() {
    for row in table::rows() {
        let name = row.name;
        for (flags, reason) in row.refused.iter().chain([&(row.unused, "nobody has needed it")]) {
            for flag in flags.split(' ').filter(|flag| !flag.is_empty()) {
                for line in [format!("{name} '{flag}'"), format!("{name} '{flag}' 1"), format!("{name} '{flag}=1'")] {
                    verdict(&line).expect_err(&line);
                }
                let refusal = verdict(&format!("{name} '{flag}' 1")).expect_err("as before");
                assert!(refusal.why.contains(reason), "{name} {flag}: {refusal}");
            }
        }
    }
    assert!(verdict("sort -o out in").expect_err("writes").why.contains("it writes a file"));
}

macro_rules! refused {
    ($($name:ident: $lines:literal;)*) => {
        $(
            #[test]
            fn $name() {
                $crate::policy::tests::all_refused($lines);
            }
        )*
    };
}

pub(super) use refused;

refused! {
    uniq_takes_no_second_operand: "uniq a b
        uniq a b c
        uniq - b
        uniq -- a b";
    uniq_takes_no_glob: "uniq *
        uniq a*
        uniq -- ?";
    uniq_takes_no_flag_after_its_operand: "uniq a -c
        uniq a --
        uniq a -f 1";
    find_takes_no_action: "find . -delete
        find . -exec rm {} ;
        find . -execdir rm {} +
        find . -ok rm {} ;
        find . -okdir rm {} ;
        find . -fls out
        find . -fprint out
        find . -fprint0 out
        find . -fprintf out '%p'
        find -files0-from list
        find . -name a -o -delete
        find . ( -name a -delete )";
    sort_writes_no_file_and_runs_no_program: "sort -o out in
        sort -oout in
        sort -uoout in
        sort in -o out
        sort --output=out in
        sort --output out in
        sort --outp=out in
        sort --compress-program=sh in
        sort --compress-prog sh in
        sort --files0-from=list
        sort -T /tmp in
        sort -T/tmp in
        sort --temporary-directory=/tmp in
        sort -t -oout in
        sort -k -oout in
        sort --random-source=f in";
    tree_writes_no_file: "tree -o out
        tree -ao out
        tree -R
        tree -aR -L 1
        tree -Po x out
        tree -Io x out
        tree -L2
        tree -P -o out
        tree --fromfile list";
    file_compiles_no_magic_and_runs_nothing: "file -C
        file -C -m magic
        file -m magic x
        file -mmagic x
        file -z x
        file -Z x
        file -bz x
        file --uncompress x
        file -f names
        file --files-from names
        file -p x";
    rg_runs_no_program: "rg --pre sh x
        rg --pre=sh x
        rg --hostname-bin sh x
        rg --hostname-bin=sh x
        rg -z x
        rg -iz x
        rg --search-zip x
        rg -f patterns
        rg --file=patterns
        rg --pre-glob a x";
    tail_ends: "tail -f log
        tail -F log
        tail -nf log
        tail -fn5 log
        tail -5f log
        tail --follow log
        tail --follow=name log
        tail --fol log
        tail --retry log
        tail --pid=1 log
        tail -s 1 log";
    grep_takes_no_patterns_out_of_a_file: "grep -f patterns log
        grep -fpatterns log
        grep -if patterns log
        grep --file=patterns log
        grep --exclude-from=f x log";
    journalctl_changes_nothing: "journalctl --vacuum-size=1
        journalctl --vacuum-time 1s
        journalctl --vacuum-files=1
        journalctl --cursor-file=f
        journalctl --cursor-file f
        journalctl --rotate
        journalctl --flush
        journalctl --sync
        journalctl --relinquish-var
        journalctl --setup-keys
        journalctl --update-catalog
        journalctl -f
        journalctl -fu nginx
        journalctl --follow
        journalctl -n -f
        journalctl /usr/bin/x";
    dmesg_changes_nothing: "dmesg -c
        dmesg -C
        dmesg -Tc
        dmesg --clear
        dmesg --read-clear
        dmesg -n 1
        dmesg -D
        dmesg -E
        dmesg --console-off
        dmesg -F file
        dmesg -w
        dmesg -W
        dmesg --follow";
    ss_closes_nothing: "ss -K dst 1
        ss -tK
        ss --kill
        ss -D file
        ss --diag=file
        ss -F filter
        ss -E
        ss -N net";
    date_sets_nothing: "date -s now
        date -snow
        date --set=now
        date --set now
        date 010203042026
        date -u 010203042026
        date -- 0102
        date -f lines
        date --file=lines
        date +%s +%d";
    hostname_sets_nothing: "hostname new
        hostname -- new
        hostname -F file
        hostname -b new
        hostname --file file";
    ps_shows_no_environment: "ps e
        ps -e e
        ps -e 1
        ps -eT
        ps -eTH
        ps -e -T --forest
        ps -em
        ps -e -p 1
        ps -e --user nosuch
        ps -eo bogus
        ps ax -e
        ps auxe
        ps eaux
        ps aux e
        ps axe -o pid
        ps -aux
        ps -u e
        ps -C e
        ps -ue
        ps E
        ps -E
        ps -o environ
        ps -o pid,bogus
        ps axo pid
        ps --sort=bogus
        ps -p e";
    printf_evaluates_nothing: "printf -v 'a[$(id)]' x
        printf -- x
        printf %d 'a[$(id)]'
        printf %s%d a 'a[$(id)]'
        printf '%*s' 'a[$(id)]' x
        printf %
        printf";
    systemctl_only_looks: "systemctl restart nginx
        systemctl stop nginx
        systemctl --no-pager stop nginx
        systemctl daemon-reload
        systemctl edit nginx
        systemctl kill nginx
        systemctl -- stop nginx
        systemctl -H host status
        systemctl -M box status
        systemctl stat nginx
        systemctl show-environment";
    the_program_is_a_bare_literal_name: "/bin/cat a
        ./cat a
        ../cat a
        ca? a
        * a
        CAT a
        'cat ' a
        'cat;id' a
        ''
        env cat a
        sh -c id
        xargs cat
        awk 1
        sed p
        tee f
        busybox cat
        command cat
        sudo cat a
        test -v a
        -cat";
    a_time_names_no_file: "date '--date=TZ=\"x\" now'
        date '--date=TZ=\":/x\" now'
        date '--date=now TZ=\"../x\"'
        date '--date=2026-11-29 10:00 Europe/Berlin'
        date --date=now/now
        date --date=/now
        date '--date=now (x)'
        date --date=\\now
        date --date=x
        date --date=123456789012345
        find . -newermt 'TZ=\"/x\" now'
        find . -newerat x/y
        find . -newerct '2026-11-29 x'
        journalctl '--since=2026-11-29 10:00:00 Europe/Berlin'
        journalctl -U '2026-11-29 10:00:00 a/b'
        dmesg --since=x
        last -s x/y
        last -p 'TZ=\"x\"'";
    a_name_is_no_path: "id ../x
        id a/b
        getent passwd ../x
        systemctl status /x
        systemctl cat ../x.service
        journalctl -u /x
        which ../x
        which /x
        ps --tty /x
        ps --tty ../x
        ps --tty pts/x
        pgrep -t a/b
        ip link show type ../x
        ip link show type a/b
        ip route show table ../x
        df -t a/b
        dpkg -L ../x
        find . -fstype ../x
        rg -t ../x y
        w ../x";
    a_recursive_search_reads_no_devices: "grep --devices=read -r x .
        grep --devices=read x .
        grep -D read -r x .
        grep -Dread -r x .
        tree --fromfile x
        find -L . -files0-from x";
    numbers_widths_and_buffers_have_bounds: "head -n 1000000P f
        head -99999999999 f
        grep -A 100001 x f
        grep -100001 x f
        grep -m 1000000001 x f
        rg -j 17 x
        rg --threads=500 x
        rg -d 1001 x
        sort --parallel=17 f
        sort --parallel=0 f
        sort -S 2G f
        sort -S 1048577 f
        sort -S 50% f
        sort --buffer-size=1T f
        sort -k 100001 f
        sort -k 1.100001 f
        sort -k 1,x f
        cut -f 100001 f
        cut -b 1-4000000000 f
        cut -c x f
        fold -w 10001 f
        nl -w 10001 f
        nl -v 10000000000 f
        diff -W 10001 a b
        diff -U 100001 a b
        column -c 10001 f
        ps --cols 10001
        ps -p 99999999999
        tree -L 1001
        find . -maxdepth 1001
        find . -printf %1000p
        find . -printf '%-1000p'
        find . -printf '%.1000p'
        stat -c %1000n f
        stat --printf=%.1000n f
        date +%1000Y
        date +%_1000Y
        ls --time-style=+%1000Y
        ls --time-style=x
        dpkg-query -W -f '${Package;1000}'
        awk '{print $100001}'
        awk '{print $(NF-100001)}'
        sed -n 1000000001p f
        file -P bytes=1048577 f
        file -P x=1 f
        od -t x3q f
        od -t d99999 f
        tr a '[b*1001]'
        du -d 1001
        nproc --ignore 1000000001";
    patterns_do_not_grow: "grep -E '(a{100}){100}' f
        grep 'a\\{2000\\}' f
        grep -e 'a{600}' -e 'b{600}' f
        rg '((a{11}){11}){11}' f
        rg -e 'a{1001}' f
        pgrep 'a{1001}'
        find . -regex '.*a\\{1001\\}'
        find . -regex 'a\\{600\\}' -o -regex 'b\\{600\\}'
        find . -name '*****************'
        journalctl -F X -g 'a{1001}'
        diff -I 'a{1001}' a b
        nl -b 'pa\\{1001\\}' f
        tac -r -s 'a\\{1001\\}' f
        awk -F 'a{1001}' '{print $1}'
        apt-cache policy a+++++++++++
        apt-cache show libstdc++6 a+++++++++++
        apt-cache madison a+++++++++++
        apt list a+++++++++++
        apt list ~na+++++++++++
        apt show a+++++++++++
        rpm -qa 'a{1001}'
        rpm -q '((a{11}){11}){11}'
        rpm -qa '((a{11}){11}){11}*'
        rpm -qa (a{1001})*
        rpm -qa 'a{600}' 'b{600}'
        grep --exclude='*****************' -r x .";
    a_name_with_a_suffix_is_held_too: "zcat /etc/shadow
        zcat ~/.ssh/id_rs*";
    a_glob_is_no_flag_pattern_or_value: "grep * log
        grep -e * log
        grep -e x -*
        head -n * log
        cat -*
        find . -name *.rs
        find -name *
        ls --sort=*
        tr a* b
        basename *
        diff a*
        echo *
        hostname *
        date +*
        ps *
        id *";
}

#[test]
fn a_long_row_of_wildcards_is_decided() {
    let glob = format!("/etc/{}x", "*?".repeat(MAX_WORD / 2 - 8));
    let stage = Stage { words: vec![Word::Literal("cat".into()), Word::Glob(glob)], stderr: StderrTo::Capture };
    assert!(check(CommandPolicy::ReadOnly, &Pipeline { stages: vec![stage], directory: None }).is_err());
}

#[test]
fn policy_none_refuses_everything() {
    assert!(check(CommandPolicy::None, &pipeline("uptime")).is_err());
}

#[test]
fn policy_shell_allows_any_pipeline_within_bounds() {
    for line in ["rm -rf x", "sh -c id | tee f", "cat /etc/shadow", "/bin/x *"] {
        assert_eq!(check(CommandPolicy::Shell, &pipeline(line)), Ok(()), "{line}");
    }
}

#[test]
fn bounds_hold_for_every_policy() {
    let long = "a".repeat(MAX_WORD);
    for policy in [CommandPolicy::ReadOnly, CommandPolicy::Shell] {
        let verdict = |text: &str| check(policy, &pipeline(text));
        assert_eq!(verdict(&vec!["cat"; MAX_STAGES].join(" | ")), Ok(()));
        assert!(verdict(&vec!["cat"; MAX_STAGES + 1].join(" | ")).is_err());
        assert_eq!(verdict(&vec!["cat"; MAX_WORDS].join(" ")), Ok(()));
        assert!(verdict(&vec!["cat"; MAX_WORDS + 1].join(" ")).is_err());
        assert_eq!(verdict(&format!("cat {long}")), Ok(()));
        assert!(verdict(&format!("cat {long}a")).is_err());
        assert!(verdict(&format!("cat {long} {long} {long}")).is_err());
        assert!(verdict("cat | | cat").is_err());
        assert!(verdict("cat a\0b").is_err());
        assert!(check(policy, &Pipeline { stages: Vec::new(), directory: None }).is_err());
    }
}

#[test]
fn a_refusal_says_what_why_and_what_instead() {
    let refusal = verdict("find . -delete").expect_err("deletes");
    assert_eq!(refusal.what, "\"-delete\"");
    assert_eq!(refusal.why, "-delete of find is not allowed: it deletes");
    assert!(refusal.instead.expect("a way out").contains("-print0"));
    let refusal = verdict("rm x").expect_err("removes");
    assert!(
        refusal
            .instead
            .expect("a way out")
            .starts_with("nothing: commands here only read; one of: apk apt apt-cache arch arp awk ")
    );
}

fn rendered(text: &str) -> String {
    String::from_utf8(render(&pipeline(text)).expect(text)).expect("UTF-8 in, UTF-8 out")
}

#[test]
fn one_stage_replaces_the_shell_and_several_are_piped() {
    assert_eq!(rendered("ls -la --sort=size"), "exec ls -la --sort=size");
    assert_eq!(
        rendered("cat *.log | sort | head -n 2"),
        "cat ./*.log | TMPDIR=/dev/null/no-temporary-files sort -S 512M | head -n 2"
    );
    assert_eq!(rendered("sort -n a"), "export TMPDIR=/dev/null/no-temporary-files; exec sort -S 512M -n a");
    assert_eq!(rendered("grep 'a b' 'it''s' ''"), "exec grep 'a b' its ''");
    // What a row adds stands behind the words that it is named by.
    assert_eq!(rendered("netstat -tulpn"), "exec netstat -n -tulpn");
    assert_eq!(rendered("egrep x f"), "exec grep -E x f");
    assert_eq!(rendered("apk info bash"), "exec apk info --no-network bash");
    assert_eq!(rendered("command -v ls"), "command -v ls");
    assert_eq!(rendered("if x | A=1 y"), "'if' x | 'A=1' y");
}

#[test]
fn what_the_shell_does_itself_is_not_replaced_by_a_program() {
    assert_eq!(rendered("ulimit -n"), "'ulimit' -n");
    assert_eq!(rendered("exit 3"), "'exit' 3");
    assert_eq!(rendered("ulimit2 -n"), "exec 'ulimit2' -n");
}

#[test]
fn standard_error_goes_where_it_is_told() {
    let mut both = pipeline("cat a | wc");
    both.stages.first_mut().expect("two").stderr = StderrTo::Stdout;
    both.stages.last_mut().expect("two").stderr = StderrTo::Discard;
    assert_eq!(render(&both).expect("plain"), b"cat a 2>&1 | wc 2>/dev/null");
}

#[test]
fn only_wildcards_of_a_glob_are_active() {
    assert_eq!(rendered("cat $HOME*"), "exec cat '$'HOME*");
    assert_eq!(rendered("cat [!a-z]*"), "exec cat ./[!a-z]*");
    assert_eq!(rendered("cat ~/a;?"), "exec cat '~'/a';'?");
    assert_eq!(rendered("cat {a,b}*"), "exec cat '{'a,b'}'*");
}

#[test]
fn a_directory_is_entered_first() {
    let pwd = |directory: &[u8]| {
        let directory = Some(RemotePath::parse(directory).expect("a path"));
        Pipeline { directory, ..pipeline("pwd") }
    };
    let within = |directory| String::from_utf8(render(&pwd(directory)).expect("no NUL")).expect("UTF-8");
    assert_eq!(within(b"/var/a b"), "cd -- '/var/a b' || exit 1; exec pwd");
    assert_eq!(within(b"~"), "exec pwd");
    assert_eq!(within(b"~/"), "exec pwd");
    assert_eq!(within(b""), "exec pwd");
    assert_eq!(within(b"~/x"), "cd -- ./x || exit 1; exec pwd");
    assert_eq!(within(b"~//x"), "cd -- ./x || exit 1; exec pwd");
    assert_eq!(within(b"-"), "cd -- ./- || exit 1; exec pwd");
    assert_eq!(within(b"./~user"), "cd -- '././~user' || exit 1; exec pwd");
    // Where that is only the host knows, and in files it is not the directory that is called so.
    let stranger = pwd(b"~user");
    let scripted = render_script(stranger.directory.as_ref(), "pwd");
    for refused in [render(&stranger), scripted] {
        let refusal = refused.expect_err("another account's home").to_string();
        assert_eq!(refusal, "\"~user\": another account's home is not known here");
    }
}

#[test]
fn nul_is_never_rendered() {
    assert!(render(&pipeline("cat a\0b")).is_err());
    assert!(render_script(None, "a\0b").is_err());
}

#[test]
fn a_command_that_grows_beyond_what_a_shell_takes_is_refused() {
    let quotes = "'".repeat(MAX_WORD);
    let words = vec![Word::Literal("echo".into()), Word::Literal(quotes)];
    let grown = Pipeline { stages: vec![Stage { words, stderr: StderrTo::Capture }], directory: None };
    assert_eq!(check(CommandPolicy::ReadOnly, &grown), Ok(()));
    assert!(render(&grown).is_err());
}

#[test]
fn a_script_is_kept_as_it_is() {
    assert_eq!(render_script(None, "echo \"$x\" # y\n").expect("text"), b"echo \"$x\" # y\n");
    assert_eq!(render_script(RemotePath::parse(b"/a").ok().as_ref(), "pwd").expect("text"), b"cd -- /a || exit 1; pwd");
    assert!(render_script(None, &"x".repeat(MAX_TEXT + 1)).is_err());
}

fn run(text: &[u8]) -> std::process::Output {
    let text = std::ffi::OsStr::from_bytes(text);
    Command::new("/bin/sh").arg("-c").arg(text).current_dir("/").output().expect("a shell")
}

#[test]
fn a_directory_that_cannot_be_entered_ends_the_command_with_one() {
    let out =
        run(&render(&Pipeline { directory: RemotePath::parse("/no such").ok(), ..pipeline("pwd") }).expect("no NUL"));
    assert_eq!(out.status.code(), Some(1));
    assert!(out.stdout.is_empty());
    assert!(String::from_utf8_lossy(&out.stderr).contains("/no such"));
}

#[test]
fn a_file_named_like_a_flag_is_no_flag_when_a_glob_finds_it() {
    let directory = std::env::temp_dir().join(format!("scout-policy-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    for name in ["-oout", "a b", "c[1].log", "d;e"] {
        std::fs::write(directory.join(name), b"").expect("a file");
    }
    let found = |glob: &str| {
        let mut listing = pipeline("printf '%s\\n'");
        listing.stages.first_mut().expect("one").words.push(Word::Glob(glob.into()));
        listing.directory = RemotePath::parse(directory.as_os_str().as_bytes()).ok();
        String::from_utf8(run(&render(&listing).expect("no NUL")).stdout).expect("ASCII")
    };
    assert_eq!(found("*"), "./-oout\n./a b\n./c[1].log\n./d;e\n");
    assert_eq!(found("[a-b]*"), "./a b\n");
    assert_eq!(found("[!-a-c]*"), "./d;e\n");
    assert_eq!(found("a b*"), "a b\n");
    assert_eq!(found("d;?"), "d;e\n");
    assert_eq!(found("$(id)*"), "$(id)*\n");
    std::fs::remove_dir_all(&directory).expect("removed");
}

/// Marsaglia's xorshift: reproducible, and no dependency.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn word(&mut self) -> String {
        const ALPHABET: &[&str] = &[
            "'", "\"", "\\", "$", "`", "\n", "\r", "\t", " ", "-", "--", "~", "=", "#", "!", "*", "?", "[", "]",
            "{a,b}", "(", ")", "<", ">", "|", "&", ";", "%", "^", "a", "B", "7", "$(id)", "${x}", "\u{1}", "\u{1b}",
            "\u{7f}", "\u{81}", "ä", "€", "🦀", "\\n", "'\\''", "/", ".", ":", "+", ",", "@",
        ];
        let length = self.below(12);
        (0..length).map(|_| *ALPHABET.get(self.below(ALPHABET.len())).expect("in bounds")).collect()
    }
}

#[test]
fn every_literal_word_reaches_its_program_byte_for_byte() {
    let mut random = Random(0x5c07_7e57);
    for _ in 0..40 {
        let drawn: Vec<String> = (0..100).map(|_| random.word()).collect();
        let words = ["printf", "%s\\0"].into_iter().map(str::to_owned).chain(drawn.iter().cloned());
        let stage = Stage { words: words.map(Word::Literal).collect(), stderr: StderrTo::Capture };
        let single = Pipeline { stages: vec![stage.clone()], directory: None };
        assert_eq!(check(CommandPolicy::ReadOnly, &single), Ok(()));
        let mut piped = pipeline("cat | cat");
        *piped.stages.first_mut().expect("two") = stage;
        let expected: String = drawn.iter().map(|word| format!("{word}\0")).collect();
        for each in [single, piped] {
            assert_eq!(run(&render(&each).expect("no NUL")).stdout, expected.as_bytes());
        }
    }
}

#[test]
fn a_word_that_looks_like_a_program_runs_as_nothing_but_its_bytes() {
    let out = run(rendered("echo '$(id)' '`id`' ';' id '&&' id '>' f").as_bytes());
    assert_eq!(out.stdout, b"$(id) `id` ; id && id > f\n");
}
