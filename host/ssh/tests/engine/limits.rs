//! What a command may take of its host: it ends where it asks for more, and its neighbours go on.

use scout_machine::{CommandLimits, Ending, ExecOutcome, ExecRequest};

use crate::world::{World, call, request};

const MEBIBYTE: u64 = 1 << 20;

/// Runs a script within bounds, beside a neighbour on the same connection that is within its own.
async fn bounded(world: &World, limits: CommandLimits, script: &str) -> ExecOutcome {
    let lease = world.lease().await;
    let (mine, neighbour) = (ExecRequest { limits, ..request(script) }, request("head -c 3000000 /dev/zero | wc -c"));
    let (call, calls) = (call(), call());
    let (outcome, neighbour) = tokio::join!(lease.exec(&mine, &call), lease.exec(&neighbour, &calls));
    let neighbour = neighbour.unwrap();
    assert_eq!((neighbour.ending, neighbour.stdout.data.trim_ascii()), (Ending::Exited(0), &b"3000000"[..]));
    outcome.unwrap()
}

#[tokio::test]
async fn a_program_that_asks_for_more_memory_than_it_may_gets_none() {
    let world = World::new();
    let limits = CommandLimits { memory: Some(256 * MEBIBYTE), ..CommandLimits::NONE };
    for (mebibytes, status) in [(16, 0), (512, 1)] {
        let outcome = bounded(&world, limits, &format!("python3 -c 'bytearray({mebibytes} << 20)'")).await;
        assert_eq!(outcome.ending, Ending::Exited(status), "{mebibytes}: {outcome:?}");
        let said = String::from_utf8_lossy(&outcome.stderr.data);
        assert_eq!(said.contains("MemoryError"), status == 1, "{said}");
    }
}

#[tokio::test]
async fn a_program_that_computes_longer_than_it_may_is_ended() {
    let world = World::new();
    let limits = CommandLimits { cpu: Some(1), ..CommandLimits::NONE };
    let outcome = bounded(&world, limits, "while :; do :; done").await;
    assert_eq!(outcome.ending, Ending::Signaled("KILL".into()), "{outcome:?}");
}

#[tokio::test]
async fn a_file_grows_no_larger_than_it_may() {
    let world = World::new();
    let limits = CommandLimits { file_size: Some(MEBIBYTE), ..CommandLimits::NONE };
    let file = world.sshd.dir().join("grows").display().to_string();
    let outcome = bounded(&world, limits, &format!("head -c 4000000 /dev/zero >{file}; wc -c <{file}")).await;
    let written: u64 = String::from_utf8_lossy(&outcome.stdout.data).trim().parse().unwrap();
    assert!((MEBIBYTE..=2 * MEBIBYTE).contains(&written), "{outcome:?}");
}

#[tokio::test]
async fn limits_are_in_force_however_a_command_travels() {
    let world = World::new();
    let limits = CommandLimits { memory: Some(1 << 30), cpu: Some(77), file_size: None, processes: Some(4444) };
    let long = format!("cat /proc/self/limits # {}", "x".repeat(20_000));
    // As it is, encoded, as a line behind the request, and in a shell of its own.
    for script in ["cat /proc/self/limits", "cat /proc/self/limits # '", &long, "cat /proc/self/limits & wait"] {
        let outcome = bounded(&world, limits, script).await;
        let told = String::from_utf8_lossy(&outcome.stdout.data).into_owned();
        let line = |name: &str| told.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        for (name, bound) in [("Max address space", "1073741824"), ("Max cpu time", "77"), ("Max processes", "4444")] {
            assert_eq!(line(name).split_whitespace().filter(|word| *word == bound).count(), 2, "{script:.40}: {told}");
        }
    }
}

#[tokio::test]
async fn what_watches_over_a_command_is_not_held_to_its_limits() {
    let world = World::new();
    let limits = CommandLimits { cpu: Some(77), ..CommandLimits::NONE };
    // The watcher is the shell's child that is no `cat`.
    let script = "cat $(grep -l \"^PPid:[^0-9]*$$\\$\" /proc/[0-9]*/status | head -n 1 | sed 's/status/limits/')";
    let outcome = bounded(&world, limits, script).await;
    let told = String::from_utf8_lossy(&outcome.stdout.data).into_owned();
    let line = told.lines().find(|line| line.starts_with("Max cpu time")).unwrap_or_default();
    assert!(!line.is_empty() && !line.contains("77"), "{told} {outcome:?}");
}
