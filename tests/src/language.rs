//! A host that speaks another language.

use std::path::Path;
use std::process::{Command, Stdio};

/// German, compiled for one test. Programs of this machine whose messages are translated speak it where [`Self::login`] says so.
#[derive(Debug)]
pub struct German {
    dir: tempfile::TempDir,
}

impl German {
    /// # Panics
    /// Where this machine lacks what locales are made of, or the translations of the C library and of coreutils.
    #[expect(clippy::new_without_default, reason = "it runs a program")]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let made = Command::new("localedef")
            .args(["--no-archive", "-i", "de_DE", "-f", "UTF-8"])
            .arg(dir.path().join("de_DE.UTF-8"))
            .output()
            .expect("localedef is missing: sudo apt-get install libc-bin");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "no German: {said}. sudo apt-get install locales libc-l10n");
        let german = Self { dir };
        let complaint = german.said("cat /no/such");
        let install =
            "sudo apt-get install --reinstall libc-l10n coreutils, with nothing that leaves /usr/share/locale out";
        assert!(complaint.contains("Datei oder Verzeichnis nicht gefunden"), "not translated: {complaint}. {install}");
        german
    }

    /// What a command of this machine complains of in German.
    fn said(&self, command: &str) -> String {
        let line = format!("{}; {command}", self.environment());
        let out = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).output().expect("sh runs");
        String::from_utf8_lossy(&out.stderr).into_owned()
    }

    /// As an rc file would say it. `LANGUAGE` as Debian's `/etc/default/locale` has it.
    fn environment(&self) -> String {
        format!("export LOCPATH={} LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8 LANGUAGE=de_DE:de", self.path().display())
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The line of sshd_config with which every login speaks it.
    pub fn login(&self) -> String {
        format!("ForceCommand {}; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"", self.environment())
    }
}
