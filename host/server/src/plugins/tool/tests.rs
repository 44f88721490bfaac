//! Calls whose checks take long, and their neighbours: on one thread, where whoever computes keeps everybody waiting.
#![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use scout_runtime::{Fleet, Grants, Limits, PluginId, Runtime, RuntimeConfig};
use scout_ssh::{Pool, PoolConfig};
use scout_tests::Guest;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::plugins::one;

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(600);
/// Calls whose checks take long.
const CALLS: usize = 16;
/// Polls that a call of a neighbour may take: it waits for its instance and for nothing else.
const POLLS: usize = 50;

/// With room for all calls at once.
fn roomy() -> Runtime {
    Runtime::new(RuntimeConfig { max_instances: 64, memory: 4 << 30, cache_dir: None }).unwrap()
}

async fn tool(runtime: &Runtime, guest: Guest) -> Arc<Tool> {
    let (component, id) = (guest.bytes(), PluginId::new("a-plugin").unwrap());
    let plugin = runtime.load(id, component.clone(), Grants::ALL, Map::new()).await.unwrap();
    let catalog = one::tools(plugin, &component).await.unwrap();
    Arc::clone(catalog.tools().last().unwrap())
}

fn call() -> Call {
    Call::until(Instant::now() + PATIENCE)
}

fn context(principal: &str, call: &Call) -> CallContext {
    let fleet = Fleet::new(Vec::new(), Pool::new(PoolConfig::default()));
    // Machines are busy while tests run.
    let limits = Limits { cpu: PATIENCE, ..Limits::default() };
    CallContext::new(Principal::new("test", principal), Arc::new(fleet), Arc::new(limits), call.clone())
}

fn begin(tool: &Arc<Tool>, call: &Call) -> JoinHandle<Result<Reply, CallError>> {
    let (tool, context) = (Arc::clone(tool), context("mallory", call));
    tokio::spawn(async move { tool.call(context, None, Map::new(), Secrets::Shown).await })
}

/// Takes the thread that works for this tool's calls, until what is given is dropped.
async fn hold_thread(tool: &Arc<Tool>) -> Sender<()> {
    let ((hold, held), (begun, begins)) = (channel::<()>(), tokio::sync::oneshot::channel());
    let tool = Arc::clone(tool);
    tokio::spawn(async move {
        let work = move |_: &mut Meter| {
            begun.send(()).unwrap();
            held.recv().unwrap_err();
        };
        tool.plugin().work(&Principal::new("test", "mallory"), &call(), "a test held it", work).await.unwrap();
    });
    begins.await.unwrap();
    hold
}

/// Waits until nothing moves any more but what waits for other threads.
async fn settle() {
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_whose_checks_take_long_leave_their_neighbours_their_turns() {
    let runtime = roomy();
    let (slow, neighbour) =
        (tool(&runtime, Guest::AnswersMuchToALargeSchema).await, tool(&runtime, Guest::BringsTools).await);
    let thread = hold_thread(&slow).await;
    let calls: Vec<_> = (0..CALLS).map(|_| begin(&slow, &call())).collect();
    let fields = serde_json::json!({"host": "box", "path": "/"});
    for _ in 0..100 {
        let (call, arguments) = (call(), fields.as_object().cloned().unwrap());
        let mut asked = pin!(neighbour.call(context("alice", &call), None, arguments, Secrets::Shown));
        let mut polls = 0;
        let answer = std::future::poll_fn(|task| {
            polls += 1;
            asked.as_mut().poll(task)
        })
        .await;
        // It breaks its word, and so it was checked.
        assert!(answer.unwrap_err().message.contains("broke its own output schema"));
        assert!(polls <= POLLS, "{polls}");
    }
    settle().await;
    assert!(!calls.iter().any(JoinHandle::is_finished), "the checks were made on the thread that answers calls");
    drop(thread);
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(
            error.message.contains("takes too long to be checked against the output schema of `answer`"),
            "{error}"
        );
        assert!(error.kind == CallErrorKind::Failed && error.receipt.memory_peak > 0);
    }
}

#[tokio::test]
async fn a_call_whose_answer_waits_to_be_checked_ends_when_nobody_wants_it() {
    let runtime = Runtime::small().unwrap();
    let slow = tool(&runtime, Guest::AnswersMuchToALargeSchema).await;
    let thread = hold_thread(&slow).await;
    let unwanted = call();
    let waits = begin(&slow, &unwanted);
    settle().await;
    assert!(!waits.is_finished());
    unwanted.cancel.cancel();
    assert_eq!(waits.await.unwrap().unwrap_err().kind, CallErrorKind::Cancelled);
    drop(thread);
}

#[tokio::test]
async fn arguments_that_take_long_to_be_checked_are_refused_before_the_plugin_is_called() {
    let runtime = Runtime::small().unwrap();
    let mut settings = Map::new();
    let asked = vec![serde_json::json!({"minLength": 0}); 2000];
    let schema = serde_json::json!({"type": "object", "additionalProperties": {"items": {"allOf": asked}}});
    settings.insert("schema".to_owned(), schema.to_string().into());
    let (component, id) = (Guest::DoesAsSet.bytes(), PluginId::new("a-plugin").unwrap());
    let plugin = runtime.load(id, component.clone(), Grants::ALL, settings).await.unwrap();
    let catalog = one::tools(plugin, &component).await.unwrap();
    let arguments = serde_json::json!({"v": vec!["x"; 100_000]});
    let called = catalog.tools().first().unwrap().call(
        context("alice", &call()),
        None,
        arguments.as_object().cloned().unwrap(),
        Secrets::Shown,
    );
    let error = called.await.unwrap_err();
    assert!(error.message.contains("take too long to be checked against its input schema"), "{error}");
    assert_eq!(error.receipt.memory_peak, 0);
}

#[tokio::test]
async fn a_plugin_of_too_many_patterns_is_refused() {
    let runtime = Runtime::small().unwrap();
    let (component, id) = (Guest::DescribesManyPatterns.bytes(), PluginId::new("a-plugin").unwrap());
    let plugin = runtime.load(id, component.clone(), Grants::ALL, Map::new()).await.unwrap();
    let error = one::tools(plugin, &component).await.unwrap_err();
    assert!(error.message.contains("the patterns of the plugin take more than 4 MiB"), "{error}");
}

#[test]
fn no_plugin_has_a_tool_that_is_taken_for_scouts_own() {
    let why = check_name("scout", "mine").unwrap_err();
    let says = "it has a tool `scout`, and so has Scout itself; set `prefix` in [plugins.mine], such as \"mine_\"";
    assert_eq!(why, says);
    for name in ["Scout", "SCOUT", "scout_", "-scout", "s-cout", "sc0ut"] {
        let why = check_name(name, "mine").unwrap_err();
        assert!(why.contains("which is too much like Scout's own `scout`; set `prefix`"), "{name}: {why}");
    }
    for name in ["mine_scout", "scouts", "scout_disk"] {
        assert_eq!(check_name(name, "mine"), Ok(()));
    }
    assert!(check_name(&"x".repeat(65), "mine").unwrap_err().contains("shorten the prefix"));
}
