#!/usr/bin/env bash
# Unpacks the OpenSSH and the fish of a newer Debian for the tests. Usage: tests/newer_debian.sh [SUITE]
#
# They run them beside the machine's own, with the machine's accounts and files: its programs are told
# to take their libraries from the tree, and nothing is installed. They come from where this machine has its own
# packages from; SCOUT_DEBIAN_MIRROR names another archive of Debian. Made only when it is missing; remove the
# directory to have it made anew.
set -euo pipefail
umask 022
suite=${1:-trixie}
root=$(cd "$(dirname "$0")" && pwd)/.debian
tree=$root/$suite
if [ -e "$tree/bin/sshd" ] && [ -e "$tree/usr/bin/fish" ]; then exit; fi

fail() { printf 'tests/newer_debian.sh: %s\n' "$*" >&2; exit 1; }
for program in apt-get dpkg-deb patchelf; do
  command -v "$program" >/dev/null || fail "$program is missing: sudo apt-get install apt dpkg patchelf"
done
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || fail "$keys is missing: sudo apt-get install debian-archive-keyring"

mirror=${SCOUT_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(SITE)' 'Created-By: Packages' |
  sed -n 's/^Debian Debian //p' | head -n 1)}
[ -n "$mirror" ] || fail "no archive of Debian is among this machine's sources: run apt-get update, or set SCOUT_DEBIAN_MIRROR"

mkdir -p "$root"
work=$(mktemp -d "$root/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial "$work"/{parts,tree,bin}
echo "deb [signed-by=$keys] $mirror $suite main" >"$work/sources.list"
: >"$work/status"
# A list of packages of its own, in which nothing is installed: what comes is all that the programs need.
apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/parts" \
    -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" \
    -o Dir::State::extended_states="$work/extended" -o Dir::Cache="$work" \
    -o Dir::Cache::archives="$work/archives" -o Acquire::Languages=none \
    -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@"
}
apt update
apt -y --no-install-recommends --download-only install openssh-client openssh-server openssh-sftp-server fish >/dev/null
for package in "$work"/archives/*.deb; do
  case ${package##*/} in
    # Nothing of theirs is loaded.
    fish-common_*) dpkg-deb --extract "$package" "$work/tree" ;;
    systemd_* | perl* | python* | libpython* | man-db_* | groff* | procps_* | passwd_* | mount_* | openssl-provider* | *_all.deb) ;;
    *) dpkg-deb --extract "$package" "$work/tree" ;;
  esac
done

interpreter=$(cd "$work/tree" && find usr/lib -name 'ld-linux*.so.*' | head -n 1)
libraries=$(dirname "$(cd "$work/tree" && find usr/lib -name libcrypto.so.3)")
[ -n "$interpreter" ] && [ -n "$libraries" ] || fail "$suite has no loader or no libcrypto where they are looked for"
for program in usr/bin/{ssh,ssh-add,ssh-agent,ssh-keygen,ssh-keyscan,sftp,scp} usr/sbin/sshd \
  usr/lib/openssh/{sftp-server,sshd-session,sshd-auth}; do
  patchelf --set-interpreter "$tree/$interpreter" --force-rpath --set-rpath "$tree/$libraries" \
    --output "$work/bin/${program##*/}" "$work/tree/$program"
done
# It looks for its functions beside where it is, if its configuration is there too.
patchelf --set-interpreter "$tree/$interpreter" --force-rpath --set-rpath "$tree/$libraries" "$work/tree/usr/bin/fish"
ln -s ../etc "$work/tree/usr/etc"
# sshd starts the other two, and looks for them where they are not.
mv "$work/bin/sshd" "$work/bin/sshd.real"
cat >"$work/bin/sshd" <<END
#!/bin/sh
exec "$tree/bin/sshd.real" -o "SshdSessionPath=$tree/bin/sshd-session" -o "SshdAuthPath=$tree/bin/sshd-auth" "\$@"
END
chmod 755 "$work/bin/sshd"
mv "$work/bin" "$work/tree/bin.new"
rm -rf "$tree"
mv "$work/tree" "$tree"
mv "$tree/bin.new" "$tree/bin"
"$tree/bin/ssh" -V
"$tree/usr/bin/fish" --version
