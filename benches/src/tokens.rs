//! What a model reads for an answer, beside the text that an operator's usual command prints.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use scout_tests::{Scout, ScoutOptions, Sshd};
use serde_json::{Value, json};

use crate::served::binary;

/// Bytes of a token, about.
const BYTES: usize = 4;
/// Hosts that are asked together; they are one server.
const HOSTS: usize = 50;
/// Lines of the log, one in four hundred of which is an error.
const LINES: usize = 2_000;
/// Lines of the two configurations, one of which differs.
const SETTINGS: usize = 300;

/// A question, how it is asked, and what its answer has to hold.
struct Question {
    asks: &'static str,
    /// What an operator would run.
    raw: String,
    tool: &'static str,
    arguments: Value,
    /// A command that prints what was asked for, a fact a line.
    facts: String,
}

pub(crate) async fn measure() -> Result<String> {
    let sshd = Sshd::start();
    let dir = sshd.dir().display().to_string();
    prepare(&sshd)?;
    let mut options = ScoutOptions::new(binary()?, String::new(), sshd.known_hosts_line(sshd.address()));
    for number in 1..=HOSTS {
        options.ssh_config.push_str(&sshd.config_block(&format!("web{number}"), sshd.address()));
    }
    for plugin in ["disk", "processes", "listeners", "packages"] {
        options = options.setting(&format!("[plugins.{plugin}]\nsource = \"bundled\""));
    }
    let scout = Scout::start(&options).await;
    let mut rows = String::new();
    let (mut raw, mut text, mut fields) = (0, 0, 0);
    for question in questions(&dir, sshd.address().port()) {
        let told = question.ask(&scout).await.context(question.asks)?;
        writeln!(rows, "| {} | {} | {} | {} | {:.2} |", question.asks, told.raw, told.text, told.fields, told.ratio())?;
        (raw, text, fields) = (raw + told.raw, text + told.text, fields + told.fields);
    }
    ensure!(scout.close().await.success(), "scout did not end well");
    Ok(format!(
        "## Tokens\n\nWhat a model reads for ten questions, in tokens, of which one is some four bytes: what the usual command prints, the answer's text, and \
         its structured part, which some clients hand over instead. Each answer is held against what was asked for: the facts are looked up \
         by other commands. The logs and settings are made, the rest is this machine; {HOSTS} hosts are one server.\n\n\
         | question | raw | text | structured | text / raw |\n|---|---:|---:|---:|---:|\n{rows}\
         | all | {raw} | {text} | {fields} | {:.2} |\n",
        text as f64 / raw as f64
    ))
}

/// A log and two configurations.
fn prepare(sshd: &Sshd) -> Result<()> {
    let log: String = (0..LINES)
        .map(|at| {
            let (minute, second) = (at / 60 % 60, at % 60);
            match at % 400 {
                399 => format!("2026-11-30T10:{minute:02}:{second:02}Z ERROR upstream {at} timed out after 30 s\n"),
                _ => {
                    format!("2026-11-30T10:{minute:02}:{second:02}Z INFO request {at} GET /api/items served in 12 ms\n")
                }
            }
        })
        .collect();
    std::fs::write(sshd.dir().join("app.log"), log)?;
    for (name, odd) in [("one.conf", "on"), ("two.conf", "off")] {
        let settings: String = (0..SETTINGS)
            .map(|at| format!("setting_{at} = {}\n", if at == SETTINGS / 2 { odd } else { "default" }))
            .collect();
        std::fs::write(sshd.dir().join(name), settings)?;
    }
    Ok(())
}

