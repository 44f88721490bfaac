//! Certificates of clients over HTTP, made by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use scout_tests::http::{HttpConnection, HttpScout, call, key, with_key};
use scout_tests::{ScoutOptions, Sshd};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::http::certificate;
use crate::world::options;

/// Who signs certificates.
struct Authority {
    dir: PathBuf,
}

impl Authority {
    fn new(dir: &Path) -> Self {
        std::fs::create_dir(dir).unwrap();
        let authority = Self { dir: dir.to_owned() };
        let settings = "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\ncrlnumber = number.txt\ndefault_md = sha256\n\
                        default_crl_days = 2\ncertificate = ca.crt\nprivate_key = ca.key\ncrl_extensions = crl\n[crl]\n\
                        authorityKeyIdentifier = keyid\n";
        std::fs::write(dir.join("ca.cnf"), settings).unwrap();
        std::fs::write(dir.join("index.txt"), "").unwrap();
        std::fs::write(dir.join("number.txt"), "01\n").unwrap();
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=authority -days 2 -keyout ca.key -out ca.crt \
             -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        authority.lists_revoked();
        authority
    }

    fn openssl(&self, words: &str) {
        let output = Command::new("openssl").args(words.split_whitespace()).current_dir(&self.dir).output().unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A certificate with these alternative names, whose subject is `local`.
    fn signs(&self, name: &str, names: &str) -> Client {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=local -addext subjectAltName={names} -keyout {name}.key \
             -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -copy_extensions copy -days 2 -out {name}.crt"
        ));
        Client(self.dir.join(name))
    }

    fn revokes(&self, name: &str) {
        self.openssl(&format!("ca -config ca.cnf -batch -revoke {name}.crt"));
        self.lists_revoked();
    }

    fn lists_revoked(&self) {
        self.openssl("ca -config ca.cnf -gencrl -out new.pem");
        std::fs::rename(self.dir.join("new.pem"), self.dir.join("revoked.pem")).unwrap();
    }
}

/// A client with a certificate: the name of its files.
struct Client(PathBuf);

/// A connection to a server that shows this certificate, of a client that shows its own if it has one.
async fn connection(scout: &HttpScout, shown: &Path, client: Option<&Client>) -> HttpConnection {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(shown).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(Client(path)) => {
            let certificate = CertificateDer::from_pem_file(path.with_extension("crt")).unwrap();
            let key = PrivateKeyDer::from_pem_file(path.with_extension("key")).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let stream = TcpStream::connect(scout.address()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    HttpConnection::over(connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()).await
}

fn read() -> Value {
    call(1, json!({"target": "box:/etc/hostname"}))
}

const SETTINGS: &str = "[access.alice]\n[access.bob]\nhosts = []\n[http]\ncertificate = \"shown.crt\"\nprivate_key = \"shown.key\"\n\
                        client_ca = \"authority/ca.crt\"\nclient_crl = \"authority/revoked.pem\"\n[http.certificates]\n\
                        \"URI:spiffe://example.org/alice\" = \"alice\"\n\"email:bob@example.org\" = \"bob\"\n\
                        \"DNS:alice.example.org\" = \"alice\"\n";

/// An sshd, settings, a directory with all that they name, what the server shows, and who signs for clients.
fn stage() -> (Sshd, ScoutOptions, tempfile::TempDir, PathBuf, Authority) {
    let sshd = Sshd::start();
    let options = options(&sshd).setting(SETTINGS);
    let dir = tempfile::tempdir().unwrap();
    let (shown, _) = certificate(dir.path(), "shown");
    let authority = Authority::new(&dir.path().join("authority"));
    (sshd, options, dir, shown, authority)
}

#[tokio::test]
async fn a_certificate_says_who_asks_by_its_names_until_it_is_revoked() {
    let (_sshd, options, dir, shown, authority) = stage();
    let key = key(&options, dir.path(), "bob").await;
    let alice = authority.signs("alice", "URI:spiffe://example.org/alice,DNS:alice.example.org,DNS:other.example.org");
    let bob = authority.signs("bob", "email:bob@example.org");
    let both = authority.signs("both", "email:bob@example.org,DNS:alice.example.org");
    let local = authority.signs("local", "DNS:local,DNS:bob@example.org");
    let scout = HttpScout::start(&options, dir).await;
    let mut of_alice = connection(&scout, &shown, Some(&alice)).await;
    let mut of_bob = connection(&scout, &shown, Some(&bob)).await;
    for (connection, is_error) in [(&mut of_alice, false), (&mut of_bob, true)] {
        let answer = connection.post(&[], &read()).await;
        assert_eq!(
            (answer.status, &answer.json()["result"]["isError"]),
            (StatusCode::OK, &json!(is_error)),
            "{answer:?}"
        );
    }
    // A name of another kind, a subject, and two principals at once are nobody.
    for (client, says) in [(&both, "the names email:bob@example.org, DNS:alice.example.org"), (&local, "DNS:local")] {
        let answer = connection(&scout, &shown, Some(client)).await.post(&[], &read()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
        assert!(answer.words().contains(says), "{answer:?}");
    }
    // Each request for itself: what it brings goes before, and what somebody has passed on is not the certificate's.
    let answer = of_alice.post(&with_key("Bearer scoutkey_none"), &read()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    let mut of_alice = connection(&scout, &shown, Some(&alice)).await;
    let answer = of_alice.post(&[("x-forwarded-for", "192.0.2.1")], &read()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    // Without one, whoever has a key comes in, and nobody else does.
    let mut without = connection(&scout, &shown, None).await;
    assert_eq!(without.post(&[], &read()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(without.post(&with_key(&key), &read()).await.status, StatusCode::OK);
    // Signed by somebody else, whatever it says.
    let other = Authority::new(&scout.dir().join("other"));
    let forged = other.signs("alice", "URI:spiffe://example.org/alice");
    let mut stranger = connection(&scout, &shown, Some(&forged)).await;
    assert!(stranger.send(Method::POST, "/mcp", &[], read().to_string()).await.is_err());
    // From the next request on, on a connection that is there already.
    assert_eq!(of_bob.post(&[], &read()).await.status, StatusCode::OK);
    authority.revokes("bob");
    let answer = of_bob.post(&[], &read()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    assert!(answer.words().contains("revoked"), "{answer:?}");
    let mut of_bob = connection(&scout, &shown, Some(&bob)).await;
    assert!(of_bob.send(Method::POST, "/mcp", &[], read().to_string()).await.is_err());
    assert_eq!(of_alice.post(&[], &read()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn behind_a_proxy_no_certificate_says_who_asks() {
    let (_sshd, options, dir, shown, authority) = stage();
    let alice = authority.signs("alice", "URI:spiffe://example.org/alice");
    let scout = HttpScout::start_at(&options, dir, "127.0.0.1:0", |command| {
        command.args(["--behind-proxy", "127.0.0.1"]);
    })
    .await;
    let answer = connection(&scout, &shown, Some(&alice)).await.post(&[], &read()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
}
