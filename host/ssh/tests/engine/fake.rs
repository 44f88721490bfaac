//! Servers that sshd cannot be: an SSH server that takes passwords and asks questions, and TCP servers that misbehave.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::{self, ssh_key};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Response, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Disconnect, MethodKind, MethodSet, Sig};
use scout_tests::{Key, generate_key};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One step of a login that the fake server wants.
#[derive(Clone, Debug)]
pub(crate) enum Wants {
    /// Any public key.
    PublicKey,
    /// This password.
    Password(&'static str),
    /// Rounds of prompts, each with the answers that are right.
    Answers(Vec<Vec<(&'static str, &'static str)>>),
}

impl Wants {
    fn method(&self) -> MethodKind {
        match self {
            Self::PublicKey => MethodKind::PublicKey,
            Self::Password(_) => MethodKind::Password,
            Self::Answers(_) => MethodKind::KeyboardInteractive,
        }
    }
}

/// What a terminal would obey and a person not see, in front of a word to look for.
pub(crate) const MARK: &str = "\u{1b}]0;x\u{7}\u{9b}2J\r\nMARK\t\u{202e}\u{200b}\u{2066}\u{e0041}";

/// Whether a text shows the mark and nothing of it as it is.
pub(crate) fn shows_mark(text: &str) -> bool {
    let raw = MARK.chars().filter(|c| !c.is_ascii_graphic());
    text.contains("MARK") && raw.into_iter().all(|c| !text.contains(c))
}

/// What becomes of a login that succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Then {
    #[default]
    Serves,
    Closes,
    ClosesWithMark,
    /// Opens a channel of each kind that forwards something to the client.
    Forwards,
    /// Leaves every request for a channel unanswered.
    OpensNothing,
    /// Leaves every request for a channel but a connection's first unanswered; else as `Complains`.
    OpensOne,
    /// Closes the channels of the first and the third command unanswered; begins the second, and says of the fourth that it printed
    /// `stopped` and ended.
    ClosesEveryOther,
    /// Says [`MARK`] wherever it may say anything: instead of running a command, and in each answer over SFTP.
    Complains,
}

/// An SSH server in this process; ends with this value.
pub(crate) struct FakeSshd {
    pub(crate) address: SocketAddr,
    pub(crate) host_key: Key,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

#[derive(Default)]
struct Shared {
    steps: Vec<Wants>,
    then: Then,
    heard: Mutex<Vec<String>>,
    open: AtomicUsize,
    /// A request that is dropped is refused.
    unanswered: Mutex<Vec<ChannelOpenHandle>>,
}

impl FakeSshd {
    pub(crate) async fn start(steps: &[Wants], then: Then) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host_key = generate_key(dir.path(), "host");
        let config = Arc::new(server::Config {
            keys: vec![keys::load_secret_key(&host_key.private, None).unwrap()],
            methods: MethodSet::from(&steps.first().map(Wants::method).into_iter().collect::<Vec<_>>()[..]),
            auth_rejection_time: Duration::ZERO,
            ..server::Config::default()
        });
        let shared = Arc::new(Shared { steps: steps.to_vec(), then, ..Shared::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, serving) = (listener.local_addr().unwrap(), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, shared) = (Arc::clone(&config), Arc::clone(&serving));
                tokio::spawn(async move {
                    shared.open.fetch_add(1, Ordering::SeqCst);
                    let handler =
                        Handler { shared: Arc::clone(&shared), step: 0, round: 0, has_opened: false, commands: 0 };
                    if let Ok(session) = server::run_stream(config, stream, handler).await {
                        let _ = session.await;
                    }
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, host_key, shared, task, _dir: dir }
    }

    pub(crate) fn known_hosts_line(&self) -> String {
        format!("[{}]:{} {}\n", self.address.ip(), self.address.port(), self.host_key.public)
    }

    /// What it was told, in order.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// Connections that it still has.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for FakeSshd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Handler {
    shared: Arc<Shared>,
    step: usize,
    round: usize,
    has_opened: bool,
    /// Asked for so far.
    commands: usize,
}

impl Handler {
    fn hear(&self, what: String) {
        self.shared.heard.lock().unwrap().push(what);
    }

