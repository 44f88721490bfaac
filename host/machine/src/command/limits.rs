//! What a command's processes may take on their host, as `ulimit` sets it.

use std::fmt::Write as _;

/// Bounds of each process of a command; absent: as the host has it. A bound is never raised above the host's own, and what a host's
/// `ulimit` does not have stays as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLimits {
    /// Bytes of address space (`RLIMIT_AS`): what a process maps counts, whether or not it is touched.
    pub memory: Option<u64>,
    /// Seconds of CPU time (`RLIMIT_CPU`), summed over the threads of the process.
    pub cpu: Option<u64>,
    /// Bytes of each file that is written (`RLIMIT_FSIZE`).
    pub file_size: Option<u64>,
    /// Processes and threads of the account, whoever has started them (`RLIMIT_NPROC`). Linux does not hold root to it.
    pub processes: Option<u64>,
}

impl CommandLimits {
    /// No bounds but those of the host.
    pub const NONE: Self = Self { memory: None, cpu: None, file_size: None, processes: None };

    /// What `/bin/sh` evaluates to set them, silently and without a fork; empty for none.
    ///
    /// The soft bound is set first: that fails where it lies above the hard one, and so nobody's hard bound is raised, root's neither.
    /// dash and busybox know processes as `-p`, the others as `-u`; with `-p` bash and ksh mean pipes and cannot set that.
    pub fn script(&self) -> String {
        let bounds = [
            ("v", self.memory.map(|bytes| bytes / 1024)),
            // Blocks of 512 bytes, as POSIX has it; a shell that counts in KiB allows twice as much.
            ("f", self.file_size.map(|bytes| bytes.div_ceil(512))),
            ("t", self.cpu),
            ("u", self.processes),
            ("p", self.processes),
        ];
        let mut script = String::new();
        for (letter, bound) in bounds.into_iter().filter_map(|(letter, bound)| Some((letter, bound?))) {
            let _ = write!(script, " \"-{letter} {bound}\"");
        }
        if script.is_empty() {
            return script;
        }
        format!("{{ for l in{script}; do ulimit -S $l && ulimit -H $l; done; }} 2>/dev/null; ")
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const SHELLS: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["busybox", "ash"]];

    /// What a shell prints of its own bounds after it was told these, on top of some of its host's.
    fn bounds(shell: &[&str], limits: &CommandLimits, host: &str) -> String {
        let script = format!("{host}{}cat /proc/self/limits", limits.script());
        let (program, arguments) = shell.split_first().expect("a shell");
        let out = Command::new(program).args(arguments).args(["-c", &script]).output();
        let out = out.unwrap_or_else(|error| panic!("{program}: {error}; tests/ci.sh installs it"));
        assert!(out.stderr.is_empty(), "{shell:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).expect("text")
    }

    /// The soft and the hard one.
    fn bound<'a>(told: &'a str, name: &str) -> (&'a str, &'a str) {
        let line = told.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        let mut words = line.split_whitespace();
        (words.next().expect("soft"), words.next().expect("hard"))
    }

    #[test]
    fn every_shell_sets_all_of_them_soft_and_hard() {
        let (memory, cpu, file_size, processes) = (Some(1 << 30), Some(7), Some(1 << 20), Some(1111));
        let limits = CommandLimits { memory, cpu, file_size, processes };
        for shell in SHELLS {
            let told = bounds(shell, &limits, "");
            assert_eq!(bound(&told, "Max address space"), ("1073741824", "1073741824"), "{shell:?}");
            assert_eq!(bound(&told, "Max cpu time"), ("7", "7"), "{shell:?}");
            assert_eq!(bound(&told, "Max file size"), ("1048576", "1048576"), "{shell:?}");
            assert_eq!(bound(&told, "Max processes"), ("1111", "1111"), "{shell:?}");
        }
    }

    #[test]
    fn what_a_host_holds_tighter_stays() {
        let limits = CommandLimits { cpu: Some(900), memory: Some(1 << 40), ..CommandLimits::NONE };
        for shell in SHELLS {
            let told = bounds(shell, &limits, "ulimit -t 100; ulimit -v 4000000; ");
            assert_eq!(bound(&told, "Max cpu time"), ("100", "100"), "{shell:?}");
            assert_eq!(bound(&told, "Max address space"), ("4096000000", "4096000000"), "{shell:?}");
        }
    }

    #[test]
    fn no_bounds_are_no_words() {
        assert_eq!(CommandLimits::NONE.script(), "");
    }
}
