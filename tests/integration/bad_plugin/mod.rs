//! Plugins that misbehave are stopped, said so, and hurt nobody.
//!
//! Every guest of `tests/fixtures` has a line in `guests`; one that has none does not compile.

mod again;
mod fairness;
mod guests;
mod mutants;
mod served;

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use scout_machine::{Call, CommandLimits, Principal};
use scout_runtime::ListingPlace;
use scout_runtime::grants::{Access, Limit, Place, Rights, Root, Rule};
use scout_runtime::policy::CommandPolicy;
use scout_runtime::{
    Answer, CallContext, CallError, Content, Fleet, Grants, HostRecord, Limits, LoadError, Plugin, PluginId, Query,
    Receipt, ResourceRequest, Runtime, RuntimeConfig, Subject,
};
use scout_ssh::{Pool, PoolConfig, SshConfig};
use scout_tests::{Guest, Sshd};

/// The CPU of one call.
const CPU: Duration = Duration::from_millis(200);
/// When a call must be over; none of the good ones takes that long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(100);
/// Everything there is.
const ALL: Grants = Grants::ALL;

/// One engine for all tests: what one guest does to it, the others notice.
fn runtime() -> Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let cache_dir = Some(crate::world::binary().with_file_name("scout-test-cache").join("guests"));
        Runtime::new(RuntimeConfig { max_instances: 64, memory: 4 << 30, cache_dir }).unwrap()
    });
    RUNTIME.clone()
}

async fn load(name: &str, component: Vec<u8>, grants: Grants) -> Result<Plugin, LoadError> {
    load_into(&runtime(), name, component, grants).await
}

async fn load_into(runtime: &Runtime, name: &str, component: Vec<u8>, grants: Grants) -> Result<Plugin, LoadError> {
    runtime.load(PluginId::new(name).unwrap(), component, grants, serde_json::Map::new()).await
}

/// A real server under two names: `box`, whose commands are free, and `kept`, where they are not. One file on it.
struct World {
    sshd: Sshd,
    fleet: Arc<Fleet>,
    file: PathBuf,
    limits: Arc<Limits>,
}

impl World {
    fn start() -> Self {
        Self::start_on(Sshd::start(), Rights::default())
    }

    /// Where `mallory` must stay in the directory `inside`, from which links lead out.
    fn confining() -> Self {
        let sshd = Sshd::start();
        let inside = sshd.dir().join("inside");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("file"), "x").unwrap();
        for (target, link) in [("../megabyte", "out"), ("..", "up"), ("/", "root")] {
            std::os::unix::fs::symlink(target, inside.join(link)).unwrap();
        }
        let place = Place::new("scout.toml:1");
        let value = Root::parse(inside.as_os_str().as_bytes()).unwrap();
        let rules = vec![Rule { value, text: "inside".into(), place: place.clone() }];
        Self::start_on(sshd, Rights { paths: Some(Limit { rules, place }), ..Rights::default() })
    }

    fn start_on(sshd: Sshd, rights: Rights) -> Self {
        let file = sshd.dir().join("megabyte");
        std::fs::write(&file, "0123456789abcdef".repeat(65_536)).unwrap();
        // A chain that is longer than what is looked at before an answer, the key, and what somebody wrote below it.
        let block = |label: &str, line: &str, lines| {
            format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", format!("{}\n", line.repeat(8)).repeat(lines))
        };
        let chain = block("CERTIFICATE", "TUlJQg==", 200);
        let combined = [chain.repeat(2), block("PRIVATE KEY", "U2VjcmV0", 100), "notes\n".repeat(5_000)].concat();
        std::fs::write(sshd.dir().join("combined.pem"), combined).unwrap();
        let known_hosts = sshd.dir().join("known_hosts");
        std::fs::write(&known_hosts, sshd.known_hosts_line(sshd.address())).unwrap();
        let config = sshd.dir().join("config");
        let blocks = ["box", "kept"].map(|name| {
            format!("{}  UserKnownHostsFile {}\n", sshd.config_block(name, sshd.address()), known_hosts.display())
        });
        std::fs::write(&config, blocks.concat()).unwrap();
        let hosts = Arc::new(SshConfig::load(&config, None, sshd.dir()).unwrap());
        let record = |name: &str, commands| HostRecord::over_ssh(&hosts, name, commands, CommandLimits::NONE);
        let records = vec![record("box", CommandPolicy::Shell), record("kept", CommandPolicy::ReadOnly)];
        let access = Access { plugins: [("mallory".to_owned(), Arc::new(rights))].into(), ..Access::default() };
        let fleet = Arc::new(Fleet::new(records, Pool::new(PoolConfig::default())).with_access(access));
        Self { sshd, fleet, file, limits: Arc::new(Limits { cpu: CPU, ..Limits::default() }) }
    }

    /// What `principal` asks `plugin` for: the file on `host`, by a query of its first tool, or as its first resource.
    async fn ask(
        &self,
        plugin: &Plugin,
        principal: &str,
        host: &str,
        within: Duration,
    ) -> Result<(Answer, Receipt), CallError> {
        let call = Call::until(tokio::time::Instant::now() + within);
        let principal = Principal::new("test", principal);
        let context = CallContext::new(principal, Arc::clone(&self.fleet), Arc::clone(&self.limits), call);
        if let [tool, ..] = plugin.tools() {
            let arguments = serde_json::json!({"host": host, "path": self.file}).to_string();
            return plugin.call_tool(context, &tool.name, &arguments).await;
        }
        if let [template, ..] = plugin.templates() {
            if template.name == "list" {
                let (page, receipt) = plugin.list_resources(context, ListingPlace::default()).await?;
                let uris = page.resources.into_iter().map(|resource| Content::Text(resource.uri)).collect();
                return Ok((Answer { content: uris, ..Answer::default() }, receipt));
            }
            let path = self.file.to_str().unwrap().trim_start_matches('/').to_owned();
            let values = [host.to_owned(), path].into_iter().take(template.uri.variables().count()).collect();
            let request = ResourceRequest { template: template.name.clone(), values };
            return plugin.read_resource(context, request).await;
        }
        let query = Query {
            subject: Subject::File,
            host: Some(host.to_owned()),
            path: Some(self.file.as_os_str().as_bytes().to_vec()),
            command: None,
            arguments: serde_json::Map::new(),
            found: None,
        };
        plugin.handle(context, query).await
    }

    /// A call of somebody else's, of a plugin that behaves, that reads the file.
    async fn good_call(&self, good: &Plugin) {
        let (answer, _) = self.ask(good, "alice", "box", PATIENCE).await.unwrap();
        assert_eq!(text(&answer).len(), 1 << 20);
    }
}

async fn good_plugin() -> Plugin {
    load("good", Guest::Good.bytes(), ALL).await.unwrap()
}

fn text(answer: &Answer) -> String {
    let texts = answer.content.iter().map(|content| match content {
        Content::Text(text) => text.clone(),
        Content::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Content::Image(bytes, format) => format!("{} of {} bytes", format.media_type(), bytes.len()),
    });
    texts.collect()
}
