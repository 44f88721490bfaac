//! `resource` and `[http.issuers.NAME]` of `[http]`: whose access tokens are taken, and as whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use url::Url;

use super::file::IssuerTable;
use super::http::is_principal;
use super::rights::Lines;
use super::{ConfigError, check_url};

/// The most issuers.
const MAX_ISSUERS: usize = 16;
/// The claim that names the principal where nothing else is said.
const SUBJECT: &str = "sub";

/// What access tokens are held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    /// The URL that this server is reached by: the audience of each token.
    pub resource: String,
    /// Who issues tokens.
    pub issuers: Vec<Issuer>,
}

/// One issuer of access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What the configuration calls it.
    pub name: Arc<str>,
    /// What it calls itself, to the letter.
    pub issuer: String,
    /// Where its keys are; absent: where its metadata says.
    pub jwks_uri: Option<Url>,
    /// What it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the principal.
    pub claim: String,
    /// The principal of each value of that claim; absent: the value itself, and never `local`.
    pub principals: Option<BTreeMap<String, Arc<str>>>,
    /// Scopes that each token must have.
    pub scopes: Vec<String>,
    /// Whether tokens that do not say that they are access tokens are taken for such.
    pub any_type: bool,
}

/// How a token may be signed. What needs no key, or one that Scout would have to keep secret, is not among it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256.
    ES256,
    /// ECDSA on P-384.
    ES384,
    /// RSA, PKCS #1.
    RS256,
    /// The same with SHA-384.
    RS384,
    /// The same with SHA-512.
    RS512,
    /// RSA, PSS.
    PS256,
    /// The same with SHA-384.
    PS384,
    /// The same with SHA-512.
    PS512,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// What issuers sign with where nothing else is said.
    const USUAL: [Self; 3] = [Self::ES256, Self::RS256, Self::EdDSA];
}

impl OAuth {
    /// What the tables say, if there is any.
    pub(super) fn new(
        resource: Option<Spanned<String>>,
        tables: BTreeMap<String, IssuerTable>,
        lines: &Lines,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(resource) = resource else {
            return match tables.into_iter().next() {
                None => Ok(None),
                Some((name, table)) => {
                    let why = format!(
                        "[http.issuers.{name}] needs `resource` in [http]: the URL of this server, which a token must be for"
                    );
                    Err(lines.refuse(&table.issuer, &why))
                }
            };
        };
        url(resource.get_ref()).map_err(|why| lines.refuse(&resource, &why))?;
        if tables.is_empty() {
            let why = "`resource` is for tokens, and there is no [http.issuers.NAME] that issues any";
            return Err(lines.refuse(&resource, why));
        }
        if tables.len() > MAX_ISSUERS {
            return Err(lines.refuse(&resource, &format!("there are more than {MAX_ISSUERS} issuers")));
        }
        let mut issuers: Vec<Issuer> = Vec::new();
        for (name, table) in tables {
            let place = table.issuer.clone();
            let issuer = Issuer::new(name, table, lines)?;
            if let Some(same) = issuers.iter().find(|other| other.issuer == issuer.issuer) {
                let why = format!("[http.issuers.{}] is the same issuer", same.name);
                return Err(lines.refuse(&place, &why));
            }
            issuers.push(issuer);
        }
        Ok(Some(Self { resource: resource.into_inner(), issuers }))
    }
}

impl Issuer {
    fn new(name: String, table: IssuerTable, lines: &Lines) -> Result<Self, ConfigError> {
        url(table.issuer.get_ref()).map_err(|why| lines.refuse(&table.issuer, &why))?;
        let jwks_uri = match table.jwks_uri {
            None => None,
            Some(text) => {
                let parsed = Url::parse(text.get_ref())
                    .map_err(|error| format!("`{}` is not a URL: {error}", text.get_ref()))
                    .and_then(|url| check_url(&url).map(|()| url));
                Some(parsed.map_err(|why| lines.refuse(&text, &why))?)
            }
        };
        let algorithms = match table.algorithms {
            None => Algorithm::USUAL.to_vec(),
            Some(algorithms) if algorithms.get_ref().is_empty() => {
                return Err(lines.refuse(&algorithms, "without an algorithm no token could be signed"));
            }
            Some(algorithms) => algorithms.into_inner(),
        };
        for principal in table.principals.iter().flat_map(BTreeMap::values) {
            is_principal(principal.get_ref()).map_err(|why| lines.refuse(principal, &why))?;
        }
        for scope in &table.scopes {
            let text = scope.get_ref();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte)) {
                let why = format!("`{text}` is not a scope: one word, without quotes and backslashes");
                return Err(lines.refuse(scope, &why));
            }
        }
        let principals = table
            .principals
            .map(|table| table.into_iter().map(|(value, principal)| (value, principal.into_inner().into())).collect());
        Ok(Self {
            name: name.into(),
            issuer: table.issuer.into_inner(),
            jwks_uri,
            algorithms,
            claim: table.principal.unwrap_or_else(|| SUBJECT.to_owned()),
            principals,
            scopes: table.scopes.into_iter().map(Spanned::into_inner).collect(),
            any_type: table.any_type,
        })
    }
}

/// Whether a URL can be compared to the letter: as everybody else writes it.
fn url(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    check_url(&url)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{text}` has a `?` or `#`, and must not"));
    }
    let written = url.as_str();
    if written != text && written.strip_suffix('/') != Some(text) {
        return Err(format!("`{text}` is compared to the letter: write it as `{written}`"));
    }
    Ok(())
}
