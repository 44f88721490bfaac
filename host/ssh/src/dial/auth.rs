//! Authentication as OpenSSH's client does it: `none`, which tells the methods, then public keys, keyboard-interactive and
//! the password.
//!
//! Owns which method is tried when, the list of what was tried and left out, and the words for it. Signs with SHA-1 only if
//! the configuration names that, and gets a secret only from the configured command. Which identities there are is
//! [`crate::dial::identities`]'s; does not know the pool.

use std::path::Path;
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg};
use russh::{MethodKind, MethodSet, Signer};
use scout_machine::{ErrorKind, HostError, Principal, line};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

use crate::HostSpec;
use crate::dial::agent::{self, AgentKeys};
use crate::dial::algorithms::may_authenticate;
use crate::dial::authority::Authority;
use crate::dial::host_key::{HandshakeError, HostKeyVerifier, ServerMessages};
use crate::dial::identities::{self, Identities, Shown, Signatory};
use crate::dial::key_file::Why;
use crate::dial::secrets::{Kind, Secrets};

/// Requests that are sent at most: servers end the connection after `MaxAuthTries`, 6 by default.
const MAX_REQUESTS: usize = 32;
/// An agent that does not list its keys within this is left out.
const AGENT_LIMIT: Duration = Duration::from_secs(5);
/// An agent may ask a person before it signs.
const SIGN_LIMIT: Duration = Duration::from_secs(30);
/// How long a session that is over may take to say why.
const ENDING_LIMIT: Duration = Duration::from_secs(1);
/// Kept of a question of the server in a message.
const QUESTION_BYTES: usize = 100;
/// How sshd ends a connection on which too many keys were offered.
const TOO_MANY: &str = "Too many authentication failures";
/// Rounds of questions in one keyboard-interactive attempt, and questions in one round.
const MAX_ROUNDS: usize = 8;
const MAX_QUESTIONS: usize = 8;

/// Whom authentication concerns and what it may use.
pub(crate) struct Login<'a> {
    pub(crate) spec: &'a HostSpec,
    pub(crate) secret_command: Option<&'a Path>,
    /// What certifies who asks, and who that is.
    pub(crate) authority: Option<(&'a Authority, &'a Principal)>,
    /// Whether the host is only on the way to another.
    pub(crate) is_hop: bool,
    /// Whether the host's key leaves no doubt: else it gets neither password nor answers.
    pub(crate) may_have_secrets: bool,
    /// What the server says to people.
    pub(crate) messages: ServerMessages,
    /// When the dial ends.
    pub(crate) until: Instant,
}

/// Authenticates the spec's user and returns how many times the server had to be asked.
///
/// # Errors
/// [`ErrorKind::Auth`], listing what was tried, what was left out and what the server accepts.
pub(crate) async fn authenticate(handle: &mut Handle<HostKeyVerifier>, login: &Login<'_>) -> Result<u64, HostError> {
    let spec = login.spec;
    let mut attempt = Attempt {
        handle,
        login,
        secrets: Secrets { command: login.secret_command, spec },
        agent: None,
        identities: None,
        accepted: None,
        trips: 0,
        requests: 0,
        partial_successes: 0,
        conversations: 0,
        passwords: 0,
        last_password: Zeroizing::new(String::new()),
        last_answers: None,
        tried: Vec::new(),
        skipped: Vec::new(),
        barred: Vec::new(),
        rsa: None,
    };
    if attempt.run().await {
        return Ok(attempt.trips);
    }
    Err(attempt.failure())
}

/// The methods that this engine has, in OpenSSH's order.
const METHODS: [MethodKind; 3] = [MethodKind::PublicKey, MethodKind::KeyboardInteractive, MethodKind::Password];

/// What one attempt came to.
enum Step {
    Accepted,
    /// The server said no, or wants more besides.
    Refused,
    /// Nothing was sent: this method has nothing more to offer.
    Exhausted,
    /// Nothing more can come of this connection.
    Over(String),
}

/// How a server takes signatures of RSA keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RsaHashes {
    /// It said so. Whoever knows SHA-512 knows SHA-256, and may take SHA-1.
    Sha512,
    /// It said so.
    Sha256,
    /// It said so: nothing better.
    Sha1,
    /// It did not say. Any since 2016 knows SHA-2.
    Unsaid,
}

