//! Loading and calling plugins.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scout_machine::{Opened, Principal};
use tracing::Instrument as _;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Resource};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};
use wasmtime_wasi::I32Exit;

use crate::budget::Spent;
use crate::cpu_slices::CpuSlices;
use crate::cursor::{Asked, NotSealed, Seal};
use crate::engine::{
    CORE_INSTANCES_PER_COMPONENT, MEMORIES_PER_COMPONENT, TABLE_ELEMENTS, TABLES_PER_COMPONENT, TickingEngine,
    out_of_memory,
};
use crate::fault::panicked;
use crate::grants::{Access, CallRights, DeclaredEffect};
use crate::imports::{self, Draft, GuestAnswer, Listing, NoAnswer, VERSION};
use crate::meter::Meter;
use crate::shares::{MemoryReservation, PluginShare, Shares};
use crate::state::{CallState, HANDLES, shown};
use crate::work::{Lane, Work, ended};
use crate::workers::Workers;
use crate::{
    Answer, CallContext, CallError, CallErrorKind, Externs, Grants, Interface, Limits, ListingPlace, Receipt,
    ResourcePage, ResourceRequest, UriTemplate, describe, features, resource, shape,
};

/// A plugin's name: 1 to 64 of `a-z 0-9 -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginId(pub(crate) String);

impl PluginId {
    /// A name, if it is one.
    pub fn new(name: &str) -> Option<Self> {
        let good = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        good.then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a handler answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The listing of hosts.
    Hosts,
    /// A regular file, or what is neither file nor directory.
    File,
    /// A directory.
    Directory,
    /// A command.
    Command,
    /// A part of a file.
    Part,
    /// What lies below a directory, as a tree.
    Tree,
    /// What lies below a directory and is looked for.
    Find,
    /// How two files or directories differ.
    Diff,
    /// A path or a command on many hosts.
    Targets,
    /// A copy from one machine to another.
    Transfer,
}

impl Subject {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 10] = [
        Self::Hosts,
        Self::File,
        Self::Directory,
        Self::Command,
        Self::Part,
        Self::Tree,
        Self::Find,
        Self::Diff,
        Self::Targets,
        Self::Transfer,
    ];

    /// The subject whose handler answers this one besides: it knows such things already.
    pub fn main(self) -> Self {
        match self {
            Self::Part => Self::File,
            Self::Find | Self::Diff => Self::Tree,
            own => own,
        }
    }

    /// Those that have a handler of their own.
    pub fn mains() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|subject| subject.main() == *subject)
    }

    /// As the contract calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::File => "file",
            Self::Directory => "directory",
            Self::Command => "command",
            Self::Part => "part",
            Self::Tree => "tree",
            Self::Find => "find",
            Self::Diff => "diff",
            Self::Targets => "targets",
            Self::Transfer => "transfer",
        }
    }
}

/// What a handler said of itself at load.
#[derive(Clone, Debug)]
pub struct HandlerDescription {
    /// One line, bounded.
    pub summary: String,
    /// What it answers.
    pub subjects: Vec<Subject>,
}

/// The most a tool does to a host. Each does what those before it do, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Reads.
    Read,
    /// Runs commands.
    Exec,
    /// Writes.
    Write,
}

/// What a plugin said of a tool at load; bounded and checked, still untrusted text.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDescription {
    /// Its name.
    pub name: String,
    /// For people.
    pub title: Option<String>,
    /// For the model.
    pub description: String,
    /// JSON Schema, an object.
    pub input_schema: Arc<serde_json::Map<String, serde_json::Value>>,
    /// JSON Schema of the structured answer.
    pub output_schema: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
    /// What it does.
    pub effect: Effect,
}

/// What a plugin said of a template of resources at load; bounded and checked, still untrusted text.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateDescription {
    /// Its name within its plugin.
    pub name: String,
    /// For people.
    pub title: Option<String>,
    /// One line.
    pub description: String,
    /// Which URIs belong to it.
    pub uri: Arc<UriTemplate>,
    /// Of what is read.
    pub media_type: Option<String>,
    /// Whether its only variable is a host, and each one has it.
    pub is_of_each_host: bool,
    /// What reading it does; never [`Effect::Write`].
    pub effect: Effect,
}

/// A query for a handler.
#[derive(Clone, Debug)]
pub struct Query {
    /// What is asked.
    pub subject: Subject,
    /// Absent for [`Subject::Hosts`] and [`Subject::Targets`].
    pub host: Option<String>,
    /// Absent: the home directory.
    pub path: Option<Vec<u8>>,
    /// The command line.
    pub command: Option<String>,
    /// The arguments beside these.
    pub arguments: serde_json::Map<String, serde_json::Value>,
    /// What lies at the path ([`CallContext::look`]), for [`Subject::File`] and [`Subject::Directory`].
    pub found: Option<Opened>,
}

/// Why a component cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("plugin `{plugin}`: {message}")]
pub struct LoadError {
    /// Which.
    pub plugin: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// How the runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Instances at once (the pooling allocator's slots). A plugin may use three quarters of them, a principal too, and a
    /// principal half of them for one plugin.
    pub max_instances: u32,
    /// Memory of all calls together, in bytes: what guests have, and what Scout holds for them. A principal may use half of
    /// it. At least 128 MiB, so that any plugin can be called.
    pub memory: usize,
    /// Where compiled code is kept; absent: nowhere. Created 0700; refused if another account could write it, or exchange it
    /// for another in a directory above.
    pub cache_dir: Option<PathBuf>,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    machine: Arc<TickingEngine>,
    shares: Arc<Shares>,
    /// Compile what Scout brings along, and read what plugins say of themselves.
    own: Workers<()>,
    /// Compile other plugins that are small, and those that are large.
    small: Workers<()>,
    large: Workers<()>,
    /// Whether there is one plugin only: then nothing has to let it go first.
    is_alone: bool,
    work: Work,
    slices: CpuSlices,
    linkers: imports::Linkers,
}

