//! The host's side of the WIT package: one file per interface. Generated types do not leave this module.
//!
//! Every import goes grant → budget → ssh → cap. A grant is first of all a link: an interface that is not granted is
//! not in the linker.

mod answers;
mod baselines;
mod blobs;
mod cursors;
mod descriptions;
mod each;
mod entries;
mod exec;
mod files;
mod inventory;
mod log;
mod progress;
mod queries;
mod settings;
mod transfer;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use scout_machine::Capture;
use tokio::time::Instant;
use tracing::Instrument as _;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTableError};

use crate::budget::{HostMemory, Spent};
use crate::state::{CallState, shown};
use crate::steps::{Admitted, Found, HostAccess, HostRequest, Stop};
use crate::{Grants, Interface, fault};
use types::Kind;

pub(crate) use answers::{Draft, GuestAnswer, Listing, NoAnswer};
pub(crate) use bindings::exports::scout::plugin::{handler, resources, tools};
pub(crate) use descriptions::{HandlerDescription, Template, Tool};
pub(crate) use queries::subject;
pub(crate) use types::{Failure, failed, from_refusal, from_ssh, unknown_host};
pub(crate) use wit::types::Error as WitError;

/// What wasmtime makes of `wit/`. A plugin exports any set of the exports of this world. Only what waits for a host is `async`.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "full-plugin",
        imports: {
            default: trappable,
            "scout:plugin/inventory.hosts": async | trappable,
            "scout:plugin/inventory.select": async | trappable,
            "scout:plugin/inventory.ordered": async | trappable,
            "scout:plugin/inventory.handshake": async | trappable,
            "scout:plugin/inventory.probe": async | trappable,
            "scout:plugin/inventory.probe-anew": async | trappable,
            "scout:plugin/files.open": async | trappable,
            "scout:plugin/files.read": async | trappable,
            "scout:plugin/files.stat": async | trappable,
            "scout:plugin/files.open-each": async | trappable,
            "scout:plugin/exec.run": async | trappable,
            "scout:plugin/exec.shell": async | trappable,
            "scout:plugin/exec.run-each": async | trappable,
            "scout:plugin/exec.shell-each": async | trappable,
            "scout:plugin/baselines.load": async | trappable,
            "scout:plugin/baselines.store": async | trappable,
            "scout:plugin/transfer.look": async | trappable,
            "scout:plugin/transfer.copy": async | trappable,
        },
        exports: { default: async },
        trappable_error_type: { "scout:plugin/types.error" => crate::imports::Failure },
        with: {
            "scout:plugin/blobs.blob": crate::imports::blobs::Blob,
            "scout:plugin/entries.entry": crate::imports::entries::Entry,
            "scout:plugin/answers.answer": crate::imports::answers::Draft,
            "scout:plugin/answers.listing": crate::imports::answers::Listing,
            "scout:plugin/queries.query": crate::imports::queries::Query,
            "scout:plugin/descriptions.handler-description": crate::imports::descriptions::HandlerDescription,
            "scout:plugin/descriptions.tool": crate::imports::descriptions::Tool,
            "scout:plugin/descriptions.template": crate::imports::descriptions::Template,
            "scout:plugin/transfer.report": crate::transfer::Report,
        },
    });
}

use bindings::scout::plugin as wit;

/// The version of the plugin interface that this Scout speaks.
pub(crate) const VERSION: &str = "0.2.0";
/// Of which minor versions it links all: functions are added, never changed.
const COMPATIBLE: &str = "0.2.";

/// Whether what was built against this version can be linked, as far as the version says.
pub(crate) fn compatible(version: &str) -> bool {
    patch(version).is_some()
}

/// What is said of a plugin that names another one, behind its name.
pub(crate) fn other_version(version: &str) -> String {
    let version = shown(version);
    format!(
        "is built for scout:plugin {version}; this Scout speaks {VERSION}: build it again, with the SDK and wit/ of this Scout"
    )
}

/// Whether a compatible version may have functions that this Scout does not have.
pub(crate) fn newer(version: &str) -> bool {
    patch(version) > patch(VERSION)
}

