#!/usr/bin/env bash
# Installs what the tests need, then runs them all. Usage: tests/ci.sh
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }
fail() { printf 'tests/ci.sh: %s\n' "$*" >&2; exit 1; }

# name of the program, Debian package that brings it
need() {
  if command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/usr/lib/openssh/$1" ]; then return; fi
  missing_packages+=("$2")
}

step "what the tests need"
command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.95 or newer with rustup"
installed=$(rustup target list --installed)
for target in wasm32-unknown-unknown wasm32-wasip2; do
  grep -qx "$target" <<<"$installed" || rustup target add "$target"
done
missing_packages=()
need sshd openssh-server
need sftp-server openssh-sftp-server
need ssh openssh-client
if [ "${#missing_packages[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing_packages[@]}" >/dev/null
  else
    fail "missing: ${missing_packages[*]}. Install them: sudo apt-get install ${missing_packages[*]}"
  fi
fi
command -v python3 >/dev/null || fail "python3 (3.10 or newer) is missing. Install it: sudo apt-get install python3 python3-venv"

step "format"
cargo fmt --all --check
for workspace in plugins tests/fixtures; do
  [ ! -f "$workspace/Cargo.toml" ] || (cd "$workspace" && cargo fmt --all --check)
done

step "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

step "tests"
cargo test --workspace --locked

if [ -f plugins/Cargo.toml ]; then
  step "plugins, natively"
  (cd plugins && cargo test --workspace --locked)
fi
