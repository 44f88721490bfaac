//! Files of Scout's own.

use std::io::Write as _;

use scout_runtime::cassette::Cassette;
use scout_server::config::{Config, Flags};
use tempfile::NamedTempFile;

pub(crate) fn cassette(bytes: &[u8]) {
    let Ok(cassette) = Cassette::parse(bytes) else { return };
    let printed = cassette.print().expect("what was read can be printed");
    let again = Cassette::parse(printed.as_bytes()).expect("what was printed can be read");
    assert_eq!(again.print().as_ref(), Ok(&printed));
}

/// `scout.toml`, beside an `ssh_config` without hosts.
pub(crate) fn config(bytes: &[u8]) {
    let file = |bytes: &[u8]| {
        let mut file = NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("a file with bytes");
        file.into_temp_path()
    };
    let (config, ssh_config) = (file(bytes), file(b""));
    let (config, ssh_config) = (Some(config.to_path_buf()), Some(ssh_config.to_path_buf()));
    let Ok(config) = Config::load(&Flags { config, ssh_config, ..Flags::default() }) else { return };
    drop(config.hosts());
    config.watched(&[]);
}
