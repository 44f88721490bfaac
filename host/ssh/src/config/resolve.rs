//! One host with all that it is reached through.
//!
//! Owns the order of things: the files are read, perhaps twice, then each host of `ProxyJump` is looked up as the ssh
//! that OpenSSH starts for it would. Knows no keyword.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use scout_machine::{ErrorKind, HostError};

use super::command::Commands;
use super::evaluate::{Finished, Pass, Settings};
use super::explain::{Explained, Report};
use super::jump::{Hop, MAX_HOPS};
use super::refusal::{At, Refusal};
use super::value::DEFAULT_PORT;
use super::{HostSpec, Proxy, SshConfig};

/// What is looked up: a name, and for a host of `ProxyJump` what that says besides.
#[derive(Debug)]
struct Request {
    alias: String,
    /// Before all files.
    preset: Option<Preset>,
}

/// What OpenSSH gives the ssh of a jump on its command line.
#[derive(Debug)]
struct Preset {
    user: Option<String>,
    port: Option<u16>,
    /// The hosts before this one; if there are none, the files may name some.
    before: Vec<Hop>,
    at: At,
}

impl Request {
    fn is_same(&self, other: &Self) -> bool {
        let parts = |request: &Self| {
            request.preset.as_ref().map(|preset| (preset.user.clone(), preset.port, preset.before.clone()))
        };
        let empty = || (None, None, Vec::new());
        self.alias == other.alias && parts(self).unwrap_or_else(empty) == parts(other).unwrap_or_else(empty)
    }
}

/// Looks one name up. `explains`: whether anybody wants to know which line set what.
pub(super) fn resolve(
    config: &SshConfig,
    alias: &str,
    explains: bool,
    commands: &mut Commands<'_>,
) -> Result<Explained, HostError> {
    let local_user = config
        .local_user
        .get_or_init(|| {
            let of_account = uzers::get_current_username().and_then(|name| name.into_string().ok());
            of_account.or_else(|| std::env::var("USER").ok())
        })
        .as_deref()
        .ok_or_else(|| HostError::new(ErrorKind::Config, "the current account has no name"))?;
    let request = Request { alias: alias.to_owned(), preset: None };
    Resolution { config, local_user, explains, commands, under_way: Vec::new() }.host(request)
}

struct Resolution<'a, 'c> {
    config: &'a SshConfig,
    local_user: &'a str,
    explains: bool,
    commands: &'a mut Commands<'c>,
    /// From the host that was asked for to the one that is looked up now.
    under_way: Vec<Request>,
}

impl Resolution<'_, '_> {
    fn host(&mut self, request: Request) -> Result<Explained, HostError> {
        let Finished { spec, report, jump } = self.read(&request)?;
        let mut explained = Explained { spec, settings: report.into_settings(), hops: Vec::new() };
        let Some((hops, at)) = jump else { return Ok(explained) };
        let Some((last, before)) = hops.split_last() else { return Ok(explained) };
        let refuse = |refusal: Refusal| Err(at.refuse(refusal.of(&format!("ProxyJump {last}"))));
        if is_itself(&explained.spec, last) {
            return refuse(Refusal::bad("is the host itself"));
        }
        let preset = Preset { user: last.user.clone(), port: last.port, before: before.to_vec(), at: at.clone() };
        let next = Request { alias: last.host.clone(), preset: Some(preset) };
        if request.is_same(&next) || self.under_way.iter().any(|request| request.is_same(&next)) {
            return refuse(Refusal::hinted("leads back to itself", "ssh would start itself again and again"));
        }
        if self.under_way.len() >= MAX_HOPS {
            return refuse(Refusal::unsupported(format!("is more than {MAX_HOPS} hosts away")));
        }
        self.under_way.push(request);
        let mut last = self.host(next)?;
        self.under_way.pop();

        let mut hops = std::mem::take(&mut last.hops);
        if !hops.is_empty() {
            // It is reached through those before it.
            last.spec.proxy = Proxy::Direct;
        }
        hops.push(last);
        explained.spec.proxy = Proxy::Jump(hops.iter().map(|hop| Arc::new(hop.spec.clone())).collect());
        explained.hops = hops;
        Ok(explained)
    }

    /// Reads the files for one name, not following `ProxyJump`.
    fn read(&mut self, request: &Request) -> Result<Finished, HostError> {
        let mut settings = Settings::default();
        if let Some(Preset { user, port, before, at }) = &request.preset {
            settings.user = user.clone().map(|user| (user, at.clone()));
            settings.port = port.map(|port| (port, at.clone()));
            settings.jump = (!before.is_empty()).then(|| (before.clone(), at.clone()));
        }
        let mut pass = Pass {
            alias: &request.alias,
            dialled: None,
            home: &self.config.home,
            local_user: self.local_user,
            is_user: true,
        };
        self.apply(&mut settings, pass)?;
        let dialled = settings.dialled(&request.alias)?;
        settings.check_canonical(&dialled)?;
        if settings.wants_second_pass() {
            pass.dialled = Some(&dialled);
            self.apply(&mut settings, pass)?;
        }
        settings.finish(&pass, dialled.clone(), Report::new(self.explains))
    }

    fn apply(&mut self, settings: &mut Settings, pass: Pass<'_>) -> Result<(), HostError> {
        let mut files = self.config.files.iter();
        let applied = files.try_for_each(|file| {
            settings.apply(&file.body, &Pass { is_user: file.is_user, ..pass }, true, self.commands)
        });
        self.config.visited.fetch_add(std::mem::take(&mut settings.visited), Ordering::Relaxed);
        applied
    }
}

/// As OpenSSH compares them: the jump as it is written with the host as it is dialled.
fn is_itself(spec: &HostSpec, jump: &Hop) -> bool {
    jump.host == spec.host_name
        && jump.port.unwrap_or(DEFAULT_PORT) == spec.port
        && jump.user.as_deref().unwrap_or(&spec.user) == spec.user
}
