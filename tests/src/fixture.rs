//! Guests that misbehave: the files of `tests/fixtures`, and what is too large to be a file. Built on first use.

mod made;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// How a guest is made.
#[derive(Clone, Copy)]
enum Source {
    /// `plain/NAME.rs`, without WASI.
    Plain(&'static str),
    /// `wasi/NAME.rs`; that target's linker makes components.
    Wasi(&'static str),
    /// `raw/NAME.wat`: a core module, made a component here, or a component.
    Raw(&'static str, &'static str),
    /// Too large or too regular for a file.
    Made(fn() -> Vec<u8>),
}

/// One enum of all guests: whoever matches it has a case for each.
macro_rules! guests {
    (
        plain { $($plain:ident = $plain_file:literal,)* }
        wasi { $($wasi:ident = $wasi_file:literal,)* }
        raw { $($raw:ident = $raw_file:literal,)* }
        made { $($made:ident = $function:path,)* }
    ) => {
        /// A guest. The head of its file says what it does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the head of each file says what the guest does")]
        pub enum Guest { $($plain,)* $($wasi,)* $($raw,)* $($made,)* }

        impl Guest {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$plain,)* $(Self::$wasi,)* $(Self::$raw,)* $(Self::$made,)*];

            fn source(self) -> Source {
                match self {
                    $(Self::$plain => Source::Plain($plain_file),)*
                    $(Self::$wasi => Source::Wasi($wasi_file),)*
                    $(Self::$raw => Source::Raw(
                        $raw_file,
                        include_str!(concat!("../fixtures/raw/", $raw_file, ".wat")),
                    ),)*
                    $(Self::$made => Source::Made($function),)*
                }
            }
        }
    };
}

