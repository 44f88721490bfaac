//! Two tenants in one process, over one pool: whatever their names have in common, they share nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_server::config::{Config, Flags};
use scout_server::render::Reply;
use scout_server::router::{Caller, Router};
use scout_server::tally::{CallCounts, Outcome};
use scout_server::target::Request;
use scout_server::tenant::Tenant;
use scout_ssh::{Pool, PoolConfig};
use scout_tests::Sshd;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::world::binary;

/// A tenant whose host `box` is this sshd, which it trusts or does not.
fn tenant(name: &str, dir: &Path, sshd: &Sshd, trusts: bool, pool: &Pool) -> Arc<Tenant> {
    let dir = dir.join(name);
    std::fs::create_dir(&dir).unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let known_hosts = if trusts { sshd.known_hosts_line(sshd.address()) } else { String::new() };
    let text = format!(
        "ssh_config = {:?}\nknown_hosts = {:?}\naudit_log = {:?}\naudit_reads = true\n[access.admin]\n",
        write("ssh_config", &sshd.config_block("box", sshd.address())),
        write("known_hosts", &known_hosts),
        dir.join("audit.jsonl"),
    );
    let flags = Flags { config: Some(write("scout.toml", &text)), ..Flags::default() };
    let mut config = Config::load(&flags).unwrap();
    config.cache_dir = Some(binary().with_file_name("scout-test-cache").join("scout"));
    Tenant::open(name.into(), &config, pool).unwrap()
}

/// What a tenant's `admin` is answered about a file.
async fn read(router: &Router, tenant: &Arc<Tenant>) -> Reply {
    let caller = Caller::alone(tenant, "admin", CancellationToken::new());
    router.answer(Request::parse("box:/etc/hostname", None, None).unwrap(), caller).await
}

fn outcomes(tenant: &Tenant) -> Vec<(Option<String>, Outcome, u64)> {
    let of_one = |counts: CallCounts| {
        let plugin = counts.plugin;
        counts.outcomes.into_iter().map(move |(outcome, calls)| (plugin.clone(), outcome, calls))
    };
    tenant.tally().counts().into_iter().flat_map(of_one).collect()
}

#[tokio::test]
async fn tenants_with_the_same_principal_host_and_key_have_connections_trust_numbers_and_trails_of_their_own() {
    let (sshd, dir, pool) = (Sshd::start(), tempfile::tempdir().unwrap(), Pool::new(PoolConfig::default()));
    let router = Router::default();
    let [red, blue] = ["red", "blue"].map(|name| tenant(name, dir.path(), &sshd, true, &pool));
    let stranger = tenant("stranger", dir.path(), &sshd, false, &pool);
    for tenant in [&red, &blue, &red] {
        let reply = read(&router, tenant).await;
        assert!(!reply.is_error, "{}", reply.joined());
    }
    let seen = pool.snapshot();
    assert_eq!(
        (seen.ready, seen.dials, seen.hits),
        (2, 2, 1),
        "each its own connection, to be used again by nobody else"
    );
    let reply = read(&router, &stranger).await;
    let kind = reply.structured.clone().map(|structured| structured.into_fields()["error"]["kind"].clone());
    assert_eq!(kind, Some("untrusted".into()), "what others trust is nobody else's: {}", reply.joined());
    let file = || Some("file".to_owned());
    assert_eq!(outcomes(&red), [(file(), Outcome::Answered, 2)]);
    assert_eq!(outcomes(&blue), [(file(), Outcome::Answered, 1)]);
    assert_eq!(outcomes(&stranger), [(None, Outcome::Failed, 1)]);
    pool.shutdown().await;
    // The trails are written to their ends.
    drop((red, blue, stranger));
    for (name, reads) in [("red", 2), ("blue", 1), ("stranger", 1)] {
        let text = std::fs::read_to_string(dir.path().join(name).join("audit.jsonl")).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), reads, "{text}");
        for line in lines {
            assert_eq!((&line["tenant"], &line["principal"]), (&name.into(), &"admin".into()), "{text}");
        }
    }
}
