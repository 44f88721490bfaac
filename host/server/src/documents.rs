//! The documentation, as tests hold it against the program: its pages, what they show as code, where they link to.
//!
//! Reads of Markdown what the pages use of it: fenced and indented blocks, code within a line, headings, links in brackets.
#![expect(clippy::unwrap_used, reason = "for tests: a failed one is a panic")]

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Where the pages are that users read.
const MANUAL: [&str; 4] = ["", "docs", "plugins/templates/rust", "plugins/templates/python"];
/// Where the others are.
const OTHERS: [&str; 8] = [
    "host",
    "host/adr",
    "host/vendor",
    "benches",
    "tests/fuzz",
    "plugins/disk/tests/fixtures",
    "plugins/logs/tests/fixtures",
    "plugins/services/tests/fixtures",
];
/// Columns that a block is indented by.
const INDENTED: &str = "    ";

/// A page of the repository.
pub(crate) struct Page {
    /// Seen from the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Lines that are shown as code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// As the fence names it; empty if it is indented or the fence names none.
    pub(crate) language: String,
    pub(crate) text: String,
    /// For messages: the page and the line.
    pub(crate) place: String,
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What users read: README and its neighbours, `docs/`, and what comes with a new plugin's project.
pub(crate) fn manual() -> Vec<Page> {
    let pages: Vec<_> = MANUAL.iter().flat_map(|directory| pages_in(directory)).collect();
    assert!(pages.len() > 12, "{} pages", pages.len());
    pages
}

fn all() -> Vec<Page> {
    manual().into_iter().chain(OTHERS.iter().flat_map(|directory| pages_in(directory))).collect()
}

fn pages_in(directory: &str) -> Vec<Page> {
    let root = repository();
    let mut paths: Vec<_> = fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let is_page = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".md") || name.ends_with(".md.template")
    };
    let pages = paths.into_iter().filter(is_page).map(|path| Page {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(&root).unwrap().to_owned(),
    });
    let pages: Vec<_> = pages.collect();
    assert!(!pages.is_empty(), "no page in {directory:?}");
    pages
}

impl Page {
    pub(crate) fn blocks(&self) -> Vec<Block> {
        self.parts().1
    }

    /// The code that stands within lines of text.
    pub(crate) fn spans(&self) -> Vec<String> {
        let mut spans = Vec::new();
        for paragraph in self.parts().0.split("\n\n") {
            let parts: Vec<&str> = paragraph.split('`').collect();
            assert!(parts.len() % 2 == 1, "{}: a backquote without its other in: {paragraph}", self.path.display());
            let code = parts.into_iter().zip([false, true].into_iter().cycle()).filter(|(_, is_code)| *is_code);
            spans.extend(code.map(|(span, _)| span.replace('\n', " ").replace("\\|", "|")));
        }
        spans
    }

    /// Where it links to, without what stands as code.
    fn links(&self) -> Vec<String> {
        let prose: String = self.parts().0.split('`').step_by(2).collect();
        let rest = prose.split("](").skip(1);
        rest.map(|rest| rest.split(')').next().unwrap_or_default().to_owned()).collect()
    }

    /// What a link may name behind `#`, as GitHub makes it of headings.
    fn anchors(&self) -> HashSet<String> {
        let mut anchors = HashSet::new();
        let text = self.parts().0;
        for heading in
            text.lines().filter(|line| line.trim_start_matches('#').starts_with(' ') && line.starts_with('#'))
        {
            let letters = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = letters.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let numbered = (1..).map(|number| format!("{anchor}-{number}"));
            let free = std::iter::once(anchor.clone()).chain(numbered).find(|anchor| !anchors.contains(anchor));
            anchors.extend(free);
        }
        anchors
    }

