//! Vulnerabilities of SSH servers that are known by version, as of [`MADE`]. Data, and how a version is held against it. Pure.
//!
//! A version alone proves nothing: distributions mend what they ship and leave its number. Where they write their own revision behind it, and
//! that is known to mend, the row says so; else the finding is that the server may be affected. The attack on the transport that is called
//! Terrapin (CVE-2023-48795) is none of these: whether the exchange of keys is strict says it.

/// The day on which the table was made.
pub(crate) const MADE: &str = "2026-12-01";

/// Versions from `from` on, before `before`.
pub(crate) struct Range {
    pub(crate) from: &'static str,
    pub(crate) before: &'static str,
}

/// A distribution's revision of a version, as its server writes it behind the version, from which on it is mended.
pub(crate) struct Mended {
    pub(crate) version: &'static str,
    /// What the number of the revision stands behind.
    pub(crate) revision: &'static str,
    pub(crate) least: u32,
}

/// A vulnerability.
pub(crate) struct Known {
    pub(crate) id: &'static str,
    pub(crate) product: Product,
    pub(crate) affected: &'static [Range],
    /// What somebody could do, and where.
    pub(crate) what: &'static str,
    pub(crate) mended: &'static [Mended],
    /// Who says so.
    pub(crate) source: &'static str,
}

/// Who made a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    OpenSsh,
    Dropbear,
    Libssh,
    Erlang,
}

const fn range(from: &'static str, before: &'static str) -> Range {
    Range { from, before }
}

const fn mended(version: &'static str, revision: &'static str, least: u32) -> Mended {
    Mended { version, revision, least }
}

pub(crate) const KNOWN: &[Known] = &[
    Known {
        id: "CVE-2025-32433",
        product: Product::Erlang,
        affected: &[range("0", "4.15.3.12"), range("5", "5.1.4.8"), range("5.2", "5.2.10")],
        what: "runs code without a login",
        mended: &[],
        source: "https://nvd.nist.gov/vuln/detail/CVE-2025-32433",
    },
    Known {
        id: "CVE-2025-32728",
        product: Product::OpenSsh,
        affected: &[range("7.4", "10.0")],
        what: "`DisableForwarding` leaves X11 and agent forwarding on",
        mended: &[],
        source: "https://www.openssh.com/txt/release-10.0",
    },
    Known {
        id: "CVE-2025-26466",
        product: Product::OpenSsh,
        affected: &[range("9.5p1", "9.9p2")],
        what: "memory and processor are used up before a login",
        mended: &[],
        source: "https://www.openssh.com/txt/release-9.9p2",
    },
    Known {
        id: "CVE-2025-26465",
        product: Product::OpenSsh,
        affected: &[range("6.8p1", "9.9p2")],
        what: "clients on the host with `VerifyHostKeyDNS` take another server for the one that they mean",
        mended: &[],
        source: "https://www.openssh.com/txt/release-9.9p2",
    },
    Known {
        id: "CVE-2024-6387",
        product: Product::OpenSsh,
        affected: &[range("0", "4.4p1"), range("8.5p1", "9.8p1")],
        what: "regreSSHion: may run code as root without a login, on Linux with glibc",
        mended: &[
            mended("9.2p1", "Debian-2+deb12u", 3),
            mended("8.9p1", "Ubuntu-3ubuntu0.", 10),
            mended("9.6p1", "Ubuntu-3ubuntu13.", 3),
        ],
        source: "https://www.openssh.com/txt/release-9.8 (DSA-5724-1, USN-6859-1)",
    },
    Known {
        id: "CVE-2023-38408",
        product: Product::OpenSsh,
        affected: &[range("5.5", "9.3p2")],
        what: "an agent that is forwarded from the host loads libraries that a server chooses",
        mended: &[],
        source: "https://www.openssh.com/txt/release-9.3p2",
    },
    Known {
        id: "CVE-2021-41617",
        product: Product::OpenSsh,
        affected: &[range("6.2", "8.8")],
        what: "`AuthorizedKeysCommand` and `AuthorizedPrincipalsCommand` run with groups of sshd",
        mended: &[],
        source: "https://www.openssh.com/txt/release-8.8",
    },
    Known {
        id: "CVE-2018-15473",
        product: Product::OpenSsh,
        affected: &[range("0", "7.8")],
        what: "tells which accounts there are",
        mended: &[],
        source: "https://www.openssh.com/txt/release-7.8",
    },
    Known {
        id: "CVE-2018-15599",
        product: Product::Dropbear,
        affected: &[range("0", "2019.77")],
        what: "tells which accounts there are",
        mended: &[],
        source: "https://nvd.nist.gov/vuln/detail/CVE-2018-15599",
    },
    Known {
        id: "CVE-2016-7406",
        product: Product::Dropbear,
        affected: &[range("0", "2016.74")],
        what: "may run code as root, by the name of an account",
        mended: &[],
        source: "https://matt.ucc.asn.au/dropbear/CHANGES",
    },
    Known {
        id: "CVE-2018-10933",
        product: Product::Libssh,
        affected: &[range("0.6", "0.7.6"), range("0.8", "0.8.4")],
        what: "lets anybody in who says that the login succeeded",
        mended: &[],
        source: "https://www.libssh.org/security/advisories/CVE-2018-10933.txt",
    },
    Known {
        id: "CVE-2020-1730",
        product: Product::Libssh,
        affected: &[range("0.8", "0.8.9"), range("0.9", "0.9.4")],
        what: "ends where AES-CTR is agreed on and the connection is given up early",
        mended: &[],
        source: "https://www.libssh.org/security/advisories/CVE-2020-1730.txt",
    },
];

