//! `scout plugin sign`: a detached signature beside the component.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use scout_ssh::sshsig;
use tokio::time::Instant;

use super::super::{failed, print};
use crate::config::{Config, ConfigError, Digest, signature_file};
use crate::files;
use crate::vetting::NAMESPACE;

/// An agent may ask a person before it signs.
const AGENT: Duration = Duration::from_secs(120);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The component
    file: PathBuf,
    /// A private key, a public key that the agent holds, or a certificate (…-cert.pub)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, ConfigError> {
    let file = &arguments.file;
    let component = match files::read_component(file) {
        Ok(component) => component,
        Err(error) => return Ok(failed(&format!("{} cannot be read: {error}", file.display()))),
    };
    let agent = config.vetting.agent.as_deref();
    let signature = match sshsig::sign(&arguments.key, agent, NAMESPACE, &component, Instant::now() + AGENT).await {
        Ok(signature) => signature,
        Err(why) => return Ok(failed(&why)),
    };
    let path = signature_file(file);
    if let Err(error) = write(&path, signature.as_bytes()) {
        return Ok(failed(&format!("{} cannot be written: {error}", path.display())));
    }
    print(&format!(
        "{}: signed; put it beside the component wherever that goes.\nsha256 = \"{}\"",
        path.display(),
        Digest::of(&component)
    ));
    Ok(ExitCode::SUCCESS)
}

/// At once: nobody reads half a signature.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut new = files::beside(path, files::READABLE)?;
    new.write_all(bytes)?;
    new.persist(path)?;
    Ok(())
}