    /// The text without its blocks, and the blocks.
    fn parts(&self) -> (String, Vec<Block>) {
        let (mut prose, mut blocks) = (String::new(), Vec::new());
        let mut lines = self.text.lines().enumerate().peekable();
        let mut is_after_blank = true;
        while let Some((at, line)) = lines.next() {
            let place = format!("{}:{}", self.path.display(), at + 1);
            let margin = line.len() - line.trim_start().len();
            if let Some(language) = line.trim_start().strip_prefix("```") {
                let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
                let text = inside.map(|line| format!("{}\n", line.get(margin..).unwrap_or_default())).collect();
                blocks.push(Block { language: language.to_owned(), text, place });
                prose.push('\n');
            } else if is_after_blank && line.starts_with(INDENTED) {
                let mut text = format!("{}\n", line.trim_start_matches(INDENTED));
                while let Some((_, line)) = lines.next_if(|(_, line)| line.is_empty() || line.starts_with(INDENTED)) {
                    text.push_str(line.strip_prefix(INDENTED).unwrap_or_default());
                    text.push('\n');
                }
                blocks.push(Block { language: String::new(), text, place });
                prose.push('\n');
            } else {
                prose.push_str(line);
                prose.push('\n');
            }
            is_after_blank = line.is_empty();
        }
        (prose, blocks)
    }
}

impl Block {
    /// Whether it is TOML: the fence says so, or an indented line has the form.
    pub(crate) fn is_toml(&self) -> bool {
        let is_key =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let has_form =
            |line: &str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(name, _)| is_key(name));
        self.language == "toml" || self.language.is_empty() && self.text.lines().any(has_form)
    }

    /// Whether it is what a shell is given: the fence says so, or it is indented.
    fn is_shell(&self) -> bool {
        ["sh", "shell", ""].contains(&self.language.as_str()) && !self.is_toml()
    }
}

/// The commands of a script, each as its words: enough of a shell's syntax for examples.
pub(crate) fn commands(script: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut letters = script.replace("\\\n", " ").chars().collect::<Vec<_>>().into_iter().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' => {
                let quoted = letters.by_ref().take_while(|inside| *inside != letter);
                word.get_or_insert_default().extend(quoted);
            }
            '#' if word.is_none() => while letters.next_if(|inside| *inside != '\n').is_some() {},
            ' ' => words.extend(word.take()),
            '\n' | '|' | '&' | ';' | '<' | '>' => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

/// What a command gives to Scout, behind the program's name: itself, through `cargo run`, or through what adds it to a client.
fn of_scout(words: &[String]) -> Option<&[String]> {
    let is_scout = |word: &String| word.rsplit('/').next() == Some("scout");
    if let Some((_, arguments)) = words.split_first().filter(|(program, _)| is_scout(program)) {
        return Some(arguments).filter(|arguments| !arguments.is_empty());
    }
    let given = words.iter().position(|word| word == "--").and_then(|at| words.get(at + 1..))?;
    if words.iter().take(2).eq(["cargo", "run"]) && !words.iter().any(|word| word == "-p") {
        return Some(given);
    }
    given.split_first().filter(|(program, _)| is_scout(program)).map(|(_, arguments)| arguments)
}

/// What a client's configuration gives to Scout: the arguments of each entry that runs it.
fn of_clients(configuration: &serde_json::Value, found: &mut Vec<Vec<String>>) {
    let below = match configuration {
        serde_json::Value::Object(fields) => {
            let command = fields.get("command").and_then(serde_json::Value::as_str);
            if let Some(command) = command {
                assert!(command.ends_with("/scout"), "{command} is not the whole path of Scout");
                let arguments = fields.get("args").and_then(serde_json::Value::as_array);
                let words = arguments.into_iter().flatten().map(|word| word.as_str().unwrap().to_owned());
                found.push(words.collect());
            }
            fields.values().collect()
        }
        serde_json::Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    below.into_iter().for_each(|below| of_clients(below, found));
}

/// Command lines of Scout, without the program's name.
#[derive(Default)]
pub(crate) struct CommandLines {
    /// To be given as they stand, with where they stand.
    pub(crate) whole: Vec<(String, Vec<String>)>,
    /// Named within a text, where what is of no matter is left out.
    pub(crate) mentioned: Vec<(String, Vec<String>)>,
    /// Of them, how many are those of clients' configurations.
    pub(crate) clients: usize,
}

/// All of the manual.
pub(crate) fn command_lines() -> CommandLines {
    let mut lines = CommandLines::default();
    for page in manual() {
        for block in page.blocks() {
            if block.language == "json" {
                let value =
                    serde_json::from_str(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place));
                lines.client(&value, &block.place);
            } else if block.is_shell() {
                for words in commands(&block.text) {
                    lines.command(&words, &block.place, true);
                }
            }
        }
        for span in page.spans() {
            for words in commands(&span) {
                lines.command(&words, &page.path.display().to_string(), false);
            }
        }
    }
    lines
}

