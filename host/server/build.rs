//! Builds the bundled plugins and leaves them as components in `OUT_DIR`, where `plugins/bundled.rs` embeds them, each with its SHA-256:
//! no start has to read them for it.
//!
//! The plugins are a workspace of their own, built by a cargo of its own for WebAssembly: nothing that is set for the
//! native build reaches it, and all native profiles (build, test, clippy, doc) share one target directory for it.
//! `SCOUT_PLUGINS_DIR` (an absolute path) brings finished components instead: `hosts.wasm`, `file.wasm` and so on.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use sha2::{Digest as _, Sha256};
use wit_component::ComponentEncoder;

macro_rules! bundled {
    ($($name:ident: $subject:tt, $interfaces:tt;)*) => {
        /// The bundled plugins: folders of `plugins/`.
        const PLUGINS: &[&str] = &[$(stringify!($name)),*];
    };
}

include!("../../plugins/bundled.rs");

const TARGET: &str = "wasm32-unknown-unknown";

/// A bundled plugin is smaller than this, in bytes: it is compiled at the first start, while a client waits.
const MAX_COMPONENT: usize = 190_000;

/// How a component begins: magic, then version 13 of layer 1. A core module is of layer 0.
const COMPONENT_PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

fn main() {
    if let Err(why) = components() {
        // One line: cargo shows no more of it.
        println!("cargo::error={}", why.replace('\n', " "));
    }
}

fn components() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../plugins/bundled.rs");
    println!("cargo::rerun-if-env-changed=SCOUT_PLUGINS_DIR");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: cargo runs this script")?);
    let components = match std::env::var_os("SCOUT_PLUGINS_DIR") {
        Some(dir) => finished(Path::new(&dir))?,
        None => built(&out)?,
    };
    for (name, component) in components {
        if component.len() >= MAX_COMPONENT {
            let size = component.len();
            return Err(format!(
                "the plugin `{name}` has {size} bytes as a component; it must stay below {MAX_COMPONENT}"
            ));
        }
        let digest: [u8; 32] = Sha256::digest(&component).into();
        write(&out.join(format!("{name}.wasm")), &component)?;
        write(&out.join(format!("{name}.sha256")), &digest)?;
    }
    Ok(())
}

/// Writes a file. One that holds this already is left alone: a newer one would have the whole crate compiled again.
fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The components that somebody else built.
fn finished(path: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, String> {
    let dir = Dir::open_ambient_dir(path, ambient_authority())
        .map_err(|error| format!("SCOUT_PLUGINS_DIR={}: {error}", path.display()))?;
    let read = |name: &'static str| {
        let file = format!("{name}.wasm");
        let shown = path.join(&file);
        println!("cargo::rerun-if-changed={}", shown.display());
        let bytes =
            dir.read(&file).map_err(|error| format!("{} (from SCOUT_PLUGINS_DIR): {error}", shown.display()))?;
        if bytes.starts_with(COMPONENT_PREAMBLE) {
            Ok((name, bytes))
        } else {
            Err(format!("{} (from SCOUT_PLUGINS_DIR) is not a WebAssembly component", shown.display()))
        }
    };
    PLUGINS.iter().copied().map(read).collect()
}

/// The components, built here.
fn built(out: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, String> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set: cargo runs this script")?;
    let root = Path::new(&root).join("../..");
    let root = root.canonicalize().map_err(|error| format!("cannot find {}: {error}", root.display()))?;
    let workspace = root.join("plugins");
    watch(&root, &workspace);
    // TARGET/PROFILE/build/PACKAGE/out: beside the profiles, so that they share it.
    let target_dir = out.ancestors().nth(4).unwrap_or(out).join("plugins");
    cargo_build(&workspace, &target_dir)?;
    let encode = |name: &'static str| {
        let module = target_dir.join(TARGET).join("release").join(format!("scout_plugin_{name}.wasm"));
        let bytes = fs::read(&module).map_err(|error| format!("cannot read {}: {error}", module.display()))?;
        let component = ComponentEncoder::default()
            .validate(true)
            .module(&bytes)
            .and_then(|encoder| encoder.encode())
            .map_err(|error| format!("the plugin `{name}` does not become a component: {error:#}"))?;
        Ok((name, component))
    };
    PLUGINS.iter().copied().map(encode).collect()
}

/// Names what the plugins are made of. Never a folder that may hold a `target/`: it would change with each build.
fn watch(root: &Path, workspace: &Path) {
    let mut paths = vec![root.join("wit"), workspace.join("Cargo.toml"), workspace.join("Cargo.lock")];
    for package in PLUGINS.iter().copied().chain(["sdk"]) {
        paths.extend([workspace.join(package).join("Cargo.toml"), workspace.join(package).join("src")]);
    }
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

fn cargo_build(workspace: &Path, target_dir: &Path) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--locked", "--target", TARGET]);
    command.arg("--manifest-path").arg(workspace.join("Cargo.toml"));
    command.arg("--target-dir").arg(target_dir);
    command.current_dir(workspace);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_the_native_build(name)) {
        command.env_remove(name);
    }
    let output = command.output().map_err(|error| format!("cannot run cargo for the plugins: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    if !target_is_installed() {
        return Err(format!(
            "the plugins are built for {TARGET}, which is not installed; install it: rustup target add {TARGET}"
        ));
    }
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Err(format!("building the plugins failed ({}); what their cargo said is below", output.status))
}

/// Whether a variable steers the native build: flags and wrappers (clippy is one), directories, profiles. The
/// jobserver's variable is kept: both builds together use as many jobs as were asked for.
fn is_of_the_native_build(name: &OsStr) -> bool {
    const NAMES: [&str; 11] = [
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_LINKER",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_ENCODED_RUSTDOCFLAGS",
        "CLIPPY_ARGS",
        "TARGET",
    ];
    const PREFIXES: [&str; 5] = ["CARGO_BUILD_", "CARGO_TARGET_", "CARGO_PROFILE_", "CARGO_CFG_", "CARGO_UNSTABLE_"];
    let Some(name) = name.to_str() else { return false };
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the toolchain has a standard library for the target. Unknown counts as yes: cargo's own words say more.
fn target_is_installed() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    match Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output() {
        Ok(output) if output.status.success() => Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists(),
        Ok(_) | Err(_) => true,
    }
}
