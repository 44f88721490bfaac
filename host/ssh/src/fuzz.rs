//! The parsers of what hosts send and of what files say, on bytes alone, for tests that choose all of these.
//!
//! No interface: it changes as the parsers do. Nothing here reads a file, runs a command or opens a connection.

use std::path::Path;

use russh::keys::ssh_key::public::{Ed25519PublicKey, KeyData};

use crate::trust::KnownHosts;
use crate::{HostSpec, SshConfig, dial, sftp};

/// Reads known_hosts and asks it all that a dial asks; how many lines are about the host `host`.
pub fn known_hosts(bytes: &[u8]) -> usize {
    let mut known = KnownHosts::default();
    known.parse(Path::new("known_hosts"), bytes);
    let key = KeyData::Ed25519(Ed25519PublicKey([7; 32])).into();
    known.check("host", 2222, &key);
    known.decide(&HostSpec::new("host", "host", 22, "user"), &key.into());
    known.algorithms("host", 22);
    known.certificate_algorithms("host", 22);
    known.entries("host", 22).len()
}

/// Reads `ssh_config` and resolves `host` and the first names in it; how many names there are.
pub fn ssh_config(bytes: &[u8]) -> usize {
    let config = SshConfig::of_bytes(bytes);
    let names = config.hosts();
    for name in std::iter::once("host").chain(names.iter().map(String::as_str).take(8)) {
        // A line that makes no sense is an answer too.
        let _ = config.explain(name);
    }
    names.len()
}

/// Decodes what an SFTP server sends, from its greeting on; how many packets it is.
pub fn sftp_reply(bytes: &[u8]) -> usize {
    sftp::decode_all(bytes)
}

/// Shakes hands with a server that says this and no more: its identification and what follows in the clear. Gives the
/// words of the failure.
pub async fn identification(bytes: Vec<u8>) -> String {
    dial::handshake_with(bytes).await
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    #[tokio::test]
    async fn each_parser_takes_bytes_and_gives_what_they_say() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGKse3gVjY1LqE+OdqtdLyAXsxJKXCxP5X9j/cfn5BzN";
        let lines = [b"\xff\n@revoked\nhost ", key.as_bytes(), b"\n"].concat();
        assert_eq!(known_hosts(&lines), 1);
        assert_eq!(ssh_config(b"Host a b\nUser \xff\nHost c*\n"), 2);
        let version = [&[0, 0, 0, 5, 2, 0, 0, 0, 3][..], &[0, 0, 0, 5, 101, 0, 0, 0, 1], &[0, 0, 0, 0]].concat();
        assert_eq!(sftp_reply(&version), 2);
        assert!(identification(b"220 smtp ready\r\n".to_vec()).await.contains("220 smtp ready"));
        assert!(identification(b"SSH-2.0-x\r\n\0\0\0".to_vec()).await.contains("closed"));
    }

    #[test]
    fn what_a_configuration_would_read_or_run_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let (file, trace) = (directory.path().join("included"), directory.path().join("trace"));
        std::fs::write(&file, "Host seen\n").unwrap();
        let (file, trace) = (file.display(), trace.display());
        let text =
            format!("\"incLude\" {file}\nInclude={file}\nHost *\nMatch host host Exec \"touch {trace}\"\nUser x\n");
        assert_eq!(ssh_config(text.as_bytes()), 0);
        assert!(!std::path::Path::new(&trace.to_string()).exists());
    }
}
