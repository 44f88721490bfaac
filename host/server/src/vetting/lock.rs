//! `scout.lock`: what each plugin was when it was vetted. Written by `scout plugin vet` and nothing else; kept in version
//! control beside `scout.toml`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use scout_runtime::Grants;
use serde::{Deserialize, Serialize};

use super::surface::{Changes, Surface};
use crate::config::{Digest, Source};
use crate::files;

/// The format that this Scout writes and reads.
const VERSION: u32 = 1;
/// The largest file, in bytes.
const MAX_FILE: u64 = 32 << 20;
const HEADER: &str = "# Written by `scout plugin vet`. Keep it beside scout.toml, in version control: a plugin that differs from it is\n# not loaded.\n";

/// All plugins that were vetted.
#[derive(Clone, Debug, Default)]
pub struct Lock {
    plugins: BTreeMap<String, Entry>,
    path: PathBuf,
}

/// One plugin when it was vetted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where it came from. A file below the directory of `scout.lock` is named from there.
    pub source: String,
    /// Of its bytes.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// Who had signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// SHA-256 of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<String>,
    /// What `scout.toml` granted, by name.
    pub grants: Vec<String>,
    /// The digest of what follows.
    pub fingerprint: Digest,
    /// What it showed of itself.
    pub surface: Surface,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    plugins: BTreeMap<String, Entry>,
}

impl Lock {
    /// Reads the file; one that is not there is empty.
    ///
    /// # Errors
    /// A file that cannot be read, with its line, or that others can change.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let bytes = match files::read_trusted(path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path: path.to_owned(), ..Self::default() });
            }
            Err(error) => return Err(format!("{shown} cannot be read: {error}")),
        };
        let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))?;
        let mut file: File = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("{shown}:{line}: {}; `scout plugin vet` writes this file, people do not", error.message())
        })?;
        if file.version != VERSION {
            return Err(format!("{shown} is of version {}; this Scout reads {VERSION}", file.version));
        }
        if let Some((name, _)) = file.plugins.iter().find(|(_, entry)| entry.surface.fingerprint() != entry.fingerprint)
        {
            return Err(format!(
                "{shown}: what it says of `{name}` was changed by hand or by a merge: remove its entry and run `scout plugin vet {name}`"
            ));
        }
        for entry in file.plugins.values_mut() {
            // Earlier versions wrote it as it was spelt.
            if let Ok(source @ Source::File(_)) = entry.source.parse() {
                entry.source = super::shown(&source.relative_to(|given| files::directory_of(path).join(given)), path);
            }
        }
        Ok(Self { plugins: file.plugins, path: path.to_owned() })
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says of a plugin.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.plugins.get(name)
    }

    /// Puts a plugin in, and leaves out those that `keep` does not know any more. Writes the file at once.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(mut self, name: &str, entry: Entry, keep: impl Fn(&str) -> bool) -> Result<(), String> {
        self.plugins.retain(|name, _| keep(name));
        self.plugins.insert(name.to_owned(), entry);
        let shown = self.path.display();
        let text = toml::to_string_pretty(&File { version: VERSION, plugins: self.plugins })
            .map_err(|error| format!("{shown} cannot be written: {error}"))?;
        let written = files::behind_links(&self.path).and_then(|path| {
            let mut file = files::beside(&path, files::READABLE)?;
            file.write_all(HEADER.as_bytes())?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        });
        written.map_err(|error| format!("{shown} cannot be written: {error}"))
    }
}

impl Entry {
    /// What differs from this entry to a newer one.
    pub fn changes_to(&self, new: &Self) -> Changes {
        let mut changes = Changes::between(&self.surface, &new.surface);
        changes.names("is granted", &self.grants, &new.grants);
        if self.source != new.source {
            changes.wider.push(format!("now comes from {} instead of {}", new.source, self.source));
        }
        match (&self.signer, &new.signer) {
            (Some(old), None) => changes.wider.push(format!("is no longer signed (it was, by {old})")),
            (Some(old), Some(new)) if old != new => changes.wider.push(format!("is signed by {new} instead of {old}")),
            (None, Some(new)) => changes.other.push(format!("is now signed, by {new}")),
            _ if self.signing_key != new.signing_key => changes.other.push("is signed with another key".to_owned()),
            _ => {}
        }
        if self.sha256 != new.sha256 {
            changes.other.push(format!(
                "has other bytes: {} of {} instead of {} of {}",
                new.sha256, new.size, self.sha256, self.size
            ));
        }
        changes
    }
}

/// The names of what is granted, as `scout.lock` has them: sorted.
pub fn grant_names(grants: Grants) -> Vec<String> {
    let mut names: Vec<String> = grants.iter().map(|interface| interface.name().to_owned()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let surface = Surface { imports: vec!["scout:plugin/files@0.1.0".to_owned()], ..Surface::default() };
        Entry {
            source: "mine.wasm".to_owned(),
            sha256: Digest::of(b"mine"),
            size: 4,
            signer: Some("alice".to_owned()),
            signing_key: Some("SHA256:x".to_owned()),
            grants: vec!["files".to_owned()],
            fingerprint: surface.fingerprint(),
            surface,
        }
    }

    #[test]
    fn what_is_written_is_read_and_other_plugins_stay_unless_they_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scout.lock");
        Lock::read(&path).unwrap().write("one", entry(), |_| true).unwrap();
        Lock::read(&path).unwrap().write("two", entry(), |_| true).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap().entry("one"), Some(&entry()));
        Lock::read(&path).unwrap().write("two", entry(), |_| true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "writing the same again changes nothing");
        Lock::read(&path).unwrap().write("two", entry(), |name| name != "one").unwrap();
        assert_eq!(Lock::read(&path).unwrap().entry("one"), None);
    }

    #[test]
    fn a_lock_that_somebody_edited_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scout.lock");
        Lock::read(&path).unwrap().write("one", entry(), |_| true).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to, says) in [
            ("scout:plugin/files", "scout:plugin/exec", "changed by hand"),
            ("version = 1", "version = 2", "version 2"),
            ("size = 4", "sise = 4", "scout.lock:8: unknown field `sise`"),
            ("source = ", "source = 7 #", "scout.lock:6:"),
        ] {
            std::fs::write(&path, text.replace(from, to)).unwrap();
            let refusal = Lock::read(&path).unwrap_err();
            assert!(refusal.contains(says), "{refusal}\n{text}");
        }
    }

    #[test]
    fn more_grants_another_source_and_a_lost_signature_are_wider() {
        for (change, wider) in [
            ((|e| e.grants.push("exec".to_owned())) as fn(&mut Entry), 1),
            (|e| e.grants.clear(), 0),
            (|e| e.source = "https://example.org/".to_owned(), 1),
            (|e| e.signer = None, 1),
            (|e| e.signer = Some("mallory".to_owned()), 1),
            (|e| e.signing_key = None, 0),
            (|e| e.sha256 = Digest::of(b"new"), 0),
            (|_| {}, 0),
        ] {
            let mut new = entry();
            change(&mut new);
            let changes = entry().changes_to(&new);
            assert_eq!(changes.wider.len(), wider, "{changes:?}");
            assert_eq!(changes == Changes::default(), new == entry(), "{changes:?}");
        }
    }
}