    /// The method now wanted got something right or wrong.
    fn judge(&mut self, is_right: bool) -> Auth {
        if is_right {
            self.step += 1;
            self.round = 0;
            if self.step == self.shared.steps.len() {
                return Auth::Accept;
            }
        }
        let method = self.shared.steps[self.step].method();
        Auth::Reject { proceed_with_methods: Some(MethodSet::from(&[method][..])), partial_success: is_right }
    }
}

impl server::Handler for Handler {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        Ok((self.shared.then == Then::Complains).then(|| MARK.to_owned()))
    }

    /// Every login begins with it: it is not told.
    async fn auth_none(&mut self, _user: &str) -> Result<Auth, russh::Error> {
        Ok(self.judge(false))
    }

    async fn auth_publickey(&mut self, _user: &str, _key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        self.hear("publickey".to_owned());
        let is_right = matches!(self.shared.steps[self.step], Wants::PublicKey);
        Ok(self.judge(is_right))
    }

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, russh::Error> {
        self.hear(format!("password {password}"));
        let is_right = matches!(self.shared.steps[self.step], Wants::Password(right) if right == password);
        Ok(self.judge(is_right))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let Wants::Answers(rounds) = self.shared.steps[self.step].clone() else { return Ok(self.judge(false)) };
        match response {
            None => {
                self.hear("keyboard-interactive".to_owned());
                self.round = 0;
            }
            Some(response) => {
                let answers: Vec<_> = response.map(|answer| String::from_utf8_lossy(&answer).into_owned()).collect();
                self.hear(format!("answers {}", answers.join(",")));
                if !answers.iter().eq(rounds[self.round].iter().map(|(_, right)| right)) {
                    return Ok(self.judge(false));
                }
                self.round += 1;
            }
        }
        let Some(prompts) = rounds.get(self.round) else { return Ok(self.judge(true)) };
        let prompts = prompts.iter().map(|(prompt, _)| (Cow::Borrowed(*prompt), false)).collect::<Vec<_>>();
        Ok(Auth::Partial { name: "".into(), instructions: "".into(), prompts: prompts.into() })
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), russh::Error> {
        match self.shared.then {
            Then::Serves | Then::OpensNothing | Then::OpensOne | Then::ClosesEveryOther | Then::Complains => {}
            Then::Closes => session.disconnect(Disconnect::ByApplication, "closing time", "")?,
            Then::ClosesWithMark => session.disconnect(Disconnect::ByApplication, MARK, MARK)?,
            Then::Forwards => {
                let (handle, shared) = (session.handle(), Arc::clone(&self.shared));
                tokio::spawn(async move {
                    let hear = |kind: &str, outcome: Result<Channel<Msg>, russh::Error>| {
                        let what = if outcome.is_ok() { "opened" } else { "refused" };
                        shared.heard.lock().unwrap().push(format!("{kind} {what}"));
                    };
                    hear("tcpip", handle.channel_open_forwarded_tcpip("localhost", 80, "localhost", 81).await);
                    hear("streamlocal", handle.channel_open_forwarded_streamlocal("/tmp/x").await);
                    hear("x11", handle.channel_open_x11("localhost", 6000).await);
                    hear("agent", handle.channel_open_agent().await);
                    hear("session", handle.channel_open_session().await);
                    hear("direct", handle.channel_open_direct_tcpip("localhost", 80, "localhost", 81).await);
                });
            }
        }
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.shared.then {
            Then::Complains => session.channel_success(channel),
            _ => Ok(()),
        }
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        if self.shared.then == Then::Complains {
            session.data(channel, sftp_complaints(data))?;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.shared.then == Then::ClosesEveryOther {
            let marker = marker(data);
            self.hear(format!("{channel} runs {marker}"));
            self.commands += 1;
            if self.commands % 2 == 1 {
                return session.close(channel);
            }
            session.channel_success(channel)?;
            session.data(channel, format!("{marker} 0 77 77\n").into_bytes())?;
            if self.commands > 2 {
                session.data(channel, &b"stopped\n"[..])?;
                session.exit_status_request(channel, 0)?;
                session.close(channel)?;
            }
            return Ok(());
        }
        if !matches!(self.shared.then, Then::Complains | Then::OpensOne) {
            return Ok(());
        }
        session.channel_success(channel)?;
        session.data(channel, MARK.as_bytes())?;
        session.extended_data(channel, 1, MARK.as_bytes())?;
        session.exit_signal_request(channel, Sig::Custom(MARK.to_owned()), false, MARK, MARK)?;
        session.close(channel)
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), russh::Error> {
        if self.shared.then == Then::ClosesEveryOther {
            self.hear(format!("{channel} closes"));
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.shared.then {
            Then::OpensNothing => self.shared.unanswered.lock().unwrap().push(reply),
            Then::OpensOne if std::mem::replace(&mut self.has_opened, true) => {
                self.shared.unanswered.lock().unwrap().push(reply);
            }
            _ => reply.accept().await,
        }
        Ok(())
    }
}

/// The marker in a request to run a command, behind the command's text.
fn marker(request: &[u8]) -> String {
    let request = String::from_utf8_lossy(request);
    let (_, rest) = request.rsplit_once("' scout-").unwrap();
    format!("scout-{}", rest.split(' ').next().unwrap())
}

/// The packets of SFTP that answer these: a greeting for the first, then a refusal for each.
fn sftp_complaints(requests: &[u8]) -> Vec<u8> {
    let (mut rest, mut answers) = (requests, Vec::new());
    while let Some((length, packet)) = rest.split_first_chunk::<4>() {
        let (packet, after) = packet.split_at(u32::from_be_bytes(*length) as usize);
        rest = after;
        let answer = match packet[0] {
            1 => vec![2, 0, 0, 0, 3],
            _ => {
                // SSH_FX_FAILURE.
                let mut status = [&[101], &packet[1..5], &[0, 0, 0, 4][..]].concat();
                for text in [MARK, MARK] {
                    status.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                    status.extend(text.as_bytes());
                }
                status
            }
        };
        answers.extend(u32::try_from(answer.len()).unwrap().to_be_bytes());
        answers.extend(answer);
    }
    answers
}

/// A TCP server that treats each connection in its own way; ends with this value.
pub(crate) struct FakeTcp {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl FakeTcp {
    /// `treat` has each connection until it returns; then what the client still sends is read up to its end.
    pub(crate) async fn start<F: Future<Output = TcpStream> + Send + 'static>(
        treat: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (accepting, ending) = (Arc::clone(&accepted), Arc::clone(&ended));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.fetch_add(1, Ordering::SeqCst);
                let (treated, ending) = (treat(stream), Arc::clone(&ending));
                tokio::spawn(async move {
                    let mut stream = treated.await;
                    let mut rest = [0; 4096];
                    while let Ok(1..) = stream.read(&mut rest).await {}
                    ending.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, accepted, ended, task }
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Whether it has seen the end of every connection.
    pub(crate) fn all_ended(&self) -> bool {
        self.accepted() > 0 && self.ended.load(Ordering::SeqCst) == self.accepted()
    }
}

impl Drop for FakeTcp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A shell script as a secret command; it appends what it is asked to `asked`.
pub(crate) fn secret_command(dir: &Path, body: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let script = dir.join("secret-command");
    let asked = dir.join("asked");
    let text = format!(
        "#!/bin/sh\necho \"$SCOUT_SECRET_KIND $SCOUT_SECRET_HOST $SCOUT_SECRET_USER: $1\" >> {}\n{body}\n",
        asked.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    script
}

/// A key that a fake agent says it holds.
pub(crate) fn public_blob(key: &Key) -> Vec<u8> {
    ssh_key::PublicKey::from_openssh(&key.public).unwrap().to_bytes().unwrap()
}

/// A packet in the clear.
pub(crate) fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 + (8 - (payload.len() + 5) % 8);
    let length = u32::try_from(payload.len() + padding + 1).unwrap();
    [&length.to_be_bytes()[..], &[u8::try_from(padding).unwrap()], payload, &vec![0; padding]].concat()
}

/// A string in a packet.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}
