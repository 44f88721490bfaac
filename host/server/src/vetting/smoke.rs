//! A plugin tried with hostile input, where no host is in reach: what it does with text that nobody expects.
//!
//! Every tool is called with what [`arguments`] makes up; a handler with paths and commands of that kind, and resources are
//! read by such names. Deterministic: the
//! same plugin is asked the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use scout_machine::{Attributes, Call, Capture, DirEntry, Opened, Principal};
use scout_runtime::ListingPlace;
use scout_runtime::{
    CallContext, CallError, CallErrorKind, Fleet, Limits, Meter, Plugin, Query, ResourceRequest, Subject,
    TemplateDescription, WORK_STEPS,
};
use scout_ssh::{Pool, PoolConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::arguments::{self, Arguments, LONG, NASTY};
use crate::exit::Secrets;
use crate::plugins::Schemas;
use crate::render::{Base64, render};

/// Steps that each look at made up arguments may take; there are thousands of them.
const CHECK: u64 = 100_000;
/// One call.
const CALL: Duration = Duration::from_secs(10);
/// All of them together; what is not tried by then is told.
const ALL: Duration = Duration::from_secs(30);

/// What came of trying one tool, subject or template of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tried {
    /// Its name.
    pub name: String,
    /// How often it was called.
    pub calls: usize,
    /// How often it answered.
    pub answers: usize,
    /// How often it said that it cannot: the normal case without hosts.
    pub refusals: usize,
    /// What it should not have done: crashed, used up a budget, broke its own schema.
    pub faults: Vec<String>,
    /// Why it was not tried as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untried: Option<String>,
}

/// Tries all tools and resources of a plugin, and all subjects of a handler. Takes at most 30 s and one call more.
pub(super) async fn run(plugin: &Plugin) -> Vec<Tried> {
    let bench = Bench {
        fleet: Arc::new(Fleet::new(Vec::new(), Pool::new(PoolConfig::default()))),
        limits: Arc::new(Limits::default()),
        until: Instant::now() + ALL,
    };
    let mut all = Vec::new();
    // As it will be when it is loaded: all of its schemas can be used, or none of its tools.
    let schemas = Schemas::of(plugin.tools(), &mut Meter::new(WORK_STEPS));
    for (place, described) in plugin.tools().iter().enumerate() {
        let mut tried = Tried { name: described.name.clone(), ..Tried::default() };
        match &schemas {
            Err(why) => tried.faults.push(why.clone()),
            Ok((schemas, _)) => {
                if let Some(schemas) = schemas.get(place) {
                    bench.tool(plugin, &described.input_schema, schemas, &mut tried).await;
                }
            }
        }
        all.push(tried);
    }
    for subject in plugin.handler().map(|handler| handler.subjects.clone()).unwrap_or_default() {
        let mut tried = Tried { name: format!("{subject:?}").to_lowercase(), ..Tried::default() };
        bench.subject(plugin, subject, &mut tried).await;
        all.push(tried);
    }
    for template in plugin.templates() {
        let mut tried = Tried { name: template.uri.text().to_owned(), ..Tried::default() };
        bench.resource(plugin, template, &mut tried).await;
        all.push(tried);
    }
    if !plugin.templates().is_empty() {
        let mut tried = Tried { name: "the list of resources".to_owned(), ..Tried::default() };
        let listed = plugin.list_resources(bench.context(), ListingPlace::default()).await;
        note(&mut tried, listed.map(|_| false), None, &json!({}));
        all.push(tried);
    }
    bench.fleet.pool().shutdown().await;
    all
}

struct Bench {
    fleet: Arc<Fleet>,
    limits: Arc<Limits>,
    until: Instant,
}

impl Bench {
    async fn tool(&self, plugin: &Plugin, schema: &Map<String, Value>, schemas: &Schemas, tried: &mut Tried) {
        // What takes too long to be checked does not fit: a call with it would be refused, too.
        let mistakes = |value: &Value| {
            let counted = schemas.count_mistakes_in_arguments(value, &mut Meter::new(CHECK));
            counted.unwrap_or(usize::MAX)
        };
        let Arguments { calls, untried } = arguments::make_up(schema, mistakes);
        tried.untried = untried;
        for arguments in calls {
            if self.is_over(tried) {
                return;
            }
            let called = plugin.call_tool(self.context(), &tried.name, &arguments.to_string()).await;
            let replied = called.map(|(answer, receipt)| {
                let (reply, checked) = schemas
                    .checked(render(answer, Base64::Given, Secrets::Shown, receipt), &mut Meter::new(WORK_STEPS));
                (reply.is_error, checked)
            });
            let broken = match &replied {
                Ok((_, Ok(what))) => what.as_ref().map(|what| format!("broke its own output schema: {what}")),
                Ok((_, Err(_))) => {
                    Some("answered what takes too long to be checked against its output schema".to_owned())
                }
                Err(_) => None,
            };
            note(tried, replied.map(|(is_error, _)| is_error), broken, &arguments);
        }
    }

    async fn subject(&self, plugin: &Plugin, subject: Subject, tried: &mut Tried) {
        let long = "A".repeat(LONG);
        for nasty in NASTY.into_iter().chain([long.as_str()]) {
            if self.is_over(tried) {
                return;
            }
            let query = Query {
                subject,
                host: (!matches!(subject, Subject::Hosts | Subject::Targets)).then(|| "nowhere".to_owned()),
                path: (!matches!(subject, Subject::Hosts | Subject::Targets)).then(|| nasty.as_bytes().to_vec()),
                command: matches!(subject, Subject::Command | Subject::Targets).then(|| nasty.to_owned()),
                arguments: arguments(subject, nasty),
                found: found(subject, nasty),
            };
            let shown = json!({"path": nasty});
            let called = plugin.handle(self.context(), query).await;
            note(tried, called.map(|(answer, _)| answer.failure.is_some()), None, &shown);
        }
    }