guests! {
    plain {
        AnswersAndBringsTools = "answers_and_brings_tools",
        AnswersDeepJson = "answers_deep_json",
        AnswersInManyParts = "answers_in_many_parts",
        AnswersMuchToALargeSchema = "answers_much_to_a_large_schema",
        AnswersNoJson = "answers_no_json",
        AnswersSmallValues = "answers_small_values",
        AnswersTheSameBytes = "answers_the_same_bytes",
        AnswersTooMuch = "answers_too_much",
        AnswersWithLongFields = "answers_with_long_fields",
        AnswersWithoutEnd = "answers_without_end",
        AsksForLongPaths = "asks_for_long_paths",
        AsksForOddRanges = "asks_for_odd_ranges",
        AsksForPartsOfAKey = "asks_for_parts_of_a_key",
        AsksForSecrets = "asks_for_secrets",
        BringsResources = "brings_resources",
        BringsTools = "brings_tools",
        CopiesAsAsked = "copies_as_asked",
        DescribesAForgedName = "describes_a_forged_name",
        DescribesASchemeOfOthers = "describes_a_scheme_of_others",
        DescribesAtLength = "describes_at_length",
        DescribesHiddenText = "describes_hidden_text",
        DescribesManyPatterns = "describes_many_patterns",
        DescribesManyResources = "describes_many_resources",
        DescribesManyTools = "describes_many_tools",
        DescribesNoSchema = "describes_no_schema",
        DescribesResourcesAtLength = "describes_resources_at_length",
        DoesAsSet = "does_as_set",
        EatsMemory = "eats_memory",
        FailsAtLength = "fails_at_length",
        FloodsBaselines = "floods_baselines",
        FloodsCommands = "floods_commands",
        FloodsHandles = "floods_handles",
        FloodsHostCalls = "floods_host_calls",
        FloodsLog = "floods_log",
        FloodsProbes = "floods_probes",
        FloodsProgress = "floods_progress",
        ForgesCursors = "forges_cursors",
        ForgesHosts = "forges_hosts",
        Good = "good",
        GrowsForEver = "grows_for_ever",
        GrowsInSmallSteps = "grows_in_small_steps",
        HidesTextInASchema = "hides_text_in_a_schema",
        KeepsWhatItHad = "keeps_what_it_had",
        LeaksHandles = "leaks_handles",
        LeavesItsRoots = "leaves_its_roots",
        ListsASecret = "lists_a_secret",
        ListsAtLength = "lists_at_length",
        ListsForEver = "lists_for_ever",
        ListsHiddenText = "lists_hidden_text",
        ListsWhatItHasNot = "lists_what_it_has_not",
        ListsWithoutEnd = "lists_without_end",
        Loops = "loops",
        LoopsInDescribe = "loops_in_describe",
        Panics = "panics",
        PanicsInAList = "panics_in_a_list",
        PanicsInAResource = "panics_in_a_resource",
        Recurses = "recurses",
        RecursesThenCalls = "recurses_then_calls",
        RunsBehindItsEffect = "runs_behind_its_effect",
        RunsCommands = "runs_commands",
        ShowsWhatIsNoPicture = "shows_what_is_no_picture",
        SleepsInHostCalls = "sleeps_in_host_calls",
        Traps = "traps",
        TrapsInDescribe = "traps_in_describe",
        WorksInImports = "works_in_imports",
        WritesShellIntoWords = "writes_shell_into_words",
    }
    wasi {
        AsksTheClock = "asks_the_clock",
        Exits = "exits",
        FloodsStdout = "floods_stdout",
        LooksRound = "looks_round",
        PanicsAloud = "panics_aloud",
        PrintsMuch = "prints_much",
        Sleeps = "sleeps",
        SleepsInDescribe = "sleeps_in_describe",
        TakesAndFrees = "takes_and_frees",
    }
    raw {
        AnswersAForgedBlob = "answers_a_forged_blob",
        AnswersAnUnknownCase = "answers_an_unknown_case",
        AnswersAtAnOddAddress = "answers_at_an_odd_address",
        AnswersFourBillionBytes = "answers_four_billion_bytes",
        AnswersFromNowhere = "answers_from_nowhere",
        AnswersInvalidUtf8 = "answers_invalid_utf8",
        AnswersNothing = "answers_nothing",
        AnswersTheSameText = "answers_the_same_text",
        BeginsManyAnswers = "begins_many_answers",
        DropsTwice = "drops_twice",
        ExportsAHollowHandler = "exports_a_hollow_handler",
        ExportsAnotherWorld = "exports_another_world",
        ExportsOtherFunctions = "exports_other_functions",
        ExportsWhatALaterScoutCalls = "exports_what_a_later_scout_calls",
        FillsMemory = "fills_memory",
        GivesMemoryItLacks = "gives_memory_it_lacks",
        GrowsTables = "grows_tables",
        HasAWideMemory = "has_a_wide_memory",
        HasManyTables = "has_many_tables",
        HasSeveralMemories = "has_several_memories",
        ImportsABareFunction = "imports_a_bare_function",
        ImportsAnUnknownFunction = "imports_an_unknown_function",
        ImportsAnUnknownInterface = "imports_an_unknown_interface",
        ImportsAnotherVersion = "imports_another_version",
        ImportsTheUnknown = "imports_the_unknown",
        ImportsWasiHttp = "imports_wasi_http",
        IsACoreModule = "is_a_core_module",
        IsEmpty = "is_empty",
        LeavesMarks = "leaves_marks",
        LoopsInPostReturn = "loops_in_post_return",
        LoopsInRealloc = "loops_in_realloc",
        LoopsInStart = "loops_in_start",
        NeedsALargeTable = "needs_a_large_table",
        NeedsALaterScout = "needs_a_later_scout",
        NeedsFourGibibytes = "needs_four_gibibytes",
        ReadsAForgedBlob = "reads_a_forged_blob",
        SendsTheSameName = "sends_the_same_name",
        TrapsInStart = "traps_in_start",
        UsesAfterDrop = "uses_after_drop",
    }
    made {
        IsBuiltForALaterScout = made::built_for_a_later_scout,
        EmptyFile = made::empty_file,
        HalfAComponent = made::half_a_component,
        TooLarge = made::too_large,
        ManyFunctions = made::many_functions,
        ManyImports = made::many_imports,
        ManyExports = made::many_exports,
        ManyInstances = made::many_instances,
        ManyLocals = made::many_locals,
        LargeFunction = made::large_function,
        NestedBlocks = made::nested_blocks,
        NestedComponents = made::nested_components,
        NestedTypes = made::nested_types,
        DoublingTypes = made::doubling_types,
        SlowToCompile = made::slow_to_compile,
    }
}

impl Guest {
    /// Its bytes: a component, or what should be one.
    ///
    /// # Panics
    /// When it cannot be built; the message says how to install what is missing.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        match self.source() {
            Source::Plain(name) | Source::Wasi(name) => {
                let path = built().join(format!("{name}.wasm"));
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            }
            Source::Raw(name, text) => {
                let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("raw/{name}.wat: {error}"));
                if text.contains("#handle\"") { handler(name, bytes) } else { bytes }
            }
            Source::Made(make) => make(),
        }
    }
}

