//! What a dial would offer as public keys, told without a dial.
//!
//! Owns the words for it. The list is the one that authentication goes through; which keys the server takes, nobody knows
//! before it is asked.

use std::borrow::Cow;
use std::path::PathBuf;

use russh::keys::{Algorithm, HashAlg};
use tokio::time::Instant;

use crate::dial::agent::{self, AgentKeys};
use crate::dial::algorithms::may_authenticate;
use crate::dial::identities::{Identities, Identity, Shown, Signatory};
use crate::dial::secrets::Secrets;
use crate::{DialConfig, HostSpec};

/// More say nothing new.
const MAX_NOTES: usize = 20;

/// The public keys and certificates of one host's logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers {
    /// In the order in which a dial comes to them.
    pub list: Vec<Offer>,
    /// Configured files that give nothing to offer, and why.
    pub unread: Vec<(PathBuf, Cow<'static, str>)>,
    /// Whether the agent told its keys, else why it did not; absent if none is configured.
    pub agent: Option<Result<(), String>>,
    /// Keys of the agent that are passed over, and why.
    pub notes: Vec<String>,
}

/// One key or certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The file that it comes from; absent: the agent alone has it.
    pub file: Option<PathBuf>,
    /// The `IdentityFile` or `CertificateFile` that led to the file: the file itself, or the key that it lies beside.
    pub configured: Option<PathBuf>,
    /// A certificate, configured, beside its key or in the agent.
    pub is_certificate: bool,
    /// As `ssh-ed25519`; absent if that is not known before the file is unlocked.
    pub key_type: Option<String>,
    /// SHA-256 of the public key, of a certificate of the one in it; absent as `key_type` is.
    pub fingerprint: Option<String>,
    /// Who signs; absent if nobody has the private key.
    pub signer: Option<OfferSigner>,
    /// Whether signing takes a passphrase.
    pub is_encrypted: bool,
    /// Why a dial leaves it out, if it does.
    pub hindrance: Option<Cow<'static, str>>,
}

/// Who holds a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferSigner {
    /// The agent.
    Agent,
    /// A key file.
    File,
}

/// Reads the key files and asks the agent, as a dial would; asks for no passphrase and connects to no host.
///
/// # Cancel safety
/// Nothing is left behind but a closed connection to the agent.
pub async fn offers(spec: &HostSpec, config: &DialConfig, agent_until: Instant) -> Offers {
    let (agent, held) = match &spec.agent {
        None => (None, AgentKeys::default()),
        Some(path) => match agent::connect(path, None, agent_until).await {
            Ok((_, held)) => (Some(Ok(())), held),
            Err(why) => (Some(Err(why)), AgentKeys::default()),
        },
    };
    let mut notes = held.unread.clone();
    let identities = Identities::gather(spec, held, &mut Vec::new()).await;
    notes.truncate(MAX_NOTES);
    let secrets = Secrets { command: config.secret_command.as_deref(), spec };
    let list = identities.list.iter().map(|identity| offer(identity, &identities, &secrets)).collect();
    Offers { list, unread: identities.unread, agent, notes }
}

fn offer(identity: &Identity, identities: &Identities, secrets: &Secrets<'_>) -> Offer {
    let Identity { file: configured, stands_in, shown, signatory, .. } = identity;
    let key = shown.key_data();
    let is_certificate = matches!(shown, Shown::Certificate(_));
    let unsigned = identities.hindrance(signatory, secrets);
    let is_encrypted = identities.is_locked(signatory);
    // In the order in which a dial asks.
    let hindrance = shown
        .long_enough(secrets.spec.required_rsa_bits)
        .err()
        .map(Cow::from)
        .or_else(|| unsigned.clone())
        .or_else(|| key.and_then(|key| not_accepted(secrets.spec, &key.algorithm(), is_certificate)));
    Offer {
        file: stands_in.clone(),
        configured: configured.clone(),
        is_certificate,
        key_type: key.map(|key| key.algorithm().to_string()),
        fingerprint: key.map(|key| key.fingerprint(HashAlg::Sha256).to_string()),
        signer: match signatory {
            Signatory::Agent(_) => Some(OfferSigner::Agent),
            Signatory::File(_) if unsigned.is_none() || is_encrypted => Some(OfferSigner::File),
            Signatory::File(_) | Signatory::Nobody => None,
        },
        is_encrypted,
        hindrance,
    }
}

/// That `PubkeyAcceptedAlgorithms` rules the kind of key out, whatever the server takes.
fn not_accepted(spec: &HostSpec, algorithm: &Algorithm, is_certificate: bool) -> Option<Cow<'static, str>> {
    let may = |algorithm: &Algorithm| may_authenticate(spec, algorithm, is_certificate);
    let is_accepted = match algorithm {
        Algorithm::Rsa { .. } => {
            [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None].into_iter().any(|hash| may(&Algorithm::Rsa { hash }))
        }
        other => may(other),
    };
    (!is_accepted).then_some("PubkeyAcceptedAlgorithms does not name its kind".into())
}