/// Who a plugin comes from, for the order in which plugins are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Scout brings it along: it waits for no other.
    Scout,
    /// Anybody else.
    Others,
}

/// A component of more bytes is large: interpreters of languages are, and take seconds and more to be compiled.
const LARGE: usize = 1 << 20;
/// The largest component, in bytes.
pub const MAX_COMPONENT: usize = 32 << 20;
/// The least memory of all calls: twice what one may have, for a principal may use half.
const MIN_MEMORY: usize = 128 << 20;
/// How long describing itself may take a plugin.
const DESCRIBE: Limits = Limits {
    cpu: Duration::from_millis(500),
    memory: 64 << 20,
    host_calls: 1000,
    file_bytes: 0,
    output_bytes: 0,
    dir_entries: 0,
    command_timeout: Duration::ZERO,
    answer_bytes: 1 << 20,
    transfer_bytes: 0,
};
/// When a plugin must have described itself, however busy Scout is. Its CPU is bounded by [`DESCRIBE`].
const DESCRIBE_DEADLINE: Duration = Duration::from_secs(10);
/// Beyond a call's deadline, for imports that stop remote work and tell of it.
const LAST_WORDS: Duration = Duration::from_secs(6);
/// Of a crash, the most that is logged, in characters.
const MAX_TRACE: usize = 2000;
/// Pages of its resources that a plugin may list: clients ask for one after the other until there is none.
const LISTED_PAGES: usize = 100;
/// Bytes that one import may take from a guest, summed over its arguments.
const HOSTCALL_BYTES: usize = 16 << 20;

impl Runtime {
    /// Sets up the engine: pooling allocation if the address space allows it, else on demand.
    ///
    /// # Errors
    /// When the machine cannot run WebAssembly at all.
    pub fn new(config: RuntimeConfig) -> Result<Self, LoadError> {
        Ok(Self::with(TickingEngine::new(&config)?, config.max_instances as usize, config.memory))
    }

    /// An engine that looks at one plugin in a process whose address space is bounded: slower than [`Runtime::new`], and
    /// nothing is kept.
    ///
    /// # Errors
    /// When the machine cannot run WebAssembly at all.
    pub fn small() -> Result<Self, LoadError> {
        Ok(Self { is_alone: true, ..Self::with(TickingEngine::small()?, 2, MIN_MEMORY) })
    }

    fn with(machine: Arc<TickingEngine>, instances: usize, memory: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // The threads that answer calls, if they are there already.
        let workers = tokio::runtime::Handle::try_current().map_or(processors, |tokio| tokio.metrics().num_workers());
        Self {
            machine,
            shares: Arc::new(Shares::new(instances, memory.max(MIN_MEMORY))),
            own: Workers::new(processors, processors),
            // One that takes long in spite of its size leaves a thread to others of its kind.
            small: Workers::new(processors.max(2), processors.max(2)),
            large: Workers::new(processors, processors),
            is_alone: false,
            work: Work::new(),
            slices: CpuSlices::new(workers),
            linkers: imports::Linkers::default(),
        }
    }

    /// Whether what is compiled is found again by the next process.
    pub fn keeps_compiled(&self) -> bool {
        self.machine.has_cache
    }

    /// CPU that all guests have had so far; those that are running, up to their last tick of 10 ms.
    pub fn guest_cpu(&self) -> Duration {
        self.slices.used()
    }

