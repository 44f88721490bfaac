//! Many callers at once on a stock server.

use std::sync::Arc;

use scout_tests::{Scout, SshdOptions};
use serde_json::json;

use crate::world::{world, world_with};

/// `count` calls by 100 callers; gives the texts of those that failed.
async fn failures(scout: &Arc<Scout>, count: usize, arguments: serde_json::Value) -> Vec<String> {
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..100 {
        let (scout, arguments) = (Arc::clone(scout), arguments.clone());
        let calls = count / 100 + usize::from(caller < count % 100);
        callers.spawn(async move {
            let mut failed = Vec::new();
            for _ in 0..calls {
                let answer = scout.call_with(arguments.clone()).await;
                if answer.is_error() {
                    failed.push(answer.text());
                }
            }
            failed
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_reads_and_two_hundred_commands_by_a_hundred_callers_all_succeed() {
    let (sshd, scout) = world().await;
    std::fs::write(sshd.dir().join("f"), "text").unwrap();
    let file = json!({"target": format!("box:{}/f", sshd.dir().display())});
    let command = json!({"target": format!("box:{}", sshd.dir().display()), "query": "cat f"});
    let (reads, commands) = tokio::join!(failures(&scout, 200, file), failures(&scout, 200, command));
    assert_eq!(reads, Vec::<String>::new());
    assert_eq!(commands, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_two_sessions_serves_a_hundred_callers() {
    let (sshd, scout) = world_with(&SshdOptions { max_sessions: Some(2), ..SshdOptions::default() }).await;
    std::fs::write(sshd.dir().join("f"), "text").unwrap();
    let file = json!({"target": format!("box:{}/f", sshd.dir().display())});
    let command = json!({"target": format!("box:{}", sshd.dir().display()), "query": "cat f"});
    let (reads, commands) = tokio::join!(failures(&scout, 100, file), failures(&scout, 100, command));
    assert_eq!(reads, Vec::<String>::new());
    assert_eq!(commands, Vec::<String>::new());
}