impl CommandLines {
    fn client(&mut self, configuration: &serde_json::Value, place: &str) {
        let mut found = Vec::new();
        of_clients(configuration, &mut found);
        self.clients += found.len();
        self.whole.extend(found.into_iter().map(|words| (place.to_owned(), words)));
    }

    fn command(&mut self, words: &[String], place: &str, is_whole: bool) {
        if let Some(at) = words.iter().position(|word| word == "--add-mcp") {
            let value = words.get(at + 1).map(|text| serde_json::from_str(text));
            return self.client(&value.unwrap().unwrap_or_else(|error| panic!("{place}: {error}")), place);
        }
        if let Some(arguments) = of_scout(words) {
            let to = if is_whole { &mut self.whole } else { &mut self.mentioned };
            to.push((place.to_owned(), arguments.to_vec()));
        }
    }
}

/// A path without `.` and `..`, as a link's text says it.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(resolved.pop(), "{} leaves the repository", path.display()),
            Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    resolved
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_there_are() {
    let (root, pages, mut amiss, mut followed) = (repository(), all(), Vec::new(), 0);
    for page in &pages {
        for link in page.links().iter().filter(|link| !link.contains("://")) {
            followed += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let beside = page.path.parent().unwrap_or(Path::new(""));
            let path = if file.is_empty() { page.path.clone() } else { resolved(&beside.join(file)) };
            let is_there = root.join(&path).exists();
            let names = |target: &Page| target.path == path && target.anchors().contains(anchor);
            if !is_there || !anchor.is_empty() && !pages.iter().any(names) {
                amiss.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(amiss.is_empty(), "these lead nowhere:\n{}", amiss.join("\n"));
    assert!(followed > 60, "{followed} links were found");
}

#[test]
fn no_page_of_the_manual_is_left_alone() {
    let (mut found, mut next) = (HashSet::new(), vec![PathBuf::from("README.md")]);
    let pages = all();
    while let Some(path) = next.pop() {
        if let Some(page) = pages.iter().find(|page| page.path == path).filter(|_| found.insert(path.clone())) {
            let beside = page.path.parent().unwrap_or(Path::new(""));
            let links = page.links().into_iter().filter(|link| !link.contains("://"));
            next.extend(links.map(|link| resolved(&beside.join(link.split('#').next().unwrap_or_default()))));
        }
    }
    for page in pages_in("docs") {
        assert!(found.contains(&page.path), "no link leads from README.md to {}", page.path.display());
    }
}

#[test]
fn each_kind_of_failure_is_told() {
    let contract = fs::read_to_string(repository().join("wit/types.wit")).unwrap();
    let lines = contract.lines().filter_map(|line| line.trim().strip_prefix("/// - `"));
    let kinds = lines.filter_map(|line| Some(line.split_once('`')?.0));
    // What the server itself says.
    let mut kinds: Vec<&str> = kinds.chain(["plugin", "busy"]).collect();
    let page = fs::read_to_string(repository().join("docs/tools.md")).unwrap();
    let (_, told) = page.split_once("\n### Failures\n").unwrap();
    let rows = told.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| `"));
    let mut told: Vec<&str> =
        rows.filter_map(|row| Some(row.split_once("` |")?.0)).filter(|kind| *kind != "kind").collect();
    kinds.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, kinds);
}

#[test]
fn the_readme_has_the_two_commands() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    for command in ["rustup target add wasm32-unknown-unknown && cargo run --release -- demo", "tests/ci.sh"] {
        assert!(readme.lines().any(|line| line.trim() == command), "{command}");
    }
}

/// The cells of the first row that begins like this, in a section of a report, behind a text of it.
fn cells<'r>(report: &'r str, section: &str, behind: &str, row: &str) -> Vec<&'r str> {
    let text = report.split_once(&format!("\n## {section}\n")).and_then(|(_, rest)| rest.split("\n## ").next());
    let text = text.and_then(|text| text.split_once(behind)).map(|(_, rest)| rest);
    let line = text.and_then(|text| text.lines().find(|line| line.starts_with(&format!("| {row} |"))));
    let line = line.unwrap_or_else(|| panic!("benches/RESULTS.md has no `{row}` behind `{behind}` in `{section}`"));
    line.split('|').map(str::trim).skip(2).collect()
}

