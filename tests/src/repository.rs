//! What the repository's documents and scripts say of it, held against what it is.
//!
//! Owns the questions that code can answer: which crate depends on which, who names which library, which decisions there are, where
//! a word of the glossary stands, whether a path that is named is there, and which layer runs which tests. Knows no more of the
//! other crates than their files.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// Workspaces besides the root's, and single crates that are one.
const WORKSPACES: [&str; 4] = ["", "plugins", "tests/fixtures", "tests/fuzz"];
/// Crates of others whose place is a part of the architecture.
const LIBRARIES: [&str; 3] = ["rmcp", "russh", "wasmtime"];
/// The documents for whoever changes Scout.
const DOCUMENTS: [&str; 3] = ["host/ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
/// Where native code is.
const NATIVE: [&str; 8] = [
    "host/machine",
    "host/local",
    "host/ssh",
    "host/runtime",
    "host/server",
    "tests/src",
    "tests/integration",
    "benches/src",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn manifest(folder: &str) -> Table {
    let path = root().join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The manifests of all our crates, by their folder.
fn manifests() -> BTreeMap<String, Table> {
    let mut all = BTreeMap::new();
    for workspace in WORKSPACES {
        let top = manifest(workspace);
        let members = top["workspace"].get("members").and_then(|members| members.as_array());
        for member in members.into_iter().flatten() {
            let folder = Path::new(workspace).join(member.as_str().unwrap()).display().to_string();
            all.insert(folder.clone(), manifest(&folder));
        }
        if top.contains_key("package") {
            all.insert(workspace.to_owned(), top);
        }
    }
    all
}

fn name(manifest: &Table) -> String {
    manifest["package"]["name"].as_str().unwrap().to_owned()
}

/// An arrow: from, to, and whether only tests need it.
type Arrow = (String, String, bool);

/// Which of our crates depends on which, and on which of [`LIBRARIES`].
fn dependencies() -> BTreeSet<Arrow> {
    let manifests = manifests();
    let names: BTreeSet<String> = manifests.values().map(name).chain(LIBRARIES.map(str::to_owned)).collect();
    let mut arrows = BTreeSet::new();
    for manifest in manifests.values() {
        for (kind, is_of_tests) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            for dependency in manifest.get(kind).and_then(|table| table.as_table()).into_iter().flat_map(Table::keys) {
                if names.contains(dependency) {
                    arrows.insert((name(manifest), dependency.clone(), is_of_tests));
                }
            }
        }
    }
    arrows
}

/// The text below a heading, up to the next one of the same level.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

/// The Mermaid pictures of a text.
fn pictures(text: &str) -> Vec<&str> {
    text.split("```mermaid\n").skip(1).map(|rest| rest.split_once("\n```").unwrap().0).collect()
}

/// The names between backticks, line by line joined.
fn code_spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The items of a list, each on one line.
fn items(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(item) = line.strip_prefix("- ") {
            items.push(item.to_owned());
        } else if let (Some(more), Some(item)) = (line.strip_prefix("  "), items.last_mut()) {
            item.push(' ');
            item.push_str(more);
        }
    }
    items
}

/// The nodes of a flowchart: what stands first on each label, by the node's id.
fn nodes(picture: &str) -> BTreeMap<&str, &str> {
    let labelled = picture.lines().filter_map(|line| {
        let (id, rest) = line.trim().split_once(['[', '('])?;
        let label = rest.trim_start_matches(['[', '(']).strip_prefix('"')?.split(['"', '<']).next()?;
        id.chars().all(|c| c.is_ascii_alphanumeric()).then_some((id, label))
    });
    labelled.collect()
}

#[test]
fn the_crates_depend_on_each_other_as_the_architecture_draws_it() {
    let document = read("host/ARCHITECTURE.md");
    let picture = pictures(section(&document, "The crates"))[0];
    let nodes = nodes(picture);
    let mut drawn = BTreeSet::new();
    for line in picture.lines() {
        let arrow = [(" --> ", false), (" -.-> ", true)].into_iter().find(|(arrow, _)| line.contains(arrow));
        let Some((arrow, is_of_tests)) = arrow else { continue };
        let (from, to) = line.split_once(arrow).unwrap();
        for (from, to) in from.split('&').flat_map(|from| to.split('&').map(move |to| (from.trim(), to.trim()))) {
            drawn.insert((nodes[from].to_owned(), nodes[to].to_owned(), is_of_tests));
        }
    }
    assert_eq!(drawn, dependencies(), "host/ARCHITECTURE.md draws the left arrows, the manifests have the right ones");
    let named: BTreeSet<String> = nodes.values().map(|name| (*name).to_owned()).collect();
    let crates: BTreeSet<String> = manifests().values().map(name).chain(LIBRARIES.map(str::to_owned)).collect();
    assert_eq!(named, crates, "host/ARCHITECTURE.md draws the left crates, there are the right ones");
}

#[test]
fn pictures_name_no_crate_that_there_is_not() {
    let document = read("host/ARCHITECTURE.md");
    let crates: BTreeSet<String> = manifests().values().map(name).collect();
    for picture in pictures(&document) {
        let words = picture.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        for word in words.filter(|word| word.starts_with("scout-")) {
            assert!(crates.contains(word), "{word} is drawn, and no crate is called so");
        }
    }
}

#[test]
fn none_of_the_native_crates_can_have_unsafe_code() {
    assert_eq!(manifest("")["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for member in manifest("")["workspace"]["members"].as_array().unwrap() {
        let lints = manifest(member.as_str().unwrap())["lints"]["workspace"].as_bool();
        assert_eq!(lints, Some(true), "{member} has lints of its own");
    }
}

/// The Rust files below a folder, by their paths in the repository.
fn rust_files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    found
}

/// A file's code without comments, and without what is compiled for tests alone: `None` where all of it is.
fn without_tests(file: &str) -> Option<String> {
    let text = read(file);
    let folder = Path::new(file).parent().unwrap();
    let is_test = |module: &str, of: &str| {
        let lines: Vec<&str> = of.lines().collect();
        let declared = lines.iter().position(|line| *line == format!("mod {module};"));
        declared.is_some_and(|at| lines[at.saturating_sub(3)..at].contains(&"#[cfg(test)]"))
    };
    // Declared by a file of the same folder, or by the one that has the folder's name.
    let stem = Path::new(file).file_stem().unwrap().to_str().unwrap();
    let beside =
        rust_files(folder.to_str().unwrap()).into_iter().filter(|other| Path::new(other).parent() == Some(folder));
    let above = folder.with_extension("rs").display().to_string();
    let above = root().join(&above).exists().then_some(above);
    if beside.chain(above).any(|other| is_test(stem, &read(&other)))
        || stem.ends_with("tests")
        || file.contains("/tests/")
    {
        return None;
    }
    let code = text.split_once("\n#[cfg(test)]\n").map_or(text.as_str(), |(code, tests)| {
        if tests.lines().any(|line| line.starts_with("mod ") && line.ends_with('{')) { code } else { text.as_str() }
    });
    Some(code.to_owned())
}

/// Whether a line of code names this crate or module, by a path that begins with it.
fn names(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with("//") {
        return false;
    }
    if name == "std::env" {
        return ["env::var", "env::home_dir"].iter().any(|call| line.contains(call));
    }
    line.match_indices("::").any(|(at, _)| {
        let before = &line[..at];
        let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        word == name || word.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'))
    })
}

#[test]
fn libraries_are_named_where_the_architecture_says_and_nowhere_else() {
    let document = read("host/ARCHITECTURE.md");
    let (_, said) = section(&document, "The crates").split_once("Who names what").unwrap();
    let items = items(said);
    assert!(items.len() >= LIBRARIES.len(), "{items:?}");
    let files: Vec<String> = NATIVE.iter().flat_map(|folder| rust_files(folder)).collect();
    for item in items {
        let spans = code_spans(&item);
        let (name, places) = spans.split_first().unwrap();
        let mut unused: BTreeSet<&String> = places.iter().collect();
        for file in &files {
            let code = if name == "std::env" {
                let is_source = file.starts_with("host/") && file.contains("/src/");
                is_source.then(|| without_tests(file)).flatten().unwrap_or_default()
            } else {
                read(file)
            };
            if !code.lines().any(|line| names(line, name)) {
                continue;
            }
            let place = places.iter().find(|place| Path::new(file).starts_with(place));
            let place =
                place.unwrap_or_else(|| panic!("{file} names {name}, and host/ARCHITECTURE.md does not say so"));
            unused.remove(place);
        }
        assert!(unused.is_empty(), "host/ARCHITECTURE.md says that {unused:?} names {name}");
    }
}

#[test]
fn the_decisions_are_listed_with_their_titles() {
    let mut decisions = Vec::new();
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("host/adr")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let title = text.lines().next().unwrap().strip_prefix("# ").unwrap_or_else(|| panic!("{name} has no title"));
        let number: u32 = title.split('.').next().unwrap().parse().unwrap_or_else(|_| panic!("{name} has no number"));
        assert!(name.starts_with(&format!("{number:04}-")), "{name} is decision {number}");
        decisions.push(format!("[{title}](adr/{name})"));
    }
    assert_eq!(items(section(&read("host/ARCHITECTURE.md"), "Decisions")), decisions);
}

