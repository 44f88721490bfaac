//! Measures Scout beside OpenSSH and beside a bare SSH client, and prints `RESULTS.md`.
//!
//! Usage: `scout-bench [SECTION…]`, all sections without a name. Each section owns what it measures and returns its part
//! of the report; sshd, the delay link and the stdio client are those of the tests.

mod attacks;
mod bare;
mod before;
mod bulk;
mod embedded;
mod engine;
mod fleet;
mod inventory;
mod load;
mod machine;
mod mixed;
mod openssh;
mod redaction;
mod samples;
mod sandbox;
mod served;
mod tokens;
mod transfers;
mod world;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

const SECTIONS: [&str; 13] = [
    "served",
    "before",
    "engine",
    "load",
    "fleet",
    "inventory",
    "mixed",
    "bulk",
    "transfers",
    "sandbox",
    "redaction",
    "tokens",
    "attacks",
];

#[tokio::main]
async fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let [first, host_key] = &*wanted
        && first == embedded::ARGUMENT
    {
        return embedded::serve(Path::new(host_key)).await;
    }
    for name in &wanted {
        ensure!(SECTIONS.contains(&name.as_str()), "no section is named {name}; there are {}", SECTIONS.join(", "));
    }
    let mut report = vec![introduction()];
    for name in SECTIONS.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|want| want == name)) {
        eprintln!("{name} …");
        let part = match name {
            "served" => served::measure().await,
            "before" => before::measure().await,
            "engine" => engine::measure().await,
            "load" => load::measure().await,
            "fleet" => fleet::measure().await,
            "inventory" => inventory::measure().await,
            "mixed" => mixed::measure().await,
            "bulk" => bulk::measure().await,
            "transfers" => transfers::measure().await,
            "sandbox" => sandbox::measure().await,
            "redaction" => redaction::measure(),
            "tokens" => tokens::measure().await,
            _ => attacks::measure().await,
        };
        report.push(part.with_context(|| format!("section {name}"))?);
    }
    print(&report);
    Ok(())
}

fn introduction() -> String {
    format!(
        "# Results\n\nPrinted by `benches/`, and made again with:\n\n    \
         cargo build --release && cargo run --release -p scout-benches > benches/RESULTS.md\n\n\
         Both sides of a comparison ask the same servers in turn, in the same run. Times are medians.\n\n{}\n",
        machine::facts()
    )
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn print(report: &[String]) {
    println!("{}", report.join("\n").trim_end());
}
