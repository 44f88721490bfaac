//! Certificates that Scout has signed for whoever asks, so that a host's own log names the person.
//!
//! Owns what such a certificate says. Its key is made for one login, is never written anywhere, and is gone with the login; the
//! authority's key stays in its file or its agent.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey, signature};
use scout_machine::Principal;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::HostSpec;
use crate::dial::agent;
use crate::dial::identities::read_signing_key;
use crate::dial::key_file::Why;
use crate::sshsig::Signing;

/// How far the clocks of this machine and a host may be apart.
const SKEW: Duration = Duration::from_secs(60);
/// What a hop has to allow for the next one to be reached through it.
const FORWARDING: &str = "permit-port-forwarding";
/// The longest name in a certificate, in bytes.
const MAX_NAME: usize = 256;

/// An SSH certificate authority that hosts trust (`TrustedUserCAKeys`), and what it certifies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// Its private key, or the public half of one that the agent holds.
    pub key: PathBuf,
    /// The agent that may hold it.
    pub agent: Option<PathBuf>,
    /// The names that a certificate is for: templates of [`Authority::name`].
    pub principals: Vec<String>,
    /// How long a certificate may be used to log in.
    pub life: Duration,
    /// What hosts enforce, such as `source-address` and `force-command`; the values are templates, too.
    pub critical_options: Vec<(String, String)>,
}

impl Authority {
    /// A name of a certificate: `{principal}`, `{tenant}`, `{user}` (the account that is logged in to) and `{host}` (the alias) stand
    /// for what they are.
    ///
    /// # Errors
    /// A name in braces that is none of them, or a brace without its other half.
    pub fn name(template: &str, who: &Principal, spec: &HostSpec) -> Result<String, String> {
        let (mut name, mut rest) = (String::new(), template);
        while let Some((before, behind)) = rest.split_once('{') {
            let (word, after) =
                behind.split_once('}').ok_or_else(|| format!("`{template}` has a `{{` without a `}}`"))?;
            name.push_str(before);
            name.push_str(match word {
                "principal" => who.name(),
                "tenant" => who.tenant().as_str(),
                "user" => &spec.user,
                "host" => &spec.alias,
                _ => {
                    return Err(format!("`{{{word}}}` is none of {{principal}}, {{tenant}}, {{user}} and {{host}}"));
                }
            });
            rest = after;
        }
        name.push_str(rest);
        Ok(name)
    }

    /// A key for one login, and the certificate of it.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Cancel safety
    /// Nothing is left behind but a closed connection to the agent.
    pub(crate) async fn issue(
        &self,
        who: &Principal,
        spec: &HostSpec,
        is_hop: bool,
        until: Instant,
    ) -> Result<(Arc<PrivateKey>, Certificate), Why> {
        let path = self.key.clone();
        let reading = tokio::task::spawn_blocking(move || read_signing_key(&path));
        let signing = reading.await.map_err(|_| "its key could not be read")??;
        let (key, to_sign) = self.to_be_signed(who, spec, is_hop)?;
        let certificate = match signing {
            Signing { own: Some(authority), .. } => {
                let signed = tokio::task::spawn_blocking(move || to_sign.builder()?.sign(&authority));
                signed.await.map_err(|_| "its key cannot sign")?
            }
            Signing { shown, own: None } => {
                let mut absent = Absent { public_key: shown.clone(), message: Mutex::default(), signature: None };
                // What it is asked to sign is what is to be signed.
                drop(to_sign.builder().and_then(|builder| builder.sign(&absent)));
                let message = std::mem::take(absent.message.get_mut());
                absent.signature = Some(self.signed_by_agent(PublicKey::new(shown, ""), &message, until).await?);
                to_sign.builder().and_then(|builder| builder.sign(&absent))
            }
        };
        certificate.map(|certificate| (key, certificate)).map_err(|error| format!("it cannot sign: {error}").into())
    }

