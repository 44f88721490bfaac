//! The ways in that `ssh` tries: `none` first, questions that ask nothing, a certificate as an identity.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use scout_machine::HostError;
use scout_ssh::{DialConfig, HostSpec, Pool, PoolConfig};
use scout_tests::{Agent, Sshd, SshdOptions, generate_key, login_name};

use crate::fake::secret_command;
use crate::odd::OddSshd;
use crate::world::{call, dialling_with, eventually, me, request, spec};

async fn run(spec: HostSpec) -> Result<u64, HostError> {
    let pool = Pool::new(PoolConfig::default());
    let call = call();
    let lease = pool.lease(&me(), &Arc::new(spec), &call).await?;
    let trips = call.cost.snapshot().round_trips;
    let outcome = lease.exec(&request("echo in"), &call).await?;
    assert_eq!(&*outcome.stdout.data, b"in\n");
    Ok(trips)
}

#[tokio::test]
async fn whoever_is_let_in_without_anything_shows_nothing() {
    let server = OddSshd::start("none");
    let spec = HostSpec { identity_files: Vec::new(), ..server.spec() };
    // TCP, names and algorithms, keys, service, and this.
    assert_eq!(run(spec).await.unwrap(), 5);
    assert_eq!(server.asked(), ["none"]);
}

#[tokio::test]
async fn the_methods_are_known_before_a_key_is_counted() {
    // As many keys as sshd lets one try.
    let sshd = Sshd::start_with(&SshdOptions { extra: vec!["MaxAuthTries 3".into()], ..SshdOptions::default() });
    let mut keys: Vec<_> = (0..2).map(|index| generate_key(sshd.dir(), &format!("key{index}")).private).collect();
    keys.push(sshd.user_key().private.clone());
    let host = HostSpec { identity_files: keys, ..spec(&sshd, sshd.address()) };
    // Each key is offered, and the last one signs: one more round trip.
    assert_eq!(run(host).await.unwrap(), 4 + 1 + 3 + 1);

    // A server that takes no keys is not shown any.
    let server = OddSshd::start("prompts");
    let error = run(server.spec()).await.unwrap_err();
    assert!(error.message().contains("; the server accepts keyboard-interactive"), "{error}");
    assert!(!server.asked().contains(&"publickey".to_owned()), "{:?}", server.asked());
}

#[tokio::test]
async fn a_second_factor_that_asks_nothing_needs_no_secret_command() {
    let server = OddSshd::start("push");
    run(server.spec()).await.unwrap();
    // The key is offered, then signs.
    assert_eq!(server.asked(), ["none", "publickey", "publickey", "keyboard-interactive", "answers "]);
}

#[tokio::test]
async fn a_question_without_an_answer_is_left_for_the_next_method() {
    // `Match all` says it over what the harness said before.
    let extra = ["Match all", "PasswordAuthentication yes", "KbdInteractiveAuthentication yes"].map(str::to_owned);
    let sshd = Sshd::start_with(&SshdOptions { has_pam: true, extra: extra.to_vec(), ..SshdOptions::default() });
    let body = "case $SCOUT_SECRET_KIND in password) echo wrong;; *) exit 1;; esac";
    let secrets = secret_command(sshd.dir(), body);
    let host = HostSpec { identity_files: Vec::new(), ..spec(&sshd, sshd.address()) };
    let pool = dialling_with(DialConfig { secret_command: Some(secrets), ..DialConfig::default() });
    let error = pool.lease(&me(), &Arc::new(host), &call()).await.map(drop).unwrap_err();
    let told = "tried password; left out keyboard-interactive (it asks \"Password:\", and the secret command has none)";
    assert!(error.message().contains(told), "{error}");
    eventually("the password came", || sshd.log().iter().any(|line| line.contains("Failed password"))).await;
    // An answer too few would have ended the connection there.
    assert!(!sshd.log().iter().any(|line| line.contains("wrong number of replies")), "{:?}", sshd.log());
}