    /// Compiles a component, checks its imports against the grants and asks it to describe itself. What Scout brings along is
    /// compiled on threads of its own, and so are small plugins of others and large ones: of each kind as many at once as there
    /// are processors, and large ones let everything else go first. Whatever is compiled, a call waits for the plugin that it
    /// means.
    ///
    /// # Cancel safety
    /// Dropping the future gives the plugin up; if its compilation has begun, that goes on to its end.
    ///
    /// # Errors
    /// Bytes that are no component, imports that are not granted, another API version, a description that fails.
    pub async fn load(
        &self,
        id: PluginId,
        component: impl AsRef<[u8]> + Send + 'static,
        grants: Grants,
        settings: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Plugin, LoadError> {
        self.load_from(Origin::Others, id, component, grants, settings).await
    }

    /// As [`Runtime::load`], of what Scout brings along.
    ///
    /// # Errors
    /// As [`Runtime::load`].
    pub async fn load_own(
        &self,
        id: PluginId,
        component: impl AsRef<[u8]> + Send + 'static,
        grants: Grants,
        settings: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Plugin, LoadError> {
        self.load_from(Origin::Scout, id, component, grants, settings).await
    }

    async fn load_from(
        &self,
        origin: Origin,
        id: PluginId,
        component: impl AsRef<[u8]> + Send + 'static,
        grants: Grants,
        settings: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Plugin, LoadError> {
        let refused = |message: String| LoadError { plugin: id.as_str().to_owned(), message };
        let (runtime, of) = (self.clone(), id.clone());
        let compile = move |component: &[u8]| runtime.compile(of, component, grants, settings);
        let mut inner = Box::pin(self.compiling(&id, component, origin, compile)).await?;
        let (said, footprint) = inner.describe().await.map_err(refused)?;
        let mut room = self.shares.keep();
        let read = self.own.run((), move || Ok((said.read(&mut room)?, room)));
        let (described, room) = read
            .await
            .unwrap_or_else(|panic| Err(panicked("what a plugin said of itself was read", &*panic)))
            .map_err(|why: String| refused(format!("describes itself wrongly: {why}")))?;
        (inner.described, inner.footprint, inner.kept) = (described, footprint, Arc::new(room));
        Ok(Plugin { inner: Arc::new(inner) })
    }

    /// Compiles a component only, so that it is in the cache when it is loaded.
    ///
    /// # Errors
    /// As [`Runtime::load`].
    pub async fn warm(&self, id: &PluginId, component: impl AsRef<[u8]> + Send + 'static) -> Result<(), LoadError> {
        let (runtime, of) = (self.clone(), id.clone());
        let compile = move |component: &[u8]| runtime.component(&of, component).map(drop);
        // Whoever compiles only has nobody who waits for anything else.
        self.compiling(id, component, Origin::Scout, compile).await
    }

    /// Compiles in the turn of whom it comes from.
    async fn compiling<T: Send + 'static>(
        &self,
        id: &PluginId,
        component: impl AsRef<[u8]> + Send + 'static,
        origin: Origin,
        compile: impl FnOnce(&[u8]) -> Result<T, LoadError> + Send + 'static,
    ) -> Result<T, LoadError> {
        let refused = |message: String| LoadError { plugin: id.as_str().to_owned(), message };
        let is_large = component.as_ref().len() > LARGE;
        let compiled = match origin {
            Origin::Others if !self.is_alone => {
                let workers = if is_large { &self.large } else { &self.small };
                workers.run((), move || apart(is_large, move || compile(component.as_ref()))).await
            }
            Origin::Others | Origin::Scout => self.own.run((), move || Ok(compile(component.as_ref()))).await,
        };
        match compiled {
            Ok(compiled) => compiled.map_err(refused)?,
            Err(panic) => Err(refused(format!("breaks the compiler: {}", panicked("a plugin was compiled", &*panic)))),
        }
    }

    fn component(&self, id: &PluginId, component: &[u8]) -> Result<Component, LoadError> {
        let refused = |message: String| LoadError { plugin: id.as_str().to_owned(), message };
        if component.len() > MAX_COMPONENT {
            let message = format!("is {} bytes large; {MAX_COMPONENT} are allowed", component.len());
            return Err(refused(message));
        }
        shape::check(component).map_err(refused)?;
        features::check(component).map_err(refused)?;
        // All that is missing at once, and before seconds are spent on the rest.
        Externs::read(component).and_then(|externs| externs.check()).map_err(refused)?;
        Component::from_binary(&self.machine.engine, component).map_err(|error| {
            refused(if out_of_memory(&error) {
                "cannot be compiled: there is no memory for it; Scout needs more, or more address space (`ulimit -v`)"
                    .to_owned()
            } else {
                beyond(&error).unwrap_or_else(|| format!("is not a component that can be used: {}", first_line(&error)))
            })
        })
    }

    fn compile(
        &self,
        id: PluginId,
        component: &[u8],
        grants: Grants,
        settings: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Inner, LoadError> {
        let refused = |message: String| LoadError { plugin: id.as_str().to_owned(), message };
        let engine = &self.machine.engine;
        let component = self.component(&id, component)?;
        let outside = component.component_type();
        let mut wasi = false;
        for (import, item) in outside.imports(engine) {
            check_import(engine, import, &item.ty, &grants).map_err(refused)?;
            wasi |= import.starts_with("wasi:");
        }
        let unfit = |error: wasmtime::Error| refused(format!("does not fit this Scout: {}", first_line(&error)));
        let linker = self.linkers.get(engine, grants, wasi).map_err(unfit)?;
        let pre = linker.instantiate_pre(&component).map_err(unfit)?;
        let exports = Exports::of(engine, pre).map_err(refused)?;
        let settings = Arc::new(settings);
        let declared = imports::declared(engine, &component);
        let (described, share, runtime) = (Description::default(), self.shares.plugin(), self.clone());
        let kept = Arc::new(self.shares.keep());
        Ok(Inner { id, grants, declared, settings, exports, described, kept, footprint: 0, share, runtime })
    }
}

/// Does work on threads of its own: one for what is small, and for what is large half as many as there are processors, which
/// let all others go first. wasmtime's own are shared by all that is compiled, and what came first keeps them.
fn apart<T: Send>(is_large: bool, work: impl FnOnce() -> T + Send) -> Result<T, String> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if is_large { (processors / 2).max(1) } else { 1 };
    let begins = move |_| {
        if is_large {
            yield_to_others();
        }
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).start_handler(begins).build();
    Ok(pool.map_err(|error| format!("cannot be compiled: no thread can be started: {error}"))?.install(work))
}

/// Gives this thread a third of the share that others have of a processor, where a thread has one of its own.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    rustix::process::setpriority_process(None, NICE).ok();
}

/// As `nice` has it.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// The packages of WASI that are linked.
pub(crate) const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Whether an import can be linked, or why not.
fn check_import(engine: &Engine, import: &str, item: &ComponentItem, grants: &Grants) -> Result<(), String> {
    if let Some(rest) = import.strip_prefix("scout:plugin/") {
        let (interface, version) = rest.split_once('@').unwrap_or((rest, "without a version"));
        if !imports::compatible(version) {
            return Err(imports::other_version(version));
        }
        let needs = imports::needs(version);
        if !imports::offered(interface) {
            return Err(format!("imports `{}`, which this Scout does not offer{needs}", shown(import)));
        }
        if let ComponentItem::ComponentInstance(imported) = item
            && let Some(function) = imports::missing(engine, interface, imported)
        {
            let (function, import) = (shown(&function), shown(import));
            return Err(format!("imports `{function}` of `{import}`, which this Scout does not offer{needs}"));
        }
        if !imports::granted(interface, *grants) {
            return Err(format!("needs `{interface}`, which is not granted"));
        }
        return Ok(());
    }
    match import.strip_prefix("wasi:").and_then(|rest| rest.split_once('@')) {
        Some((name, _)) if !WASI.iter().any(|package| name.split('/').next() == Some(*package)) => {
            Err(format!("imports `{}`, which this Scout does not offer", shown(import)))
        }
        Some((_, version)) if version.starts_with("0.2.") => Ok(()),
        Some(_) => Err(format!("imports `{}`; of WASI this Scout offers 0.2", shown(import))),
        None => Err(format!("imports `{}`, which this Scout does not offer", shown(import))),
    }
}

/// Names that a component exports, for people: the first few.
fn names(exports: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut names: Vec<String> = exports.iter().take(SHOWN).map(|name| format!("`{}`", shown(name))).collect();
    match exports.len() {
        0 => return "nothing".to_owned(),
        count if count > SHOWN => names.push(format!("{} more", count - SHOWN)),
        _ => {}
    }
    names.join(", ")
}

/// The innermost cause, its first line, bounded: what a guest's author can use.
fn first_line(error: &wasmtime::Error) -> String {
    let text = format!("{:#}", error.root_cause());
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}

/// What a component has too much of, in words that need no knowledge of wasmtime: at load where instances come from a pool,
/// else when it is instantiated. wasmtime has no types for these errors.
fn beyond(error: &wasmtime::Error) -> Option<String> {
    let said = format!("{:#}", error.root_cause());
    let is = |words: &[&str]| words.iter().any(|words| said.contains(words));
    Some(if is(&["core module instances", "instance count too high"]) {
        format!("has more than {CORE_INSTANCES_PER_COMPONENT} instances of modules")
    } else if is(&["defined memories count"]) {
        "has several memories in one module".to_owned()
    } else if is(&["defined tables count"]) {
        "has several tables in one module".to_owned()
    } else if is(&["linear memories", "memory count too high"]) {
        format!("has more than {MEMORIES_PER_COMPONENT} memories")
    } else if is(&["tables, which", "table count too high"]) {
        format!("has more than {TABLES_PER_COMPONENT} tables")
    } else if is(&["minimum element size"]) {
        format!("has a table of more than {TABLE_ELEMENTS} elements")
    } else {
        return None;
    })
}

/// A loaded plugin. Cheap to clone; every call runs in a fresh instance.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
}

