//! Making a signature: with a key file, or with the agent that holds the key.

use std::path::{Path, PathBuf};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{LineEnding, SshSig};
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey};
use tokio::time::{Instant, timeout_at};

use crate::dial::agent;
use crate::dial::identities::read_signing_key;

/// OpenSSH's own choice.
const HASH: HashAlg = HashAlg::Sha512;

/// Signs `message` for a purpose and gives the text that `ssh-keygen -Y verify` takes. `key` is a private key, a public
/// key or a certificate (`…-cert.pub`); what has no unlocked private key beside it is signed for by the agent.
///
/// # Errors
/// Why it cannot be signed, and what to do.
///
/// # Cancel safety
/// Nothing is left behind but a closed connection to the agent.
pub async fn sign(
    key: &Path,
    agent: Option<&Path>,
    namespace: &str,
    message: &[u8],
    until: Instant,
) -> Result<String, String> {
    let signature = match read_signing_key(key)? {
        Signing { shown, own: Some(private) } => with_file(&private, shown, namespace, message)?,
        Signing { shown, own: None } => {
            let agent = agent.ok_or_else(|| {
                format!("{} is locked or only a public key, and there is no agent: run ssh-add", key.display())
            })?;
            let plain = shown.certificate().map_or(&shown, Certificate::public_key);
            let plain = PublicKey::new(plain.clone(), "");
            with_agent(agent, plain, shown, namespace, message, until).await?
        }
    };
    signature.to_pem(LineEnding::LF).map_err(|error| format!("the signature cannot be written: {error}"))
}

/// A key to sign with.
pub(crate) struct Signing {
    /// What the signature names: a key or a certificate.
    pub(crate) shown: KeyData,
    /// Absent: only the agent may have it.
    pub(crate) own: Option<PrivateKey>,
}

/// The private key's file of a public one's.
pub(crate) fn private_of(public: &Path) -> Option<PathBuf> {
    let name = public.file_name()?.to_str()?;
    let stem = name.strip_suffix("-cert.pub").or_else(|| name.strip_suffix(".pub"))?;
    Some(public.with_file_name(stem))
}

fn with_file(private: &PrivateKey, shown: KeyData, namespace: &str, message: &[u8]) -> Result<SshSig, String> {
    let told = |error| format!("the key cannot sign: {error}");
    let signed = private.sign(namespace, HASH, message).map_err(told)?;
    SshSig::new(shown, namespace, HASH, signed.signature().clone()).map_err(told)
}

async fn with_agent(
    socket: &Path,
    plain: PublicKey,
    shown: KeyData,
    namespace: &str,
    message: &[u8],
    until: Instant,
) -> Result<SshSig, String> {
    let fingerprint = plain.fingerprint(HashAlg::Sha256);
    let told = |error: &dyn std::fmt::Display| format!("the agent did not sign with {fingerprint}: {error}");
    let data = SshSig::signed_data(namespace, HASH, message).map_err(|error| told(&error))?;
    let (mut client, _) =
        agent::connect(socket, None, until).await.map_err(|why| format!("the agent {}: {why}", socket.display()))?;
    let asked = timeout_at(until, client.sign_request_signature(&plain, Some(HASH), &data)).await;
    let signature = match asked {
        Ok(Ok(signature)) => signature,
        Ok(Err(_)) => return Err(told(&"it refused, or does not hold the key; see ssh-add -l")),
        Err(_) => return Err(told(&"it did not answer in time")),
    };
    SshSig::new(shown, namespace, HASH, signature).map_err(|error| told(&error))
}
