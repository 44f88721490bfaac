//! The plugins of `tests/fixtures`, built on first use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use wit_component::ComponentEncoder;

/// Fixtures without WASI; modules until they are made components here.
const PLAIN: [&str; 2] = ["loops", "eats-memory"];

/// Fixtures that import WASI 0.2; that target's linker makes components.
const WASI: [&str; 1] = ["wasi"];

/// The component of a fixture: a folder of `tests/fixtures`.
///
/// The first call of a process builds all of them, in `target/fixtures`; parallel test binaries wait for each other.
///
/// # Panics
/// When they cannot be built; the message says how to install what is missing.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    static COMPONENTS: OnceLock<PathBuf> = OnceLock::new();
    let path = COMPONENTS.get_or_init(build_all).join(format!("{name}.wasm"));
    assert!(path.is_file(), "there is no fixture `{name}`: tests/fixtures has {PLAIN:?} and {WASI:?}");
    path
}

/// Builds every fixture and gives the folder of their components.
fn build_all() -> PathBuf {
    // TARGET/PROFILE/deps/TEST
    let executable = std::env::current_exe().expect("the path of the running test");
    let target_dir = executable.ancestors().nth(3).expect("a test lies in target/PROFILE/deps").join("fixtures");
    let components = target_dir.join("components");
    fs::create_dir_all(&components).expect("a folder for the fixtures");
    // Held until the end of this function; another process builds after it, and finds everything fresh.
    let lock = File::create(target_dir.join("lock")).expect("a lock file for the fixtures");
    lock.lock().expect("the lock of the fixtures");
    for (names, target) in [(&PLAIN[..], "wasm32-unknown-unknown"), (&WASI[..], "wasm32-wasip2")] {
        cargo_build(&target_dir, target, names);
        for name in names {
            let file = format!("{}.wasm", name.replace('-', "_"));
            let bytes = fs::read(target_dir.join(target).join("release").join(file)).expect("what cargo built");
            let component = if names == PLAIN { componentized(name, &bytes) } else { bytes };
            replace(&components.join(format!("{name}.wasm")), &component);
        }
    }
    components
}

fn componentized(name: &str, module: &[u8]) -> Vec<u8> {
    let encoded = ComponentEncoder::default().module(module).and_then(|encoder| encoder.encode());
    encoded.unwrap_or_else(|error| panic!("the fixture `{name}` makes no component: {error:#}"))
}

/// Writes a file at once: a test of another process may be reading the one before.
fn replace(path: &Path, bytes: &[u8]) {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return;
    }
    let new = path.with_extension("new");
    fs::write(&new, bytes).expect("writing a fixture's component");
    fs::rename(&new, path).expect("moving a fixture's component into place");
}

fn cargo_build(target_dir: &Path, target: &str, names: &[&str]) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "--locked", "--quiet", "--target", target]).arg("--target-dir").arg(target_dir);
    command.arg("--manifest-path").arg(workspace.join("Cargo.toml")).current_dir(&workspace);
    command.args(names.iter().flat_map(|name| ["--package", name]));
    for (name, _) in std::env::vars_os() {
        let steers = name.to_str().is_some_and(|name| {
            ["RUSTC", "RUSTFLAGS", "RUSTDOC", "CARGO_ENCODED_", "CARGO_BUILD_", "CARGO_TARGET_", "CARGO_PROFILE_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        // What is set for the native build is nothing for a plugin.
        if steers {
            command.env_remove(name);
        }
    }
    let output = command.output().expect("running cargo for the fixtures");
    assert!(
        output.status.success(),
        "the fixtures cannot be built; if the target is missing: rustup target add {target}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(test)]
mod tests {
    use super::{PLAIN, WASI, fixture};

    #[test]
    fn every_fixture_is_a_component() {
        for name in PLAIN.into_iter().chain(WASI) {
            let bytes = std::fs::read(fixture(name)).expect("its component");
            assert!(bytes.starts_with(b"\0asm\x0d\0\x01\0"), "{name} is no component");
        }
    }
}