struct Inner {
    id: PluginId,
    grants: Grants,
    /// What its component imports of them.
    declared: Grants,
    settings: Arc<serde_json::Map<String, serde_json::Value>>,
    exports: Exports,
    described: Description,
    /// The memory that the description takes.
    kept: Arc<MemoryReservation>,
    /// The memory that it needed to describe itself, in bytes: no call needs less.
    footprint: usize,
    share: PluginShare,
    runtime: Runtime,
}

/// What a component exports, ready to be instantiated: any set of what the contract has, but not nothing.
#[derive(Clone)]
struct Exports {
    pre: InstancePre<CallState>,
    handler: Option<imports::handler::GuestIndices>,
    tools: Option<imports::tools::GuestIndices>,
    resources: Option<imports::resources::GuestIndices>,
}

impl Exports {
    fn of(engine: &Engine, pre: InstancePre<CallState>) -> Result<Self, String> {
        let names: Vec<String> =
            pre.component().component_type().exports(engine).map(|(name, _)| name.to_owned()).collect();
        let mut known = Vec::new();
        for (interface, version) in names.iter().filter_map(|name| name.strip_prefix("scout:plugin/")?.split_once('@'))
        {
            if !imports::compatible(version) {
                return Err(imports::other_version(version));
            }
            if !matches!(interface, "handler" | "tools" | "resources") {
                let needs = imports::needs(version);
                let export = shown(&format!("scout:plugin/{interface}@{version}"));
                return Err(format!("exports `{export}`, which this Scout does not call{needs}"));
            }
            known.push(interface);
        }
        if known.is_empty() {
            return Err(format!(
                "exports {}; a plugin exports scout:plugin/handler@{VERSION}, scout:plugin/tools@{VERSION} or \
                 scout:plugin/resources@{VERSION}, or several",
                self::names(&names)
            ));
        }
        let unfit = |error: wasmtime::Error| format!("does not fit this Scout: {}", first_line(&error));
        let has = |interface: &str| known.contains(&interface);
        let handler = has("handler").then(|| imports::handler::GuestIndices::new(&pre)).transpose().map_err(unfit)?;
        let tools = has("tools").then(|| imports::tools::GuestIndices::new(&pre)).transpose().map_err(unfit)?;
        let resources =
            has("resources").then(|| imports::resources::GuestIndices::new(&pre)).transpose().map_err(unfit)?;
        Ok(Self { pre, handler, tools, resources })
    }
}

/// What a plugin has said of itself.
#[derive(Clone, Default)]
struct Description {
    handler: Option<HandlerDescription>,
    tools: Vec<ToolDescription>,
    templates: Vec<TemplateDescription>,
}

/// What a plugin has said of itself, as it said it.
#[derive(Default)]
struct RawDescription {
    handler: Option<imports::HandlerDescription>,
    tools: Vec<imports::Tool>,
    templates: Vec<imports::Template>,
}

impl RawDescription {
    fn read(self, room: &mut MemoryReservation) -> Result<Description, String> {
        let handler = self.handler.map(describe::handler).transpose()?;
        let tools = describe::tools(self.tools, describe::size_of_templates(&self.templates), room)?;
        Ok(Description { handler, tools, templates: describe::templates(self.templates)? })
    }
}

