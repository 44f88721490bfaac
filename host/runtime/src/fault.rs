//! Faults of Scout itself: who meets one is told an id, and the log says under the same id what happened.

use std::any::Any;
use std::hash::{BuildHasher as _, RandomState};

use tokio::task::JoinError;

/// Of a panic, the most that is logged, in characters.
const MAX_MESSAGE: usize = 2000;

/// Logs why a task has ended without a result, and gives the sentence for whoever waited for it: what went wrong is for the
/// log alone. `when` says what was being done.
pub fn fault(when: &str, error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panicked(when, &*panic),
        Err(error) => logged(when, &error.to_string()),
    }
}

/// The same of what has panicked.
pub(crate) fn panicked(when: &str, panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
    logged(when, message.unwrap_or("a panic without a message"))
}

fn logged(when: &str, happened: &str) -> String {
    // Keyed at random: an id is not used twice in one log, whichever process writes to it.
    let id = RandomState::new().hash_one(when);
    let happened: String = happened.chars().take(MAX_MESSAGE).collect();
    tracing::error!(
        fault = format!("{id:016x}"),
        when,
        happened,
        "a fault inside Scout; the panic before this line says where"
    );
    format!("a fault inside Scout, in its log under the id {id:016x}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is told of a task that panics, and what is logged.
    async fn told_and_logged() -> (String, String) {
        let log = Log::default();
        let kept = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        let error = tokio::spawn(async { panic!("the cause, {}", 7) }).await.unwrap_err();
        let told = tracing::subscriber::with_default(subscriber, || fault("a test was run", error));
        let logged = String::from_utf8(kept.0.lock().clone()).unwrap();
        (told, logged)
    }

    #[tokio::test]
    async fn what_is_told_has_the_id_under_which_the_log_says_why() {
        let (told, logged) = told_and_logged().await;
        let id = told.rsplit(' ').next().unwrap();
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{told}");
        assert!(!told.contains("cause"), "{told}");
        assert!(
            logged.contains(id) && logged.contains("the cause, 7") && logged.contains("a test was run"),
            "{logged}"
        );
        assert_ne!(told_and_logged().await.0, told);
    }
}