/// What README says of the measurements: all of it is made here of the report.
fn numbers(report: &str) -> String {
    let served = "Scout as clients meet it";
    let cell = |cells: Vec<&str>, at: usize| cells.get(at).copied().unwrap_or_default().to_owned();
    let near = || cells(report, served, "No link between:", "read 1 KiB");
    let far = || cells(report, served, "A link that delays each way by 25 ms", "read 1 KiB");
    let sandbox = cells(report, "The sandbox", "", "the difference: the sandbox");
    let fact = |name: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(&format!("| {name} | ")));
        line.and_then(|line| line.strip_suffix(" |")).unwrap_or_else(|| panic!("no {name} in benches/RESULTS.md"))
    };
    format!(
        "| median | Scout | `ssh` over a warm connection |\n|---|---:|---:|\n\
         | read 1 KiB of a host that is 50 ms away | {} | {} |\n\
         | read 1 KiB without a delay | {} | {} |\n\
         | what the sandbox adds to such a read | {} | |\n\n\
         Measured on {} at commit {} ({}):\n\
         [as clients meet it](benches/RESULTS.md#scout-as-clients-meet-it),\n\
         [the sandbox](benches/RESULTS.md#the-sandbox). The report also has what `ssh` does faster.\n",
        cell(far(), 0),
        cell(far(), 2),
        cell(near(), 0),
        cell(near(), 2),
        cell(sandbox, 0),
        fact("date").split(' ').next().unwrap_or_default(),
        fact("commit"),
        fact("machine"),
    )
}

#[test]
fn the_numbers_of_the_readme_are_those_of_the_report() {
    let (path, report) = (repository().join("README.md"), repository().join("benches/RESULTS.md"));
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once("the_numbers_of_the_readme -->\n").unwrap();
    let (told, after) = rest.split_once("<!-- /numbers -->").unwrap();
    let expected = numbers(&fs::read_to_string(report).unwrap());
    if std::env::var_os("WRITE_DOCS").is_some() {
        let mark = "the_numbers_of_the_readme -->\n";
        fs::write(&path, format!("{before}{mark}{expected}<!-- /numbers -->{after}")).unwrap();
    } else {
        assert_eq!(told, expected, "WRITE_DOCS=1 cargo test -p scout-server --lib the_numbers_of_the_readme");
    }
}

#[test]
fn blocks_spans_and_links_are_found() {
    let text = "# A `b` c\n\nSee [x](y.md#z), `scout\nhelp` and `a \\| b`.\n\n    indented\n\n    more\n\n- item\n\n  ```sh\n  \
                scout x\n  ```\n\n# A b c\n";
    let page = Page { path: PathBuf::from("p.md"), text: text.to_owned() };
    assert_eq!(page.spans(), ["b", "scout help", "a | b"]);
    assert_eq!(page.links(), ["y.md#z"]);
    assert_eq!(page.anchors(), HashSet::from(["a-b-c".to_owned(), "a-b-c-1".to_owned()]));
    let block = |language: &str, text: &str, line: usize| Block {
        language: language.to_owned(),
        text: text.to_owned(),
        place: format!("p.md:{line}"),
    };
    assert_eq!(page.blocks(), [block("", "indented\n\nmore\n\n", 6), block("sh", "scout x\n", 12)]);
}

#[test]
fn a_script_is_split_into_commands_and_those_of_scout_are_known() {
    let commands = commands("cd a && scout call 'b c' \"d\" # e\n./scout x \\\n  y | cat\n# f\ncargo run -- demo");
    let texts: Vec<_> = commands.iter().map(|words| words.join(" ")).collect();
    assert_eq!(texts, ["cd a", "scout call b c d", "./scout x y", "cat", "cargo run -- demo"]);
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for (command, given) in [
        ("scout call x", Some("call x")),
        ("scout", None),
        ("cargo run --release -- demo", Some("demo")),
        ("cargo run --release -p scout-benches -- x", None),
        ("claude mcp add scout -- /usr/local/bin/scout serve", Some("serve")),
        ("sudo install target/release/scout /usr/local/bin/", None),
    ] {
        assert_eq!(of_scout(&words(command)).map(|words| words.join(" ")).as_deref(), given, "{command}");
    }
}
