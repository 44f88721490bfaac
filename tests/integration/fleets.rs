//! Fleets: thousands of hosts, and hosts that only a pattern names.

use std::fmt::Write as _;

use scout_tests::{Scout, ScoutOptions, Sshd};
use serde_json::json;

use crate::world::{binary, options};

/// Blocks of so many hosts that nobody is at.
fn blocks(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        // Unreachable at once: no route leads out of the loopback interface.
        writeln!(text, "Host h{number:05}\n  HostName 127.9.{}.{}\n  Port 9", number >> 8, number & 255).unwrap();
    }
    text
}

#[tokio::test]
async fn ten_thousand_hosts_are_listed_by_pages_and_selected_by_a_query() {
    let sshd = Sshd::start();
    let mut options = options(&sshd);
    let padding = "# what a generator of such files writes of each host\n".repeat(20_000);
    options.ssh_config = format!("{}{}{padding}", options.ssh_config, blocks(10_000));
    assert!(options.ssh_config.len() > 1 << 20);
    let scout = Scout::start(&options).await;
    let first = scout.call("hosts").await;
    assert!(!first.is_error(), "{}", first.text());
    let listed = |answer: &scout_tests::Answer| answer.structured()["hosts"].as_array().unwrap().len();
    assert_eq!((listed(&first), first.structured()["total"].clone()), (200, json!(10_001)));
    assert_eq!(first.structured()["read_on"], "from h00199");
    let second = scout.call_with(json!({"target": "hosts", "query": "from h00199"})).await;
    assert_eq!(second.structured()["hosts"][0]["name"], "h00199");
    // What a query selects is selected on the next page too.
    let fours = scout.call_with(json!({"target": "hosts", "query": "h*4*"})).await;
    let read_on = fours.structured()["read_on"].clone();
    let name =
        read_on.as_str().and_then(|query| query.strip_prefix("h*4* from ")).unwrap_or_else(|| panic!("{read_on}"));
    let next = scout.call_with(json!({"target": "hosts", "query": read_on})).await.structured();
    assert_eq!((&next["hosts"][0]["name"], &next["total"]), (&json!(name), &json!(3439 - 200)));
    let names = next["hosts"].as_array().unwrap().iter().map(|host| host["name"].as_str().unwrap());
    assert!(names.clone().count() == 200 && names.clone().all(|name| name.contains('4')), "{next}");
    let gone = scout.call_with(json!({"target": "hosts", "query": "h*4* from h10000"})).await;
    assert!(gone.is_error() && gone.text().contains("no host is named `h10000`"), "{}", gone.text());
    let some = scout.call_with(json!({"target": "hosts", "query": "h0123?"})).await;
    assert_eq!((listed(&some), some.structured()["read_on"].is_null()), (10, true), "{}", some.text());
    // A name that is nearly right.
    let near = scout.call("h0999").await;
    assert!(near.text().contains("did you mean `h09"), "{}", near.text());
    let path = sshd.dir().join("here");
    std::fs::write(&path, "here\n").unwrap();
    assert!(scout.call(&format!("box:{}", path.display())).await.text().contains("here"));
}

/// Bytes that a process has read, files and all else.
fn bytes_read(pid: u32) -> usize {
    let counters = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    counters.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_start_reads_ssh_config_for_the_hosts_and_once_more_for_what_changed_meanwhile() {
    let sshd = Sshd::start();
    let mut options = options(&sshd);
    let without = Scout::start(&options).await;
    assert!(!without.call("box:/etc/hostname").await.is_error());
    let other = bytes_read(without.pid());
    options.ssh_config.push_str(&"# what a generator of such files writes of each host\n".repeat(1 << 18));
    let size = options.ssh_config.len();
    let scout = Scout::start(&options).await;
    assert!(!scout.call("box:/etc/hostname").await.is_error());
    let read = bytes_read(scout.pid()) - other.min(bytes_read(scout.pid()));
    assert!(read >= size / 2 && read < 2 * size + size / 2, "{read} of {size}");
}

#[tokio::test]
async fn a_host_that_only_a_pattern_names_is_opened_by_the_operator() {
    let sshd = Sshd::start();
    let block = sshd.config_block("i-*", sshd.address());
    let config = format!("{block}Host db\n  HostName 127.0.0.1\n");
    let known = sshd.known_hosts_line(sshd.address());
    let closed = ScoutOptions::new(binary(), config, known);
    let path = sshd.dir().join("here");
    std::fs::write(&path, "here\n").unwrap();
    let target = format!("i-0abc:{}", path.display());
    let scout = Scout::start(&closed).await;
    let refused = scout.call(&target).await;
    assert!(refused.is_error());
    for told in ["no host is named `i-0abc`", "`Host i-*` of ssh_config covers", "hosts = [\"i-*\"]", "[access.local]"]
    {
        assert!(refused.text().contains(told), "{told}: {}", refused.text());
    }
    assert!(!scout.call("other:/").await.text().contains("covers such names"));
    let open = closed.setting("[access.local]\nhosts = [\"i-*\", \"db\"]\n[hosts.\"i-*\"]\ncommands = \"none\"\n");
    let scout = Scout::start(&open).await;
    let answer = scout.call(&target).await;
    assert!(answer.text().contains("here\n"), "{}", answer.text());
    let command = scout.call_with(json!({"target": "i-0abc", "query": "uptime"})).await;
    assert!(command.is_error() && command.text().contains("no command"), "{}", command.text());
    // Its name reaches commands of ssh_config: nothing that a shell would read is a name.
    for name in ["i-$(id)", "i-;id", "i-a b", "i-`id`", "j-0abc"] {
        let answer = scout.call_with(json!({"target": "/etc/hostname", "host": name})).await;
        assert!(answer.is_error() && answer.text().contains("no host is named"), "{name}: {}", answer.text());
    }
    assert_eq!(scout.call("hosts").await.structured()["total"], 1, "it is not listed");
}