impl RsaHashes {
    async fn of(handle: &Handle<HostKeyVerifier>) -> Self {
        match handle.best_supported_rsa_hash().await {
            Ok(Some(Some(HashAlg::Sha512))) => Self::Sha512,
            Ok(Some(Some(_))) => Self::Sha256,
            Ok(Some(None)) => Self::Sha1,
            Ok(None) | Err(_) => Self::Unsaid,
        }
    }

    /// What to sign with, the best first; `None` is SHA-1. As OpenSSH, a server that does not say what it takes is old
    /// for whoever may sign with SHA-1.
    fn in_order(self, may_be_sha1: bool) -> &'static [Option<HashAlg>] {
        use HashAlg::{Sha256, Sha512};
        match self {
            Self::Sha512 => &[Some(Sha512), Some(Sha256), None],
            Self::Sha256 => &[Some(Sha256), None],
            Self::Unsaid if !may_be_sha1 => &[Some(Sha512), Some(Sha256)],
            Self::Sha1 | Self::Unsaid => &[None],
        }
    }
}

struct Attempt<'a> {
    handle: &'a mut Handle<HostKeyVerifier>,
    login: &'a Login<'a>,
    secrets: Secrets<'a>,
    agent: Option<AgentClient<UnixStream>>,
    /// Once gathered.
    identities: Option<Identities>,
    /// The methods that the server accepts, once it said so.
    accepted: Option<MethodSet>,
    trips: u64,
    requests: usize,
    /// How often the server took what it got and wanted more.
    partial_successes: usize,
    /// Attempts with keyboard-interactive and with a password so far.
    conversations: u32,
    passwords: u32,
    last_password: Zeroizing<String>,
    /// The last answers of the conversation before, and in which round they were given.
    last_answers: Option<(usize, Zeroizing<Vec<String>>)>,
    tried: Vec<String>,
    skipped: Vec<String>,
    /// Methods that may not be used, and why.
    barred: Vec<(MethodKind, &'static str)>,
    /// How the server takes RSA, once asked.
    rsa: Option<RsaHashes>,
}

