//! Patterns of paths, as the list of secret paths and scout.toml have them.

use std::fmt;

use super::name::{MAX_NAME, Name};

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1024;

/// `/etc/x/*.key` from the root, or `**/.netrc` below any directory. `*` stands for any characters of one name; `/**` at the
/// end for the directory itself and everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    is_rooted: bool,
    is_tree: bool,
    names: Vec<String>,
}

impl PathPattern {
    /// A pattern, if it is one.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (is_rooted, below) = match (text.strip_prefix("**/"), text.strip_prefix('/')) {
            (Some(below), _) => (false, below),
            (None, Some(below)) => (true, below),
            (None, None) => {
                return Err("a pattern begins with `/`, or with `**/` for any directory: `**/.netrc` is that file of \
                            every account"
                    .to_owned());
            }
        };
        let (is_tree, below) = match (below, below.strip_suffix("/**")) {
            ("**", _) => (true, ""),
            (_, Some(above)) => (true, above),
            (_, None) => (false, below),
        };
        let names: Vec<String> = below.split('/').filter(|_| !below.is_empty()).map(str::to_owned).collect();
        if names.is_empty() && !(is_rooted && is_tree) {
            return Err("it names nothing; `/**` is everything".to_owned());
        }
        for name in &names {
            if matches!(name.as_str(), "" | "." | "..") {
                return Err("a pattern cannot contain `.`, `..` or `//`: write where it leads".to_owned());
            }
            if name.matches('*').count() > 1 {
                return Err("a name holds one `*` at most, and `**` stands only at the start and the end".to_owned());
            }
            if name.len() > MAX_NAME || name.contains(['?', '[', '\0']) {
                return Err(format!("a name has at most {MAX_NAME} bytes, and `*` is the only wildcard"));
            }
        }
        if text.len() > MAX_PATTERN {
            return Err(format!("a pattern has at most {MAX_PATTERN} bytes"));
        }
        Ok(Self { text: text.to_owned(), is_rooted, is_tree, names })
    }

    /// Whether it begins at the root.
    pub(crate) fn is_rooted(&self) -> bool {
        self.is_rooted
    }

    /// Whether it is all there is.
    pub(super) fn is_everything(&self) -> bool {
        self.names.is_empty()
    }

    /// Its names, without `**`.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether whatever these names are from `at` on matches.
    pub(super) fn covers(&self, names: &[Name<'_>], at: usize) -> bool {
        let Some(names) = names.get(at..).filter(|names| self.fits_in(names.len())) else { return false };
        self.names.iter().zip(names).all(|(pattern, name)| name.lies_in(pattern.as_bytes()))
    }

    /// Whether a path of so many names could match.
    pub(super) fn fits_in(&self, count: usize) -> bool {
        if self.is_tree { count >= self.names.len() } else { count == self.names.len() }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
