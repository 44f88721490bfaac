//! The files of a new plugin: templates, and the parts of Scout that a project of its own needs beside them.

/// A file of a project: its path, and its text. A name that ends in `.template` loses that, and its text has places to fill.
type TemplateFile = (&'static str, &'static str);

macro_rules! files {
    ($from:literal => $to:literal: $($path:literal)*) => {
        &[$((concat!($to, $path), include_str!(concat!("../../../../../", $from, $path))),)*]
    };
}

/// The contract, which a project has whatever its language.
macro_rules! contract {
    ($to:literal) => {
        files!("wit/" => $to:
            "answers.wit" "baselines.wit" "blobs.wit" "cursors.wit" "descriptions.wit" "entries.wit" "exec.wit" "files.wit" "handler.wit" "inventory.wit"
            "log.wit" "package.wit" "progress.wit" "queries.wit" "resources.wit" "settings.wit" "tools.wit" "transfer.wit" "types.wit"
            "worlds.wit")
    };
}

/// What a project is made of.
pub(super) struct Template {
    /// In groups.
    files: &'static [&'static [TemplateFile]],
    /// Where its component is built.
    pub(super) component: &'static str,
    /// What builds it, in its directory.
    pub(super) build: &'static str,
}

pub(super) const RUST: Template = Template {
    files: &[
        files!("plugins/templates/rust/" => "":
            "Cargo.toml.template" "Cargo.lock.template" "README.md.template" "gitignore" "rust-toolchain.toml" "src/lib.rs"
            "vendor/scout-plugin/Cargo.toml.template"),
        files!("plugins/sdk/src/" => "vendor/scout-plugin/src/":
            "answer.rs" "bindings.rs" "describe.rs" "error.rs" "heap.rs" "host.rs" "json.rs" "json/value.rs" "lib.rs"
            "output.rs" "privileged.rs" "rows/condition.rs" "rows/cursor.rs" "rows/mod.rs" "rows/page.rs" "rows/shape.rs" "rows/sort.rs"
            "rows/tests.rs" "text.rs" "zone.rs"),
        contract!("wit/"),
        files!("plugins/templates/" => "": "scout.toml.template"),
        files!("plugins/templates/" => "cassettes/": "os_release.json.template"),
    ],
    component: "target/wasm32-wasip2/release/plugin.wasm",
    build: "cargo build --release --target wasm32-wasip2",
};

pub(super) const PYTHON: Template = Template {
    files: &[
        files!("plugins/templates/python/" => "":
            "README.md.template" "gitignore" "app.py" "build.sh" "os_release.py" "requirements.txt"
            "test_os_release.py" "wit/plugin.wit"),
        contract!("wit/deps/scout-plugin/"),
        files!("plugins/templates/" => "": "scout.toml.template"),
        files!("plugins/templates/" => "cassettes/": "os_release.json.template"),
    ],
    component: "plugin.wasm",
    build: "sh build.sh",
};

/// What the SDK in a project depends on; as in `plugins/Cargo.toml`.
const WIT_BINDGEN: &str = "0.61.1";
const TALC: &str = "5.1.1";

impl Template {
    /// The files of a project of this name.
    pub(super) fn project(&self, name: &str) -> impl Iterator<Item = (String, String)> {
        let places = [
            ("{{name}}", name.to_owned()),
            ("{{component}}", self.component.to_owned()),
            ("{{version}}", env!("CARGO_PKG_VERSION").to_owned()),
            ("{{wit_bindgen}}", WIT_BINDGEN.to_owned()),
            ("{{talc}}", TALC.to_owned()),
        ];
        self.files.iter().copied().flatten().map(move |(path, text)| match (path.strip_suffix(".template"), *path) {
            (Some(path), _) => {
                let filled = |text: String, (place, value): &(&str, String)| text.replace(place, value);
                (path.to_owned(), places.iter().fold((*text).to_owned(), filled))
            }
            // A real one would hide files of the template itself.
            (None, "gitignore") => (".gitignore".to_owned(), (*text).to_owned()),
            (None, path) => (path.to_owned(), (*text).to_owned()),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn root() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// The files of a folder of the repository, by their paths in it.
    fn files(folder: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() {
                found.extend(files(&entry.path()).into_iter().map(|path| format!("{name}/{path}")));
            } else {
                found.insert(name);
            }
        }
        found
    }

    #[test]
    fn a_project_has_the_whole_contract_and_the_whole_sdk() {
        for (template, folder, prefix) in [
            (&RUST, "wit", "wit/"),
            (&RUST, "plugins/sdk/src", "vendor/scout-plugin/src/"),
            (&PYTHON, "wit", "wit/deps/scout-plugin/"),
        ] {
            let paths = template.project("mine").map(|(path, _)| path);
            let listed = paths.filter_map(|path| path.strip_prefix(prefix).map(str::to_owned)).collect();
            assert_eq!(files(&root().join(folder)), listed, "{folder}");
        }
    }

    #[test]
    fn every_place_is_filled() {
        for (path, text) in RUST.project("mine").chain(PYTHON.project("mine")) {
            assert!(!text.contains("{{name") && !text.contains("{{version") && !path.contains("template"), "{path}");
        }
    }

    #[test]
    fn no_name_of_a_plugin_is_a_word_of_its_contract() {
        // Names such as `list` and `a-1` are none in WIT.
        for template in [&RUST, &PYTHON] {
            for ((path, text), (_, other)) in template.project("list").zip(template.project("mine")) {
                assert!(!path.ends_with(".wit") || text == other, "{path}");
            }
        }
    }

    #[test]
    fn the_sdk_of_a_project_depends_on_what_ours_does() {
        let ours = std::fs::read_to_string(root().join("plugins/Cargo.toml")).unwrap();
        let lock = RUST.project("mine").find(|(path, _)| path == "Cargo.lock").unwrap().1;
        for (name, version) in [("wit-bindgen", WIT_BINDGEN), ("talc", TALC)] {
            assert!(ours.contains(&format!("{name} = {{ version = \"{version}\"")), "{ours}");
            assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")), "{lock}");
        }
    }
}