/// What is said besides of what this Scout lacks and this version may have.
pub(crate) fn needs(version: &str) -> &'static str {
    if newer(version) { ": it needs a newer Scout" } else { "" }
}

/// wasmtime links no pre-release with another version.
fn patch(version: &str) -> Option<u64> {
    version.strip_prefix(COMPATIBLE)?.parse().ok()
}

/// The contract: each interface that may be imported, with its functions.
const INTERFACES: [(&str, &[&str]); 15] = [
    ("types", &[]),
    (
        "blobs",
        &[
            "[method]blob.size",
            "[method]blob.total",
            "[method]blob.truncated",
            "[method]blob.is-text",
            "[method]blob.read",
            "[method]blob.digest",
            "[method]blob.share",
            "[method]blob.modified",
        ],
    ),
    (
        "entries",
        &["[method]entry.attributes", "[method]entry.content", "[method]entry.entries", "[method]entry.truncated"],
    ),
    (
        "answers",
        &[
            "[constructor]answer",
            "[method]answer.text",
            "[method]answer.blob",
            "[method]answer.image",
            "[method]answer.structured",
            "[method]answer.attach",
            "[method]answer.failed",
            "[constructor]listing",
            "[method]listing.add",
            "[method]listing.next",
        ],
    ),
    (
        "queries",
        &[
            "[method]query.subject",
            "[method]query.host",
            "[method]query.path",
            "[method]query.command",
            "[method]query.arguments",
            "[method]query.entry",
        ],
    ),
    (
        "descriptions",
        &[
            "[constructor]handler-description",
            "[constructor]tool",
            "[method]tool.title",
            "[method]tool.output-schema",
            "[constructor]template",
            "[method]template.title",
            "[method]template.media-type",
            "[method]template.each-host",
        ],
    ),
    ("inventory", &["hosts", "select", "ordered", "properties", "handshake", "probe", "probe-anew"]),
    ("files", &["open", "read", "stat", "open-each"]),
    ("exec", &["run", "shell", "as-root", "run-each", "shell-each"]),
    (
        "transfer",
        &[
            "[method]report.path",
            "[method]report.files",
            "[method]report.unchanged",
            "[method]report.directories",
            "[method]report.bytes",
            "[method]report.resumed",
            "[method]report.verified",
            "[method]report.digest",
            "[method]report.failures",
            "[method]report.failed",
            "look",
            "copy",
        ],
    ),
    ("baselines", &["load", "store"]),
    ("log", &["write"]),
    ("progress", &["report"]),
    ("settings", &["get"]),
    ("cursors", &["seal", "open"]),
];

/// Whether the contract has this interface.
pub(crate) fn offered(interface: &str) -> bool {
    INTERFACES.iter().any(|(name, _)| *name == interface)
}

/// The first function that is imported from an interface and that the contract does not have there.
pub(crate) fn missing(engine: &Engine, interface: &str, imported: &ComponentInstance) -> Option<String> {
    let (_, offered) = INTERFACES.iter().find(|(name, _)| *name == interface)?;
    imported
        .exports(engine)
        .find(|(name, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)) && !offered.contains(name))
        .map(|(name, _)| name.to_owned())
}

/// Whether an interface of `scout:plugin` may be linked. Those that reach no host need no grant.
pub(crate) fn granted(interface: &str, grants: Grants) -> bool {
    let mut takes = Interface::ALL.into_iter().filter(|one| one.imported().0 == interface).peekable();
    takes.peek().is_none() || takes.any(|one| grants.has(one))
}

/// Which of the interfaces that take a grant a component imports. Of `exec` its functions count one by one.
pub(crate) fn declared(engine: &Engine, component: &Component) -> Grants {
    let mut declared = Grants::NONE;
    for (name, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        let imported = name.strip_prefix("scout:plugin/").and_then(|rest| rest.split('@').next());
        for interface in Interface::ALL.into_iter().filter(|one| imported == Some(one.imported().0)) {
            let functions = interface.imported().1;
            if functions.is_empty() || functions.iter().any(|function| instance.get_export(engine, function).is_some())
            {
                declared = declared.with(interface);
            }
        }
    }
    declared
}

