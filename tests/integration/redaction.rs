//! Secrets in what leaves, with `redact` and without: files, commands, errors, resources, tools, the command line.

use scout_tests::{Scout, Sshd};
use serde_json::{Value, json};

use crate::cli::run;
use crate::world::options;

/// No token: its checksum is made to fit.
const TOKEN: &str = concat!("ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17");
const PASSWORD: &str = "q8Kd2Lw9-Xv3";

fn settings() -> String {
    format!("# of the app\nDB_PASSWORD={PASSWORD}\nPORT=8080\nurl: https://ann:{PASSWORD}@db/x\n{TOKEN}\n")
}

const MASKED: &str = "# of the app\nDB_PASSWORD=[redacted: secret-value]\nPORT=8080\nurl: https://ann:[redacted: url-password]@db/x\n[redacted: github-token]\n";

fn shows_a_secret(message: &Value) -> bool {
    let text = message.to_string();
    text.contains(PASSWORD) || text.contains(TOKEN)
}

#[tokio::test]
async fn files_commands_errors_and_resources_leave_with_their_secrets_masked_if_that_is_asked_for() {
    let sshd = Sshd::start();
    let file = sshd.dir().join("app.conf");
    std::fs::write(&file, settings()).unwrap();
    let latin = sshd.dir().join("latin");
    std::fs::write(&latin, [b"caf\xe9 ", TOKEN.as_bytes(), b"\n"].concat()).unwrap();
    let path = file.display();
    for redact in [true, false] {
        let scout = Scout::start(&options(&sshd).setting(&format!("redact = {redact}"))).await;
        let masked = |count: usize| json!(if redact { count } else { 0 });
        let expected = if redact { MASKED.to_owned() } else { settings() };

        let read = scout.call(&format!("box:{path}")).await;
        assert_eq!((read.text(), &read.structured()["content"]), (expected.clone(), &json!(expected)));
        assert_eq!(read.receipt()["redacted"], masked(3), "{}", read.message);

        let command = scout.command("box", &format!("cat {path}")).await;
        assert_eq!(command.structured()["stdout"], json!(expected));
        assert_eq!((shows_a_secret(&command.message), &command.receipt()["redacted"]), (!redact, &masked(3)));

        // A path that is not there, told in an error.
        let missing = scout.call(&format!("box:/no/{TOKEN}")).await;
        assert_eq!((missing.is_error(), shows_a_secret(&missing.message)), (true, !redact), "{}", missing.message);
        let denied = scout.command("box", &format!("cat --{TOKEN}")).await;
        assert_eq!((denied.is_error(), shows_a_secret(&denied.message)), (true, !redact), "{}", denied.message);

        let uri = format!("scout://box{path}");
        let resource = scout.request("resources/read", json!({"uri": uri})).await;
        assert_eq!(resource["result"]["contents"][0]["text"], json!(expected), "{resource}");

        // Its bytes are no text.
        let bytes = scout.call_with(json!({"target": format!("box:{}", latin.display()), "base64": true})).await;
        let given = bytes.structured()["content"].as_str().unwrap().len();
        assert_eq!(
            (bytes.receipt()["redacted"].clone(), given != 4 * (latin.metadata().unwrap().len().div_ceil(3) as usize)),
            (masked(1), redact)
        );

        let part = scout.call_with(json!({"target": format!("box:{path}"), "grep": "PASSWORD"})).await;
        assert_eq!((part.is_error(), shows_a_secret(&part.message)), (false, !redact), "{}", part.message);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), settings(), "no file changes");
    }
}

#[tokio::test]
async fn what_the_command_line_prints_is_masked_too() {
    let sshd = Sshd::start();
    let file = sshd.dir().join("app.conf");
    std::fs::write(&file, settings()).unwrap();
    let options = options(&sshd).setting("redact = true");
    for flags in [&[][..], &["--json"]] {
        let target = format!("box:{}", file.display());
        let (output, stdout, stderr) = run(&options, &[&["call", &*target], flags].concat()).await;
        assert!(output.status.success() && stdout.contains("[redacted: github-token]"), "{stdout}{stderr}");
        assert!(!stdout.contains(PASSWORD) && !stdout.contains(TOKEN), "{stdout}");
    }
}
