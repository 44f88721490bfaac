//! What configures Scout is believed only where nobody else can change it, and is never waited for.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use rustix::fs::{CWD, FileType, Mode};
use scout_tests::{Guest, ScoutOptions, with_read_only};

use crate::world::binary;

/// A configuration with a plugin of its own, that nobody else can change.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.at("etc")).unwrap();
        for (name, text) in
            [("ssh_config", ""), ("known_hosts", ""), ("allowed_signers", ""), ("scout.lock", "version = 1\n")]
        {
            std::fs::write(place.at("etc").join(name), text).unwrap();
        }
        std::fs::write(place.at("etc/mine.wasm"), Guest::BringsTools.bytes()).unwrap();
        std::fs::write(place.at("etc/askpass"), "#!/bin/sh\n").unwrap();
        let toml = "ssh_config = \"ssh_config\"\nknown_hosts = \"known_hosts\"\naudit_log = \"../audit.jsonl\"\n\
             allowed_signers = \"allowed_signers\"\nsecret_command = \"askpass\"\n[plugins.mine]\nsource = \"mine.wasm\"\n";
        std::fs::write(place.at("etc/scout.toml"), toml).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn run(&self, options: &ScoutOptions, words: &[&str]) -> (Output, String) {
        let mut command = options.bare_command(self.dir.path());
        command.arg("--config").arg(self.at("etc/scout.toml")).args(words).stdin(Stdio::null());
        let output = command.output().await.unwrap();
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output, said)
    }
}

fn options() -> ScoutOptions {
    ScoutOptions::new(binary(), "", "")
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn what_names_programs_or_policies_is_refused_where_others_can_change_it() {
    let place = Place::new();
    for (name, mode, code) in [
        ("etc/scout.toml", 0o646, 2),
        ("etc/scout.lock", 0o666, 2),
        ("etc/mine.wasm", 0o666, 2),
        ("etc/ssh_config", 0o602, 2),
        // Where one can exchange all of them.
        ("etc", 0o777, 2),
        // Believed by ssh, so that they are only told.
        ("etc/known_hosts", 0o666, 1),
        ("etc/askpass", 0o777, 1),
    ] {
        let before = place.at(name).metadata().unwrap().permissions();
        chmod(&place.at(name), mode);
        let (output, said) = place.run(&options(), &["doctor"]).await;
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        let told = format!("{} (mode {mode:04o}); ", place.at(name).display());
        assert!(said.contains(&told), "{name}: {said}");
        assert!(said.contains(&format!("chmod go-w {}`", place.at(name).display())), "{name}: {said}");
        std::fs::set_permissions(place.at(name), before).unwrap();
    }
    let (_, said) = place.run(&options(), &["doctor"]).await;
    assert!(!said.contains("chmod"), "{said}");
}

#[tokio::test]
async fn links_lead_to_a_configuration_and_a_read_only_mount_may_have_any_mode() {
    let place = Place::new();
    // As a ConfigMap of Kubernetes is mounted: a directory that all may write, and a file system where nobody can.
    std::fs::create_dir(place.at("mounted")).unwrap();
    std::fs::rename(place.at("etc/scout.toml"), place.at("mounted/scout.toml")).unwrap();
    symlink("../mounted/scout.toml", place.at("etc/scout.toml")).unwrap();
    let (_, said) = place.run(&options(), &["policy", "explain", "mine"]).await;
    assert!(!said.contains("cannot be read"), "{said}");
    chmod(&place.at("mounted"), 0o777);
    let (_, said) = place.run(&options(), &["policy", "explain", "mine"]).await;
    assert!(said.contains("mounted (mode 0777); run `chmod go-w "), "{said}");
    let mounted = options().launched_by(&with_read_only(&place.at("mounted")));
    let (_, said) = place.run(&mounted, &["policy", "explain", "mine"]).await;
    assert!(!said.contains("cannot be read"), "{said}");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_reached_is_not_the_default_one() {
    let place = Place::new();
    let usual = place.at("home/.config/scout");
    std::fs::create_dir_all(&usual).unwrap();
    symlink("nowhere", usual.join("scout.toml")).unwrap();
    let mut command = options().bare_command(place.dir.path());
    command.env("HOME", place.at("home")).arg("doctor").stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("scout.toml cannot be read: No such file"), "{said}");
}

#[tokio::test]
async fn a_pipe_in_the_place_of_any_file_is_refused_at_once() {
    for name in ["etc/scout.toml", "etc/scout.lock", "etc/mine.wasm", "etc/ssh_config"] {
        let place = Place::new();
        std::fs::remove_file(place.at(name)).unwrap();
        rustix::fs::mknodat(CWD, place.at(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let (output, said) = place.run(&options(), &["doctor"]).await;
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains("it is a pipe, not a regular file"), "{name}: {said}");
    }
    let place = Place::new();
    let fifo = place.at("fifo.json");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let fifo = fifo.to_str().unwrap();
    let component = place.at("etc/mine.wasm").display().to_string();
    for words in [
        ["plugin", "test", &component, fifo],
        ["plugin", "sign", &component, &format!("--key={fifo}")],
        ["policy", "test", fifo, "--log=warn"],
        ["plugin", "inspect", fifo, "--log=warn"],
    ] {
        let (output, said) = place.run(&options(), &words).await;
        assert!(!output.status.success(), "{words:?}: {said}");
        let told = ["it is a pipe, not a regular file", "not a key file"].iter().any(|told| said.contains(told));
        assert!(told, "{words:?}: {said}");
    }
    std::fs::write(place.at("etc/ssh_config"), format!("Host box\n  IdentityFile {fifo}\n")).unwrap();
    let (_, said) = place.run(&options(), &["doctor"]).await;
    assert!(said.contains("fifo.json: it is a pipe, not a regular file"), "{said}");
}