/// What `server/live` and the like stand for in host/ARCHITECTURE.md: a file or a folder of sources.
fn sources(short: &str) -> Option<PathBuf> {
    let (of, rest) = short.split_once('/')?;
    if !["machine", "local", "ssh", "runtime", "server"].contains(&of) {
        return None;
    }
    let path = root().join("host").join(of).join("src").join(rest);
    Some(if path.with_extension("rs").is_file() { path.with_extension("rs") } else { path })
}

#[test]
fn words_of_the_glossary_stand_in_the_code_where_it_says() {
    let document = read("host/ARCHITECTURE.md");
    let (mut words, explained) = (BTreeSet::new(), items(section(&document, "Glossary")));
    assert!(explained.len() >= 25, "{}", explained.len());
    for item in explained {
        let word = item.split("**").nth(1).unwrap_or_else(|| panic!("{item} explains no word")).to_owned();
        let spans = code_spans(item.split("):").next().unwrap());
        let [name, place] = spans.as_slice() else { panic!("{word} is nowhere: {spans:?}") };
        let file = sources(place).unwrap_or_else(|| panic!("{place} is no place in the code"));
        let file = if file.is_dir() { file.join("mod.rs") } else { file };
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{word}: {}: {error}", file.display()));
        let declares = |line: &str| {
            let kinds = ["struct", "enum", "trait", "type", "fn", "const"];
            let mut before = "";
            line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|token| {
                let declared = token == name && kinds.contains(&before);
                before = token;
                declared
            })
        };
        assert!(text.lines().any(declares), "{word}: {} declares no {name}", file.display());
        assert!(words.insert(word.clone()), "{word} is explained twice");
    }
}