impl Attempt<'_> {
    async fn run(&mut self) -> bool {
        match self.none().await {
            Step::Accepted => return true,
            Step::Over(why) => {
                self.tried.push(why);
                return false;
            }
            Step::Refused | Step::Exhausted => {}
        }
        let all = self.methods();
        let mut left = all.clone();
        while let Some(method) = left.iter().copied().find(|method| self.is_accepted(*method)) {
            let partial_successes = self.partial_successes;
            let step = match method {
                MethodKind::PublicKey => self.public_key().await,
                MethodKind::KeyboardInteractive => self.keyboard_interactive().await,
                _ => self.password().await,
            };
            match step {
                Step::Accepted => return true,
                Step::Refused => {}
                Step::Exhausted => left.retain(|one| *one != method),
                Step::Over(why) => {
                    self.tried.push(why);
                    return false;
                }
            }
            if self.partial_successes > partial_successes {
                // As OpenSSH: the server may want another key besides.
                let identities = self.identities.iter_mut().flat_map(|identities| &mut identities.list);
                identities.for_each(|identity| identity.is_tried = false);
                left = all.iter().copied().filter(|one| left.contains(one) || *one == MethodKind::PublicKey).collect();
            }
            if self.requests >= MAX_REQUESTS {
                self.tried.push("and there is more than is tried".to_owned());
                return false;
            }
        }
        false
    }

    /// Asks what there is, as OpenSSH does: servers do not count this as a try, and some let in whoever asks.
    async fn none(&mut self) -> Step {
        self.trips += 1;
        match self.handle.authenticate_none(self.login.spec.user.as_str()).await {
            Ok(AuthResult::Success) => Step::Accepted,
            Ok(AuthResult::Failure { remaining_methods, .. }) if remaining_methods.is_empty() => self.ended().await,
            Ok(AuthResult::Failure { remaining_methods, .. }) => {
                self.accepted = Some(remaining_methods);
                Step::Refused
            }
            Err(_) => self.ended().await,
        }
    }

    /// The methods that may be used, in order.
    fn methods(&mut self) -> Vec<MethodKind> {
        let methods = &self.login.spec.methods;
        let has_secrets = self.secrets.can_be_asked();
        let order: Vec<MethodKind> = match &methods.order {
            Some(names) => names.iter().filter_map(|name| name.parse().ok()).collect(),
            None => METHODS.to_vec(),
        };
        let mut usable = Vec::new();
        for method in order.into_iter().filter(|method| METHODS.contains(method)) {
            let hindrance = match method {
                MethodKind::PublicKey => (!methods.public_key).then_some("PubkeyAuthentication is off"),
                // As OpenSSH: whoever may be the wrong server gets no secret that works elsewhere.
                _ if !self.login.may_have_secrets => Some("the host's key has changed"),
                MethodKind::KeyboardInteractive if !methods.keyboard_interactive => {
                    Some("KbdInteractiveAuthentication is off")
                }
                MethodKind::Password if !methods.password => Some("PasswordAuthentication is off"),
                MethodKind::Password => (!has_secrets).then_some("there is no secret command"),
                // It may ask nothing: the second factor of some is a push to a telephone.
                _ => None,
            };
            match hindrance {
                Some(why) => self.barred.push((method, why)),
                None if usable.contains(&method) => {}
                None => usable.push(method),
            }
        }
        usable
    }

    fn is_accepted(&self, method: MethodKind) -> bool {
        self.accepted.as_ref().is_none_or(|accepted| accepted.contains(&method))
    }

    /// Offers the next identity.
    async fn public_key(&mut self) -> Step {
        if self.identities.is_none() {
            self.identities = Some(match self.login.authority {
                None => {
                    let held = self.held_by_agent().await;
                    Identities::gather(self.login.spec, held, &mut self.skipped).await
                }
                Some((authority, who)) => {
                    let (spec, until) = (self.login.spec, self.share(SIGN_LIMIT));
                    match authority.issue(who, spec, self.login.is_hop, until).await {
                        Ok((key, certificate)) => Identities::issued(key, certificate),
                        Err(why) => {
                            self.skipped.push(format!("a certificate of the authority in `ssh_ca` ({why})"));
                            Identities::none()
                        }
                    }
                }
            });
        }
        loop {
            let Some(identities) = &mut self.identities else { return Step::Exhausted };
            let Some(identity) = identities.list.iter_mut().find(|identity| !identity.is_tried) else {
                return Step::Exhausted;
            };
            identity.is_tried = true;
            let name = identity.name.clone();
            let (shown, signatory) = (identity.shown.clone(), identity.signatory.clone());
            match self.offer(&name, shown, signatory).await {
                Ok(step) => return step,
                // Nothing was sent.
                Err(why) => {
                    let note = format!("{name} ({why})");
                    if !self.skipped.contains(&note) {
                        self.skipped.push(note);
                    }
                }
            }
        }
    }

    async fn held_by_agent(&mut self) -> AgentKeys {
        let Some(path) = &self.login.spec.agent else { return AgentKeys::default() };
        let until = self.share(AGENT_LIMIT);
        match agent::connect(path, self.handle.agent_session_binding(), until).await {
            Ok((agent, held)) => {
                self.agent = Some(agent);
                held
            }
            Err(why) => {
                self.skipped.push(format!("the agent at {} ({why})", path.display()));
                AgentKeys::default()
            }
        }
    }

    /// At most half of the time that is left: what comes after has to have a chance.
    fn share(&self, limit: Duration) -> Instant {
        let now = Instant::now();
        now + limit.min(self.login.until.saturating_duration_since(now) / 2)
    }

    /// Offers one identity; `Err`: why it was not.
    async fn offer(&mut self, name: &str, shown: Shown, signatory: Signatory) -> Result<Step, Why> {
        let identities = self.identities.as_mut().ok_or("there is none")?;
        let required = self.login.spec.required_rsa_bits;
        // Said first: no agent and no passphrase makes it any longer.
        shown.long_enough(required)?;
        if let Some(why) = identities.hindrance(&signatory, &self.secrets) {
            return Err(why);
        }
        let shown = match (shown, &signatory) {
            (Shown::Later, Signatory::File(index)) => {
                Shown::Key(identities.unlock(*index, &self.secrets).await?.public_key().clone())
            }
            (shown, _) => shown,
        };
        shown.long_enough(required)?;
        let (algorithm, is_certificate) = match &shown {
            Shown::Key(key) => (key.algorithm(), false),
            Shown::Certificate(certificate) => (certificate.algorithm(), true),
            Shown::Later => return Err("its public half is not known".into()),
        };
        let hash = self.hash_for(&algorithm, is_certificate).await?;
        let (user, until) = (self.login.spec.user.as_str(), self.share(SIGN_LIMIT));
        let identities = self.identities.as_mut().ok_or("there is none")?;
        let (agent, secrets) = (self.agent.as_mut(), &self.secrets);
        let mut hand = Hand { signatory, identities, agent, secrets, until, is_agent_lost: false, asked: false };
        let outcome = match shown {
            Shown::Certificate(certificate) => {
                self.handle.authenticate_certificate_with(user, *certificate, hash, &mut hand).await
            }
            Shown::Key(key) => self.handle.authenticate_publickey_with(user, key, hash, &mut hand).await,
            Shown::Later => return Err("its public half is not known".into()),
        };
        // The key is offered first, and signed with when the server wants it.
        self.trips += 1 + u64::from(hand.asked);
        if hand.is_agent_lost {
            // What it may still answer belongs to another question.
            self.agent = None;
        }
        self.requests += 1;
        Ok(match outcome {
            Ok(result) => self.judge(name, result).await,
            Err(error) => {
                self.tried.push(format!("{name} ({error})"));
                if self.handle.is_closed() { self.ended().await } else { Step::Refused }
            }
        })
    }

    /// The hash to sign with, for RSA.
    async fn hash_for(&mut self, algorithm: &Algorithm, is_certificate: bool) -> Result<Option<HashAlg>, &'static str> {
        let may = |algorithm: &Algorithm| may_authenticate(self.login.spec, algorithm, is_certificate);
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return if may(algorithm) { Ok(None) } else { Err("PubkeyAcceptedAlgorithms does not name its kind") };
        }
        let server = match self.rsa {
            Some(known) => known,
            None => *self.rsa.insert(RsaHashes::of(self.handle).await),
        };
        let hashes = server.in_order(may(&Algorithm::Rsa { hash: None }));
        let allowed = hashes.iter().find(|hash| may(&Algorithm::Rsa { hash: **hash }));
        allowed.copied().ok_or(match server {
            RsaHashes::Sha1 => "the server takes RSA with SHA-1 only, and PubkeyAcceptedAlgorithms does not name that",
            _ => "PubkeyAcceptedAlgorithms does not name its kind with SHA-2",
        })
    }

    /// One conversation, or as much of one as there are answers for.
    async fn keyboard_interactive(&mut self) -> Step {
        if self.conversations >= self.login.spec.methods.password_prompts {
            return Step::Exhausted;
        }
        self.conversations += 1;
        self.requests += 1;
        self.trips += 1;
        let user = self.login.spec.user.as_str();
        let mut response = self.handle.authenticate_keyboard_interactive_start(user, None).await;
        let mut given = None;
        for round in 0..MAX_ROUNDS {
            let prompts = match response {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Step::Accepted,
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success }) => {
                    if given.is_none() && !partial_success {
                        // As OpenSSH: a server that asked nothing will not ask the next time.
                        self.conversations = u32::MAX;
                    }
                    self.last_answers = given.filter(|_| !partial_success);
                    let result = AuthResult::Failure { remaining_methods, partial_success };
                    return self.judge("keyboard-interactive", result).await;
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { name, instructions, prompts }) => {
                    if prompts.is_empty() {
                        self.note_instructions(&name, &instructions);
                    }
                    prompts
                }
                Err(_) => return self.ended().await,
            };
            let known = match self.answers(&prompts).await {
                Ok(answers) if self.last_answers.as_ref() == Some(&(round, answers.clone())) && !answers.is_empty() => {
                    Err("the secret command knows no other answer".to_owned())
                }
                answers => answers,
            };
            let answers = match known {
                Ok(answers) => answers,
                Err(why) => {
                    self.skipped.push(format!("keyboard-interactive ({why})"));
                    self.conversations = u32::MAX;
                    // Another method abandons the conversation (RFC 4252 §5): no wrong answer is given for want of a right one.
                    return Step::Exhausted;
                }
            };
            given = Some((round, answers.clone()));
            self.trips += 1;
            // russh keeps these until they are sent, and does not wipe them.
            response = self.handle.authenticate_keyboard_interactive_respond(answers.to_vec()).await;
        }
        Step::Over("then the server went on asking".to_owned())
    }

    /// What the server tells a person instead of asking, for the message if nothing comes of it.
    fn note_instructions(&mut self, name: &str, instructions: &str) {
        let words = line(format!("{name} {instructions}").as_bytes(), QUESTION_BYTES);
        let note = format!("keyboard-interactive (it says \"{words}\")");
        if !words.is_empty() && !self.tried.contains(&note) {
            self.tried.push(note);
        }
    }

    async fn answers(&self, prompts: &[Prompt]) -> Result<Zeroizing<Vec<String>>, String> {
        if prompts.len() > MAX_QUESTIONS {
            return Err("the server asks too much at once".to_owned());
        }
        let HostSpec { user, host_name, .. } = self.login.spec;
        let mut answers = Zeroizing::new(Vec::with_capacity(prompts.len()));
        for Prompt { prompt, .. } in prompts {
            let asked = format!("({user}@{host_name}) {}", prompt.trim());
            let answer = self
                .secrets
                .ask(Kind::Prompt, &asked)
                .await
                .map_err(|why| format!("it asks \"{}\", and {why}", line(prompt.as_bytes(), QUESTION_BYTES)))?;
            answers.push(answer.as_str().to_owned());
        }
        Ok(answers)
    }

    async fn password(&mut self) -> Step {
        let HostSpec { user, host_name, methods, .. } = self.login.spec;
        if self.passwords >= methods.password_prompts {
            return Step::Exhausted;
        }
        let password = match self.secrets.ask(Kind::Password, &format!("{user}@{host_name}'s password:")).await {
            Ok(password) => password,
            Err(why) => {
                self.skipped.push(format!("password ({why})"));
                return Step::Exhausted;
            }
        };
        if self.passwords > 0 && password == self.last_password {
            // The command knows no other.
            return Step::Exhausted;
        }
        self.passwords += 1;
        self.requests += 1;
        self.trips += 1;
        self.last_password = password.clone();
        // russh wipes the copy that it gets.
        match self.handle.authenticate_password(user, password.as_str()).await {
            Ok(result) => self.judge("password", result).await,
            Err(_) => self.ended().await,
        }
    }

    async fn judge(&mut self, name: &str, result: AuthResult) -> Step {
        let AuthResult::Failure { remaining_methods, partial_success } = result else { return Step::Accepted };
        if partial_success {
            self.partial_successes += 1;
            self.tried.push(format!("{name} (accepted, and more is wanted)"));
        } else {
            self.tried.push(name.to_owned());
        }
        if remaining_methods.is_empty() {
            return self.ended().await;
        }
        self.accepted = Some(remaining_methods);
        Step::Refused
    }

    /// The server wants nothing more, or is gone. Called once: nothing follows it.
    async fn ended(&mut self) -> Step {
        let end = timeout(ENDING_LIMIT, &mut *self.handle).await;
        Step::Over(match (self.login.messages.farewell(), end) {
            (Some(farewell), _) => format!("then the server closed the connection ({farewell})"),
            (None, Ok(Err(HandshakeError::Ssh(russh::Error::NoAuthMethod)))) => {
                self.accepted = Some(MethodSet::empty());
                "then the server named no further method that Scout has".to_owned()
            }
            (None, _) => "then the server closed the connection".to_owned(),
        })
    }

    fn failure(mut self) -> HostError {
        for (method, why) in std::mem::take(&mut self.barred) {
            if self.is_accepted(method) {
                self.skipped.push(format!("{} ({why})", <&str>::from(&method)));
            }
        }
        let HostSpec { alias, user, .. } = self.login.spec;
        let mut parts = Vec::new();
        if self.tried.is_empty() {
            parts.push("there is no identity to try".to_owned());
        } else {
            parts.push(format!("tried {}", self.tried.join(", ")));
        }
        if !self.skipped.is_empty() {
            parts.push(format!("left out {}", self.skipped.join(", ")));
        }
        if let Some(accepted) = self.accepted.as_ref().filter(|accepted| !accepted.is_empty()) {
            let names: Vec<&str> = accepted.iter().map(<&str>::from).collect();
            parts.push(format!("the server accepts {}", names.join(", ")));
        }
        if let Some(banner) = self.login.messages.banner() {
            parts.push(format!("the server said \"{banner}\""));
        }
        let message = format!("{alias}: no identity was accepted for {user}: {}", parts.join("; "));
        HostError::new(ErrorKind::Auth, message).with_hint(self.remedy())
    }

    /// What to do, as far as what was seen tells.
    fn remedy(&self) -> String {
        const LOAD: &str = "load the key into the ssh agent, or name its file as IdentityFile in ssh_config";
        let Login { spec, messages, .. } = self.login;
        if messages.farewell().is_some_and(|words| words.contains(TOO_MANY)) {
            return format!(
                "the server counts every key that is offered: name the right one as IdentityFile for {}, and set \
                 `IdentitiesOnly yes` beside it",
                spec.alias
            );
        }
        let takes = |method| self.is_accepted(method);
        if !takes(MethodKind::PublicKey) {
            let takes_secrets = takes(MethodKind::KeyboardInteractive) || takes(MethodKind::Password);
            return match (takes_secrets, self.secrets.can_be_asked()) {
                (true, false) => {
                    "the server accepts no keys for this account: set a `secret_command`, which gives Scout the password".to_owned()
                }
                (true, true) => "the server accepts no keys for this account, and did not accept what the secret command gave".to_owned(),
                (false, _) => "the server has to allow this account a method that Scout has, as publickey".to_owned(),
            };
        }
        if self.tried.is_empty() && !self.skipped.is_empty() {
            return format!("see why keys were left out; or {LOAD}");
        }
        match messages.banner() {
            Some(_) => format!("see what the server said; if it is no more than a greeting, {LOAD}"),
            None => LOAD.to_owned(),
        }
    }
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error("the connection was lost")]
    Send(#[from] russh::SendError),
    #[error("{0}")]
    None(Why),
}

