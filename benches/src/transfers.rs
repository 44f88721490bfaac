//! Copies through `scout serve`, beside `sftp`: a file up, down, and from one host to another.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use scout_tests::{DelayLink, Scout, ScoutOptions, Sshd};
use serde_json::{Value, json};

use crate::bulk::openssh_at;
use crate::machine;
use crate::samples::{Samples, milliseconds};
use crate::served::binary;
use crate::world::{MEBIBYTE, ONE_WAY};

const MEBIBYTES: usize = 1024;
const ROUNDS: usize = 3;

pub(crate) async fn measure() -> Result<String> {
    let (one, two, here) = (Sshd::start(), Sshd::start(), tempfile::tempdir()?);
    // No two pieces of a megabyte are the same, and nothing is compressed anyway.
    let piece: Vec<u8> = (0..MEBIBYTE as u64)
        .flat_map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(MEBIBYTE)
        .collect();
    std::fs::write(here.path().join("file"), piece.repeat(MEBIBYTES))?;
    let (far_one, far_two) =
        (DelayLink::start(one.address(), ONE_WAY).await, DelayLink::start(two.address(), ONE_WAY).await);
    let near =
        Side::measure((&one, one.address()), (&two, two.address()), here.path()).await.context("without delay")?;
    let far = Side::measure((&one, far_one.address()), (&two, far_two.address()), here.path())
        .await
        .context("through the delay links")?;
    let row = |name: &str, near: &Samples, far: &Samples| {
        format!("| {name} | {} | {} |\n", milliseconds(near.median()), milliseconds(far.median()))
    };
    Ok(format!(
        "## Copies\n\n{MEBIBYTES} MiB in the page cache through `scout serve`, {ROUNDS} times in turn with `sftp` (each with its own login, \
         `aes128-gcm`). Scout's target is on the disk (fsync), read again by `sha256sum` and compared before the file has its name; `sftp` \
         does neither.\n\n| | 0 ms | {} |\n|---|---:|---:|\n{}{}{}{}{}\n\nScout's resident memory grew by {} KiB at its peak while it copied ({} KiB \
         through the delay link).\n",
        milliseconds(ONE_WAY * 2),
        row("Scout, to a host", &near.up, &far.up),
        row("`sftp` puts", &near.put, &far.put),
        row("Scout, from a host", &near.down, &far.down),
        row("`sftp` gets", &near.get, &far.get),
        row("Scout, from one host to another", &near.across, &far.across),
        near.growth,
        far.growth,
    ))
}

#[derive(Default)]
struct Side {
    up: Samples,
    put: Samples,
    down: Samples,
    get: Samples,
    across: Samples,
    growth: u64,
}

impl Side {
    async fn measure((one, at): (&Sshd, SocketAddr), (two, other): (&Sshd, SocketAddr), here: &Path) -> Result<Self> {
        let (config, known) = (one.config_block("one", at), one.known_hosts_line(at));
        let mut options = ScoutOptions::new(binary()?, config, known);
        options.ssh_config.push_str(&two.config_block("two", other));
        options.known_hosts.push_str(&two.known_hosts_line(other));
        let options = options.setting(&format!(
            "[hosts.one]\nwritable_paths = [{:?}]\n[hosts.two]\nwritable_paths = [{:?}]\n[transfers]\ndirectories = [{:?}]\n",
            one.dir(),
            two.dir(),
            here
        ));
        let scout = Scout::start(&options).await;
        // Logged in, and the plugin is there.
        copy(&scout, "one:/etc/hostname".into(), here.join("small").display().to_string().into()).await?;
        copy(&scout, "two:/etc/hostname".into(), here.join("small").display().to_string().into()).await?;
        let before = machine::memory(scout.pid())?.resident;
        let mut side = Self::default();
        let on =
            |name: &str, sshd: &Sshd, file: &str| Value::from(format!("{name}:{}", sshd.dir().join(file).display()));
        let local = |file: &str| Value::from(here.join(file).display().to_string());
        let remove = |path: std::path::PathBuf| if path.exists() { std::fs::remove_file(path) } else { Ok(()) };
        for _ in 0..ROUNDS {
            remove(one.dir().join("up"))?;
            side.up.push(timed(copy(&scout, local("file"), on("one", one, "up"))).await?);
            remove(one.dir().join("put"))?;
            let put = [format!("put {} {}", here.join("file").display(), one.dir().join("put").display())];
            side.put.push(timed(sftp(one, at, &put)).await?);
            remove(here.join("down"))?;
            side.down.push(timed(copy(&scout, on("one", one, "up"), local("down"))).await?);
            remove(here.join("got"))?;
            let get = [format!("get {} {}", one.dir().join("up").display(), here.join("got").display())];
            side.get.push(timed(sftp(one, at, &get)).await?);
            remove(two.dir().join("across"))?;
            side.across.push(timed(copy(&scout, on("one", one, "up"), on("two", two, "across"))).await?);
        }
        side.growth = machine::memory(scout.pid())?.peak.saturating_sub(before);
        ensure!(scout.close().await.success(), "scout did not end well");
        Ok(side)
    }
}

async fn timed(work: impl Future<Output = Result<()>>) -> Result<std::time::Duration> {
    let begun = Instant::now();
    work.await?;
    Ok(begun.elapsed())
}

async fn copy(scout: &Scout, source: Value, target: Value) -> Result<()> {
    let answer = scout.call_with(json!({"beam_source": source, "beam_target": target, "replace": true})).await;
    ensure!(!answer.is_error(), "{}", answer.text());
    Ok(())
}

async fn sftp(sshd: &Sshd, address: SocketAddr, lines: &[String]) -> Result<()> {
    let batch = sshd.dir().join("batch");
    std::fs::write(&batch, lines.join("\n"))?;
    let host = format!("{}@{}", scout_tests::login_name(), address.ip());
    openssh_at(sshd, address, "sftp", &["-b", &batch.display().to_string(), &host]).await
}
