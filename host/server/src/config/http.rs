//! `[http]`: who may come in over HTTP, and as what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::ConfigError;
use super::file::HttpTable;
use super::oauth::OAuth;
use super::rights::Lines;

/// Connections at once where nothing else is said.
const CONNECTIONS: usize = 10_000;
/// The longest name of a principal, in bytes.
const MAX_PRINCIPAL: usize = 64;

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Names of this server beside its addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
    /// Sites whose pages may ask, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// The chain of certificates that is shown.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub private_key: Option<PathBuf>,
    /// Which principal an account of this machine is, by its name or number.
    pub accounts: BTreeMap<String, Arc<str>>,
    /// The group whose accounts may open a socket of this machine.
    pub socket_group: Option<String>,
    /// Connections at once.
    pub max_connections: usize,
    /// Whose certificates clients may show.
    pub client_ca: Option<PathBuf>,
    /// Which of them were revoked.
    pub client_crl: Option<PathBuf>,
    /// Which principal a certificate is, by one of its names: `URI:…`, `DNS:…` or `email:…`.
    pub certificates: BTreeMap<String, Arc<str>>,
    /// Whose access tokens are taken.
    pub oauth: Option<Arc<OAuth>>,
}

impl Http {
    pub(super) fn new(
        table: HttpTable,
        lines: &Lines,
        relative_to_file: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self, ConfigError> {
        for host in &table.allowed_hosts {
            let name = host.get_ref();
            if name.is_empty() || name.contains(['/', ':', '*', ' ']) {
                let why = format!("`{name}` is no name of a host: write it without scheme, port and `*`");
                return Err(lines.refuse(host, &why));
            }
        }
        for origin in &table.allowed_origins {
            let text = origin.get_ref();
            let is_one =
                Url::parse(text).is_ok_and(|url| url.has_host() && url.origin().ascii_serialization() == *text);
            if !is_one {
                let why = format!(
                    "`{text}` is not as browsers write a site: `https://app.example.org`, with a port only if it is another"
                );
                return Err(lines.refuse(origin, &why));
            }
        }
        for principal in table.accounts.values() {
            is_principal(principal.get_ref()).map_err(|why| lines.refuse(principal, &why))?;
        }
        for (name, principal) in &table.certificates {
            is_principal(principal.get_ref()).map_err(|why| lines.refuse(principal, &why))?;
            let is_one =
                ["URI:", "DNS:", "email:"].iter().any(|kind| name.strip_prefix(kind).is_some_and(|of| !of.is_empty()));
            if !is_one {
                let why = format!("`{name}` is not a name of a certificate: `URI:…`, `DNS:…` or `email:…`");
                return Err(lines.refuse(principal, &why));
            }
        }
        match (&table.client_ca, &table.client_crl, table.certificates.values().next()) {
            (None, _, Some(principal)) => {
                return Err(
                    lines.refuse(principal, "[http.certificates] needs `client_ca` in [http]: who signs certificates")
                );
            }
            (None, Some(crl), None) => {
                return Err(lines.refuse(crl, "`client_crl` needs `client_ca`: who signs certificates"));
            }
            (Some(ca), _, None) => {
                let why = "`client_ca` is for certificates, and [http.certificates] says of none whose it is";
                return Err(lines.refuse(ca, why));
            }
            _ => {}
        }
        let oauth = OAuth::new(table.resource, table.issuers, lines)?.map(Arc::new);
        let public = oauth.as_ref().and_then(|oauth| Some(Url::parse(&oauth.resource).ok()?.host_str()?.to_owned()));
        let texts =
            |values: Vec<toml::Spanned<String>>| values.into_iter().map(toml::Spanned::into_inner).collect::<Vec<_>>();
        Ok(Self {
            // What clients are told to come to is a name of this server.
            allowed_hosts: texts(table.allowed_hosts).into_iter().chain(public).collect(),
            allowed_origins: texts(table.allowed_origins),
            certificate: table.certificate.as_deref().map(&relative_to_file),
            private_key: table.private_key.as_deref().map(&relative_to_file),
            accounts: table.accounts.into_iter().map(|(account, name)| (account, name.into_inner().into())).collect(),
            socket_group: table.socket_group,
            client_ca: table.client_ca.as_ref().map(|path| relative_to_file(path.get_ref())),
            client_crl: table.client_crl.as_ref().map(|path| relative_to_file(path.get_ref())),
            certificates: table.certificates.into_iter().map(|(name, of)| (name, of.into_inner().into())).collect(),
            oauth,
            max_connections: table.max_connections.map_or(CONNECTIONS, |count| count.0 as usize),
        })
    }
}

/// Whether a principal may be called so.
///
/// # Errors
/// Why not.
pub(crate) fn is_principal(name: &str) -> Result<(), String> {
    let is_one = !name.is_empty()
        && name.len() <= MAX_PRINCIPAL
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte));
    if is_one {
        return Ok(());
    }
    Err(format!("`{name}` is no name of a principal: 1 to {MAX_PRINCIPAL} of A-Z, a-z, 0-9, `.`, `_`, `@` and `-`"))
}