/// Whether something is a path of the repository, as documents write one: no command, no name of a type, no place to fill in.
fn is_path(span: &str) -> bool {
    let tops = [
        "host/", "tests/", "plugins/", "wit/", "docs/", "benches/", ".github/", "machine/", "local/", "ssh/",
        "runtime/", "server/",
    ];
    tops.iter().any(|top| span.starts_with(top))
        && span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        && !span.contains("NAME")
        && !span.contains("LAYER")
}

#[test]
fn what_the_documents_name_and_link_is_there() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        let outside_of_blocks: String = text.split("```").step_by(2).collect();
        let pictures = pictures(&text).join("\n");
        let drawn = pictures.split(|c: char| c.is_whitespace() || "\"<>(),".contains(c)).map(str::to_owned);
        for span in code_spans(&outside_of_blocks).into_iter().chain(drawn) {
            // A place in a file, or a function of a module.
            let path = span.split([':', ' ']).next().unwrap();
            if is_path(path) {
                let there = sources(path).unwrap_or_else(|| root().join(path));
                assert!(there.exists(), "{document} names {path}");
            }
        }
        for link in outside_of_blocks.split("](").skip(1) {
            let link = link.split_once(')').unwrap().0;
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let there = if file.is_empty() { root().join(document) } else { folder.join(file) };
            assert!(there.exists(), "{document} links {link}");
            if !anchor.is_empty() {
                let target = fs::read_to_string(&there).unwrap();
                let mut anchors = target.lines().filter(|line| line.starts_with('#')).map(anchor_of);
                assert!(anchors.any(|known| known == anchor), "{document} links {link}");
            }
        }
    }
}

