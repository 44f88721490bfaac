//! `SSH_ASKPASS`: the program that asks for secrets where there is no terminal.

use std::path::PathBuf;

/// The user's askpass program, if `ssh` without a terminal would run it: there is a display to ask on, or
/// `SSH_ASKPASS_REQUIRE` says `force`; it does not say `never`. OpenSSH's default program is not used: nobody chose it.
///
/// It is run with the prompt as its argument and its standard output is the secret, as for a `secret_command`.
pub(super) fn program<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let has_display = set("DISPLAY").or_else(|| set("WAYLAND_DISPLAY")).is_some();
    let is_allowed = match set("SSH_ASKPASS_REQUIRE").map(str::to_ascii_lowercase).as_deref() {
        Some("force") => true,
        Some("never") => false,
        // `prefer` is about a terminal, and Scout has none.
        _ => has_display,
    };
    set("SSH_ASKPASS").filter(|_| is_allowed).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::program;

    #[test]
    fn askpass_is_run_where_ssh_without_a_terminal_would_run_it() {
        for (display, require, is_run) in [
            (None, None, false),
            (None, Some("prefer"), false),
            (None, Some("force"), true),
            (None, Some("Force"), true),
            (Some(":0"), None, true),
            (Some(":0"), Some("prefer"), true),
            (Some(":0"), Some("something"), true),
            (Some(":0"), Some("never"), false),
            (Some(""), None, false),
        ] {
            for name in ["DISPLAY", "WAYLAND_DISPLAY"] {
                let found = program(|asked| match asked {
                    "SSH_ASKPASS" => Some("/bin/ask"),
                    "SSH_ASKPASS_REQUIRE" => require,
                    asked => display.filter(|_| asked == name),
                });
                assert_eq!(found.as_deref(), is_run.then(|| Path::new("/bin/ask")), "{display:?} {require:?}");
            }
        }
        for unset in [None, Some("")] {
            assert_eq!(program(|asked| if asked == "SSH_ASKPASS" { unset } else { Some("force") }), None);
        }
    }
}