/// A server by how it names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server<'a> {
    pub(crate) product: Product,
    pub(crate) version: &'a str,
    /// What stands behind the version: a distribution's revision, often.
    comment: &'a str,
}

impl<'a> Server<'a> {
    /// The server of an identification (RFC 4253, 4.2), if it is one that the table knows.
    pub(crate) fn read(identification: &'a str) -> Option<Self> {
        let software = identification.strip_prefix("SSH-2.0-").or_else(|| identification.strip_prefix("SSH-1.99-"))?;
        let (software, comment) = software.split_once(' ').unwrap_or((software, ""));
        let (product, version) = [
            ("OpenSSH_", Product::OpenSsh),
            ("dropbear_", Product::Dropbear),
            ("libssh_", Product::Libssh),
            ("libssh-", Product::Libssh),
            ("Erlang/", Product::Erlang),
        ]
        .iter()
        .find_map(|(name, product)| Some((*product, software.strip_prefix(name)?)))?;
        // That of Windows (`for_Windows_8.1`) is another one's, and numbered otherwise.
        version.starts_with(|c: char| c.is_ascii_digit()).then_some(Self { product, version, comment })
    }

    /// What may affect it, each with whether its distribution is known to have mended it.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&'static Known, bool)> {
        let version = numbers(self.version);
        KNOWN.iter().filter(|known| known.product == self.product).filter_map(move |known| {
            let is_in = |range: &Range| numbers(range.from) <= version && version < numbers(range.before);
            known.affected.iter().any(is_in).then(|| (known, known.mended.iter().any(|mended| self.has(mended))))
        })
    }

    fn has(&self, mended: &Mended) -> bool {
        let number =
            |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
        let revision: Option<u32> = self.comment.strip_prefix(mended.revision).and_then(number);
        self.version == mended.version && revision.is_some_and(|revision| revision >= mended.least)
    }

    /// Whether it is OpenSSH of this version or newer.
    pub(crate) fn is_openssh_since(&self, version: &str) -> bool {
        self.product == Product::OpenSsh && numbers(self.version) >= numbers(version)
    }
}

