//! TLS: the certificate that is shown, and those that clients may show; read again when their files have changed.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::files;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The largest file of certificates or of a key, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The largest file of certificates that were revoked, in bytes: some 400,000.
const MAX_CRL: u64 = 16 << 20;

/// What TLS is spoken with.
pub(super) struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

/// What is read, all of it PEM.
#[derive(Clone, Debug)]
pub(super) struct TlsFiles {
    /// The chain that is shown.
    pub(super) certificate: PathBuf,
    /// Its key.
    pub(super) private_key: PathBuf,
    /// Whose certificates clients may show; absent: none are asked for.
    pub(super) client_ca: Option<PathBuf>,
    /// Which of them were revoked.
    pub(super) client_crl: Option<PathBuf>,
}

struct Current {
    /// What the files were when they were read.
    of: Stamps,
    read: Read,
    /// What they were when they made no sense, and when that was.
    failed: Option<(Stamps, Instant)>,
}

/// What was read.
#[derive(Clone)]
struct Read {
    config: Arc<ServerConfig>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// How long it is waited before files that made no sense are read again: what could not be read may be by then.
const AGAIN: Duration = Duration::from_secs(10);

/// What files are: which, when they changed, how long.
type Stamps = [Option<(u64, i64, i64, u64)>; 4];

impl Tls {
    /// TLS with these files.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub(super) fn new(files: TlsFiles) -> Result<Self, String> {
        let stamps = files.stamps();
        let read = files.read()?;
        Ok(Self { files, current: Mutex::new(Current { of: stamps, read, failed: None }) })
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// A client that speaks no TLS, or takes too long.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let accepting = TlsAcceptor::from(self.current().config).accept(stream);
        tokio::time::timeout(HANDSHAKE, accepting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether a client may show these now: the first one, and who has signed it.
    pub(super) fn verifies(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((first, others)) = chain.split_first() else { return false };
        let clients = self.current().clients;
        clients.is_some_and(|clients| clients.verify_client_cert(first, others, UnixTime::now()).is_ok())
    }

    /// What the files say now; what they said before as long as they make no sense.
    fn current(&self) -> Read {
        let now = self.files.stamps();
        let mut current = self.current.lock();
        let failed_just_now = current.failed.is_some_and(|(of, at)| of == now && at.elapsed() < AGAIN);
        if current.of != now && !failed_just_now {
            match self.files.read() {
                Ok(read) => {
                    tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read again");
                    *current = Current { of: now, read, failed: None };
                }
                Err(why) => {
                    tracing::warn!(%why, "the certificate that was read before serves on");
                    current.failed = Some((now, Instant::now()));
                }
            }
        }
        current.read.clone()
    }
}

impl TlsFiles {
    fn stamps(&self) -> Stamps {
        [Some(&self.certificate), Some(&self.private_key), self.client_ca.as_ref(), self.client_crl.as_ref()].map(
            |path| {
                let found = path?.metadata().ok()?;
                Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
            },
        )
    }

    fn read(&self) -> Result<Read, String> {
        let Self { certificate, private_key, .. } = self;
        let chain = certificates(certificate)?;
        if private_key.metadata().is_ok_and(|found| found.mode() & 0o007 != 0) {
            return Err(format!("every account may read {}: run `chmod o= {0}`", private_key.display()));
        }
        let key = PrivateKeyDer::from_pem_slice(&bytes(private_key, MAX_FILE)?)
            .map_err(|error| format!("{} is no private key in PEM: {error}", private_key.display()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = self.clients()?;
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().and_then(|builder| {
                match &clients {
                    Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
                    None => builder.with_no_client_auth(),
                }
                .with_single_cert(chain, key)
            });
        let mut config = config.map_err(|error| {
            format!("{} and {} cannot be used together: {error}", certificate.display(), private_key.display())
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Read { config: Arc::new(config), clients })
    }

    /// What certificates of clients are held against.
    fn clients(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
        let Some(path) = &self.client_ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for root in certificates(path)? {
            roots
                .add(root)
                .map_err(|error| format!("{} has a certificate that signs nothing: {error}", path.display()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Whoever has a key or a token needs none.
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
        if let Some(path) = &self.client_crl {
            let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&bytes(path, MAX_CRL)?)
                .collect::<Result<_, _>>()
                .map_err(|error| format!("{} is no list of revoked certificates in PEM: {error}", path.display()))?;
            if lists.is_empty() {
                return Err(format!("{} has no list: it is PEM, `-----BEGIN X509 CRL-----`", path.display()));
            }
            builder = builder.with_crls(lists);
        }
        let built = builder.build().map_err(|error| format!("{} cannot be used: {error}", path.display()))?;
        Ok(Some(built))
    }
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    files::read_trusted(path, most).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes(path, MAX_FILE)?)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{} is no chain of certificates in PEM: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("{} has no certificate: it is PEM, `-----BEGIN CERTIFICATE-----`", path.display()));
    }
    Ok(chain)
}
