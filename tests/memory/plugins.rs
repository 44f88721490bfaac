//! What plugins choose: how they describe themselves, and what they answer.

use std::path::PathBuf;
use std::sync::Arc;

use scout_server::config::{Config, Flags};
use scout_server::render::Reply;
use scout_server::router::{Caller, Router};
use scout_server::tenant::Tenant;
use scout_tests::Guest;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{Case, HEAP, MOST};

/// Scout with one plugin and without hosts, in this process.
struct World {
    config: Config,
    runtime: Runtime,
    _dir: TempDir,
}

impl World {
    fn with(guest: Guest) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| -> PathBuf { dir.path().join(name) };
        std::fs::write(place("plugin.wasm"), guest.bytes()).unwrap();
        std::fs::write(place("ssh_config"), "").unwrap();
        let toml =
            format!("audit_log = {:?}\n[plugins.mallory]\nsource = {:?}\n", place("audit"), place("plugin.wasm"));
        std::fs::write(place("scout.toml"), toml).unwrap();
        let flags =
            Flags { config: Some(place("scout.toml")), ssh_config: Some(place("ssh_config")), ..Flags::default() };
        let mut config = Config::load(&flags).unwrap();
        config.cache_dir = Some(place("cache"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { config, runtime, _dir: dir }
    }

    /// A tenant whose plugins are all loaded, or refused.
    fn tenant(&self) -> Arc<Tenant> {
        self.runtime.block_on(async {
            let tenant = Tenant::local(&self.config).unwrap();
            tenant.revision().plugins.catalog().await;
            tenant
        })
    }

    /// The replies to this call, made so often at once, of which all are kept until the last is there.
    fn call(&self, tenant: &Arc<Tenant>, times: usize, arguments: &serde_json::Value) -> Vec<Reply> {
        self.runtime.block_on(async {
            let (router, mut calls) = (Arc::new(Router::default()), tokio::task::JoinSet::new());
            for _ in 0..times {
                let (router, arguments) = (Arc::clone(&router), arguments.as_object().cloned().unwrap());
                let caller = Caller::alone(tenant, "local", CancellationToken::new());
                calls.spawn(async move {
                    let mut reply = router.call_tool("answer", arguments, caller).await;
                    // As when it is written to the client: what it held is given back.
                    reply.structured = None;
                    reply
                });
            }
            calls.join_all().await
        })
    }
}

#[test]
fn a_plugin_of_many_patterns_is_refused_while_they_are_few() {
    let case = Case::alone();
    let world = World::with(Guest::DescribesManyPatterns);
    // The engine and what Scout brings along are compiled, and kept on disk.
    drop(world.tenant());
    let (bytes, tenant) = case.peak(|| world.tenant());
    let catalog = tenant.revision().plugins.catalog_now();
    let refused = catalog.refused().first().unwrap().to_string();
    assert!(refused.contains("the patterns of the plugin take more than 4 MiB"), "{refused}");
    assert!(bytes < MOST, "{bytes}");
}

#[test]
fn answers_of_many_small_values_take_what_all_answers_may() {
    let case = Case::alone();
    let world = World::with(Guest::AnswersSmallValues);
    let tenant = world.tenant();
    world.call(&tenant, 1, &json!({"value": "1"}));
    let row = format!("{{\"a\":\"{}\",\"b\":1}}", "x".repeat(60));
    for value in ["1", "[]", "{\"\":{}}", "\"\"", "\"\\u001b\"", &format!("\"{}\"", "x".repeat(20)), &row] {
        let (bytes, replies) = case.peak(|| world.call(&tenant, 12, &json!({"value": value})));
        for reply in replies.iter().filter(|reply| reply.is_error) {
            assert!(reply.joined().contains("once it is read"), "{}", reply.joined());
        }
        assert!(bytes < MOST, "{value}: {bytes}");
    }
}

#[test]
fn answers_that_are_checked_against_a_large_schema_take_what_all_answers_may() {
    let case = Case::alone();
    let world = World::with(Guest::AnswersMuchToALargeSchema);
    let tenant = world.tenant();
    let (bytes, replies) = case.peak(|| world.call(&tenant, 16, &json!({})));
    for reply in replies {
        assert!(reply.joined().contains("takes too long to be checked"), "{}", reply.joined());
    }
    assert!(bytes < MOST, "{bytes}");
}

#[test]
fn what_a_plugin_took_is_given_back_with_it() {
    let case = Case::alone();
    let world = World::with(Guest::AnswersMuchToALargeSchema);
    let held = || {
        let tenant = world.tenant();
        let held = HEAP.current_usage();
        drop(tenant);
        held
    };
    let (first, _) = (held(), case.peak(|| ()));
    let after: Vec<usize> = (0..5).map(|_| held()).collect();
    // Less than one description and its schemas.
    assert!(after.iter().all(|bytes| *bytes < first + (4 << 20)), "{first} {after:?}");
}
