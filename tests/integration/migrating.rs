//! What users of scout_mcp, the server in Python, do is answered: the examples of its documentation, on a real sshd.

use std::fs;

use scout_tests::{Scout, Sshd};
use serde_json::{Value, json};

use crate::world::options;

/// Its documented examples, with what an answer of each holds. `HOST` and `OTHER` are hosts, `DIR` is a directory there.
fn examples() -> Vec<(Value, Vec<&'static str>)> {
    vec![
        (json!({"target": "hosts"}), vec!["box", "other"]),
        (json!({"target": "Hosts"}), vec!["box", "other"]),
        (json!({"target": "HOST:DIR/log/app.log"}), vec!["INFO started", "ERROR lost"]),
        (json!({"target": "HOST:DIR/nginx"}), vec!["nginx.conf", "sites"]),
        (json!({"target": "HOST:DIR/nginx", "tree": true}), vec!["├── nginx.conf", "    └── default"]),
        (json!({"target": "HOST:DIR/code", "query": "grep -rn TODO . --include='*.py'"}), vec!["app.py", "TODO later"]),
        (json!({"target": "HOST:DIR", "find": "*.py"}), vec!["code/app.py"]),
        (json!({"target": "HOST:DIR", "find": "*.log", "depth": 2}), vec!["log/app.log"]),
        (
            json!({"target": "HOST:DIR/nginx/nginx.conf", "diff": "OTHER:DIR/old/nginx.conf"}),
            vec!["-worker 2", "+worker 1"],
        ),
        (json!({"target": "HOST:DIR/nginx/nginx.conf", "diff_content": "worker 2\n"}), vec!["are equal"]),
        (json!({"targets": ["HOST:DIR/log/app.log", "OTHER:DIR/log/app.log"]}), vec!["all say the same", "box, other"]),
        (json!({"targets": ["HOST:DIR/nginx", "OTHER:DIR/nginx"], "query": "ls -la"}), vec!["exit 0", "nginx.conf"]),
        (json!({"target": "HOST:DIR/log", "query": "tail -100 app.log | grep ERROR"}), vec!["ERROR lost"]),
        (json!({"target": "HOST:DIR/code", "query": "find . -name '*.py' -mtime -1"}), vec!["./app.py"]),
    ]
}

#[tokio::test]
async fn the_documented_examples_are_answered() {
    let sshd = Sshd::start();
    let dir = sshd.dir();
    for (path, text) in [
        ("log/app.log", "INFO started\nERROR lost\n"),
        ("nginx/nginx.conf", "worker 2\n"),
        ("nginx/sites/default", "server\n"),
        ("old/nginx.conf", "worker 1\n"),
        ("code/app.py", "# TODO later\n"),
        ("too/deep/below/x.log", ""),
    ] {
        fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        fs::write(dir.join(path), text).unwrap();
    }
    let mut options = options(&sshd);
    options.ssh_config.push_str(&sshd.config_block("other", sshd.address()));
    let scout = Scout::start(&options).await;
    for (arguments, wanted) in examples() {
        let written = arguments.to_string().replace("HOST", "box").replace("OTHER", "other");
        let written = written.replace("DIR", &dir.display().to_string());
        let answer = scout.call_with(serde_json::from_str(&written).unwrap()).await;
        assert!(!answer.is_error(), "{written}: {}", answer.text());
        for text in wanted {
            assert!(answer.text().contains(text), "{written}: {text}: {}", answer.text());
        }
        assert!(!answer.text().contains("below/x.log"), "{written}");
    }
    let copy = scout.call_with(json!({"target": "box:/tmp/x", "beam": "/tmp/y"})).await;
    assert!(copy.is_error() && copy.text().contains("[transfers]"), "{}", copy.text());
    assert!(scout.close().await.success());
}
