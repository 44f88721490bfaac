#!/usr/bin/env bash
# ssh-key 0.7.0-rc.11 (and russh 0.65.1, which has it): of the P-256 keys that `ssh-keygen -t ecdsa` makes, one in 512 is not read from OpenSSH's own form of a private key: "length invalid".
# Surprising: such a key is whole, `ssh` logs in with it, and the same key is read in PEM (SEC1 and PKCS #8). In OpenSSH's form the private number is an mpint, which begins with no
# zeros (RFC 4251, section 5), so it has 31 bytes or fewer where its first nine bits are zero. The crate fills shorter numbers up with zeros for P-384 and P-521, where it takes from 32 bytes on;
# 32 is all that P-256 has. A test that makes a fresh key each time fails once in some hundred runs; whoever got such a key cannot log in.
#
# Needs Rust 1.85 or newer, openssl 3 and OpenSSH's ssh-keygen. Makes two keys of fixed numbers, of 32 and of 31 bytes, on each curve that both have.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

mkdir src
cat >Cargo.toml <<'END'
[package]
name = "short"
version = "0.1.0"
edition = "2024"

[dependencies]
ssh-key = { version = "=0.7.0-rc.11", features = ["p256", "p384"] }

[workspace]
END
cat >src/main.rs <<'END'
fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).expect("a file");
        match ssh_key::PrivateKey::from_openssh(&text) {
            Ok(key) => println!("{path}: read, {}", key.algorithm()),
            Err(error) => println!("{path}: {error}"),
        }
    }
}
END
# A private number in SEC1, whose point `openssl ec` works out: its length, the number, and the identifier of its curve.
key() { # NAME LENGTH-OF-ALL LENGTH-OF-NUMBER FIRST-BYTE REST CURVE
    printf '30%s02010104%s%s%s%s' "$2" "$3" "$4" "$5" "$6" | xxd -r -p | openssl ec -inform DER -out "$1" 2>/dev/null
    chmod 600 "$1"
    ssh-keygen -q -p -N '' -f "$1" >/dev/null
    ssh-keygen -y -f "$1" >/dev/null
}
command -v xxd >/dev/null || { echo "xxd is missing: apt-get install xxd" >&2; exit 1; }
p256=a00a06082a8648ce3d030107 p384=a00706052b81040022
key p256_of_32_bytes 31 20 40 "$(printf '41%.0s' {1..31})" $p256
key p256_of_31_bytes 31 20 00 "$(printf '41%.0s' {1..31})" $p256
key p384_of_48_bytes 3e 30 40 "$(printf '41%.0s' {1..47})" $p384
key p384_of_47_bytes 3e 30 00 "$(printf '41%.0s' {1..47})" $p384

timeout 300 cargo build -q
ssh -V
cargo tree -q --depth 1 | grep ssh-key
./target/debug/short p256_of_32_bytes p256_of_31_bytes p384_of_48_bytes p384_of_47_bytes | tee seen
diff seen - <<'END'
p256_of_32_bytes: read, ecdsa-sha2-nistp256
p256_of_31_bytes: length invalid
p384_of_48_bytes: read, ecdsa-sha2-nistp384
p384_of_47_bytes: read, ecdsa-sha2-nistp384
END
