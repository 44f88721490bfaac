#!/usr/bin/env bash
# Whether host/vendor/russh is the published crate with the patches and nothing else. Asks the registry unless Cargo has it.
set -euo pipefail
cd "$(dirname "$0")"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' russh/Cargo.toml | head -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/probe/src"
touch "$work/probe/src/lib.rs"
printf '[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\nrussh = { version = "=%s", default-features = false, features = ["ring"] }\n' \
  "$version" >"$work/probe/Cargo.toml"
metadata=$(cargo metadata --format-version 1 --manifest-path "$work/probe/Cargo.toml")
published=$(dirname "$(grep -o "\"[^\"]*/russh-$version/Cargo.toml\"" <<<"$metadata" | head -1 | tr -d '"')")

cp -r "$published/src" "$work/src"
chmod -R u+w "$work/src"
# In the order in which they were made.
for name in ask-about-every-host-key count-the-bits-of-groups take-texts-as-bytes read-longer-identifications \
  abandon-a-conversation keep-idle-sessions-small; do
  patch --quiet --strip=2 --directory="$work" <"russh-$name.patch"
done
[ "$(ls ./*.patch | wc -l)" = 6 ] || { echo "host/vendor holds a patch that is not applied" >&2; exit 1; }
diff -r "$work/src" russh/src
# Of the manifest parts were left out, and the lints were added.
added=$(diff "$published/Cargo.toml" russh/Cargo.toml | sed -n 's/^> //p' | grep -v '^#\|^$' || true)
[ "$added" = $'[lints.rust]\nwarnings = "allow"' ] || { printf 'host/vendor/russh/Cargo.toml has more than the published one:\n%s\n' "$added" >&2; exit 1; }
[ "$(ls russh | sort | tr '\n' ' ')" = "Cargo.toml src " ] || { echo "host/vendor/russh holds more than Cargo.toml and src" >&2; exit 1; }
echo "host/vendor/russh is russh $version with the patches"