    /// Each variable is as nasty as the others, also as no URI makes them.
    async fn resource(&self, plugin: &Plugin, template: &TemplateDescription, tried: &mut Tried) {
        let long = "A".repeat(LONG);
        let count = template.uri.variables().count();
        for nasty in NASTY.into_iter().chain(["nowhere", long.as_str()]) {
            if self.is_over(tried) {
                return;
            }
            let request = ResourceRequest { template: template.name.clone(), values: vec![nasty.to_owned(); count] };
            let shown = json!({"values": request.values.clone()});
            let read = plugin.read_resource(self.context(), request).await;
            note(tried, read.map(|(answer, _)| answer.failure.is_some()), None, &shown);
            if count == 0 {
                return;
            }
        }
    }

    fn context(&self) -> CallContext {
        let call = Call::until(tokio::time::Instant::now() + CALL);
        CallContext::new(Principal::own("vetting"), Arc::clone(&self.fleet), Arc::clone(&self.limits), call)
    }

    fn is_over(&self, tried: &mut Tried) -> bool {
        let is_over = Instant::now() >= self.until;
        if is_over {
            tried.untried = Some(format!("not all of it within {} s", ALL.as_secs()));
        }
        is_over
    }
}

/// What a handler of this subject is handed as arguments.
fn arguments(subject: Subject, nasty: &str) -> Map<String, Value> {
    let (name, value) = match subject {
        Subject::Hosts | Subject::File | Subject::Directory | Subject::Command => return Map::new(),
        Subject::Part => ("grep", nasty.into()),
        Subject::Tree => ("tree", true.into()),
        Subject::Find => ("find", nasty.into()),
        Subject::Diff => ("diff", format!("nowhere:{nasty}").into()),
        Subject::Targets => ("targets", vec![nasty].into()),
        Subject::Transfer => ("beam", nasty.into()),
    };
    Map::from_iter([(name.to_owned(), value)])
}

/// What a handler of this subject is handed beside a path: a file that holds `nasty`, or a directory that has a name like it.
fn found(subject: Subject, nasty: &str) -> Option<Opened> {
    let attributes = Attributes::default();
    match subject {
        Subject::Hosts
        | Subject::Command
        | Subject::Part
        | Subject::Tree
        | Subject::Find
        | Subject::Diff
        | Subject::Targets
        | Subject::Transfer => None,
        Subject::File => {
            let data = Bytes::copy_from_slice(nasty.as_bytes());
            let content = Capture { total: Some(data.len() as u64), data, ..Capture::default() };
            Some(Opened::File { attributes, content })
        }
        Subject::Directory => {
            let entries = vec![DirEntry { name: nasty.as_bytes().to_vec(), attributes }];
            Some(Opened::Directory { attributes, entries, truncated: false })
        }
    }
}

fn note(tried: &mut Tried, called: Result<bool, CallError>, broken: Option<String>, arguments: &Value) {
    /// Faults that are told; each more says nothing new.
    const TOLD: usize = 5;
    tried.calls += 1;
    let fault = match called {
        Ok(true) => {
            tried.refusals += 1;
            None
        }
        Ok(false) => {
            tried.answers += 1;
            broken
        }
        Err(error) => match error.kind {
            CallErrorKind::Failed => {
                tried.refusals += 1;
                None
            }
            CallErrorKind::Plugin
            | CallErrorKind::Timeout
            | CallErrorKind::Cancelled
            | CallErrorKind::Busy
            | CallErrorKind::Internal => Some(error.message),
        },
    };
    if let Some(fault) = fault
        && tried.faults.len() < TOLD
    {
        let arguments: String = arguments.to_string().chars().take(200).collect();
        tried.faults.push(format!("{fault}; with {arguments}"));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use scout_runtime::{Grants, PluginId, Runtime};

    use super::*;
    use crate::plugins::bundled_plugin;

    #[tokio::test]
    async fn each_tool_that_scout_brings_along_is_tried_with_all_that_its_schema_has() {
        // Tools, and templates with the list of what there is.
        for (name, things) in [
            ("disk", 1),
            ("services", 2),
            ("logs", 1 + 2),
            ("processes", 1),
            ("listeners", 1),
            ("packages", 1),
            ("containers", 1 + 6),
            ("storage", 1 + 5),
            ("history", 1),
            ("posture", 1),
            ("changes", 1),
        ] {
            let (component, _) = bundled_plugin(name).unwrap();
            let (runtime, id) = (Runtime::small().unwrap(), PluginId::new("tried").unwrap());
            let plugin = runtime.load(id, component, Grants::ALL, Map::new()).await.unwrap();
            let tried = run(&plugin).await;
            assert_eq!(tried.len(), things);
            for tried in tried {
                let least = match tried.name.as_str() {
                    "the list of resources" => 1,
                    template if template.contains("://") => NASTY.len(),
                    _ => 20,
                };
                assert!(tried.calls >= least && tried.faults.is_empty(), "{tried:?}");
                assert_eq!(tried.untried, None, "{tried:?}");
            }
        }
    }
}
