#!/usr/bin/env bash
# Installs what a layer of the tests needs, then runs it, and tells how long each step took.
# Usage: tests/ci.sh [LAYER]
#
#   unit         format, what is carried of others, clippy, documentation, the plugins natively, unit tests, doctests
#   engine       the integration tests of scout-ssh: sshd, servers of others, login shells, comparisons with ssh
#   policy       the command policy: its unit tests, the sweep of its table under strace, its corpora
#   integration  all other integration tests: the server and its clients, memory, short runs of the fuzz targets; the demo
#   all          all of it, which is what runs without an argument
set -euo pipefail
# What others may write is refused as a configuration, and the tests write many.
umask 022
cd "$(dirname "$0")/.."

fail() { printf 'tests/ci.sh: %s\n' "$*" >&2; exit 1; }

layers=(unit engine policy integration all)
# Each target of `cargo test` that is neither a library nor a program stands in one of these: `tests/src/repository.rs` holds
# them against the manifests.
engine_tests=(config_differential descriptors engine servers sshsig_differential trust_differential)
policy_tests=(policy)
integration_tests=(integration memory fuzz)

[ $# -le 1 ] || fail "one layer at most: ${layers[*]}"
layer=${1-all}
# Whether the first of the words is among the others.
is_among() { local word=$1 other; shift; for other; do [ "$word" != "$other" ] || return 0; done; return 1; }
is_among "$layer" "${layers[@]}" || fail "no layer is called \`$layer\`; there are: ${layers[*]}"
# Whether the layer that runs is one of these, or all.
in_layer() { is_among "$layer" all "$@"; }

steps=()
ends_step() { [ -z "${step_name-}" ] || steps+=("$(printf '%6d s  %s' $((SECONDS - step_began)) "$step_name")"); step_name=; }
step() { ends_step; step_name=$* step_began=$SECONDS; printf '\n== %s\n' "$*"; }
tells_times() {
  local status=$? last=${step_name-}
  ends_step
  [ "${#steps[@]}" = 0 ] || printf '\n== how long each step took (layer %s, %d s)\n' "$layer" "$SECONDS"
  [ "${#steps[@]}" = 0 ] || printf '%s\n' "${steps[@]}"
  [ "$status" = 0 ] || printf 'tests/ci.sh: failed%s\n' "${last:+ in the step: $last}" >&2
}
trap tells_times EXIT

# name of the program, Debian package that brings it
need() {
  if command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/usr/lib/openssh/$1" ]; then return; fi
  missing_packages+=("$2")
}

step "what the tests need"
command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.95 or newer with rustup"
if in_layer unit policy integration; then
  installed=$(rustup target list --installed)
  for target in wasm32-unknown-unknown wasm32-wasip2; do
    grep -qx "$target" <<<"$installed" || rustup target add "$target"
  done
fi
missing_packages=()
if in_layer unit engine integration; then
  need sshd openssh-server
  need sftp-server openssh-sftp-server
  need ssh openssh-client; need ssh-keygen openssh-client; need ssh-agent openssh-client
  need openssl openssl
fi
in_layer unit && need patch patch
# Checks the lines of sudoers that Scout prints.
in_layer unit policy && need visudo sudo
# Makes programs that are only unpacked run here.
in_layer engine policy && need patchelf patchelf
if in_layer engine integration; then
  # Mount namespaces, in which tests put files of their own in the place of the machine's.
  need unshare util-linux; need mount mount
  need python3 python3
  # The official TypeScript clients, ssh2 and jco come by it.
  need npm npm; need npx npm
fi
# A terminal for `scout trust`.
in_layer integration && need script bsdutils
# Shells that a host may have as `/bin/sh`.
if in_layer unit engine policy; then for shell in bash dash busybox; do need "$shell" "$shell"; done; fi
if in_layer engine; then
  # Login shells that the exec literal is tested with.
  for shell in zsh fish tcsh mksh yash posh elvish sash; do need "$shell" "$shell"; done
  need ksh93 ksh93u+m
  # Servers of others that are tried, with what node brings of them.
  need dropbear dropbear-bin; need tinysshd tinysshd; need proftpd proftpd-core; need node nodejs
  [ -e /usr/libexec/gesftpserver ] || missing_packages+=(gesftpserver)
  [ -e /usr/lib/proftpd/mod_sftp.so ] || missing_packages+=(proftpd-mod-crypto)
fi
# Programs that the command policy is tried against, or that ask for what was tried.
in_layer engine integration && need ps procps
in_layer integration && { need journalctl systemd; need awk mawk; need node nodejs; }
if in_layer policy; then
  need tree tree; need rg ripgrep; need file file; need ss iproute2; need ps procps; need journalctl systemd; need hostname hostname
  need netstat net-tools; need lsblk util-linux; need last util-linux; need hexdump bsdextrautils; need column bsdextrautils
  need lsof lsof; need ethtool ethtool; need jq jq; need pstree psmisc; need zstd zstd; need xz xz-utils; need bzip2 bzip2; need lsattr e2fsprogs
  need iostat sysstat; need sensors lm-sensors; need lsusb usbutils; need lvs lvm2; need smartctl smartmontools; need crontab cron; need btrfs btrfs-progs
  need getenforce selinux-utils; need rpm rpm; need pacman pacman-package-manager; need lastlog login; need java default-jre-headless
  need pg_isready postgresql-client; need sysctl procps
  need awk mawk; need getent libc-bin; need diff diffutils; need dpkg dpkg
  # What they ask of OpenSSL.
  need openssl openssl
  # Tells what they do to the machine.
  need strace strace
fi
if in_layer integration; then
  # Journals with entries that the tests write, and a language besides English.
  [ -x /lib/systemd/systemd-journal-remote ] || missing_packages+=(systemd-journal-remote)
  need localedef libc-bin; [ -f /usr/share/i18n/locales/de_DE ] || missing_packages+=(locales)
  [ -f /usr/share/locale/de/LC_MESSAGES/libc.mo ] || missing_packages+=(libc-l10n)
fi
# Debian has `venv` in a package of its own; without it there is no ensurepip.
in_layer engine integration && { python3 -c 'import ensurepip, venv' 2>/dev/null || missing_packages+=(python3-venv); }
if [ "${#missing_packages[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    # The tests start servers of their own: none is to start because it is installed.
    (
      if [ ! -e /usr/sbin/policy-rc.d ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
      fi
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing_packages[@]}" >/dev/null
    )
  else
    fail "missing: ${missing_packages[*]}. Install them: sudo apt-get install ${missing_packages[*]}"
  fi
fi

# The shell of a busybox like Debian's busybox-static takes its own applets before what stands in PATH, and so before what the tests
# put there. They take the other one, which is not installed for it.
if in_layer unit engine policy && (PATH=/nowhere "$(command -v busybox)" sh -c 'ls /' >/dev/null 2>&1); then
  plain=tests/.busybox
  if [ ! -x "$plain/busybox" ]; then
    work=$(mktemp -d)
    (cd "$work" && apt-get download -qq -o APT::Sandbox::User="$(id -un)" busybox && dpkg-deb --extract busybox_*.deb .)
    mkdir -p "$plain"
    find "$work" -path '*bin/busybox' -type f -exec cp {} "$plain/busybox" \;
    rm -rf "$work"
    [ -x "$plain/busybox" ] || fail "no busybox whose shell looks into PATH first: install Debian's package busybox"
  fi
  export PATH="$PWD/$plain:$PATH"
fi

# Tests that compare with OpenSSH run once more with the one of a newer Debian. Made when it is missing.
if in_layer engine; then tests/newer_debian.sh; fi

# Programs of the policy's table whose packages would replace a service of the machine. Made when one is missing.
if in_layer policy; then tests/programs.sh; fi

# The official MCP client, what builds Python plugins and servers in Python, in an environment of its own: made when it is missing or
# when what it holds has changed.
venv=tests/.venv
requirements=tests/python/requirements.txt
if in_layer engine integration && ! cmp -s "$requirements" "$venv/requirements.txt"; then
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || fail "python3 is too old: the MCP client needs 3.10 or newer"
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
  cp "$requirements" "$venv/requirements.txt"
fi

# The official TypeScript clients and what makes components of JavaScript, as locked; a Node of its own where the machine's is older.
node_modules=tests/node/node_modules
if in_layer integration && ! cmp -s tests/node/package-lock.json "$node_modules/.installed"; then
  npm ci --prefix tests/node --no-audit --no-fund --loglevel=error
  cp tests/node/package-lock.json "$node_modules/.installed"
fi

# An issuer of access tokens, with a Node that is new enough for it.
issuer=tests/issuer
if in_layer integration && ! cmp -s "$issuer/package-lock.json" "$issuer/node_modules/.installed"; then
  npm ci --prefix "$issuer" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp "$issuer/package-lock.json" "$issuer/node_modules/.installed"
fi

# npm's ssh2 as a server, and nushell as a login shell.
servers=tests/servers
if in_layer engine && ! cmp -s "$servers/package-lock.json" "$servers/node_modules/package-lock.json"; then
  npm ci --prefix "$servers" --omit=optional --ignore-scripts --no-audit --no-fund --silent
  cp "$servers/package-lock.json" "$servers/node_modules/package-lock.json"
fi

if in_layer unit; then
  step "format"
  cargo fmt --all --check
  for workspace in plugins tests/fixtures tests/fuzz; do
    [ ! -f "$workspace/Cargo.toml" ] || (cd "$workspace" && cargo fmt --all --check)
  done

  step "lock files"
  # Those of the root and of what is built in other steps are asked for there.
  (cd tests/fuzz && cargo tree --locked >/dev/null) || fail "tests/fuzz/Cargo.lock is stale: run cargo update --workspace in tests/fuzz"

  step "what is carried of others"
  host/vendor/check.sh

  step "clippy"
  cargo clippy --workspace --all-targets --locked -- -D warnings

  step "docs"
  RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

  if [ -f plugins/Cargo.toml ]; then
    step "plugins, natively"
    (cd plugins && cargo clippy --workspace --all-targets --locked -- -D warnings && cargo test --workspace --locked)
  fi
fi

# The whole workspace always, so that all layers share what is compiled of other crates. Tests of the chosen targets only.
tests_of() { cargo test --workspace --locked --no-fail-fast "${@/#/--test=}"; }
case $layer in
  # Among them: a short run of each fuzz target, and the crates of all lock files against the list of advisories in
  # tests/advisories.toml, which warns here when it is old.
  all) step "tests"; cargo test --workspace --locked --no-fail-fast ;;
  unit)
    step "unit tests"
    # The sweep runs some thousand commands under strace: it belongs to the policy.
    cargo test --workspace --lib --bins --examples --locked --no-fail-fast -- --skip policy::sweep::
    step "doctests"
    cargo test --workspace --doc --locked --no-fail-fast
    ;;
  engine) step "tests of the engine"; tests_of "${engine_tests[@]}" ;;
  policy)
    step "unit tests and sweep of the policy"
    cargo test --workspace --lib --locked --no-fail-fast -- policy::
    step "corpora of the policy"; tests_of "${policy_tests[@]}"
    ;;
  integration) step "integration tests"; tests_of "${integration_tests[@]}" ;;
esac

if in_layer integration; then
  # The tests have built it.
  step "the demo"
  "${CARGO_TARGET_DIR:-target}/debug/scout" demo
fi
