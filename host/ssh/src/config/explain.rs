//! Which line set what: the answer to "why does this host look like that?".

use std::fmt::Display;
use std::time::Duration;

use super::refusal::At;
use super::{HostSpec, Source};

/// One host's settings, and where each comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The settings as the engine uses them.
    pub spec: HostSpec,
    /// The same as words, in the order in which people ask for them. `IdentityFile` and `CertificateFile` come once for
    /// each file, in their order; what is not configured and has no default that can be named is left out.
    pub settings: Vec<Setting>,
    /// Each host of [`super::Proxy::Jump`], in its order.
    pub hops: Vec<Explained>,
}

/// One effective setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The keyword as the manual page spells it.
    pub keyword: &'static str,
    /// The value with all tokens replaced.
    pub value: String,
    /// The line that set it; absent for a default.
    pub source: Option<Source>,
}

/// Collects settings, if anybody wants to know.
#[derive(Debug)]
pub(super) struct Report(Option<Vec<Setting>>);

impl Report {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self(is_wanted.then(Vec::new))
    }

    pub(super) fn into_settings(self) -> Vec<Setting> {
        self.0.unwrap_or_default()
    }

    pub(super) fn add(&mut self, keyword: &'static str, value: impl Display, at: Option<&At>) {
        if let Some(settings) = &mut self.0 {
            settings.push(Setting { keyword, value: value.to_string(), source: at.map(At::source) });
        }
    }

    /// Adds it if a line has set it.
    pub(super) fn add_set<T>(
        &mut self,
        keyword: &'static str,
        set: Option<&(T, At)>,
        value: impl FnOnce(&T) -> String,
    ) {
        if let (Some((set, at)), Some(_)) = (set, &self.0) {
            self.add(keyword, value(set), Some(at));
        }
    }

    pub(super) fn flag(&mut self, keyword: &'static str, value: bool, at: Option<&At>) {
        self.add(keyword, if value { "yes" } else { "no" }, at);
    }

    pub(super) fn files(&mut self, keyword: &'static str, files: &[std::path::PathBuf], at: Option<&At>) {
        if self.0.is_none() {
            return;
        }
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        self.add(keyword, if names.is_empty() { "none".to_owned() } else { names.join(" ") }, at);
    }
}

/// Seconds, as ssh prints them.
pub(super) fn seconds(duration: &Duration) -> String {
    duration.as_secs().to_string()
}
