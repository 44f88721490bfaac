//! The binary `scout`.

use std::process::ExitCode;
use std::time::Duration;

/// How long tasks may take to notice the end. A thread that reads a terminal never does.
const LAST_WORDS: Duration = Duration::from_millis(100);

fn main() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Where plugins are loaded and called, not on this thread: its heap would keep what reading a hundred plugins took.
    let code = runtime.block_on(runtime.spawn(scout_server::cli::run()))?;
    runtime.shutdown_timeout(LAST_WORDS);
    Ok(code)
}