/// The linkers that were needed so far, by grants and whether WASI is in it: building one takes longer than an instance.
#[derive(Clone, Default)]
pub(crate) struct Linkers(Arc<Mutex<HashMap<Linked, Arc<Linker<CallState>>>>>);

/// What is granted, and whether WASI is there.
type Linked = (Grants, bool);

impl Linkers {
    /// A linker with what is granted; WASI only for components that import it.
    pub(crate) fn get(&self, engine: &Engine, grants: Grants, wasi: bool) -> wasmtime::Result<Arc<Linker<CallState>>> {
        // What is linked is whole interfaces of `wit/`.
        let key = (Interface::ALL.into_iter().filter(|one| granted(one.imported().0, grants)).collect(), wasi);
        let mut linkers = self.0.lock();
        if let Some(linker) = linkers.get(&key) {
            return Ok(Arc::clone(linker));
        }
        let linker = Arc::new(linker(engine, grants, wasi)?);
        linkers.insert(key, Arc::clone(&linker));
        Ok(linker)
    }
}

/// A linker with what is granted; WASI only for components that import it.
fn linker(engine: &Engine, grants: Grants, wasi: bool) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wit::types::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit::blobs::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit::entries::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit::answers::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit::queries::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit::descriptions::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit::log::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit::progress::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit::settings::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit::cursors::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    if granted("inventory", grants) {
        wit::inventory::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if granted("files", grants) {
        wit::files::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if granted("exec", grants) {
        wit::exec::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if granted("transfer", grants) {
        wit::transfer::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if granted("baselines", grants) {
        wit::baselines::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    }
    if wasi {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    }
    Ok(linker)
}

impl CallState {
    /// A host that this call may name.
    fn access(&self, host: &str) -> Result<HostAccess, wit::types::Error> {
        let Some(context) = &self.context else {
            return Err(types::error(Kind::Refused, "no host can be reached while a plugin describes itself", None));
        };
        HostAccess::new(context, host, &self.rights).map_err(|error| types::unknown_host(&error))
    }

    /// An operation up to where a host is asked.
    async fn admit(&mut self, host: &str, request: HostRequest) -> Result<Admitted, wit::types::Error> {
        self.admit_until(host, request, None).await
    }

    /// The same of an operation that ends before its call does, if a moment is given.
    async fn admit_until(
        &mut self,
        host: &str,
        request: HostRequest,
        until: Option<Instant>,
    ) -> Result<Admitted, wit::types::Error> {
        let (access, rights) = (self.access(host)?.until(until), Arc::clone(&self.rights));
        let admitted = access.admit_guest(&self.plugin, &rights, &mut self.budget, request).await;
        admitted.map_err(|stop| match stop {
            Stop::Refused(refused) => types::from_refusal(&refused),
            Stop::Spent(message) => types::error(Kind::Exhausted, &message, None),
        })
    }

    /// An operation from there on. In a task: a command that outlives its guest is recorded all the same.
    async fn go(&mut self, admitted: Admitted) -> Result<Found, wit::types::Error> {
        let going = in_task(move || async move { admitted.go().await.map_err(|error| types::from_ssh(&error)) });
        self.budget.away(going).await
    }

    /// An operation all the way.
    async fn ask(&mut self, host: &str, request: HostRequest) -> Result<Found, wit::types::Error> {
        let admitted = self.admit(host, request).await?;
        self.go(admitted).await
    }

    /// Room in the host for remote bytes that a guest will have a handle to.
    fn hold(&self, bytes: usize) -> Result<Arc<HostMemory>, wit::types::Error> {
        self.budget.hold(bytes).map_err(|spent| {
            let (message, hint) = match spent {
                Spent::SharedMemory => ("the memory that all calls share is used up".to_owned(), "try again later"),
                _ => {
                    let held = self.budget.held_limit() >> 20;
                    (format!("this call holds {held} MiB of remote bytes"), "drop what is done with")
                }
            };
            types::error(Kind::Exhausted, &message, Some(hint))
        })
    }

    /// A handle to what a host sent.
    fn blob(&mut self, capture: Capture) -> Result<Resource<blobs::Blob>, wit::types::Error> {
        let hold = self.hold(capture.data.len())?;
        self.push(blobs::Blob::new(capture, hold))
    }

    /// Room in the host for what a guest says.
    fn keep(&mut self, bytes: usize) -> wasmtime::Result<Arc<HostMemory>> {
        Ok(self.budget.keep(bytes)?)
    }

    /// A handle of the guest's for this value, where the guest can be told that it has too many.
    fn push<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>, wit::types::Error> {
        self.table
            .push(value)
            .map_err(|_full| types::error(Kind::Exhausted, "too many handles are open", Some("drop what is done with")))
    }

    /// A handle of the guest's for this value, where too many of them are the guest's end.
    fn own<T: Send + 'static>(&mut self, value: T) -> wasmtime::Result<Resource<T>> {
        Ok(self.table.push(value).inspect_err(|error| {
            if matches!(error, ResourceTableError::Full) {
                self.budget.handles_spent();
            }
        })?)
    }
}

/// Runs work of an import in a task: a fiber's stack is too small for SSH, and what it began must be able to end.
/// The future that `work` gives, tens of kilobytes large, is made there too.
async fn in_task<T: Send + 'static, W: Future<Output = Result<T, wit::types::Error>> + Send + 'static>(
    work: impl FnOnce() -> W + Send + 'static,
) -> Result<T, wit::types::Error> {
    tokio::spawn(async { Box::pin(work()).await }.in_current_span())
        .await
        .unwrap_or_else(|error| Err(types::error(Kind::Internal, &fault("an import was at work", error), None)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_contract_is_that_of_wit() {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let read = |name: &str| std::fs::read_to_string(wit.join(format!("{name}.wit"))).unwrap();
        assert!(read("package").contains(&format!("package scout:plugin@{VERSION};")));
        let world = read("worlds");
        let imported: Vec<&str> =
            world.lines().filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';')).collect();
        assert_eq!(imported, INTERFACES.map(|(interface, _)| interface));
        for (interface, functions) in INTERFACES {
            let text = read(interface);
            let (mut resource, mut declared) = (None, Vec::new());
            for line in text.lines().map(str::trim) {
                if let Some(rest) = line.strip_prefix("resource ") {
                    resource = rest.strip_suffix(" {");
                } else if line == "}" {
                    resource = None;
                } else if line.starts_with("constructor(") {
                    declared.extend(resource.map(|of| format!("[constructor]{of}")));
                } else if let Some((name, _)) = line.split_once(": func(") {
                    declared.push(resource.map_or(name.to_owned(), |of| format!("[method]{of}.{name}")));
                }
            }
            assert_eq!(declared, functions, "{interface}");
        }
    }

    #[test]
    fn versions_of_one_minor_are_compatible() {
        for (version, fits, later) in [
            ("0.2.0", true, false),
            ("0.2.1", true, true),
            ("0.2.10", true, true),
            ("0.1.0", false, false),
            ("0.3.0", false, false),
            ("1.2.0", false, false),
            ("0.20.0", false, false),
            ("0.2.1-rc.1", false, false),
            ("0.2", false, false),
            ("without a version", false, false),
        ] {
            assert_eq!((compatible(version), newer(version)), (fits, later), "{version}");
        }
    }

    #[tokio::test]
    async fn a_fault_inside_an_import_is_an_internal_error_with_an_id() {
        let told = in_task::<(), _>(|| async { panic!("a fault that a test makes") }).await;
        let error = told.err().map(|error| (error.kind, error.message));
        let says = "a fault inside Scout, in its log under the id ";
        assert!(
            matches!(&error, Some((kind, message)) if kind == "internal" && message.starts_with(says)),
            "{error:?}"
        );
    }
}
