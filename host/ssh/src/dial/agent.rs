//! What an ssh-agent says that it holds.
//!
//! Owns the list, read key by key: a comment of any bytes, or a kind of key that is not known here, hides no other key.
//! Signing is russh's. Does not know what is offered, and in what order.

use std::path::Path;

use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use russh::keys::{Algorithm, Certificate, PublicKey};
use scout_machine::line;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use crate::trust::is_nested_too_deep;

/// `SSH_AGENTC_REQUEST_IDENTITIES` and its answer (draft-miller-ssh-agent §3.5).
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
/// OpenSSH's bounds: the longest answer that it reads, and the most keys in it.
const MAX_ANSWER: usize = 256 << 10;
const MAX_IDENTITIES: usize = 2048;
/// Kept of the name of a kind of key.
const KIND_BYTES: usize = 64;

/// The keys of an agent.
#[derive(Debug, Default)]
pub(crate) struct AgentKeys {
    pub(crate) identities: Vec<AgentIdentity>,
    /// Of each key that is left out, what it is and why.
    pub(crate) unread: Vec<String>,
}

/// Asks the agent for its identities. It is told first, and does not mind, which session they are for.
///
/// # Errors
/// Why they are not to be had, in a few words.
pub(crate) async fn connect(
    path: &Path,
    binding: Option<&AgentSessionBinding>,
    until: Instant,
) -> Result<(AgentClient<UnixStream>, AgentKeys), String> {
    let asking = async {
        let mut stream = UnixStream::connect(path).await.map_err(|error| format!("does not answer ({error})"))?;
        if let Some(binding) = binding {
            // Agents older than OpenSSH 8.9 do not know it, and need it not.
            if let Err(error) = AgentClient::connect(&mut stream).bind_session(binding, false).await {
                tracing::debug!(%error, "the agent does not bind sessions");
            }
        }
        let answer = ask(&mut stream).await.map_err(|error| format!("did not list its keys ({error})"))?;
        let held = read(&answer).ok_or("did not list its keys")?;
        Ok((AgentClient::connect(stream), held))
    };
    timeout_at(until, asking).await.unwrap_or_else(|_| Err("does not answer in time".to_owned()))
}

async fn ask(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES]).await?;
    let length = stream.read_u32().await?;
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_ANSWER);
    let mut answer = vec![0; length.ok_or_else(|| std::io::Error::other("its answer is too long"))?];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// The keys of an answer; `None` if it is another one.
fn read(answer: &[u8]) -> Option<AgentKeys> {
    let (kind, mut rest) = answer.split_first()?;
    let count = take_length(&mut rest).filter(|_| *kind == IDENTITIES_ANSWER)?;
    let mut held = AgentKeys::default();
    for number in 0..count.min(MAX_IDENTITIES) {
        let (Some(blob), Some(comment)) = (take_string(&mut rest), take_string(&mut rest)) else {
            held.unread.push(format!("agent keys from number {} on (the list breaks off)", number + 1));
            break;
        };
        match identity(blob, comment) {
            Ok(identity) => held.identities.push(identity),
            Err(why) => held.unread.push(format!("agent key {} ({why})", kind_of(blob))),
        }
    }
    Some(held)
}

fn identity(blob: &[u8], comment: &[u8]) -> Result<AgentIdentity, &'static str> {
    const UNREAD: &str = "it cannot be read";
    if is_nested_too_deep(blob) {
        return Err(UNREAD);
    }
    let comment = String::from_utf8_lossy(comment).into_owned();
    let kind = kind_of(blob);
    if Algorithm::new_certificate(&kind).is_ok_and(is_known) {
        return match Certificate::from_bytes(blob) {
            Ok(certificate) => Ok(AgentIdentity::Certificate { certificate, comment }),
            Err(_) => Err(UNREAD),
        };
    }
    if !Algorithm::new(&kind).is_ok_and(is_known) {
        return Err("a kind of key that Scout does not have");
    }
    match PublicKey::from_bytes(blob) {
        Ok(key) => Ok(AgentIdentity::PublicKey { key, comment }),
        Err(_) => Err(UNREAD),
    }
}

fn is_known(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::Other(_))
}

/// What a key says it is, made harmless.
fn kind_of(mut blob: &[u8]) -> String {
    line(take_string(&mut blob).unwrap_or_default(), KIND_BYTES)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(rest)?;
    let (string, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(string)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGKse3gVjY1LqE+OdqtdLyAXsxJKXCxP5X9j/cfn5BzN";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBdBhsjcqEPuZIYxQ8Q2Ars78OMpQfbBFvtQ2CuFAo1b";

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    fn answer(keys: &[(Vec<u8>, &[u8])]) -> Vec<u8> {
        let count = u32::try_from(keys.len()).unwrap().to_be_bytes();
        let keys = keys.iter().flat_map(|(blob, comment)| [string(blob), string(comment)].concat());
        [&[IDENTITIES_ANSWER][..], &count, &keys.collect::<Vec<_>>()].concat()
    }

    #[test]
    fn what_cannot_be_read_hides_no_other_key() {
        let [key, other] = [KEY, OTHER].map(|key| PublicKey::from_openssh(key).unwrap());
        let blob = |key: &PublicKey| key.to_bytes().unwrap();
        let list = answer(&[
            (blob(&key), b"J\xfcrgens Schl\xfcssel"),
            // Of OpenSSH 10.6; one of a vendor; one that is cut; a certificate that is none; nothing.
            ([string(b"ssh-mldsa44-ed25519"), string(&[7; 1344])].concat(), b"new"),
            ([string(b"x509v3@vendor.example"), string(&[7; 9])].concat(), b""),
            (string(b"ssh-ed25519"), b""),
            ([string(b"ssh-ed25519-cert-v01@openssh.com"), string(&[1])].concat(), b""),
            (Vec::new(), b"\xff"),
            (blob(&other), b""),
        ]);
        let held = read(&list).unwrap();
        let keys: Vec<_> = held.identities.iter().map(|one| one.public_key().into_owned()).collect();
        assert_eq!(keys, [key, other]);
        assert_eq!(
            held.unread,
            [
                "agent key ssh-mldsa44-ed25519 (a kind of key that Scout does not have)",
                "agent key x509v3@vendor.example (a kind of key that Scout does not have)",
                "agent key ssh-ed25519 (it cannot be read)",
                "agent key ssh-ed25519-cert-v01@openssh.com (it cannot be read)",
                "agent key  (a kind of key that Scout does not have)",
            ]
        );
        // However it is cut, what came before counts, and it ends.
        for length in 0..list.len() {
            let held = read(list.get(..length).unwrap());
            assert_eq!(held.is_some(), length >= 5);
            assert!(held.is_none_or(|held| held.identities.len() + held.unread.len() <= 8));
        }
        assert!(read(&[5]).is_none() && read(&[IDENTITIES_ANSWER, 0xff, 0xff, 0xff, 0xff]).is_some());
    }
}
