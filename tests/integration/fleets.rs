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

/// Five hosts, of which two are there, in groups.
fn grouped(sshd: &Sshd) -> ScoutOptions {
    let mut options = options(sshd);
    options.ssh_config.push_str(&sshd.config_block("web1", sshd.address()));
    options.ssh_config.push_str(&blocks(3));
    let groups = "[hosts.\"h*\"]\ntags = [\"old\"]\n[groups.front]\nhosts = [\"web*\", \"box\"]\n\
                  [groups.rest]\nhosts = [\"tag:old\"]\n[groups.all]\nhosts = [\"@front\", \"@rest\"]\n";
    options.setting(groups)
}

/// The names of the hosts of an answer.
fn listed(answer: &scout_tests::Answer) -> Vec<String> {
    let told = answer.structured();
    let hosts = told["hosts"].as_array().unwrap_or_else(|| panic!("{}", answer.text()));
    hosts.iter().map(|host| host["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_group_stands_for_its_hosts_wherever_hosts_are_named() {
    let sshd = Sshd::start();
    let options = grouped(&sshd);
    let scout = Scout::start(&options).await;
    let hosts = async |query: &str| scout.call_with(json!({"target": "hosts", "query": query})).await;
    let front = hosts("@front").await;
    assert_eq!(listed(&front), ["box", "web1"]);
    assert_eq!(front.structured()["hosts"][0]["groups"], json!(["all", "front"]));
    assert!(front.text().contains("GROUPS") && front.text().contains("all,front"), "{}", front.text());
    let rest = hosts("@all tag:old").await;
    assert_eq!(listed(&rest), ["h00000", "h00001", "h00002"]);
    assert_eq!(
        (&rest.structured()["hosts"][0]["tags"], &rest.structured()["hosts"][0]["groups"]),
        (&json!(["old"]), &json!(["all", "rest"]))
    );
    assert_eq!(listed(&hosts("@none").await), Vec::<String>::new());
    let asked = scout.call_with(json!({"targets": ["@front:/etc/hostname"]})).await.structured();
    assert_eq!((&asked["asked"], &asked["groups"][0]["names"]), (&json!(2), &json!(["box", "web1"])), "{asked}");
    let (output, text, stderr) = crate::cli::run(&options, &["explain", "web1"]).await;
    assert!(output.status.success() && text.contains("Groups: all, front\n"), "{text}{stderr}");
    // Whoever may see a group may see no other.
    let limited = grouped(&sshd).setting("[access.local]\nhosts = [\"@front\"]\n[plugins.file]\nhosts = [\"web1\"]\n");
    let scout = Scout::start(&limited).await;
    assert_eq!(listed(&scout.call("hosts").await), ["box", "web1"]);
    assert!(scout.call("h00000:/").await.text().contains("no host is named `h00000`"));
    assert!(!scout.call("web1:/etc/hostname").await.is_error() && scout.call("box:/etc/hostname").await.is_error());
    for (settings, says) in [
        (
            "[access.local]\nhosts = [\"@fron\"]\n",
            "no group is named \"fron\"; a [groups.NAME] makes one; did you mean `front`",
        ),
        ("[groups.more]\nhosts = [\"tag:olde\"]\n", "no host has the tag \"olde\""),
        ("[hosts.\"@front\"]\ncommands = \"none\"\n", "a table is about hosts, by name or glob"),
        ("[groups.more]\nhosts = [\"nobody\"]\n", "\"nobody\" names no host of"),
        ("[groups.more]\nhosts = [\"@more\"]\n", "a group contains itself: @more is in @more"),
    ] {
        let (output, _, stderr) = crate::cli::run(&grouped(&sshd).setting(settings), &["hosts"]).await;
        assert!(output.status.code() == Some(2) && stderr.contains(says), "{says}: {stderr}");
    }
}

#[tokio::test]
async fn hosts_are_chosen_by_status_sorted_and_paged() {
    let sshd = Sshd::start();
    let scout = Scout::start(&grouped(&sshd)).await;
    let hosts = async |arguments: serde_json::Value| {
        let mut asked = json!({"target": "hosts"});
        asked.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        scout.call_with(asked).await
    };
    assert!(!scout.call("web1:/etc/hostname").await.is_error());
    assert_eq!(listed(&hosts(json!({"query": "status:connected"})).await), ["web1"]);
    assert_eq!(listed(&hosts(json!({"query": "status:reachable"})).await), ["box"]);
    assert_eq!(
        listed(&hosts(json!({"query": "status:unreachable", "sort": "-name"})).await),
        ["h00002", "h00001", "h00000"]
    );
    assert_eq!(listed(&hosts(json!({"sort": "status,-name"})).await), ["web1", "box", "h00002", "h00001", "h00000"]);
    assert_eq!(listed(&hosts(json!({"sort": "latency", "refresh": true, "limit": 1})).await).len(), 1);
    let mut seen = Vec::new();
    let mut cursor = serde_json::Value::Null;
    loop {
        let page = hosts(json!({"sort": "-name", "limit": 2, "cursor": cursor})).await;
        seen.extend(listed(&page));
        cursor = page.structured()["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, ["web1", "h00002", "h00001", "h00000", "box"]);
    let first = hosts(json!({"limit": 2})).await.structured();
    let other = hosts(json!({"limit": 2, "query": "h*", "cursor": first["cursor"]})).await;
    assert!(other.is_error() && other.text().contains("`cursor` belongs to another call"), "{}", other.text());
    for (arguments, says) in [
        (json!({"sort": "size"}), "hosts are sorted by name, status or latency"),
        (json!({"query": "status:up"}), "no status is named `up`"),
        (json!({"limit": 1500}), "at most 1000 are shown at once"),
        (json!({"depth": 1}), "`depth` goes with"),
    ] {
        let answer = hosts(arguments).await;
        assert!(answer.is_error() && answer.text().contains(says), "{says}: {}", answer.text());
    }
    // On the command line a process knows nothing, and asks.
    let (output, text, stderr) =
        crate::cli::run(&grouped(&sshd), &["hosts", "status:unreachable", "--sort=-name", "--limit", "1", "--refresh"])
            .await;
    assert!(output.status.success() && text.contains("h00002") && !text.contains("h00001  "), "{text}{stderr}");
    assert!(text.contains("1 of 3 hosts"), "{text}");
}

/// How many connections a listener was made.
#[tokio::test]
async fn a_host_is_asked_anew_only_where_that_is_wanted() {
    let sshd = Sshd::start();
    let mut options = options(&sshd);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    options.ssh_config.push_str(&format!("Host quiet\n  HostName 127.0.0.1\n  Port {port}\n"));
    let scout = Scout::start(&options).await;
    let hosts = async |query: &str| listed(&scout.call_with(json!({"target": "hosts", "query": query})).await);
    assert_eq!(hosts("quiet status:reachable").await, ["quiet"]);
    drop(listener);
    assert_eq!(hosts("quiet status:reachable").await, ["quiet"], "what was seen a moment ago counts");
    // What was seen within a second counts also for whoever asks anew.
    loop {
        let asked = json!({"target": "hosts", "query": "quiet", "refresh": true});
        let status = scout.call_with(asked).await.structured()["hosts"][0]["status"].clone();
        if status == "unreachable" {
            break;
        }
        assert_eq!(status, "reachable");
    }
    assert_eq!(hosts("quiet status:unreachable").await, ["quiet"]);
}

#[tokio::test]
async fn who_may_not_see_addresses_sees_none_in_lists_and_failures() {
    let sshd = Sshd::start();
    let mut options = grouped(&sshd).setting("[access.local]\naddresses = false\n");
    options.ssh_config.push_str("Host stranger\n  HostName 127.0.0.1\n  Port 1\n");
    let port = sshd.address().port().to_string();
    let scout = Scout::start(&options).await;
    let list = scout.call("hosts").await;
    assert!(listed(&list).len() == 6 && !list.text().contains("ADDRESS"), "{}", list.text());
    let failed = scout.call("stranger:/etc/hostname").await;
    assert!(failed.is_error() && failed.text().contains("stranger: it cannot be reached"), "{}", failed.text());
    let many = scout.call_with(json!({"targets": ["stranger", "h*"], "query": "uname"})).await;
    for answer in [&list, &failed, &many] {
        let all = format!("{}{}", answer.text(), answer.structured());
        for told in ["127.", &port, "\"user\"", "\"port\"", "\"address\""] {
            assert!(!all.contains(told), "{told}: {all}");
        }
    }
    assert!(!scout.call("web1:/etc/hostname").await.is_error());
    let (output, text, stderr) = crate::cli::run(&options, &["policy", "explain", "hosts"]).await;
    assert!(output.status.success() && text.contains("addresses of the principal: not told"), "{text}{stderr}");
}

#[tokio::test]
async fn names_of_hosts_are_completed_as_far_as_they_are_listed() {
    let sshd = Sshd::start();
    let mut options = options(&sshd).setting("[plugins.hosts]\nhosts = [\"h*\"]\n");
    options.ssh_config.push_str(&blocks(10_000));
    let scout = Scout::start(&options).await;
    let complete = async |uri: &str, name: &str, value: &str| {
        let arguments =
            json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": name, "value": value}});
        scout.request("completion/complete", arguments).await
    };
    const PATHS: &str = "scout://{host}/{path*}";
    let found = complete(PATHS, "host", "h0999").await["result"]["completion"].clone();
    assert_eq!(
        (&found["values"][0], &found["total"], &found["hasMore"]),
        (&json!("h09990"), &json!(10), &json!(false)),
        "{found}"
    );
    let many = complete(PATHS, "host", "").await["result"]["completion"].clone();
    assert_eq!((many["values"].as_array().unwrap().len(), &many["hasMore"]), (100, &json!(true)));
    for (name, value) in [("host", "b"), ("path", "/etc"), ("host", &*"h".repeat(300))] {
        let none = complete(PATHS, name, value).await["result"]["completion"]["values"].clone();
        assert_eq!(none, json!([]), "{name} {value}");
    }
    assert!(complete("hosts://list", "host", "h").await["error"]["message"].as_str().unwrap().contains(PATHS));
}
