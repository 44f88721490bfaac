//! TLS: the certificate that is shown, read again when its files have changed.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::files;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The largest file of certificates or of a key, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What TLS is spoken with.
pub(super) struct Tls {
    certificate: PathBuf,
    private_key: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    /// What the files were when they were read.
    of: Stamps,
    config: Arc<ServerConfig>,
    /// What they were when they made no sense, and when that was.
    failed: Option<(Stamps, Instant)>,
}

/// How long it is waited before files that made no sense are read again: what could not be read may be by then.
const AGAIN: Duration = Duration::from_secs(10);

/// What files are: which, when they changed, how long.
type Stamps = [Option<(u64, i64, i64, u64)>; 2];

impl Tls {
    /// TLS with a chain of certificates and their key, both PEM.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub(super) fn new(certificate: &Path, private_key: &Path) -> Result<Self, String> {
        let stamps = stamps(certificate, private_key);
        let config = read(certificate, private_key)?;
        let (certificate, private_key) = (certificate.to_owned(), private_key.to_owned());
        Ok(Self { certificate, private_key, current: Mutex::new(Current { of: stamps, config, failed: None }) })
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// A client that speaks no TLS, or takes too long.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let accepting = TlsAcceptor::from(self.current()).accept(stream);
        tokio::time::timeout(HANDSHAKE, accepting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// What the files say now; what they said before as long as they make no sense.
    fn current(&self) -> Arc<ServerConfig> {
        let now = stamps(&self.certificate, &self.private_key);
        let mut current = self.current.lock();
        let failed_just_now = current.failed.is_some_and(|(of, at)| of == now && at.elapsed() < AGAIN);
        if current.of != now && !failed_just_now {
            match read(&self.certificate, &self.private_key) {
                Ok(config) => {
                    tracing::info!(certificate = %self.certificate.display(), "the certificate was read again");
                    *current = Current { of: now, config, failed: None };
                }
                Err(why) => {
                    tracing::warn!(%why, "the certificate that was read before serves on");
                    current.failed = Some((now, Instant::now()));
                }
            }
        }
        Arc::clone(&current.config)
    }
}

fn stamps(certificate: &Path, private_key: &Path) -> Stamps {
    [certificate, private_key].map(|path| {
        let found = path.metadata().ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
    })
}

fn read(certificate: &Path, private_key: &Path) -> Result<Arc<ServerConfig>, String> {
    let bytes = |path: &Path| {
        files::read_trusted(path, MAX_FILE).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{} is no chain of certificates in PEM: {error}", certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("{} has no certificate: it is PEM, `-----BEGIN CERTIFICATE-----`", certificate.display()));
    }
    if private_key.metadata().is_ok_and(|found| found.mode() & 0o007 != 0) {
        return Err(format!("every account may read {}: run `chmod o= {0}`", private_key.display()));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes(private_key)?)
        .map_err(|error| format!("{} is no private key in PEM: {error}", private_key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| {
        format!("{} and {} cannot be used together: {error}", certificate.display(), private_key.display())
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