#[tokio::test]
async fn methods_that_scout_does_not_have_are_told_so() {
    let server = OddSshd::start("gssapi");
    let error = run(server.spec()).await.unwrap_err();
    assert!(error.message().contains("the server named no further method that Scout has"), "{error}");
    assert_eq!(error.hint(), Some("the server has to allow this account a method that Scout has, as publickey"));
}

fn keygen(dir: &Path, arguments: &[&str]) {
    let output = Command::new("ssh-keygen").args(arguments).current_dir(dir).output();
    let output = output.expect("apt-get install openssh-client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether the real `ssh` gets in with these identity files, and this agent.
fn ssh_works(sshd: &Sshd, files: &[&Path], agent: Option<&Path>) -> bool {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-n", "-p", &sshd.address().port().to_string()]);
    let agent = agent.map_or("none".to_owned(), |agent| agent.display().to_string());
    let known = sshd.dir().join("known_hosts");
    let mut options = vec![
        "BatchMode=yes".to_owned(),
        "IdentitiesOnly=yes".to_owned(),
        format!("IdentityAgent={agent}"),
        format!("UserKnownHostsFile={}", known.display()),
    ];
    options.extend(files.iter().map(|file| format!("IdentityFile={}", file.display())));
    for option in options {
        command.args(["-o", &option]);
    }
    command.args(["127.0.0.1", "true"]).stderr(Stdio::null());
    command.status().expect("apt-get install openssh-client").success()
}

#[tokio::test]
async fn a_certificate_as_an_identity_is_signed_for_by_whoever_has_its_key() {
    let sshd = Sshd::start();
    let (keys, alone) = (sshd.dir().join("keys"), sshd.dir().join("alone"));
    [&keys, &alone].into_iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
    let authority = generate_key(sshd.dir(), "authority");
    keygen(&keys, &["-q", "-t", "ed25519", "-N", "", "-f", "x"]);
    let signed = ["-q", "-s", authority.private.to_str().unwrap(), "-I", "id", "-n", &login_name(), "x.pub"];
    keygen(&keys, &signed);
    std::fs::rename(keys.join("x-cert.pub"), alone.join("x-cert.pub")).unwrap();
    std::fs::write(sshd.dir().join("authorized_keys"), format!("cert-authority {}\n", authority.public)).unwrap();
    let (certificate, key, socket) = (alone.join("x-cert.pub"), keys.join("x"), sshd.dir().join("agent"));
    // ssh-add takes along what lies beside the key: the first agent has the key alone, the second both.
    let bare = Agent::start(&socket, &[&key]);
    let both = {
        let dir = sshd.dir().join("both");
        std::fs::create_dir(&dir).unwrap();
        for (from, to) in [(&key, "x"), (&certificate, "x-cert.pub")] {
            std::fs::copy(from, dir.join(to)).unwrap();
        }
        Agent::start(&sshd.dir().join("second"), &[&dir.join("x")])
    };
    for (files, agent, works) in [
        (&[certificate.as_path()][..], None, false),
        (&[&certificate, &key], None, true),
        (&[&key, &certificate], None, true),
        (&[&certificate], Some(both.socket()), true),
        // Only configured keys of an agent sign, and this one holds no such certificate.
        (&[&certificate], Some(bare.socket()), false),
    ] {
        let host = HostSpec {
            identity_files: files.iter().map(|file| file.to_path_buf()).collect(),
            agent: agent.map(Path::to_path_buf),
            ..spec(&sshd, sshd.address())
        };
        assert_eq!(ssh_works(&sshd, files, agent), works, "{files:?} {agent:?}");
        match run(host).await {
            Ok(_) => assert!(works, "{files:?} {agent:?}"),
            Err(error) => {
                assert!(!works, "{files:?} {agent:?}: {error}");
                let told = "(only a certificate; neither the agent nor another IdentityFile has its key)";
                assert!(error.message().contains(told), "{error}");
            }
        }
    }
}
