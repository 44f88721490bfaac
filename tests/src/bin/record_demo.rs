//! Records `scout demo` as the picture that README shows.
//!
//! `cargo run --release -- demo` first, then `cargo run -p scout-tests --bin record_demo`: it runs `target/release/scout`, or the
//! program that its argument names. A test (`the_demo_shows_what_its_recording_shows`) fails when the demo prints something else.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use scout_tests::recording::{PICTURE, picture, recorded};

fn main() -> ExitCode {
    match record() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("record_demo: {why}");
            ExitCode::FAILURE
        }
    }
}

fn record() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = std::env::args_os().nth(1).map_or_else(|| root.join("target/release/scout"), PathBuf::from);
    let output = Command::new(&program).arg("demo").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("{} demo: {}", program.display(), output.status));
    }
    let lines = recorded(&String::from_utf8_lossy(&output.stdout));
    std::fs::write(root.join(PICTURE), picture(&lines)).map_err(|error| format!("{PICTURE}: {error}"))
}
