//! The paths that nobody reads through Scout, whatever the remote account may do.
//!
//! Purely lexical: `.` and `..` are resolved in the text, a relative path is seen from the stage's directory, and what climbs out of a home
//! directory that is not known here counts as climbing to the root. Symbolic links are not seen, except those of `/proc/*/root` and
//! `/proc/*/cwd`. A recursive program (`grep -r`, `rg`, `find`, `tree`) that is given a directory above a secret file still meets that
//! file: no lexical rule can bind it. Letters are compared without case, because some file systems do.

use super::{Refusal, home_relative, quoted};

/// A list entry.
struct Secret {
    /// Whether it begins at the root, or at any directory.
    rooted: bool,
    /// Separated by `/`; `*` is the only wildcard. At most 62 characters per component, see [`meets`].
    path: &'static str,
    /// Whether everything beneath it is secret too.
    tree: bool,
    /// What it holds.
    holds: &'static str,
}

const fn rooted(path: &'static str, holds: &'static str) -> Secret {
    Secret { rooted: true, path, tree: false, holds }
}

const fn anywhere(path: &'static str, holds: &'static str) -> Secret {
    Secret { rooted: false, path, tree: false, holds }
}

const fn tree(secret: Secret) -> Secret {
    Secret { tree: true, ..secret }
}

const SECRETS: &[Secret] = &[
    rooted("proc/*/environ", "a process's environment"),
    rooted("proc/*/task/*/environ", "a process's environment"),
    rooted("proc/kcore", "the kernel's memory"),
    rooted("etc/shadow*", "password hashes"),
    rooted("etc/gshadow*", "password hashes"),
    tree(rooted("etc/sudoers*", "who may become whom")),
    rooted("etc/ssh/ssh_host_*_key", "the host's private key"),
    anywhere(".ssh/id_*", "a private key"),
    anywhere(".aws/credentials", "credentials"),
    anywhere(".netrc", "credentials"),
    anywhere(".pgpass", "credentials"),
    tree(anywhere(".gnupg", "private keys")),
    anywhere(".kube/config", "credentials"),
    anywhere(".docker/config.json", "credentials"),
    anywhere(".git-credentials", "credentials"),
];

/// What ends the name of a public key, which is no secret.
const PUBLIC: &[u8] = b".pub";

/// Whether a path, or anything that a glob could match, is secret.
pub(super) fn check(directory: Option<&[u8]>, path: &[u8], glob: bool) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal {
        what: quoted(&String::from_utf8_lossy(path)),
        why,
        instead: Some("another path, or a glob that cannot match it; of a key, the .pub beside it".into()),
    };
    if [directory.unwrap_or_default(), path].iter().any(|bytes| bytes.contains(&0)) {
        return Err(refuse("a path cannot hold a NUL byte".into()));
    }
    let mut components: Vec<Component<'_>> = Vec::new();
    let base = directory.filter(|_| !path.starts_with(b"/")).unwrap_or_default();
    let base = split(home_relative(base).unwrap_or(base)).map(|name| Component { name, glob: false });
    let mut rest = base.chain(split(path).map(|name| Component { name, glob })).peekable();
    while let Some(component) = rest.next() {
        if component.name == b".." {
            components.pop();
            continue;
        }
        if component.glob && rest.peek().is_some() && component.is_wild() && meets(&component.tokens(), b"..") {
            return Err(refuse("the glob could match .. and climb out of its directory".into()));
        }
        components.push(component);
        if leads_elsewhere(&components) {
            if let Some(secret) = find(&components) {
                return Err(refuse(describe(secret, glob)));
            }
            components.clear();
        }
    }
    match find(&components) {
        Some(secret) => Err(refuse(describe(secret, glob))),
        None => Ok(()),
    }
}

fn describe(secret: &Secret, glob: bool) -> String {
    let start = if secret.rooted { "/" } else { "**/" };
    let verb = if glob { "could match" } else { "is on" };
    format!("{verb} the list of secret paths: {start}{} holds {}", secret.path, secret.holds)
}

fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// `/proc/N/root` and `/proc/N/cwd` are links to the root and to a directory unknown.
fn leads_elsewhere(components: &[Component<'_>]) -> bool {
    let is = |component: &Component<'_>, name: &[u8]| meets(&component.tokens(), name);
    match components {
        [proc, _, link] => is(proc, b"proc") && (is(link, b"root") || is(link, b"cwd")),
        [proc, _, task, _, link] => is(proc, b"proc") && is(task, b"task") && (is(link, b"root") || is(link, b"cwd")),
        _ => false,
    }
}

fn find(components: &[Component<'_>]) -> Option<&'static Secret> {
    let tokens: Vec<_> = components.iter().map(|component| (component.tokens(), component.name)).collect();
    SECRETS.iter().find(|secret| {
        let length = secret.path.split('/').count();
        let starts = match tokens.first() {
            _ if !secret.rooted => tokens.len(),
            // Where macOS keeps /etc.
            Some((first, _)) if meets(first, b"private") => 2,
            _ => 1,
        };
        tokens.windows(length).take(starts).enumerate().any(|(at, window)| {
            let ends = secret.tree || at + length == tokens.len();
            let all =
                window.iter().zip(secret.path.split('/')).all(|((tokens, _), name)| meets(tokens, name.as_bytes()));
            let public = secret.path.ends_with("id_*") && window.last().is_some_and(|(_, name)| name.ends_with(PUBLIC));
            ends && all && !public
        })
    })
}

struct Component<'a> {
    name: &'a [u8],
    glob: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    One,
    Any,
}

impl Component<'_> {
    fn is_wild(&self) -> bool {
        self.glob && self.name.iter().any(|byte| b"*?[".contains(byte))
    }

    /// Shells disagree on where a bracket expression ends, so everything from the first `[` to the last `]` may be anything. One that does
    /// not end is a literal `[` to the shell, and anything here.
    fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::with_capacity(self.name.len());
        let mut rest = self.name.iter().enumerate();
        while let Some((at, byte)) = rest.next() {
            tokens.push(match byte {
                b'*' if self.glob => Token::Any,
                b'?' if self.glob => Token::One,
                b'[' if self.glob => {
                    let end = self.name.iter().rposition(|byte| *byte == b']').filter(|end| *end > at);
                    while rest.next().is_some_and(|(passed, _)| Some(passed) != end) {}
                    Token::Any
                }
                byte => Token::Byte(byte.to_ascii_lowercase()),
            });
        }
        tokens.dedup_by(|next, last| *next == Token::Any && *last == Token::Any);
        tokens
    }
}

/// Whether some name matches both; in `name` only `*` is special. A wildcard at the start of `tokens` does not match a dot, as in a shell.
///
/// Bit n of a set: the first n characters of `name` are matched. That bounds `name` to 62 characters.
fn meets(tokens: &[Token], name: &[u8]) -> bool {
    let open = |mut set: u64| {
        for (at, byte) in name.iter().enumerate() {
            if *byte == b'*' && set & (1 << at) != 0 {
                set |= 1 << (at + 1);
            }
        }
        set
    };
    let step = |set: u64, accepts: &dyn Fn(u8) -> bool| {
        let mut next = 0;
        for (at, byte) in name.iter().enumerate().filter(|(at, _)| set & (1 << at) != 0) {
            match byte {
                b'*' => next |= 1 << at,
                byte if accepts(byte.to_ascii_lowercase()) => next |= 1 << (at + 1),
                _ => {}
            }
        }
        open(next)
    };
    let mut set = open(1);
    for (at, token) in tokens.iter().enumerate() {
        let wild = |byte: u8| at > 0 || byte != b'.';
        match token {
            Token::Byte(expected) => set = step(set, &|byte| byte == *expected),
            Token::One => set = step(set, &wild),
            Token::Any => {
                let mut reached = step(set, &wild);
                set |= reached;
                for _ in name {
                    reached = step(reached, &|_| true);
                    set |= reached;
                }
            }
        }
        if set == 0 {
            return false;
        }
    }
    set & (1 << name.len()) != 0
}