/// Memory that is kept for a plugin as long as it is loaded, given back when this is dropped.
#[derive(Debug)]
pub struct PluginMemory(#[expect(dead_code, reason = "gives back what it holds")] MemoryReservation);

/// What is asked of a plugin.
enum GuestCall {
    Handle(Box<Query>),
    Call { name: Arc<str>, arguments: Arc<str> },
    Read(Arc<ResourceRequest>),
    List { next: Option<String> },
}

impl GuestCall {
    fn called(&self) -> Called<'_> {
        match self {
            Self::Handle(_) => Called::Query,
            Self::Call { name, .. } => Called::Tool(name),
            Self::Read(request) => Called::Resource(&request.template),
            Self::List { .. } => Called::Listing,
        }
    }
}

/// What of a plugin is called, as far as its rights depend on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called<'a> {
    /// Its handler.
    Query,
    /// The tool of this name.
    Tool(&'a str),
    /// Reading a resource of the template of this name.
    Resource(&'a str),
    /// The list of its resources.
    Listing,
}

/// What a guest gives back, in its table.
enum Given {
    Answer(Resource<Draft>),
    Listing(Resource<Listing>),
}

/// The same out of it.
enum Taken {
    Answer(GuestAnswer),
    Listing(Listing),
}

/// What a call comes to.
enum Answered {
    Answer(Answer),
    Listing(Listing),
}

impl Answered {
    /// Of a call that is answered, and lists nothing.
    fn answer(self) -> Answer {
        match self {
            Self::Answer(answer) => answer,
            Self::Listing(_) => Answer::default(),
        }
    }
}

impl Plugin {
    /// Its name.
    pub fn id(&self) -> &PluginId {
        &self.inner.id
    }

    /// What it answers, if it is a query handler.
    pub fn handler(&self) -> Option<&HandlerDescription> {
        self.inner.described.handler.as_ref()
    }

    /// Its tools, if it has some.
    pub fn tools(&self) -> &[ToolDescription] {
        &self.inner.described.tools
    }

    /// Its templates of resources, if it has some.
    pub fn templates(&self) -> &[TemplateDescription] {
        &self.inner.described.templates
    }

    /// What it may import.
    pub fn grants(&self) -> Grants {
        self.inner.grants
    }

    /// What it reads of itself.
    pub fn settings(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.inner.settings
    }

    /// The same plugin with other settings; nothing is compiled again.
    #[must_use]
    pub(crate) fn with_settings(&self, settings: serde_json::Map<String, serde_json::Value>) -> Self {
        let Inner { id, grants, declared, exports, described, kept, footprint, runtime, .. } = &*self.inner;
        let inner = Inner {
            id: id.clone(),
            grants: *grants,
            declared: *declared,
            settings: Arc::new(settings),
            exports: exports.clone(),
            described: described.clone(),
            kept: Arc::clone(kept),
            footprint: *footprint,
            share: runtime.shares.plugin(),
            runtime: runtime.clone(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Which of the interfaces that take a grant its component imports.
    pub fn declared(&self) -> Grants {
        self.inner.declared
    }

    /// What a call may do: what the plugin and what of it is called declare, what the operator grants it, what the principal
    /// may.
    pub fn rights(&self, access: &Access, principal: &Principal, called: Called<'_>) -> CallRights {
        self.inner.rights(access, principal, called)
    }

    /// Answers a query.
    ///
    /// # Cancel safety
    /// Dropping the future drops the instance; remote work is stopped.
    ///
    /// # Errors
    /// What the plugin answered with, a budget, a trap, the deadline.
    pub async fn handle(&self, context: CallContext, query: Query) -> Result<(Answer, Receipt), CallError> {
        let (answered, receipt) = self.inner.call(context, GuestCall::Handle(Box::new(query))).await?;
        Ok((answered.answer(), receipt))
    }

    /// Calls a tool with a JSON object of arguments, already validated.
    ///
    /// # Errors
    /// As [`Plugin::handle`].
    pub async fn call_tool(
        &self,
        context: CallContext,
        name: &str,
        arguments: &str,
    ) -> Result<(Answer, Receipt), CallError> {
        let asked = GuestCall::Call { name: name.into(), arguments: arguments.into() };
        let (answered, receipt) = self.inner.call(context, asked).await?;
        Ok((answered.answer(), receipt))
    }

    /// Reads a resource of one of its templates ([`Plugin::resource`]).
    ///
    /// # Errors
    /// As [`Plugin::handle`].
    pub async fn read_resource(
        &self,
        context: CallContext,
        request: ResourceRequest,
    ) -> Result<(Answer, Receipt), CallError> {
        let (answered, receipt) = self.inner.call(context, GuestCall::Read(Arc::new(request))).await?;
        Ok((answered.answer(), receipt))
    }

    /// Where in the list of its resources a page begins. Asks no guest, so it says nothing of how the plugin is.
    ///
    /// # Errors
    /// A cursor that is none of this list of this principal.
    pub fn listing_place(&self, context: &CallContext, cursor: Option<&str>) -> Result<ListingPlace, Box<CallError>> {
        let Some(cursor) = cursor else { return Ok(ListingPlace::default()) };
        let opened = self.listing_seal(context)?.open(cursor).map_err(|NotSealed| {
            let message = "`cursor` is not one of this list: ask without one".to_owned();
            Box::new(CallError { reason: "invalid".into(), ..ended(CallErrorKind::Failed, message) })
        })?;
        // How many pages there were, and where the plugin goes on.
        let opened = opened.split_once(' ');
        let pages = opened.and_then(|(pages, _)| pages.parse().ok()).unwrap_or(0);
        Ok(ListingPlace { pages, next: opened.map(|(_, next)| next.to_owned()) })
    }

    fn listing_seal(&self, context: &CallContext) -> Result<Seal, Box<CallError>> {
        Seal::new(context, self.id().as_str(), &Asked::Listing).ok_or_else(|| {
            let message = "no cursor can be sealed: no random numbers are available".to_owned();
            Box::new(ended(CallErrorKind::Internal, message))
        })
    }

    /// Some of its resources that there are now, from this place on.
    ///
    /// # Errors
    /// As [`Plugin::handle`], and resources that no template of it has.
    pub async fn list_resources(
        &self,
        context: CallContext,
        place: ListingPlace,
    ) -> Result<(ResourcePage, Receipt), CallError> {
        let name = self.id().as_str();
        let seal = self.listing_seal(&context).map_err(|error| *error)?;
        let ListingPlace { pages, next } = place;
        let (answered, receipt) = self.inner.call(context, GuestCall::List { next }).await?;
        let mut listing = match answered {
            Answered::Listing(listing) => listing,
            Answered::Answer(_) => Listing::default(),
        };
        let next = listing.next.take().filter(|_| pages + 1 < LISTED_PAGES);
        let next = next.map(|next| seal.seal(&format!("{} {next}", pages + 1)));
        let mut resources = resource::listed(listing, self.templates())
            .map_err(|why| CallError { receipt, ..ended(CallErrorKind::Plugin, format!("plugin `{name}` {why}")) })?;
        resources.retain(|listed| self.is_read_as(listed));
        Ok((ResourcePage { resources, next }, receipt))
    }

    /// Whether the URI of a resource is read as what it was made of, and not as another template's.
    pub fn is_read_as(&self, listed: &resource::ListedResource) -> bool {
        let request = self.resource(&listed.uri);
        request.is_some_and(|request| request.template == listed.template && request.values == listed.values)
    }

    /// Does work of Scout's own for a call of this plugin, on a thread for it, with as many steps as such work may take. It
    /// waits for its turn among the work for other plugins and principals. `doing` says what is done, behind "while".
    ///
    /// # Cancel safety
    /// Dropping the future ends the work at its next steps, or before it has begun.
    ///
    /// # Errors
    /// The deadline, the cancellation, and a fault of the work: each with a receipt of nothing.
    pub async fn work<T: Send + 'static>(
        &self,
        principal: &Principal,
        call: &scout_machine::Call,
        doing: &str,
        work: impl FnOnce(&mut Meter) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let lane = Lane { plugin: self.inner.id.clone(), principal: principal.clone() };
        self.inner.runtime.work.run(lane, call, doing, work).await
    }

    /// Takes memory for what is kept of this plugin beside its description. None: what all plugins may take is used up.
    pub fn keep(&self, bytes: usize) -> Option<PluginMemory> {
        let mut room = self.inner.runtime.shares.keep();
        room.grow_to(bytes).then_some(PluginMemory(room))
    }
}

impl Inner {
    fn rights(&self, access: &Access, principal: &Principal, called: Called<'_>) -> CallRights {
        let Description { tools, templates, .. } = &self.described;
        let effect = match called {
            Called::Query => None,
            Called::Tool(name) => {
                let tool = tools.iter().find(|tool| tool.name == name);
                tool.map(|tool| DeclaredEffect { of: "tool", name: tool.name.as_str().into(), effect: tool.effect })
            }
            Called::Resource(name) => {
                let template = templates.iter().find(|template| template.name == name);
                template.map(|template| DeclaredEffect {
                    of: "resource",
                    name: template.uri.text().into(),
                    effect: template.effect,
                })
            }
            // Clients list without being asked to: no more than a look is done for that.
            Called::Listing => Some(DeclaredEffect { of: "list of", name: "resources".into(), effect: Effect::Read }),
        };
        let reads = |handler: &HandlerDescription| {
            handler.subjects.iter().any(|subject| matches!(subject, Subject::File | Subject::Directory))
        };
        CallRights {
            // Who answers for files is handed them.
            declared: match self.described.handler.as_ref().is_some_and(reads) && effect.is_none() {
                true => self.declared.with(Interface::Files),
                false => self.declared,
            },
            effect,
            linked: self.grants,
            operator: access.plugin(self.id.as_str()),
            tenant: access.principal(principal),
        }
    }

    /// A fresh store: a call never sees another's memory.
    fn store(
        &self,
        limits: Arc<Limits>,
        context: Option<CallContext>,
        room: MemoryReservation,
        rights: CallRights,
    ) -> Store<CallState> {
        let slices = match &context {
            Some(context) => self.runtime.slices.on_behalf_of(&context.principal),
            None => self.runtime.slices.clone(),
        };
        let settings = Arc::clone(&self.settings);
        let state = CallState::new(self.id.clone(), rights, settings, limits, context, slices, room);
        let mut store = Store::new(&self.runtime.machine.engine, state);
        store.limiter(|state| &mut state.budget);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            Ok(match context.data_mut().budget.tick()? {
                Some(slice) => UpdateDeadline::YieldCustom(1, Box::pin(slice.wait())),
                None => UpdateDeadline::Continue(1),
            })
        });
        store
    }

    /// Asks the plugin who it is, without any host in reach. Gives the memory it needed, too.
    async fn describe(&self) -> Result<(RawDescription, usize), String> {
        let late = |_| format!("cannot describe itself: it did not within {} s", DESCRIBE_DEADLINE.as_secs());
        let deadline = tokio::time::Instant::now() + DESCRIBE_DEADLINE;
        let taken = tokio::time::timeout_at(deadline, self.runtime.shares.take_for_nobody()).await;
        let (_permit, room) = taken.map_err(|_| {
            format!("cannot describe itself: no instance became free within {} s", DESCRIBE_DEADLINE.as_secs())
        })?;
        let mut store = self.store(Arc::new(DESCRIBE), None, room, CallRights::unlimited(self.grants));
        let slice = store.data().budget.slice();
        let asked = async {
            let instance = self.exports.pre.instantiate_async(&mut store).await?;
            let mut said = RawDescription::default();
            if let Some(handler) = &self.exports.handler {
                let handler = handler.load(&mut store, &instance)?.call_describe(&mut store).await?;
                said.handler = Some(store.data_mut().said(handler)?);
            }
            if let Some(tools) = &self.exports.tools {
                let tools = tools.load(&mut store, &instance)?.call_describe(&mut store).await?;
                said.tools = store.data_mut().said_of(tools)?;
            }
            if let Some(resources) = &self.exports.resources {
                let templates = resources.load(&mut store, &instance)?.call_describe(&mut store).await?;
                said.templates = store.data_mut().said_of_templates(templates)?;
            }
            Ok::<_, wasmtime::Error>(said)
        };
        let described = tokio::time::timeout_at(deadline, slice.around(asked)).await;
        store.data().log_stdio();
        match described.map_err(late)? {
            Ok(said) => Ok((said, store.data().budget.memory_peak() as usize)),
            Err(error) => Err(format!("cannot describe itself: it {}", why_ended(&store, &error))),
        }
    }

    async fn call(&self, context: CallContext, asked: GuestCall) -> Result<(Answered, Receipt), CallError> {
        let (plugin, tenant, principal) = (self.id.as_str(), context.principal.tenant(), context.principal.name());
        let (tool, resource) = match asked.called() {
            Called::Query => (None, None),
            Called::Tool(name) => (Some(tracing::field::display(name)), None),
            Called::Resource(name) => (None, Some(tracing::field::display(name))),
            Called::Listing => (None, Some(tracing::field::display("list"))),
        };
        let span = tracing::debug_span!("plugin", %plugin, tool, resource, %tenant, %principal);
        self.called(context, asked).instrument(span).await
    }

    async fn called(&self, mut context: CallContext, asked: GuestCall) -> Result<(Answered, Receipt), CallError> {
        let begun = Instant::now();
        // What this call began on hosts ends with it, also when its future is dropped.
        context.call.cancel = context.call.cancel.child_token();
        let _stop_when_dropped = context.call.cancel.clone().drop_guard();
        let call = context.call.clone();
        let (limits, principal) = (Arc::clone(&context.limits), context.principal.clone());
        // What a tool answers is held against its schema.
        let may_pass_on = matches!(asked, GuestCall::Handle(_));
        let (instance, room) = tokio::select! {
            // What is free is taken without a look at the clock, unless nobody wants the answer any more.
            biased;
            () = call.cancel.cancelled() => {
                return Err(ended(CallErrorKind::Cancelled, "the request was cancelled".to_owned()));
            }
            taken = self.runtime.shares.take(&self.share, &context.principal, self.footprint) => taken,
            () = tokio::time::sleep_until(call.deadline) => {
                return Err(ended(CallErrorKind::Timeout, "no instance became free before the deadline".to_owned()));
            }
        };
        let rights = self.rights(context.fleet.access(), &context.principal, asked.called());
        let mut store = self.store(limits, Some(context), room, rights);
        let slice = store.data().budget.slice();
        let over = async {
            tokio::select! {
                () = tokio::time::sleep_until(call.deadline) => {}
                () = call.cancel.cancelled() => {}
            }
            tokio::time::sleep(LAST_WORDS).await;
        };
        let said = tokio::select! {
            // A guest that answers at once needs no clock either.
            biased;
            // In a box: the futures of the guest's imports are large, and every future around this one would be.
            said = slice.around(Box::pin(self.ask(&mut store, asked))) => Some(said),
            () = over => None,
        };
        store.data().log_stdio();
        let name = self.id.as_str();
        let answer = match said {
            Some(Ok(Ok(given))) => {
                let taken = match given {
                    Given::Answer(draft) => store.data_mut().given(draft).map(Taken::Answer),
                    Given::Listing(listing) => store.data_mut().listed(listing).map(Taken::Listing),
                };
                taken.map_err(|error| {
                    ended(CallErrorKind::Plugin, format!("plugin `{name}` {}", why_ended(&store, &error)))
                })
            }
            Some(Ok(Err(error))) => Err(imports::failed(error)),
            Some(Err(error)) => {
                tracing::warn!(plugin = name, error = ?trace(&error), "a plugin was ended");
                let kind = match (error.downcast_ref(), spent(&store, &error)) {
                    (Some(NoAnswer { kind, .. }), _) => *kind,
                    (None, Some(Spent::SharedMemory)) => CallErrorKind::Busy,
                    (None, _) => CallErrorKind::Plugin,
                };
                Err(ended(kind, format!("plugin `{name}` {}", why_ended(&store, &error))))
            }
            None if call.cancel.is_cancelled() => {
                Err(ended(CallErrorKind::Cancelled, "the request was cancelled".to_owned()))
            }
            None => Err(ended(CallErrorKind::Timeout, format!("plugin `{name}` did not answer before the deadline"))),
        };
        let receipt = receipt(store.data(), &call, begun);
        // The dead instance goes before its permit: the pool's slots are as many as the permits.
        drop(store);
        drop(instance);
        let answer = match answer {
            Ok(Taken::Answer(given)) => {
                let caller = Lane { plugin: self.id.clone(), principal };
                let read = self.runtime.work.read(given, caller, &call, &self.runtime.shares, may_pass_on).await;
                read.map(Answered::Answer)
            }
            Ok(Taken::Listing(listing)) => Ok(Answered::Listing(listing)),
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => Ok((answer, receipt)),
            Err(error) => Err(CallError { receipt, ..error }),
        }
    }

    async fn ask(
        &self,
        store: &mut Store<CallState>,
        asked: GuestCall,
    ) -> wasmtime::Result<Result<Given, imports::WitError>> {
        let exports = &self.exports;
        let lacks = |what: &str| NoAnswer { kind: CallErrorKind::Plugin, why: what.to_owned() };
        match asked {
            GuestCall::Handle(query) => {
                let handler = exports.handler.as_ref().ok_or_else(|| lacks("answers no queries"))?;
                let query = store.data_mut().query(*query)?;
                let instance = exports.pre.instantiate_async(&mut *store).await?;
                Ok(handler.load(&mut *store, &instance)?.call_handle(store, query).await?.map(Given::Answer))
            }
            GuestCall::Call { name, arguments } => {
                let tools = exports.tools.as_ref().ok_or_else(|| lacks("has no tools"))?;
                store.data_mut().asked =
                    Some(Asked::Tool { name: Arc::clone(&name), arguments: Arc::clone(&arguments) });
                let instance = exports.pre.instantiate_async(&mut *store).await?;
                Ok(tools.load(&mut *store, &instance)?.call_call(store, &name, &arguments).await?.map(Given::Answer))
            }
            GuestCall::Read(request) => {
                let resources = exports.resources.as_ref().ok_or_else(|| lacks("has no resources"))?;
                store.data_mut().asked = Some(Asked::Resource(Arc::clone(&request)));
                let instance = exports.pre.instantiate_async(&mut *store).await?;
                let resources = resources.load(&mut *store, &instance)?;
                Ok(resources.call_read(store, &request.template, &request.values).await?.map(Given::Answer))
            }
            GuestCall::List { next } => {
                let resources = exports.resources.as_ref().ok_or_else(|| lacks("has no resources"))?;
                store.data_mut().asked = Some(Asked::Listing);
                let instance = exports.pre.instantiate_async(&mut *store).await?;
                let resources = resources.load(&mut *store, &instance)?;
                Ok(resources.call_list(store, next.as_deref()).await?.map(Given::Listing))
            }
        }
    }
}

fn receipt(state: &CallState, call: &scout_machine::Call, begun: Instant) -> Receipt {
    let cost = call.cost.snapshot();
    Receipt {
        wall: begun.elapsed(),
        cpu: state.budget.cpu(),
        host_calls: state.budget.host_calls(),
        memory_peak: state.budget.memory_peak(),
        round_trips: cost.round_trips,
        remote_bytes: cost.remote_bytes,
        copied_bytes: state.budget.copied(),
        execs: cost.execs,
        shell_execs: cost.shell_execs,
    }
}

/// Which budget was used up when a guest was ended. Room that the operating system has not is as good as what others use.
fn spent(store: &Store<CallState>, error: &wasmtime::Error) -> Option<Spent> {
    store.data().budget.spent().or_else(|| out_of_memory(error).then_some(Spent::SharedMemory))
}

/// Why a guest was ended, in the user's words and, where it crashed, in its own, behind "plugin `x`" or "it".
fn why_ended(store: &Store<CallState>, error: &wasmtime::Error) -> String {
    let why = how_ended(store, error);
    match store.data().last_words() {
        Some(said) if spent(store, error).is_none() => format!("{why}; it said: {said}"),
        Some(_) | None => why,
    }
}

fn how_ended(store: &Store<CallState>, error: &wasmtime::Error) -> String {
    let limits = &store.data().limits;
    match spent(store, error) {
        Some(Spent::Cpu) => return format!("used up its {} ms of CPU", limits.cpu.as_millis()),
        Some(Spent::Memory) => return format!("needs more than its {} MiB of memory", limits.memory >> 20),
        Some(Spent::HostCalls) => return format!("called Scout more than {} times", limits.host_calls),
        Some(Spent::SharedMemory) => {
            return "found no memory: what all calls share is used up; try again later".to_owned();
        }
        Some(Spent::Handles) => return format!("holds more than {HANDLES} handles"),
        None => {}
    }
    if let Some(NoAnswer { why, .. }) = error.downcast_ref() {
        return why.clone();
    }
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return format!("exited instead of answering (status {status})");
    }
    match error.downcast_ref() {
        Some(Trap::StackOverflow) => "crashed: it called itself too deeply".to_owned(),
        Some(Trap::MemoryOutOfBounds) => "crashed: it reached outside its memory, as deep recursion does".to_owned(),
        Some(Trap::UnreachableCodeReached) => "crashed: it panicked or gave up (`unreachable`)".to_owned(),
        // wasmtime keeps the type of this one to itself.
        _ if error.root_cause().to_string().contains("fuel allocated for hostcalls") => {
            format!("handed over more than {} MiB at once", HOSTCALL_BYTES >> 20)
        }
        Some(Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature) => {
            "crashed: it called a function that does not exist".to_owned()
        }
        Some(Trap::IntegerDivisionByZero | Trap::IntegerOverflow | Trap::BadConversionToInteger) => {
            "crashed: its arithmetic has no result, as in a division by zero".to_owned()
        }
        Some(trap) => format!("crashed: it did what a plugin may not do ({trap})"),
        None => beyond(error).unwrap_or_else(|| {
            format!("crashed: it handed over something that the contract does not know ({})", first_line(error))
        }),
    }
}

/// A guest's end for the log, with where it was. Names of functions are the guest's: bounded here, escaped by whoever
/// prints it.
fn trace(error: &wasmtime::Error) -> String {
    // Not with `?`: that has the frames of Scout besides.
    format!("{error:#}").chars().take(MAX_TRACE).collect()
}
