//! Builds the plugins that Scout embeds: a nested cargo for the guests, then a component of each.
//!
//! Every variable with which the outer cargo steers its own build is removed: flags and wrappers that are meant for
//! the host would be wrong for a guest, and a different environment would build it anew each time.

use std::error::Error;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wit_component::ComponentEncoder;

/// The plugins; their packages are called `scout-plugin-NAME`.
const PLUGINS: [&str; 4] = ["hosts", "file", "dir", "command"];
const TARGET: &str = "wasm32-unknown-unknown";
/// A component that is larger has taken something in that it does not need.
const MAX_COMPONENT: usize = 100 * 1000;
/// What the outer cargo sets for itself and its build scripts.
const STEERING: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
    "CARGO_TARGET_DIR",
    "RUSTDOCFLAGS",
];

fn main() {
    if let Err(error) = run() {
        // One line that says what to do, not a backtrace of a build script.
        println!("cargo::error={error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed=SCOUT_PLUGINS_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    if let Some(finished) = std::env::var_os("SCOUT_PLUGINS_DIR") {
        return take(Path::new(&finished), &out);
    }
    let plugins = root.join("plugins");
    for name in ["Cargo.toml", "Cargo.lock"] {
        watch(&plugins.join(name))?;
    }
    watch(&root.join("wit"))?;
    for package in PLUGINS.into_iter().chain(["sdk"]) {
        watch(&plugins.join(package).join("Cargo.toml"))?;
        watch(&plugins.join(package).join("src"))?;
    }
    // OUT_DIR is target/PROFILE/build/PACKAGE-HASH/out: one directory for all profiles.
    let target = out.ancestors().nth(4).ok_or("OUT_DIR is not below a target directory")?.join("plugins");
    build(&plugins, &target)?;
    for name in PLUGINS {
        let module = target.join(TARGET).join("release").join(format!("scout_plugin_{name}.wasm"));
        let module = std::fs::read(&module).map_err(|error| format!("{}: {error}", module.display()))?;
        let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
        if component.len() >= MAX_COMPONENT {
            return Err(
                format!("plugin {name} is {} bytes large, {MAX_COMPONENT} is the limit", component.len()).into()
            );
        }
        std::fs::write(out.join(format!("{name}.wasm")), component)?;
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|error| format!("{name}: {error}").into())
}

/// Every file of a source directory by its own name, and the directory for files that come.
fn watch(path: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", path.display());
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            watch(&entry?.path())?;
        }
    }
    Ok(())
}

fn build(plugins: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["build", "--release", "--locked", "--quiet", "--target", TARGET, "--manifest-path"]);
    cargo.arg(plugins.join("Cargo.toml")).arg("--target-dir").arg(target);
    for name in PLUGINS {
        cargo.args(["--package", &format!("scout-plugin-{name}")]);
    }
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let steering = STEERING.contains(&&*text)
            || ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "DEP_"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
            || (text.starts_with("CARGO_TARGET_") && text != "CARGO_TARGET_DIR");
        if steering {
            cargo.env_remove(&name);
        }
    }
    let output = cargo.output().map_err(|error| format!("cargo does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    if told.contains("can't find crate for `core`") || told.contains("can't find crate for `std`") {
        return Err(format!("the target {TARGET} is missing; install it with: rustup target add {TARGET}").into());
    }
    for line in told.lines() {
        println!("cargo::warning={line}");
    }
    Err("the plugins do not build; the warnings above say why".into())
}

/// Takes finished components instead of building them. Links out of the directory are not followed.
fn take(from: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let at = |error: std::io::Error| format!("SCOUT_PLUGINS_DIR={}: {error}", from.display());
    let dir = Dir::open_ambient_dir(from, ambient_authority()).map_err(at)?;
    for name in PLUGINS {
        let file = format!("{name}.wasm");
        println!("cargo::rerun-if-changed={}", from.join(&file).display());
        let mut component = Vec::new();
        dir.open(&file)
            .and_then(|mut opened| opened.read_to_end(&mut component))
            .map_err(|error| format!("SCOUT_PLUGINS_DIR={}: {file}: {error}", from.display()))?;
        std::fs::write(out.join(file), component)?;
    }
    Ok(())
}
