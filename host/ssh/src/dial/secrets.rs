//! Secrets from the configured command: passphrases, passwords, answers to prompts.
//!
//! Owns the one way a secret comes in. A secret is wiped when dropped, is never logged and never part of a message, and
//! no client can cause or read one. Does not know what it is for.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use scout_machine::line;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::HostSpec;
use crate::dial::process::Group;

/// How long the command may take; the dial's own limit mostly ends before.
const LIMIT: Duration = Duration::from_secs(60);
/// The longest secret: what OpenSSH's askpass takes.
const MAX_BYTES: usize = 1024;
/// The longest prompt that is passed on; a server chooses it.
const MAX_PROMPT_BYTES: usize = 1024;

/// What a secret is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Unlocks a key file of ours.
    Passphrase,
    /// Goes to the server.
    Password,
    /// Goes to the server, which also chose the words of the prompt.
    Prompt,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Password => "password",
            Self::Prompt => "prompt",
        }
    }
}

/// Where a host's secrets come from.
#[derive(Clone, Copy)]
pub(crate) struct Secrets<'a> {
    pub(crate) command: Option<&'a Path>,
    pub(crate) spec: &'a HostSpec,
}

impl Secrets<'_> {
    /// Whether there is anything to ask.
    pub(crate) fn can_be_asked(&self) -> bool {
        self.command.is_some()
    }

    /// Asks for a secret; an empty one is none.
    ///
    /// # Errors
    /// Why there is none, in a few words.
    /// # Cancel safety
    /// The command is killed with its group.
    pub(crate) async fn ask(&self, kind: Kind, prompt: &str) -> Result<Zeroizing<String>, &'static str> {
        let program = self.command.ok_or("there is no secret command")?;
        let prompt = line(prompt.as_bytes(), MAX_PROMPT_BYTES);
        let mut command = Command::new(program);
        command
            .arg(prompt)
            .env("SCOUT_SECRET_KIND", kind.name())
            .env("SCOUT_SECRET_HOST", &self.spec.alias)
            .env("SCOUT_SECRET_USER", &self.spec.user)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut group = Group::spawn(&mut command).map_err(|_| "the secret command cannot be started")?;
        let stdout = group.child.stdout.take().ok_or("the secret command cannot be read")?;
        let asking = async {
            let secret = read(stdout).await?;
            let status = group.child.wait().await.map_err(|_| "the secret command was lost")?;
            if status.success() { Ok(secret) } else { Err("the secret command has none") }
        };
        timeout(LIMIT, asking).await.map_err(|_| "the secret command took too long")?
    }
}

async fn read(mut stdout: impl AsyncRead + Unpin) -> Result<Zeroizing<String>, &'static str> {
    // Never grows: a buffer that moves would leave a copy behind. Three more bytes: the end of the line, and one that tells of
    // too many.
    let mut buffer = Zeroizing::new([0_u8; MAX_BYTES + 3]);
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            return Err("the secret command's answer is too long");
        }
        match stdout.read(room).await {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(_) => return Err("the secret command cannot be read"),
        }
    }
    let line = buffer.get(..filled).unwrap_or_default();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > MAX_BYTES {
        return Err("the secret command's answer is too long");
    }
    match std::str::from_utf8(line) {
        Ok("") => Err("the secret command has none"),
        Ok(secret) => Ok(Zeroizing::new(secret.to_owned())),
        Err(_) => Err("the secret command's answer is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[tokio::test]
    async fn one_end_of_line_is_cut_and_nothing_else() {
        for (said, secret) in [
            (&b"a b \n"[..], Ok("a b ")),
            (b"x\r\n", Ok("x")),
            (b"x\n\n", Ok("x\n")),
            (b"\n", Err("the secret command has none")),
            (b"", Err("the secret command has none")),
            (b"\xff\n", Err("the secret command's answer is not UTF-8")),
        ] {
            let read = read(said).await;
            assert_eq!(read.as_ref().map(|secret| secret.as_str()).map_err(|why| *why), secret);
        }
        assert_eq!(read(&[b'x'; 1024][..]).await.map(drop), Ok(()));
        assert_eq!(read(&[b'x'; 1025][..]).await.map(drop), Err("the secret command's answer is too long"));
    }
}