/// Signs for one identity.
struct Hand<'a> {
    signatory: Signatory,
    identities: &'a mut Identities,
    agent: Option<&'a mut AgentClient<UnixStream>>,
    secrets: &'a Secrets<'a>,
    until: Instant,
    is_agent_lost: bool,
    asked: bool,
}

impl Signer for Hand<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _shown: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        if self.asked {
            return Err(SignError::None("the server asked for a second signature".into()));
        }
        self.asked = true;
        match &self.signatory {
            Signatory::Nobody => Err(SignError::None("its private key is not at hand".into())),
            Signatory::File(index) => {
                let key = self.identities.unlock(*index, self.secrets).await.map_err(SignError::None)?;
                identities::sign(key, hash, data).await.map_err(|why| SignError::None(why.into()))
            }
            Signatory::Agent(held) => {
                let Some(agent) = &mut self.agent else { return Err(SignError::None("the agent is gone".into())) };
                match timeout_at(self.until, agent.sign_request(held, hash, data)).await {
                    Ok(Ok(signed)) => Ok(signed),
                    Ok(Err(_)) => Err(SignError::None("the agent did not sign".into())),
                    Err(_) => {
                        self.is_agent_lost = true;
                        Err(SignError::None("the agent did not sign in time".into()))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HashAlg, RsaHashes};

    #[test]
    fn rsa_signs_with_sha1_last_unless_the_server_is_too_old_to_say() {
        let (sha512, sha256) = (Some(HashAlg::Sha512), Some(HashAlg::Sha256));
        for (server, may_be_sha1, order) in [
            (RsaHashes::Sha512, true, &[sha512, sha256, None][..]),
            (RsaHashes::Sha256, true, &[sha256, None]),
            (RsaHashes::Sha1, false, &[None]),
            (RsaHashes::Unsaid, false, &[sha512, sha256]),
            (RsaHashes::Unsaid, true, &[None]),
        ] {
            assert_eq!(server.in_order(may_be_sha1), order, "{server:?}");
        }
    }
}
