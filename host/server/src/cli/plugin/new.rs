//! `scout plugin new`: a project that builds, with a test and a cassette.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use scout_runtime::PluginId;

use super::super::{failed, print, usage};
use super::template::{PYTHON, RUST, Template};
use crate::files;
use crate::plugins::handlers;

/// Package names that a project cannot have: its own dependencies.
const TAKEN: [&str; 2] = ["scout-plugin", "wit-bindgen"];

/// What `scout plugin new` is told.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The plugin's name: a-z, 0-9 and -, beginning with a letter. Its directory is made here
    name: String,
    /// What it is written in
    #[arg(long, value_enum, default_value_t)]
    language: Language,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Language {
    /// The smallest component, compiled at once
    #[default]
    Rust,
    /// Brings an interpreter along: 18 MB
    Python,
}

pub(super) fn run(given: &Arguments) -> ExitCode {
    let name = given.name.as_str();
    let good = PluginId::new(name).is_some() && name.starts_with(|c: char| c.is_ascii_lowercase());
    if !good || name.ends_with('-') || name.contains("--") || TAKEN.contains(&name) {
        return usage(&format!(
            "`{}` cannot be a plugin's name: use 1 to 64 of a-z 0-9 -, beginning with a letter, as in disk-report",
            name.escape_debug()
        ));
    }
    if let Some(handler) = handlers().find(|handler| *handler == name) {
        return usage(&format!(
            "`{handler}` is a handler of Scout, and [plugins.{handler}] is about it: give a plugin with tools another name, as in my-{handler}"
        ));
    }
    let template = match given.language {
        Language::Rust => &RUST,
        Language::Python => &PYTHON,
    };
    if let Err(error) = write(Path::new(name), template) {
        return failed(&format!("{name}: {error}"));
    }
    print(&format!("{name}/ is made. In it:\n  {}\n  scout plugin test {}", template.build, template.component));
    ExitCode::SUCCESS
}

/// Writes a project into a directory that was not there.
fn write(directory: &Path, template: &Template) -> io::Result<()> {
    std::fs::create_dir(directory)?;
    let dir = Dir::open_ambient_dir(directory, ambient_authority())?;
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    for (path, text) in template.project(&name) {
        let path = Path::new(&path);
        dir.create_dir_all(files::directory_of(path))?;
        io::Write::write_all(
            &mut dir.open_with(path, OpenOptions::new().write(true).create_new(true))?,
            text.as_bytes(),
        )?;
    }
    Ok(())
}