    fn to_be_signed(
        &self,
        who: &Principal,
        spec: &HostSpec,
        is_hop: bool,
    ) -> Result<(Arc<PrivateKey>, ToBeSigned), Why> {
        let (mut seed, mut nonce, mut serial) = (Zeroizing::new([0; 32]), [0; 32], [0; 8]);
        let random = getrandom::fill(seed.as_mut_slice())
            .and_then(|()| getrandom::fill(&mut nonce))
            .and_then(|()| getrandom::fill(&mut serial));
        random.map_err(|_| "there are no random numbers")?;
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        let name = |template: &String| {
            let name = Self::name(template, who, spec)?;
            match name.is_empty() || name.len() > MAX_NAME || name.contains([',', '\0', '\n']) {
                true => Err(format!("`{template}` makes a name that no certificate can have")),
                false => Ok(name),
            }
        };
        let value = |(option, template): &(String, String)| {
            Self::name(template, who, spec).map(|value| (option.clone(), value))
        };
        let now = SystemTime::now();
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let to_sign = ToBeSigned {
            public_key: key.public_key().key_data().clone(),
            nonce,
            // It is told in the host's log, beside the name.
            serial: u64::from_be_bytes(serial),
            valid: (seconds(now - SKEW), seconds(now + self.life)),
            id: format!("{}/{}", who.tenant(), who.name()),
            principals: self.principals.iter().map(name).collect::<Result<_, _>>()?,
            critical_options: self.critical_options.iter().map(value).collect::<Result<_, _>>()?,
            is_hop,
        };
        Ok((Arc::new(key), to_sign))
    }

    async fn signed_by_agent(&self, key: PublicKey, message: &[u8], until: Instant) -> Result<Signature, Why> {
        let socket = self.agent.as_deref().ok_or("its key is locked or only a public one, and there is no agent")?;
        let (mut client, _) = agent::connect(socket, None, until).await?;
        // SHA-1, which is what an agent signs with RSA unless it is told otherwise, is not taken by anybody.
        let hash = matches!(key.algorithm(), Algorithm::Rsa { .. }).then_some(HashAlg::Sha512);
        match timeout_at(until, client.sign_request_signature(&key, hash, message)).await {
            Ok(Ok(signature)) => Ok(signature),
            Ok(Err(_)) => Err("the agent refused to sign with its key, or does not hold it".into()),
            Err(_) => Err("the agent did not sign in time".into()),
        }
    }
}

/// All that a certificate says, but for who signs.
struct ToBeSigned {
    public_key: KeyData,
    nonce: [u8; 32],
    serial: u64,
    valid: (u64, u64),
    id: String,
    principals: Vec<String>,
    critical_options: Vec<(String, String)>,
    is_hop: bool,
}

impl ToBeSigned {
    fn builder(&self) -> Result<Builder, russh::keys::ssh_key::Error> {
        let (after, before) = self.valid;
        let mut builder = Builder::new(self.nonce, self.public_key.clone(), after, before)?;
        builder.serial(self.serial)?.cert_type(CertType::User)?.key_id(self.id.clone())?;
        for principal in &self.principals {
            builder.valid_principal(principal.clone())?;
        }
        for (option, value) in &self.critical_options {
            builder.critical_option(option.clone(), value.clone())?;
        }
        if self.is_hop {
            builder.extension(FORWARDING, "")?;
        }
        Ok(builder)
    }
}

/// The authority where an agent has its key: takes what is to be signed, and signs once that was done elsewhere.
struct Absent {
    public_key: KeyData,
    message: Mutex<Vec<u8>>,
    signature: Option<Signature>,
}

impl signature::Signer<Signature> for Absent {
    fn try_sign(&self, message: &[u8]) -> Result<Signature, signature::Error> {
        *self.message.lock() = message.to_vec();
        self.signature.clone().ok_or_else(signature::Error::new)
    }
}

impl From<&Absent> for KeyData {
    fn from(absent: &Absent) -> Self {
        absent.public_key.clone()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_four_words() {
        let (who, spec) = (Principal::new("red", "alice"), HostSpec::new("web1", "192.0.2.1", 22, "deploy"));
        let name = |template| Authority::name(template, &who, &spec);
        assert_eq!(name("scout:{tenant}/{principal}").unwrap(), "scout:red/alice");
        assert_eq!(name("{user}@{host}").unwrap(), "deploy@web1");
        assert_eq!(name("all").unwrap(), "all");
        assert!(name("{group}").unwrap_err().contains("none of {principal}"));
        assert!(name("{principal").unwrap_err().contains("without a `}`"));
    }
}