fn questions(dir: &str, port: u16) -> Vec<Question> {
    let every = |command: &str| format!("for n in $(seq {HOSTS});do {command}|sed \"s/^/web$n: /\";done");
    let on = |path: &str| format!("web1:{path}");
    vec![
        Question {
            asks: "Which three processes take most memory?",
            raw: "ps aux".into(),
            tool: "processes",
            arguments: json!({"host": "web1", "sort": "-memory_bytes", "limit": 3, "columns": "pid,memory_bytes,command"}),
            facts: "ps -eo pid= --sort=-rss|head -3".into(),
        },
        Question {
            asks: "Who listens on this port?",
            raw: "ss -tulpn".into(),
            tool: "listeners",
            arguments: json!({"host": "web1", "where": format!("port = {port}")}),
            facts: format!("echo {port};echo sshd"),
        },
        Question {
            asks: "Which version of libc6 is installed?",
            raw: "dpkg -l".into(),
            tool: "packages",
            arguments: json!({"host": "web1", "where": "name = libc6", "columns": "name,version"}),
            facts: "dpkg-query -W -f '${Version}\\n' libc6".into(),
        },
        Question {
            asks: "Which file systems are more than half full?",
            raw: "df -h".into(),
            tool: "disk",
            arguments: json!({"host": "web1", "threshold": 50}),
            facts: "df --output=target,pcent -x tmpfs -x devtmpfs|awk '$2+0>=50{print $1}'".into(),
        },
        Question {
            asks: "Which errors are in this log?",
            raw: format!("cat {dir}/app.log"),
            tool: "scout",
            arguments: json!({"target": on(&format!("{dir}/app.log")), "grep": "ERROR"}),
            facts: format!("grep -o 'upstream [0-9]*' {dir}/app.log"),
        },
        Question {
            asks: "What is below /etc/ssh?",
            raw: "ls -laR /etc/ssh".into(),
            tool: "scout",
            arguments: json!({"target": on("/etc/ssh"), "tree": true}),
            facts: "find /etc/ssh -mindepth 1 -printf '%f\\n'".into(),
        },
        Question {
            asks: "Which files below /etc are larger than 100 KiB?",
            raw: "find /etc -type f -size +100k -ls".into(),
            tool: "scout",
            arguments: json!({"target": on("/etc"), "find": "*", "type": "file", "where": "size > 102400", "columns": "name,size"}),
            facts: "find /etc -type f -size +102400c -printf '%f\\n'".into(),
        },
        Question {
            asks: "How do the settings of two hosts differ?",
            raw: format!("cat {dir}/one.conf {dir}/two.conf"),
            tool: "scout",
            arguments: json!({"target": on(&format!("{dir}/one.conf")), "diff": format!("web2:{dir}/two.conf")}),
            facts: "echo setting_150 = on;echo setting_150 = off".into(),
        },
        Question {
            asks: "Have fifty hosts the same sshd_config?",
            raw: every("cat /etc/ssh/sshd_config"),
            tool: "scout",
            arguments: json!({"targets": ["web*:/etc/ssh/sshd_config"]}),
            facts: format!("echo 'web[1-{HOSTS}]'"),
        },
        Question {
            asks: "Which kernel do fifty hosts run?",
            raw: every("uname -r"),
            tool: "scout",
            arguments: json!({"targets": ["web*"], "query": "uname -r"}),
            facts: format!("uname -r;echo 'web[1-{HOSTS}]'"),
        },
    ]
}

/// Tokens of one answer.
struct Told {
    raw: usize,
    text: usize,
    fields: usize,
}

impl Told {
    fn ratio(&self) -> f64 {
        self.text as f64 / self.raw as f64
    }
}

impl Question {
    async fn ask(&self, scout: &Arc<Scout>) -> Result<Told> {
        let message = scout.request("tools/call", json!({"name": self.tool, "arguments": self.arguments})).await;
        let answer = scout_tests::Answer { message };
        ensure!(!answer.is_error(), "{}", answer.text());
        let text = answer.text();
        for fact in printed(&self.facts)?.lines() {
            ensure!(text.contains(fact.trim()), "`{fact}` is not in the answer: {text}");
        }
        let count = |text: &str| text.len().div_ceil(BYTES);
        Ok(Told {
            raw: count(&printed(&self.raw)?),
            text: count(&text),
            fields: count(&answer.structured().to_string()),
        })
    }
}

/// What a command prints here, which is where the hosts are.
fn printed(command: &str) -> Result<String> {
    let output = Command::new("/bin/sh").args(["-c", command]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
