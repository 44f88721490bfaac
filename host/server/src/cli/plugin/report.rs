//! What is found out about one plugin, for people and as JSON.

use std::path::Path;

use scout_runtime::Grants;
use scout_ssh::sshsig::Signer;
use serde_json::{Map, Value, json};

use crate::config::{Config, ConfigError, Digest, Source, did_you_mean, near};
use crate::plugins::bundled_plugin;
use crate::vetting::examine::{Examined, examine};
use crate::vetting::{Admission, Lock, grant_names};
use scout_machine::visible;

/// The plugin that a command is about.
pub(super) struct Subject {
    /// Its name in `scout.toml`, if it is there.
    pub(super) name: Option<String>,
    pub(super) source: Source,
    pub(super) grants: Grants,
    pub(super) settings: Map<String, Value>,
}

impl Subject {
    /// A name of `scout.toml` or of a handler in `plugins_dir`, else a source; one that `scout.toml` names is that plugin.
    pub(super) fn find(config: &Config, given: &str) -> Result<Self, ConfigError> {
        if let Some(subject) = Self::named(config, given) {
            return Ok(subject);
        }
        let is_name = !given.contains(['/', '.']);
        if is_name && !Path::new(given).exists() {
            let near = did_you_mean(&near(given, config.plugins.keys().map(String::as_str)));
            return Err(ConfigError::new(format!(
                "no plugin is named `{}`{near}; [plugins.NAME] of scout.toml names one, or give a file, https:// or oci://",
                visible(given)
            )));
        }
        let source: Source = given.parse().map_err(ConfigError::new)?;
        let is_same = |other: &Source| match (&source, other) {
            (Source::File(one), Source::File(other)) => {
                one == other || one.canonicalize().ok().is_some_and(|one| other.canonicalize().ok() == Some(one))
            }
            (one, other) => one == other,
        };
        let named = config.plugins.iter().find(|(_, plugin)| plugin.source.as_ref().is_some_and(is_same));
        let named = named.and_then(|(name, _)| Self::named(config, name));
        Ok(named.unwrap_or(Self { name: None, source, grants: Grants::default(), settings: Map::new() }))
    }

    /// All of a configuration, by name.
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let handlers = ["command", "dir", "file", "hosts"];
        let mut names: Vec<&str> = handlers.into_iter().chain(config.plugins.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter_map(|name| Self::named(config, name)).collect()
    }

    fn named(config: &Config, name: &str) -> Option<Self> {
        let configured = config.plugins.get(name).cloned().unwrap_or_default();
        let bundled = bundled_plugin(name);
        let replacement = config.plugins_dir.as_ref().map(|dir| dir.join(format!("{name}.wasm")));
        let source = match (configured.source, replacement) {
            (Some(source), _) => source,
            (None, Some(path)) if bundled.is_some() && path.exists() => Source::File(path),
            (None, _) if bundled.is_some() => Source::Bundled,
            (None, _) => return None,
        };
        Some(Self {
            name: Some(name.to_owned()),
            source,
            grants: configured.grants.or(bundled.map(|(_, grants)| grants)).unwrap_or_default(),
            settings: configured.settings,
        })
    }

    /// What to call it.
    pub(super) fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.source.to_string())
    }
}

/// What was found.
pub(super) struct Report {
    pub(super) title: String,
    pub(super) source: String,
    pub(super) sha256: Digest,
    pub(super) component: Vec<u8>,
    pub(super) signer: Option<Signer>,
    pub(super) grants: Grants,
    pub(super) examined: Examined,
}

impl Report {
    /// Gets a plugin's bytes and looks into them in a process of its own; with `smoke`, also tries it.
    ///
    /// # Errors
    /// Why it is not to be had or cannot be used.
    pub(super) async fn make(config: &Config, lock: &Lock, subject: &Subject, smoke: bool) -> Result<Self, String> {
        let title = subject.title();
        let told = |why: String| format!("plugin `{title}`: {why}");
        let (bytes, signer) = match (&subject.source, bundled_plugin(&title)) {
            (Source::Bundled, Some((bytes, _))) => (bytes.to_vec(), None),
            _ => {
                let name = subject.name.as_deref().unwrap_or_default();
                let admission = Admission::new(config, lock, name, subject.source.clone(), subject.grants);
                // Files and networks block.
                let looked = tokio::task::spawn_blocking(move || admission.look()).await;
                let admitted = looked.map_err(|_| told("looking at it failed".to_owned()))?.map_err(told)?;
                (admitted.bytes, admitted.signer)
            }
        };
        let examined = examine(&bytes, subject.grants, &subject.settings, smoke).await.map_err(told)?;
        Ok(Self {
            source: subject.source.to_string(),
            sha256: Digest::of(&bytes),
            component: bytes,
            signer,
            grants: subject.grants,
            examined,
            title,
        })
    }