/// The numbers of a version, in their order: `9.2p1` is 9, 2, 1. The first four count.
fn numbers(version: &str) -> [u32; 4] {
    let mut numbers = [0; 4];
    let parts = version.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = part.parse().unwrap_or(u32::MAX);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, MADE, Server, numbers};

    #[test]
    fn each_row_has_its_range_and_its_source_and_none_is_younger_than_the_table() {
        for known in KNOWN {
            let id = known.id;
            let year = id.strip_prefix("CVE-").and_then(|rest| rest.split('-').next()).expect(id);
            assert!(year <= &MADE[..4] && known.source.starts_with("https://"), "{id}");
            assert!(!known.affected.is_empty() && !known.what.is_empty(), "{id}");
            for range in known.affected {
                assert!(numbers(range.from) < numbers(range.before), "{id}");
            }
            for mended in known.mended {
                let version = numbers(mended.version);
                let is_in = |range: &super::Range| numbers(range.from) <= version && version < numbers(range.before);
                assert!(known.affected.iter().any(is_in) && mended.least > 0, "{id} {}", mended.version);
            }
            assert_eq!(KNOWN.iter().filter(|other| other.id == id).count(), 1, "{id}");
        }
    }

    #[test]
    fn a_version_is_held_against_the_table_with_what_its_distribution_mended() {
        let known = |identification: &str| {
            let server = Server::read(identification).unwrap_or_else(|| panic!("{identification}"));
            let told =
                server.known().map(|(known, is_mended)| format!("{}{}", known.id, if is_mended { "+" } else { "" }));
            told.collect::<Vec<_>>().join(" ")
        };
        for (identification, expected) in [
            ("SSH-2.0-OpenSSH_10.0p2 Debian-7", ""),
            ("SSH-2.0-OpenSSH_9.9p2", "CVE-2025-32728"),
            ("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7", "CVE-2025-32728 CVE-2025-26465 CVE-2024-6387+ CVE-2023-38408"),
            ("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2", "CVE-2025-32728 CVE-2025-26465 CVE-2024-6387 CVE-2023-38408"),
            ("SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.10", "CVE-2025-32728 CVE-2025-26465 CVE-2024-6387+ CVE-2023-38408"),
            ("SSH-2.0-OpenSSH_9.8p1", "CVE-2025-32728 CVE-2025-26466 CVE-2025-26465"),
            ("SSH-2.0-OpenSSH_6.6.1p1", "CVE-2023-38408 CVE-2021-41617 CVE-2018-15473"),
            ("SSH-2.0-dropbear_2022.83", ""),
            ("SSH-2.0-dropbear_2015.71", "CVE-2018-15599 CVE-2016-7406"),
            ("SSH-2.0-libssh_0.7.5", "CVE-2018-10933"),
            ("SSH-2.0-libssh_0.8.3", "CVE-2018-10933 CVE-2020-1730"),
            ("SSH-2.0-libssh_0.8.9", ""),
            ("SSH-2.0-libssh-0.9.0", "CVE-2020-1730"),
            ("SSH-2.0-libssh_0.9.4", ""),
            ("SSH-2.0-Erlang/5.1.4.7", "CVE-2025-32433"),
            ("SSH-2.0-Erlang/5.2.10", ""),
        ] {
            assert_eq!(known(identification), expected, "{identification}");
        }
    }

    #[test]
    fn what_no_table_knows_is_none_of_its_servers() {
        for odd in
            ["", "SSH-2.0-", "SSH-2.0-OpenSSH_", "SSH-2.0-OpenSSH_for_Windows_9.5", "SSH-2.0-ROSSSH", "OpenSSH_9.2"]
        {
            assert_eq!(Server::read(odd), None, "{odd}");
        }
        let long = format!("SSH-2.0-OpenSSH_{}p1 Debian-2+deb12u{}", "9".repeat(500), "9".repeat(500));
        assert!(Server::read(&long).is_some_and(|server| server.known().count() == 0));
    }
}
