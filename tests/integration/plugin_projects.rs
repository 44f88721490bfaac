//! What `scout plugin new` makes, and the guide for authors: built, called and tested as a new user does it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use scout_tests::{Sshd, generate_key};
use tokio::process::Command;

use crate::world::binary;

/// The most commands of the guide.
const MAX_COMMANDS: usize = 8;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A new user's home, with a key and a host `web1`.
struct Home {
    dir: tempfile::TempDir,
    _sshd: Sshd,
}

impl Home {
    fn new() -> Self {
        let (dir, sshd) = (tempfile::tempdir().unwrap(), Sshd::start());
        let ssh = dir.path().join(".ssh");
        std::fs::create_dir(&ssh).unwrap();
        generate_key(&ssh, "id_ed25519");
        let known_hosts = ssh.join("known_hosts");
        std::fs::write(&known_hosts, sshd.known_hosts_line(sshd.address())).unwrap();
        let block = sshd.config_block("web1", sshd.address());
        std::fs::write(ssh.join("config"), format!("{block}  UserKnownHostsFile {}\n", known_hosts.display())).unwrap();
        Self { dir, _sshd: sshd }
    }

    /// A shell in which `scout` is the one under test.
    async fn sh(&self, script: &str) -> String {
        let home = std::env::var("HOME").unwrap();
        let tools = |variable: &str, default: &str| std::env::var(variable).unwrap_or(format!("{home}/{default}"));
        let path = format!("{}:{}", binary().parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.arg("-euc").arg(script).current_dir(self.dir.path()).stdin(Stdio::null()).kill_on_drop(true);
        // What steers the build of this test, or this account's Scout, is nothing for theirs.
        for (name, _) in std::env::vars_os().filter(|(name, _)| steers(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.env("HOME", self.dir.path()).env("PATH", path);
        command.env("CARGO_HOME", tools("CARGO_HOME", ".cargo")).env("RUSTUP_HOME", tools("RUSTUP_HOME", ".rustup"));
        // What is the same for every project is built once, and compiled plugins are kept.
        command.env("CARGO_BUILD_BUILD_DIR", binary().with_file_name("scout-test-projects"));
        command.env("XDG_CACHE_HOME", binary().with_file_name("scout-test-cache"));
        let output = command.output().await.unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}\n{said}");
        said
    }
}

fn steers(name: &str) -> bool {
    const PREFIXES: [&str; 9] = [
        "SCOUT_",
        "SSH_",
        "XDG_",
        "RUSTUP_TOOLCHAIN",
        "RUSTC",
        "RUSTFLAGS",
        "CARGO_ENCODED_",
        "CARGO_BUILD_",
        "CARGO_TARGET_",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The commands of the guide: the lines of its `sh` blocks.
fn commands() -> Vec<String> {
    let guide = std::fs::read_to_string(repository().join("docs/plugins.md")).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_guide_leads_from_nothing_to_a_signed_and_vetted_tool_that_answers() {
    let commands = commands();
    assert!((1..=MAX_COMMANDS).contains(&commands.len()), "{commands:#?}");
    let home = Home::new();
    let said = home.sh(&commands.join("\n")).await;
    assert!(said.contains("1 passed, 0 failed"), "{said}");
    let project = home.dir.path().join("os-report");
    let recorded = std::fs::read_to_string(project.join("cassettes/web1.json")).unwrap();
    assert!(recorded.contains("\"open\": \"/etc/os-release\""), "{recorded}");
    let component = std::fs::metadata(project.join("target/wasm32-wasip2/release/plugin.wasm")).unwrap().len();
    assert!(component < 150_000, "{component}");
    let lock = std::fs::read_to_string(project.join("scout.lock")).unwrap();
    assert!(lock.contains("signer = \"me@example.org\""), "{lock}");
    let again =
        "cd os-report && scout --config scout.toml plugin run os-report os_release '{\"host\": \"web1\"}' --json";
    let answer = home.sh(again).await;
    assert!(answer.contains("\"name\": "), "{answer}");
    // The new cassette is a test as well, and so are the project's own.
    let said =
        home.sh("cd os-report && scout plugin test target/wasm32-wasip2/release/plugin.wasm && cargo test").await;
    assert!(said.contains("2 passed, 0 failed") && said.contains("test result: ok. 1 passed"), "{said}");
}

#[tokio::test]
async fn a_python_project_builds_and_answers_within_the_same_bounds() {
    let environment = repository().join("tests/.venv");
    let requirement = std::fs::read_to_string(repository().join("plugins/templates/python/requirements.txt")).unwrap();
    let installed = std::fs::read_to_string(environment.join("requirements.txt"));
    assert!(
        installed.as_ref().is_ok_and(|installed| installed.contains(requirement.trim())),
        "{} is missing in {}: tests/ci.sh installs it",
        requirement.trim(),
        environment.display()
    );
    let home = Home::new();
    // A name that is a word of WIT.
    let said = home.sh("scout plugin new list --language python").await;
    assert!(said.contains("sh build.sh"), "{said}");
    let script = format!(
        "cd list\nVENV={} sh build.sh\npython3 -m unittest\nscout plugin test plugin.wasm\n\
         scout --config scout.toml plugin run list os_release '{{\"host\": \"web1\"}}' --record cassettes/web1.json\n\
         scout plugin test plugin.wasm",
        environment.display()
    );
    let said = home.sh(&script).await;
    assert!(said.contains("1 passed, 0 failed") && said.contains("2 passed, 0 failed"), "{said}");
}

/// What the guide has for a language: its code, and the commands that make a component of it.
fn of_language(language: &str) -> (String, Vec<String>) {
    let guide = std::fs::read_to_string(repository().join("docs/plugins.md")).unwrap();
    let (_, rest) = guide.split_once(&format!("```{language}\n")).unwrap();
    let (code, rest) = rest.split_once("```\n").unwrap();
    let (_, rest) = rest.split_once("```shell\n").unwrap();
    let commands = rest.split("```").next().unwrap().lines();
    // `tests/ci.sh` has installed what they install.
    let installed = std::fs::read_to_string(repository().join("tests/.venv/requirements.txt")).unwrap()
        + &std::fs::read_to_string(repository().join("tests/node/package.json")).unwrap().replace("\": \"", "@");
    let is_done = |command: &str| match command.split_once(" install ") {
        Some((_, what)) => {
            assert!(installed.contains(what), "{what} is another version in tests/");
            true
        }
        None => false,
    };
    (code.to_owned(), commands.filter(|command| !is_done(command)).map(str::to_owned).collect())
}

/// Makes a project of this name with the code of a language, and builds it as the guide says.
async fn build(home: &Home, name: &str, file: &str, language: &str) {
    let (modules, node) = crate::typescript::node();
    let (code, commands) = of_language(language);
    home.sh(&format!("scout plugin new {name} --language python && ln -s {}/node_modules {name}/", modules.display()))
        .await;
    std::fs::write(home.dir.path().join(name).join(file), code).unwrap();
    let path =
        [node.parent().unwrap().to_owned(), repository().join("tests/.venv/bin")].map(|p| p.display().to_string());
    let within = format!("export PATH={}:$PATH\ncd {name}\n", path.join(":"));
    home.sh(&format!("{within}{}", commands.join("\n"))).await;
}

#[tokio::test]
async fn a_javascript_plugin_of_the_guide_builds_and_answers() {
    let home = Home::new();
    build(&home, "js", "app.js", "js").await;
    let answer = home
        .sh("cd js && scout --config scout.toml plugin run js os_release '{\"host\": \"web1\"}' --record new/a.json")
        .await;
    assert!(!answer.trim().is_empty() && home.dir.path().join("js/new/a.json").exists(), "{answer}");
    let (_, node) = crate::typescript::node();
    let whole = format!(
        "export PATH={}:$PATH\ncd js\nnpx jco componentize app.js --wit wit --world-name plugin -o whole.wasm\n\
         scout plugin inspect ./whole.wasm || echo refused",
        node.parent().unwrap().display()
    );
    let said = home.sh(&whole).await;
    for part in ["`wasi:http/types@0.2.", "`wasi:http/outgoing-handler@0.2.", "-d http -d fetch-event", "refused"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_c_plugin_of_the_guide_builds_and_answers() {
    let home = Home::new();
    build(&home, "in-c", "plugin.c", "c").await;
    let said = home.sh("cd in-c && scout plugin inspect ./plugin.wasm").await;
    assert!(said.contains("tool `first_lines` (read)") && said.contains("5529 bytes"), "{said}");
    let run = |path: &str| {
        format!(
            "cd in-c && scout --config scout.toml plugin run in-c first_lines '{{\"host\": \"web1\", \"path\": \"{path}\"}}'"
        )
    };
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap();
    assert!(home.sh(&run("/etc/hosts")).await.contains(hosts.lines().next().unwrap()));
    let missing = home.sh(&format!("{} || echo failed", run("/no/such/file"))).await;
    assert!(missing.contains("/no/such/file") && missing.contains("failed"), "{missing}");
}

#[tokio::test]
async fn a_handler_of_the_guide_takes_the_place_of_the_built_in_one() {
    let home = Home::new();
    home.sh("scout plugin new names && mkdir -p handlers shown/a && touch shown/b").await;
    let guide = std::fs::read_to_string(repository().join("docs/plugins.md")).unwrap();
    let (_, rest) = guide.split_once("```rust\n").unwrap();
    std::fs::write(home.dir.path().join("names/src/lib.rs"), rest.split("```").next().unwrap()).unwrap();
    let build = "cd names && cargo build --release --target wasm32-wasip2 && \
                 cp target/wasm32-wasip2/release/plugin.wasm ../handlers/dir.wasm";
    home.sh(build).await;
    let place = home.dir.path().join("shown");
    let answer = home.sh(&format!("scout --plugins-dir handlers call web1:{}", place.display())).await;
    // In the order of the file system, as its server tells them.
    let mut names: Vec<_> = answer.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn a_resource_of_the_guide_is_listed_and_read() {
    let home = Home::new();
    home.sh("scout plugin new release").await;
    let guide = std::fs::read_to_string(repository().join("docs/plugins.md")).unwrap();
    let (_, rest) = guide.split_once("```rust resources\n").unwrap();
    std::fs::write(home.dir.path().join("release/src/lib.rs"), rest.split("```").next().unwrap()).unwrap();
    home.sh("cd release && cargo build --release --target wasm32-wasip2").await;
    let released = std::fs::read_to_string("/etc/os-release").unwrap();
    let read = home.sh("cd release && scout --config scout.toml read release://web1").await;
    assert_eq!(read.trim_end(), released.trim_end());
}

#[tokio::test]
async fn a_project_is_not_written_over_what_is_there() {
    let home = Home::new();
    let said = home.sh("scout plugin new mine\nscout plugin new mine --language python || echo refused").await;
    assert!(said.contains("refused") && said.contains("mine: File exists"), "{said}");
}

#[tokio::test]
async fn a_project_has_no_name_that_is_a_handlers() {
    let home = Home::new();
    for name in ["hosts", "file", "dir", "command"] {
        let said = home.sh(&format!("scout plugin new {name} || echo refused")).await;
        assert!(said.contains("refused") && said.contains(&format!("as in my-{name}")), "{said}");
        assert!(!home.dir.path().join(name).exists());
    }
}