    /// Whether it did something that it should not have done when it was tried, or was not tried as it should be.
    pub(super) fn is_doubtful(&self) -> bool {
        self.examined.tried.iter().any(|tried| !tried.faults.is_empty() || tried.untried.is_some())
    }

    /// For people. All of it is safe to print.
    pub(super) fn text(&self) -> String {
        let Examined { surface, wit_versions, missing_grants, compile_wall_ms, compile_cpu_ms, compile_memory, tried } =
            &self.examined;
        let mut text = format!("plugin {}\n", self.title);
        let mut say = |key: &str, value: String| text.push_str(&format!("  {key:10} {value}\n"));
        say("source", self.source.clone());
        say("sha256", self.sha256.to_string());
        say("size", format!("{} bytes", self.component.len()));
        say(
            "signed by",
            match &self.signer {
                Some(signer) => format!("{} ({})", signer.principal, signer.fingerprint),
                None => "not checked: no signature is required".to_owned(),
            },
        );
        say("built for", format!("scout:plugin {}", or_nothing(wit_versions)));
        say("imports", or_nothing(&surface.imports));
        say("exports", or_nothing(&surface.exports));
        say("granted", or_nothing(&grant_names(self.grants)));
        if !missing_grants.is_empty() {
            say("needs", format!("{}, not granted", missing_grants.join(", ")));
        }
        let memory = compile_memory.map_or(String::new(), |bytes| format!(", {} MiB of memory", bytes >> 20));
        say("compiling", format!("{compile_wall_ms} ms, {compile_cpu_ms} ms of CPU{memory}"));
        if let Some(handler) = &surface.handler {
            say("answers", format!("{}: {}", handler.subjects.join(", "), handler.summary));
        }
        for tool in &surface.tools {
            let title = tool.title.as_ref().map(|title| format!(", {title:?}")).unwrap_or_default();
            text.push_str(&format!("  tool `{}` ({}{title})\n", tool.name, tool.effect));
            tool.description.lines().for_each(|line| text.push_str(&format!("    | {line}\n")));
            text.push_str(&format!("    arguments {}\n", tool.input_schema));
            if let Some(schema) = &tool.output_schema {
                text.push_str(&format!("    answer    {schema}\n"));
            }
        }
        for template in &surface.templates {
            let title = template.title.as_ref().map(|title| format!(", {title:?}")).unwrap_or_default();
            let media_type = template.media_type.as_ref().map(|of| format!(", {of}")).unwrap_or_default();
            text.push_str(&format!(
                "  resources `{}` ({}, `{}`{title}{media_type})\n    | {}\n",
                template.uri, template.effect, template.name, template.description
            ));
        }
        for tried in tried {
            text.push_str(&format!(
                "  tried `{}` {} times: {} answers, {} refusals, {} faults\n",
                tried.name,
                tried.calls,
                tried.answers,
                tried.refusals,
                tried.faults.len()
            ));
            tried.untried.iter().for_each(|why| text.push_str(&format!("    !! not all was tried: {why}\n")));
            tried.faults.iter().for_each(|fault| text.push_str(&format!("    !! {}\n", fault.replace('\n', " "))));
        }
        visible(&text).into_owned()
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "plugin": self.title,
            "source": self.source,
            "sha256": self.sha256,
            "size": self.component.len(),
            "signer": self.signer.as_ref().map(|signer| &signer.principal),
            "signing_key": self.signer.as_ref().map(|signer| &signer.fingerprint),
            "grants": grant_names(self.grants),
            "examined": self.examined,
        })
    }
}

fn or_nothing(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
