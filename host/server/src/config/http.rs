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
        let texts = |values: Vec<toml::Spanned<String>>| values.into_iter().map(toml::Spanned::into_inner).collect();
        Ok(Self {
            allowed_hosts: texts(table.allowed_hosts),
            allowed_origins: texts(table.allowed_origins),
            certificate: table.certificate.as_deref().map(&relative_to_file),
            private_key: table.private_key.as_deref().map(&relative_to_file),
            accounts: table.accounts.into_iter().map(|(account, name)| (account, name.into_inner().into())).collect(),
            socket_group: table.socket_group,
            oauth: OAuth::new(table.resource, table.issuers, lines)?.map(Arc::new),
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
