//! Every form of private key that ssh-keygen and OpenSSL write, beside what the real ssh-keygen reads of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed test is a panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use russh::keys::PublicKey;
use tempfile::TempDir;

use super::{Content, Failure, look_at, unlock};

const SECRET: &str = "open sesame";

/// Runs a script in the directory; `$S` is the passphrase.
fn sh(dir: &Path, script: &str) -> bool {
    let mut command = Command::new("sh");
    let output = command.arg("-ec").arg(script).current_dir(dir).env("S", SECRET).output().unwrap();
    output.status.success()
}

/// A file that a script has written as `key`.
fn made(script: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let installed = "apt-get install openssh-client openssl";
    assert!(sh(dir.path(), &format!("{script}\nchmod 600 key")), "{script}: {installed}");
    let key = dir.path().join("key");
    (dir, key)
}

/// The public half as `ssh` reads it; `None` if it does not.
fn of_ssh(key: &Path, passphrase: &str) -> Option<String> {
    let output = Command::new("ssh-keygen").args(["-y", "-P", passphrase, "-f"]).arg(key).output().unwrap();
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

fn text(key: &PublicKey) -> String {
    key.to_openssh().unwrap().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn contents(key: &Path) -> Vec<u8> {
    std::fs::read(key).unwrap()
}

fn why(key: &Path) -> String {
    look_at(key, &contents(key)).unwrap_err().into_owned()
}

const RSA: &str = "openssl genrsa -traditional 2048 2>/dev/null";
const EC: &str = "openssl ecparam -genkey -noout -name prime256v1";

#[test]
fn plain_keys_are_read_as_ssh_reads_them() {
    for script in [
        "ssh-keygen -q -t ed25519 -N '' -f key",
        "ssh-keygen -q -t ed25519 -C \"$(printf 'J\\374rgen')\" -N '' -f key",
        "ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f key",
        "ssh-keygen -q -t ecdsa -b 521 -m PEM -N '' -f key",
        "ssh-keygen -q -t ecdsa -b 384 -m PKCS8 -N '' -f key",
        "openssl ecparam -genkey -name secp384r1 >key",
        // What some tools put in front, in whatever encoding.
        "printf 'Bag Attributes\\n    friendlyName: J\\374rgen\\n' >key; openssl genrsa 2048 2>/dev/null >>key",
    ] {
        let (_dir, key) = made(script);
        let Ok(Content::Key(read)) = look_at(&key, &contents(&key)) else { panic!("{script}") };
        assert_eq!(Some(text(read.public_key())), of_ssh(&key, ""), "{script}");
    }
    // Newer versions of ssh read these two.
    for script in
        ["openssl genpkey -algorithm ed25519 >key", "ssh-keygen -q -t ed25519 -N '' -f key; sed -i 's/$/\\r/' key"]
    {
        let (_dir, key) = made(script);
        assert!(matches!(look_at(&key, &contents(&key)), Ok(Content::Key(_))), "{script}");
    }
}

#[test]
fn encrypted_keys_are_read_as_ssh_reads_them_and_a_wrong_passphrase_is_told() {
    let mut scripts: Vec<String> = [
        "aes256-ctr",
        "aes128-ctr",
        "aes192-cbc",
        "aes256-cbc",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ]
    .iter()
    .map(|cipher| format!("ssh-keygen -q -t ed25519 -a 1 -Z {cipher} -N \"$S\" -f key"))
    .collect();
    for kind in ["rsa -b 2048", "ecdsa -b 256"] {
        for form in ["PEM", "PKCS8"] {
            scripts.push(format!("ssh-keygen -q -t {kind} -m {form} -N \"$S\" -f key"));
        }
    }
    for cipher in ["aes128", "aes192", "aes256", "des3"] {
        scripts.push(format!("{RSA} | openssl rsa -traditional -{cipher} -passout env:S >key 2>/dev/null"));
        scripts.push(format!("{EC} | openssl ec -{cipher} -passout env:S >key 2>/dev/null"));
    }
    for how in ["-v2 aes256 -v2prf hmacWithSHA512", "-scrypt -scrypt_N 16"] {
        scripts.push(format!("{EC} | openssl pkcs8 -topk8 {how} -passout env:S >key"));
    }
    for script in scripts {
        let (_dir, key) = made(&script);
        let bytes = contents(&key);
        let Ok(Content::Locked(public)) = look_at(&key, &bytes) else { panic!("{script}") };
        let theirs = of_ssh(&key, SECRET).unwrap_or_else(|| panic!("ssh does not read it: {script}"));
        let ours = unlock(&key, &bytes, SECRET).unwrap_or_else(|error| panic!("{script}: {error:?}"));
        assert_eq!(text(ours.public_key()), theirs, "{script}");
        assert!(public.is_none_or(|public| text(&public) == theirs), "{script}");
        // With PEM a wrong one comes out even by chance; all else takes its time.
        let tries = if script.contains("openssl rsa") || script.contains("openssl ec ") { 20 } else { 1 };
        for wrong in (0..tries).map(|number| format!("wrong{number}")) {
            let wrong = wrong.as_str();
            assert_eq!(unlock(&key, &bytes, wrong).map(drop), Err(Failure::WrongPassphrase), "{script}");
        }
    }
}

#[test]
fn a_form_that_is_not_read_is_named_with_the_command_that_rewrites_it() {
    for (script, name) in [
        ("ssh-keygen -q -t ed25519 -a 1 -Z 3des-cbc -N \"$S\" -f key", "encrypted with 3des-cbc, which is not read"),
        (
            &format!("{EC} | openssl ec -camellia256 -passout env:S >key 2>/dev/null"),
            "PEM that is encrypted with CAMELLIA-256-CBC",
        ),
        (&format!("{EC} | openssl pkcs8 -topk8 -v2 des3 -passout env:S >key"), "PKCS #8, encrypted in another way"),
        (
            &format!("{EC} | openssl pkcs8 -topk8 -v2prf hmacWithSHA1 -passout env:S >key"),
            "PKCS #8, encrypted in another way",
        ),
        (
            &format!("{EC} | openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -passout env:S >key"),
            "PKCS #8, encrypted in another way",
        ),
    ] {
        let (dir, key) = made(script);
        let why = why(&key);
        assert!(why.starts_with(name), "{script}: {why}");
        let command = why.split('`').nth(1).unwrap();
        // As a person answers what it asks.
        assert!(sh(dir.path(), &format!("{command} -q -a 1 -P \"$S\" -N \"$S\"")), "{command}");
        let rewritten = unlock(&key, &contents(&key), SECRET).unwrap();
        assert_eq!(Some(text(rewritten.public_key())), of_ssh(&key, SECRET), "{script}");
    }
}

/// In each form, since each is read by another piece of code. ssh-keygen makes one such key in 512, one in 131,072 of the second.
#[test]
fn a_key_whose_private_number_is_short_is_a_key() {
    /// An EC key of this number, in octal escapes of 4 bytes; the point is made by `openssl ec`.
    fn of_number(first: &str) -> String {
        let rest = r"\201\102\303\104".repeat(7);
        format!(
            r"printf '\060\061\002\001\001\004\040{first}{rest}\240\012\006\010\052\206\110\316\075\003\001\007' |
            openssl ec -inform DER -out key 2>/dev/null"
        )
    }
    let openssh = |how: &str| format!("chmod 600 key; ssh-keygen -q -p -a 1 -f key -P '' {how} >/dev/null");
    for (first, length) in [(r"\000\177\377\377", 31), (r"\000\000\177\377", 30), (r"\000\000\000\000", 29)] {
        let script = format!("{}; {}", of_number(first), openssh("-N ''"));
        let (_dir, key) = made(&script);
        let (_, blob) = super::pem(std::str::from_utf8(&contents(&key)).unwrap(), "OPENSSH PRIVATE KEY").unwrap();
        // The point has 65 bytes; what is looked for is the length of the number behind it.
        assert!(blob.windows(4).any(|bytes| bytes == [0, 0, 0, length]), "{script}");
        let Ok(Content::Key(read)) = look_at(&key, &contents(&key)) else { panic!("{script}") };
        assert_eq!(Some(text(read.public_key())), of_ssh(&key, ""), "{script}");
        for how in ["", "-Z aes256-gcm@openssh.com", "-Z chacha20-poly1305@openssh.com", "-Z aes128-cbc"] {
            let script = format!("{}; {}", of_number(first), openssh(&format!("-N \"$S\" {how}")));
            let (_dir, key) = made(&script);
            let read = unlock(&key, &contents(&key), SECRET).unwrap();
            assert_eq!(Some(text(read.public_key())), of_ssh(&key, SECRET), "{script}");
            assert_eq!(unlock(&key, &contents(&key), "another").map(drop), Err(Failure::WrongPassphrase), "{script}");
        }
    }
    for form in ["cat key", "openssl pkcs8 -topk8 -nocrypt -in key"] {
        let (_dir, key) = made(&format!("{}; {form} >as; mv as key", of_number(r"\000\177\377\377")));
        let Ok(Content::Key(read)) = look_at(&key, &contents(&key)) else { panic!("{form}") };
        assert_eq!(Some(text(read.public_key())), of_ssh(&key, ""), "{form}");
    }
}

#[test]
fn what_is_no_private_key_of_ssh_is_called_by_its_name() {
    for (script, says) in [
        (
            "ssh-keygen -q -t ed25519 -N '' -f k; ssh-keygen -e -m RFC4716 -f k >key",
            "a public key in the form of RFC 4716; `ssh-keygen -i -f ",
        ),
        (
            "printf '%s\\n' '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----' P2/56wAA '---- END SSH2 ENCRYPTED PRIVATE KEY ----' >key",
            "a private key in the form of SSH2; once it has no passphrase `ssh-keygen -i -f ",
        ),
        (
            "openssl dsaparam -genkey -noout 1024 2>/dev/null | openssl dsa >key 2>/dev/null",
            "a DSA key, which ssh no longer logs in with",
        ),
        (
            "openssl dsaparam -genkey -noout 1024 2>/dev/null | openssl pkcs8 -topk8 -nocrypt >key",
            "a DSA key, which ssh no longer logs in with",
        ),
        (
            "openssl genpkey -algorithm ed448 >key",
            "a kind of key that ssh does not have either (algorithm 1.3.101.113)",
        ),
        (
            "openssl genrsa 2048 2>/dev/null | openssl rsa -pubout >key 2>/dev/null",
            "only a public key, in the form of PEM",
        ),
        (
            "openssl ecparam -genkey -noout -name prime256v1 | openssl ec -outform DER >key 2>/dev/null",
            "DER, without the text of PEM",
        ),
        (
            "openssl genrsa 2048 2>/dev/null | openssl rsa -outform DER >key 2>/dev/null",
            "DER, without the text of PEM around it; `openssl pkey -inform DER -in ",
        ),
        ("printf 'SSH PRIVATE KEY FILE FORMAT 1.1\\n\\0\\0' >key", "a key of SSH version 1"),
        (
            "printf '%s\\n' '-----BEGIN PGP PRIVATE KEY BLOCK-----' '' lFgE '=x' '-----END PGP PRIVATE KEY BLOCK-----' >key",
            "cut off or damaged",
        ),
        (
            "printf '%s\\n' '-----BEGIN CERTIFICATE-----' MIIB '-----END CERTIFICATE-----' >key",
            "`CERTIFICATE`, which is not a private key",
        ),
        ("ssh-keygen -q -t ed25519 -N '' -f k; head -3 k >key", "cut off or damaged"),
        ("printf '\\n\\n' >key", "empty"),
        ("head -c 5000 /dev/urandom >key; printf '\\0' >>key", "not a key file"),
        ("echo hello >key", "not a private key in a form that is known; `ssh-keygen -y -f "),
    ] {
        let (_dir, key) = made(script);
        let why = why(&key);
        assert!(why.starts_with(says), "{script}: {why}");
    }
    let (_dir, key) = made("ssh-keygen -q -t ed25519 -N '' -f k; mv k.pub key");
    assert!(matches!(look_at(&key, &contents(&key)), Ok(Content::Public)));
    assert!(super::rewrites(Path::new("/a b/it's")).starts_with(r"`ssh-keygen -p -f '/a b/it'\''s'`"));
}

/// Of PuTTY 0.78, which writes both versions.
const PUTTY_2: &str = "PuTTY-User-Key-File-2: ssh-ed25519
Encryption: aes256-cbc
Comment: from PuTTY
Public-Lines: 2
AAAAC3NzaC1lZDI1NTE5AAAAIG3/+YMpFUKQO6sBIr9xwmVTvf/dSufxYo8kvTY8
LYSQ
Private-Lines: 1
1PGoJFtHrYzYx2rM2WjXTPVTPBZmPf20P7k3wgPwVMYTuOb9B3XOPoVVD+PuCkR9
Private-MAC: 51a594d1c13e5f255a7fdb9ab0cce22be096982b
";
const PUTTY_3: &str = "PuTTY-User-Key-File-3: ssh-ed25519
Encryption: aes256-cbc
Comment: from PuTTY
Public-Lines: 2
AAAAC3NzaC1lZDI1NTE5AAAAIG3/+YMpFUKQO6sBIr9xwmVTvf/dSufxYo8kvTY8
LYSQ
Key-Derivation: Argon2id
Argon2-Memory: 64
Argon2-Passes: 1
Argon2-Parallelism: 1
Argon2-Salt: f4cff3f730ed99af4756d6eb01a2799b
Private-Lines: 1
knna9tHVX0WBW+A6B6o/4sgfFo+qwy7Q6p2Iuvshb2+hOIi4MS2WS6xhQr9yVRSh
Private-MAC: fe028a98458fadec6e6f7f9fd6631012d366467931c1efac0d2279f35a967935
";
const PUTTY_PLAIN: &str = "PuTTY-User-Key-File-3: ssh-ed25519
Encryption: none
Comment: from PuTTY
Public-Lines: 2
AAAAC3NzaC1lZDI1NTE5AAAAIG3/+YMpFUKQO6sBIr9xwmVTvf/dSufxYo8kvTY8
LYSQ
Private-Lines: 1
AAAAINT2GzrGO4s51hL38j/E4OLMI/ppdUiL9rxQ0WTiwn9B
Private-MAC: 0248740cdf3c46566453791064836b69644fee1ccbaa9c3c2ee5b5726f35dbdb
";

#[test]
fn keys_of_putty_are_read_though_ssh_does_not() {
    let (path, public) =
        (Path::new("key.ppk"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG3/+YMpFUKQO6sBIr9xwmVTvf/dSufxYo8kvTY8LYSQ");
    let Ok(Content::Key(key)) = look_at(path, PUTTY_PLAIN.as_bytes()) else { panic!("it is not encrypted") };
    assert_eq!(text(key.public_key()), public);
    for key in [PUTTY_2, PUTTY_3] {
        let Ok(Content::Locked(Some(half))) = look_at(path, key.as_bytes()) else { panic!("{key}") };
        assert_eq!(text(&half), public);
        assert_eq!(text(unlock(path, key.as_bytes(), SECRET).unwrap().public_key()), public);
        assert_eq!(unlock(path, key.as_bytes(), "another").map(drop), Err(Failure::WrongPassphrase));
    }
    let first = PUTTY_PLAIN.replace("File-3", "File-1");
    let why = look_at(path, first.as_bytes()).unwrap_err();
    assert!(why.ends_with("`puttygen key.ppk -O private-openssh -o key.ppk.openssh` rewrites it"), "{why}");
}