/// The texts of all files below a folder whose names end so, apart from what cargo and others leave there.
fn texts(folder: &Path, extensions: &[&str], found: &mut String) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap_or_default();
        let is_left = ["target", "node_modules", "vendor"].contains(&name) || name.starts_with('.');
        if path.is_dir() && !is_left {
            texts(&path, extensions, found);
        } else if extensions.iter().any(|extension| name.ends_with(extension)) && name != "repository.rs" {
            found.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn what_the_recipes_name_is_in_the_code() {
    let (document, mut code) = (read("CONTRIBUTING.md"), String::new());
    for folder in ["host", "plugins", "tests", "benches", "wit"] {
        texts(&root().join(folder), &[".rs", ".toml", ".sh", ".wit"], &mut code);
    }
    let words: BTreeSet<&str> = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    for span in code_spans(section(&document, "Recipes")) {
        // `Type::function`, `macro!`.
        let is_name = span.chars().all(|c| c.is_ascii_alphanumeric() || "_:!".contains(c));
        let mut parts = span.trim_end_matches('!').split("::");
        if is_name {
            assert!(
                parts.all(|part| words.contains(part)),
                "CONTRIBUTING.md names {span}, which is nowhere in the code"
            );
        }
    }
}

/// The anchor that a heading gets.
fn anchor_of(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The words of an array of tests/ci.sh.
fn array<'a>(script: &'a str, name: &str) -> Vec<&'a str> {
    let (_, rest) = script.split_once(&format!("\n{name}=(")).unwrap_or_else(|| panic!("tests/ci.sh has no {name}"));
    rest.split_once(')').unwrap().0.split_whitespace().collect()
}

/// The targets of `cargo test` in the root's workspace that are neither a library nor a program.
fn test_targets() -> Vec<String> {
    let mut targets = Vec::new();
    for member in manifest("")["workspace"]["members"].as_array().unwrap() {
        let folder = member.as_str().unwrap();
        let manifest = manifest(folder);
        let named = manifest.get("test").and_then(|named| named.as_array());
        targets.extend(named.into_iter().flatten().map(|target| target["name"].as_str().unwrap().to_owned()));
        let Ok(found) = fs::read_dir(root().join(folder).join("tests")) else { continue };
        for path in found.map(|entry| entry.unwrap().path()) {
            let is_target =
                path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").exists();
            if is_target {
                targets.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    targets.sort();
    targets
}

#[test]
fn every_target_of_tests_is_in_one_layer() {
    let script = read("tests/ci.sh");
    let arrays = ["engine_tests", "policy_tests", "integration_tests"];
    let mut listed: Vec<&str> = arrays.iter().flat_map(|name| array(&script, name)).collect();
    listed.sort_unstable();
    assert_eq!(listed, test_targets(), "tests/ci.sh runs the left targets, there are the right ones");
}

#[test]
fn every_layer_has_a_recipe_and_a_job_and_is_told_of() {
    let script = read("tests/ci.sh");
    let layers = array(&script, "layers");
    let (recipes, jobs, told) = (read("justfile"), read(".github/workflows/ci.yml"), read("CONTRIBUTING.md"));
    for layer in &layers {
        assert!(script.contains(&format!("\n#   {layer} ")), "the head of tests/ci.sh does not tell of {layer}");
        assert!(recipes.contains(&format!("\n{layer}:\n    tests/ci.sh {layer}\n")), "no recipe for {layer}");
        assert!(told.contains(&format!("`tests/ci.sh {layer}`")), "CONTRIBUTING.md does not tell of {layer}");
    }
    let single: Vec<&str> = layers.into_iter().filter(|layer| *layer != "all").collect();
    assert!(jobs.contains(&format!("layer: [{}]", single.join(", "))), "the jobs are not {single:?}");
}
