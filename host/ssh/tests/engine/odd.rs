//! A server of paramiko's that says and does what sshd does not: `tests/python/odd_sshd.py`.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use scout_ssh::HostSpec;
use scout_tests::{Key, generate_key, login_name};

/// One that goes one of its ways; ends with this value.
pub(crate) struct OddSshd {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) user_key: Key,
    host_key: Key,
    asked: Arc<Mutex<Vec<String>>>,
    pub(crate) dir: tempfile::TempDir,
}

impl OddSshd {
    pub(crate) fn start(way: &str) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
        let python = tests.join(".venv/bin/python");
        assert!(python.exists(), "{} is missing: tests/ci.sh makes it", python.display());
        let dir = tempfile::tempdir().unwrap();
        let [host_key, user_key] = ["host", "user"].map(|name| generate_key(dir.path(), name));
        let mut child = Command::new(python)
            .arg(tests.join("python/odd_sshd.py"))
            .arg(&host_key.private)
            .arg(way)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let first = lines.next().unwrap_or_default();
        let port = first.strip_prefix("port ").expect("paramiko is installed: tests/ci.sh").parse().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || lines.for_each(|line| heard.lock().unwrap().push(line)));
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), user_key, host_key, asked, dir }
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The host, with its key known and its user's key configured.
    pub(crate) fn spec(&self) -> HostSpec {
        let known = self.dir.path().join("known_hosts");
        let line = format!("[{}]:{} {}\n", self.address.ip(), self.address.port(), self.host_key.public);
        std::fs::write(&known, line).unwrap();
        HostSpec {
            identity_files: vec![self.user_key.private.clone()],
            user_known_hosts_files: vec![known],
            ..HostSpec::new("box", "127.0.0.1", self.address.port(), login_name())
        }
    }
}

impl Drop for OddSshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