/// A core module as a component of the world `query-handler`.
fn handler(name: &str, mut module: Vec<u8>) -> Vec<u8> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&wit).expect("the contract in wit/");
    let world = resolve.select_world(&[package], Some("query-handler")).expect("the world of handlers");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("a module");
    componentized(name, &module)
}

fn componentized(name: &str, module: &[u8]) -> Vec<u8> {
    let encoded = ComponentEncoder::default().module(module).and_then(|encoder| encoder.encode());
    encoded.unwrap_or_else(|error| panic!("the fixture `{name}` does not become a component: {error:#}"))
}

/// The folder of the components that cargo builds, in `target/fixtures`. The first call of a process builds all of them;
/// parallel test binaries wait for each other.
fn built() -> &'static Path {
    static COMPONENTS: OnceLock<PathBuf> = OnceLock::new();
    COMPONENTS.get_or_init(|| {
        // TARGET/PROFILE/deps/TEST, or TARGET/PROFILE/BENCH; cargo marks the first.
        let executable = std::env::current_exe().expect("the path of the running test");
        let target_dir = executable.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
        let target_dir = target_dir.expect("a test lies in cargo's target directory").join("fixtures");
        let components = target_dir.join("components");
        fs::create_dir_all(&components).expect("a folder for the fixtures");
        // Held until the end; another process builds after it, and finds everything fresh.
        let lock = File::create(target_dir.join("lock")).expect("a lock file for the fixtures");
        lock.lock().expect("the lock of the fixtures");
        let named = |choose: fn(Source) -> Option<&'static str>| {
            Guest::ALL.iter().filter_map(|guest| choose(guest.source())).collect::<Vec<_>>()
        };
        let plain = named(|source| if let Source::Plain(name) = source { Some(name) } else { None });
        let wasi = named(|source| if let Source::Wasi(name) = source { Some(name) } else { None });
        for (names, target) in [(plain, "wasm32-unknown-unknown"), (wasi, "wasm32-wasip2")] {
            cargo_build(&target_dir, target, &names);
            for name in names {
                let path = target_dir.join(target).join("release/examples").join(format!("{name}.wasm"));
                let bytes = fs::read(path).expect("what cargo built");
                let component = if target == "wasm32-wasip2" { bytes } else { componentized(name, &bytes) };
                replace(&components.join(format!("{name}.wasm")), &component);
            }
        }
        components
    })
}

/// Writes a file at once: a test of another process may be reading the one before.
fn replace(path: &Path, bytes: &[u8]) {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return;
    }
    let new = path.with_extension("new");
    fs::write(&new, bytes).expect("writing a fixture's component");
    fs::rename(&new, path).expect("moving a fixture's component into place");
}

fn cargo_build(target_dir: &Path, target: &str, names: &[&str]) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "--locked", "--quiet", "--target", target]).arg("--target-dir").arg(target_dir);
    command.arg("--manifest-path").arg(workspace.join("Cargo.toml")).current_dir(&workspace);
    command.args(names.iter().flat_map(|name| ["--example", name]));
    for (name, _) in std::env::vars_os() {
        let steers = name.to_str().is_some_and(|name| {
            ["RUSTC", "RUSTFLAGS", "RUSTDOC", "CARGO_ENCODED_", "CARGO_BUILD_", "CARGO_TARGET_", "CARGO_PROFILE_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        // What is set for the native build is nothing for a plugin.
        if steers {
            command.env_remove(name);
        }
    }
    let output = command.output().expect("running cargo for the fixtures");
    assert!(
        output.status.success(),
        "the fixtures cannot be built; if the target is missing: rustup target add {target}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Guest, Source};

    #[test]
    fn every_file_of_a_guest_is_listed() {
        let mut files = BTreeSet::new();
        for (folder, extension) in [("plain", "rs"), ("wasi", "rs"), ("raw", "wat")] {
            let folder_path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
            for entry in std::fs::read_dir(folder_path).expect("a folder of guests") {
                let name = entry.expect("a file").file_name().into_string().expect("a name in UTF-8");
                let stem = name.strip_suffix(&format!(".{extension}")).unwrap_or_else(|| panic!("{folder}/{name}"));
                files.insert(format!("{folder}/{stem}"));
            }
        }
        let listed = Guest::ALL.iter().filter_map(|guest| match guest.source() {
            Source::Plain(name) => Some(format!("plain/{name}")),
            Source::Wasi(name) => Some(format!("wasi/{name}")),
            Source::Raw(name, _) => Some(format!("raw/{name}")),
            Source::Made(_) => None,
        });
        assert_eq!(listed.collect::<BTreeSet<_>>(), files);
    }
}
