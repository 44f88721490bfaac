//! What becomes of each guest.

use std::sync::Arc;
use std::time::Duration;

use scout_runtime::{CallErrorKind, Grants, Interface, Limits};
use scout_tests::Guest;

use super::{ALL, PATIENCE, World, good_plugin, load, text};

/// What must become of a guest; messages must hold all of these texts.
enum Fate {
    /// It is not loaded.
    Refused(&'static str),
    /// Its call is ended by Scout.
    Ended(&'static str),
    /// Its call is over with its deadline, after this time. With no text: whatever ends it then.
    Late(Duration, &'static str),
    /// It answers with an error of its own.
    Fails(&'static str),
    /// It answers: what it tried was to no effect.
    Answers(&'static str),
}

/// The CPU of a guest that something else ends.
const PLENTY: Duration = Duration::from_secs(10);

use Fate::{Answers, Ended, Fails, Late, Refused};

/// Rights and place of a guest's call.
struct Setting {
    grants: Grants,
    host: &'static str,
}

fn setting(guest: Guest) -> Setting {
    match guest {
        Guest::RunsCommands => Setting { grants: ALL.without(Interface::Exec).without(Interface::Shell), host: "box" },
        _ => Setting { grants: ALL, host: "box" },
    }
}

/// A test for each guest, and a case for each guest.
macro_rules! guests {
    ($($name:ident: $guest:ident => $fate:expr;)*) => {
        fn fate(guest: Guest) -> Fate {
            match guest { $(Guest::$guest => $fate,)* }
        }

        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                contain(Guest::$guest).await;
            }
        )*
    };
}

guests! {
    a_good_one_answers: Good => Answers("0123456789abcdef");
    good_tools_answer: BringsTools => Answers("0123456789abcdef");
    without_settings_nothing_is_done: DoesAsSet => Answers("");
    a_loop_ends_with_its_cpu: Loops => Ended("used up its 200 ms of CPU");
    a_loop_in_describe_is_refused: LoopsInDescribe => Refused("used up its 500 ms of CPU");
    a_loop_in_the_start_function_is_refused: LoopsInStart => Refused("used up its 500 ms of CPU");
    a_loop_while_it_takes_its_arguments_ends_with_its_cpu: LoopsInRealloc => Ended("used up its 200 ms of CPU");
    a_loop_after_the_answer_ends_with_its_cpu: LoopsInPostReturn => Ended("used up its 200 ms of CPU");
    single_instructions_that_take_long_end_with_its_cpu: FillsMemory => Ended("used up its 200 ms of CPU");
    work_that_scout_does_for_it_is_its_cpu: WorksInImports => Ended("used up its 200 ms of CPU");
    a_crash_in_describe_is_refused: TrapsInDescribe => Refused("cannot describe itself: it crashed");
    a_crash_in_the_start_function_is_refused: TrapsInStart => Refused("cannot describe itself: it crashed");
    a_trap_ends_it: Traps => Ended("crashed: it panicked or gave up");
    a_panic_ends_it: Panics => Ended("crashed: it panicked or gave up");
    a_panic_with_words_ends_it_with_them: PanicsAloud => Ended("the disk said no");
    recursion_ends_it: Recurses => Ended("crashed: it reached outside its memory, as deep recursion does");
    recursion_with_imports_at_its_bottom_ends_it: RecursesThenCalls => Ended("called itself too deeply");
    memory_in_large_pieces_is_bounded: EatsMemory => Ended("needs more than its 64 MiB of memory");
    memory_in_small_steps_is_bounded: GrowsInSmallSteps => Answers("1024 pages");
    asking_for_memory_for_ever_ends_with_its_cpu: GrowsForEver => Ended("used up its 200 ms of CPU");
    four_gibibytes_at_the_start_are_refused: NeedsFourGibibytes => Refused("more than its 64 MiB of memory");
    several_memories_are_refused: HasSeveralMemories => Refused("has several memories in one module");
    a_memory_of_64_bits_is_refused: HasAWideMemory =>
        Refused("uses a feature of WebAssembly that Scout does not offer, memory64: ");
    a_table_cannot_grow_without_end: GrowsTables => Ended("used up its 200 ms of CPU");
    a_table_of_ten_million_entries_is_refused: NeedsALargeTable => Refused("has a table of more than 100000 elements");
    forty_tables_are_refused: HasManyTables => Refused("has several tables in one module");
    too_much_text_is_no_answer: AnswersTooMuch => Ended("bytes of text; 4194304 are allowed");
    text_beyond_the_boundary_ends_it: AnswersWithoutEnd => Ended("handed over more than 16 MiB at once");
    text_in_answers_that_are_never_given_counts_too: BeginsManyAnswers => Ended("bytes of text; 4194304 are allowed");
    the_same_text_counts_each_time: AnswersTheSameText => Ended("bytes of text; 4194304 are allowed");
    the_same_name_for_scout_counts_each_time: SendsTheSameName => Ended("handed over more than 16 MiB at once");
    many_parts_are_no_answer: AnswersInManyParts => Ended("answered with more than 1000 parts");
    four_billion_bytes_end_it: AnswersFourBillionBytes => Ended("crashed: it handed over something that the contract does not know (string pointer");
    what_is_no_picture_is_not_shown_as_one: ShowsWhatIsNoPicture => Ended("answered with a picture that is cut, or is not of");
    one_may_answer_and_bring_tools: AnswersAndBringsTools => Answers("called: 0123456789abcdef");
    the_same_bytes_hundreds_of_times_are_no_answer: AnswersTheSameBytes => Ended("bytes of blobs");
    field_names_of_megabytes_are_no_answer: AnswersWithLongFields => Ended("bytes of text; 4194304 are allowed");
    broken_json_is_no_answer: AnswersNoJson => Ended("answered with something that is not JSON");
    json_a_million_deep_is_no_answer: AnswersDeepJson => Ended("once it is read; 64 are allowed");
    json_of_a_million_small_values_is_no_answer: AnswersSmallValues => Ended("once it is read; 64 are allowed");
    as_much_as_may_be_answered_is_an_answer: AnswersMuchToALargeSchema => Answers("");
    an_error_of_megabytes_is_cut_and_cleaned: FailsAtLength => Fails("failed");
    text_that_is_no_utf8_ends_it: AnswersInvalidUtf8 => Ended("crashed: it handed over something that the contract does not know (invalid utf-8");
    text_from_nowhere_ends_it: AnswersFromNowhere => Ended("crashed: it handed over something that the contract does not know (string pointer");
    a_case_that_there_is_not_ends_it: AnswersAnUnknownCase => Ended("crashed: it handed over something that the contract does not know (invalid expected");
    an_odd_address_ends_it: AnswersAtAnOddAddress => Ended("crashed: it handed over something that the contract does not know (return pointer");
    memory_that_it_lacks_ends_it: GivesMemoryItLacks => Ended("crashed: it handed over something that the contract does not know (realloc return");
    a_forged_blob_in_an_answer_ends_it: AnswersAForgedBlob => Ended("crashed: it handed over something that the contract does not know (unknown handle index 77");
    a_forged_blob_in_a_call_ends_it: ReadsAForgedBlob => Ended("crashed: it handed over something that the contract does not know (unknown handle index 77");
    a_handle_dropped_twice_ends_it: DropsTwice => Ended("crashed: it handed over something that the contract does not know (unknown handle index");
    a_handle_used_after_its_drop_ends_it: UsesAfterDrop => Ended("crashed: it handed over something that the contract does not know (unknown handle index");
    handles_that_are_leaked_hold_no_more_than_a_call_may: LeaksHandles => Answers("64: this call holds 64 MiB");
    one_that_looks_for_marks_of_others_finds_none: LeavesMarks => Answers("00 then 11");
    handles_without_end_end_it: FloodsHandles => Ended("holds more than 4096 handles");
    one_that_keeps_handles_answers: KeepsWhatItHad => Answers("call 1");
    a_flood_of_host_calls_ends_it: FloodsHostCalls => Ended("called Scout more than 10000 times");
    a_flood_of_log_lines_ends_it: FloodsLog => Ended("used up its 200 ms of CPU");
    a_flood_of_progress_ends_it: FloodsProgress => Ended("called Scout more than 10000 times");
    a_flood_of_commands_is_refused: FloodsCommands => Answers("1000: a call may ask for 1000 commands");
    a_flood_of_probes_is_refused: FloodsProbes => Answers("2000: a call may probe 2000 hosts");
    sleeping_commands_end_with_the_deadline: SleepsInHostCalls => Late(Duration::from_secs(2), "");
    paths_of_a_megabyte_are_refused: AsksForLongPaths => Answers("8 of 8 refused");
    ranges_that_there_are_not_hold_nothing: AsksForOddRanges =>
        Answers("[1048576, 0, 0, 1, 1048575, 0, 0, 0, 0, 0, 0, 0, 0, 0]");
    no_part_of_a_key_is_read_from_its_middle: AsksForPartsOfAKey =>
        Answers("refused true, certificate true, key false, notes true");
    what_may_not_be_kept_is_refused: FloodsBaselines => Answers("too large 0, odd names 0, other hosts 0");
    forged_cursors_are_refused: ForgesCursors => Answers("opens true, too long 0, forged 0");
    forged_hosts_are_unknown: ForgesHosts => Answers("[UnknownHost]");
    secrets_are_refused_however_they_are_spelled: AsksForSecrets => Answers("[Some(Refused)]");
    nothing_outside_of_its_roots_is_read: LeavesItsRoots => Answers("21 paths refused");
    nothing_is_copied_where_nothing_is_open: CopiesAsAsked => Fails("nothing may be written on `box`");
    a_tool_that_only_reads_runs_nothing: RunsBehindItsEffect =>
        Fails("the tool \"look\" says of itself that it only reads");
    shell_in_words_stays_words: WritesShellIntoWords => Answers("144 asked");
    an_import_that_is_not_granted_is_refused: RunsCommands => Refused("needs `exec`, which is not granted");
    a_description_at_length_is_refused: DescribesAtLength => Refused("longer than 8192 bytes");
    hidden_text_in_a_description_is_refused: DescribesHiddenText => Refused("has control characters");
    hidden_text_in_a_schema_is_refused: HidesTextInASchema =>
        Refused("a schema of `looks` has a hidden character in `/properties/path");
    a_thousand_tools_are_refused: DescribesManyTools => Refused("1000 tools; 100 are allowed");
    schemas_with_many_patterns_can_be_described: DescribesManyPatterns => Fails("cannot be called");
    a_schema_that_is_no_json_is_refused: DescribesNoSchema => Refused("is not a JSON object");
    a_forged_tool_name_is_refused: DescribesAForgedName => Refused("a tool's name is 1 to 64 of");
    good_resources_are_read: BringsResources => Answers("0123456789abcdef");
    a_thousand_templates_are_refused: DescribesManyResources => Refused("1000 templates of resources; 50 are allowed");
    a_template_at_length_is_refused: DescribesResourcesAtLength => Refused("is not described in one line of at most 1024");
    a_scheme_of_others_is_refused: DescribesASchemeOfOthers =>
        Refused("the template `scout://{host}/etc/{+path}` has the scheme `scout`, which no plugin may have");
    a_list_without_end_is_no_list: ListsWithoutEnd => Ended("listed more than 1000 resources or 256 KiB at once");
    a_list_with_a_secret_is_one: ListsASecret => Answers("notes://plain");
    a_page_of_a_list_for_ever_is_one: ListsForEver => Answers("notes://first");
    a_list_at_length_is_no_list: ListsAtLength => Ended("listed more than 1000 resources or 256 KiB at once");
    what_it_has_not_is_not_listed: ListsWhatItHasNot =>
        Ended("listed a resource of the template `scout://web1/etc\\u{1b}`, which it does not have");
    hidden_text_is_not_listed: ListsHiddenText => Ended("by values that no URI has");
    a_panic_in_a_resource_ends_it: PanicsInAResource => Ended("crashed: it panicked or gave up");
    a_panic_in_a_list_ends_it: PanicsInAList => Ended("crashed: it panicked or gave up");
    the_clock_and_randomness_are_the_hosts: AsksTheClock => Answers(" ");
    wasi_is_empty: LooksRound => Answers(
        "args 0, env 0, stdin 0, files closed, sockets closed, names closed, clocks open, random open"
    );
    a_flood_on_stdout_ends_with_its_cpu: FloodsStdout => Ended("used up its 200 ms of CPU");
    what_scout_gives_lies_in_the_plugins_own_heap: TakesAndFrees => Answers("200 alike");
    printing_much_is_no_crime: PrintsMuch => Answers("printed");
    an_exit_is_no_answer: Exits => Ended("exited instead of answering (status 0)");
    sleep_in_wasi_ends_with_the_deadline: Sleeps =>
        Late(Duration::from_secs(1), "did not answer before the deadline");
    sleep_in_describe_is_refused: SleepsInDescribe => Refused("cannot describe itself: it did not within 10 s");
    the_smallest_one_answers: AnswersNothing => Answers("");
    an_empty_component_is_refused: IsEmpty => Refused("exports nothing; a plugin exports");
    a_core_module_is_refused: IsACoreModule => Refused("is a core module; `cargo build --target wasm32-wasip2` makes a component");
    another_world_is_refused: ExportsAnotherWorld => Refused("exports `another:world/handler@1.0.0`; a plugin exports");
    a_hollow_handler_is_refused: ExportsAHollowHandler => Refused("does not fit this Scout");
    an_export_for_a_later_scout_is_refused: ExportsWhatALaterScoutCalls =>
        Refused("exports `scout:plugin/prompts@0.2.1`, which this Scout does not call: it needs a newer Scout");
    other_functions_are_refused: ExportsOtherFunctions => Refused("expected `own` or `borrow`, found `u32`");
    an_unknown_import_is_refused: ImportsTheUnknown =>
        Refused("imports `evil:keys/all@1.0.0`, which this Scout does not offer");
    an_unknown_interface_is_refused: ImportsAnUnknownInterface =>
        Refused("imports `scout:plugin/secrets@0.2.0`, which this Scout does not offer");
    an_unknown_function_is_refused: ImportsAnUnknownFunction =>
        Refused("imports `flush` of `scout:plugin/log@0.2.0`, which this Scout does not offer");
    a_function_of_a_later_scout_is_refused: NeedsALaterScout =>
        Refused("imports `flush` of `scout:plugin/log@0.2.1`, which this Scout does not offer: it needs a newer Scout");
    one_built_for_a_later_scout_that_needs_nothing_new_answers: IsBuiltForALaterScout => Answers("0123456789abcdef");
    another_version_is_refused: ImportsAnotherVersion =>
        Refused("is built for scout:plugin 0.1.0; this Scout speaks 0.2.0: build it again, with the SDK and wit/ of this Scout");
    wasi_http_is_refused: ImportsWasiHttp => Refused("`wasi:http/outgoing-handler@0.2.0`");
    a_bare_import_is_refused: ImportsABareFunction => Refused("imports `system`, which this Scout does not offer");
    an_empty_file_is_refused: EmptyFile => Refused("is not a component");
    half_a_component_is_refused: HalfAComponent => Refused("is not a component");
    two_hundred_megabytes_are_refused: TooLarge => Refused("bytes large; 33554432 are allowed");
    six_hundred_thousand_functions_are_refused: ManyFunctions => Refused("has 600000 functions; 100000 are allowed");
    ten_thousand_imports_are_refused: ManyImports => Refused("has 10000 imports; 5000 are allowed");
    a_hundred_thousand_exports_are_refused: ManyExports => Refused("has 100000 exports; 50000 are allowed");
    a_thousand_instances_are_refused: ManyInstances => Refused("has more than 64 instances of modules");
    a_hundred_million_local_variables_are_refused: ManyLocals => Refused("local variables; 3000000 are allowed");
    a_function_of_four_megabytes_is_refused: LargeFunction => Refused("bytes in one function; 1048576 are allowed");
    a_hundred_million_merges_are_refused: NestedBlocks => Refused("local variables times blocks inside each other");
    components_ten_thousand_deep_are_refused: NestedComponents => Refused("components inside each other; 8 are allowed");
    types_ten_thousand_deep_are_refused: NestedTypes => Refused("has types too deep inside each other");
    types_that_double_are_refused: DoublingTypes => Refused("has a type of more than a million parts");
    what_is_slow_to_compile_stops_nobody: SlowToCompile => Refused("exports nothing");
}

/// Loads a guest and calls it for one principal, while another goes on calling a plugin that behaves.
async fn contain(guest: Guest) {
    let (fate, setting) = (fate(guest), setting(guest));
    let mut world = if guest == Guest::LeavesItsRoots { World::confining() } else { World::start() };
    if !matches!(&fate, Late(..)) && !matches!(&fate, Ended(says) if says.contains("CPU")) {
        // What else ends it is to do so on a busy machine too.
        world.limits = Arc::new(Limits { cpu: PLENTY, ..Limits::default() });
    }
    let (world, good) = (Arc::new(world), good_plugin().await);
    let hostile = tokio::spawn({
        let world = Arc::clone(&world);
        async move { meet(guest, &fate, &setting, &world).await }
    });
    // From before it begins until after it has ended.
    loop {
        let over = hostile.is_finished();
        world.good_call(&good).await;
        if over {
            break;
        }
    }
    hostile.await.unwrap();
    let made: Vec<_> = std::fs::read_dir(world.sshd.dir())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.contains("pwned"))
        .collect();
    assert!(made.is_empty(), "{made:?}");
}

async fn meet(guest: Guest, fate: &Fate, setting: &Setting, world: &World) {
    let plugin = match (load("mallory", guest.bytes(), setting.grants).await, fate) {
        (Err(error), Refused(says)) => {
            let message = error.to_string();
            assert!(message.starts_with("plugin `mallory`: ") && message.contains(says), "{message}");
            return assert!(message.len() < 1000, "{message}");
        }
        (Err(error), _) => panic!("{guest:?} was not loaded: {error}"),
        (Ok(_), Refused(_)) => panic!("{guest:?} was loaded"),
        (Ok(plugin), _) => plugin,
    };
    let within = if let Late(within, _) = fate { *within } else { PATIENCE };
    let (said, receipt) = match world.ask(&plugin, "mallory", setting.host, within).await {
        Ok((answer, receipt)) => (Ok(answer), receipt),
        Err(error) => (Err((error.kind, error.message)), error.receipt),
    };
    match (&said, fate) {
        (Ok(answer), Answers(says)) => assert!(text(answer).contains(says), "{}", text(answer)),
        (Err((CallErrorKind::Plugin, message)), Ended(says) | Late(_, says)) => {
            assert!(message.starts_with("plugin `mallory` ") && message.contains(says), "{message}");
        }
        (Err((CallErrorKind::Timeout, message)), Late(_, says)) => assert!(message.contains(says), "{message}"),
        (Err((CallErrorKind::Failed, message)), Fails(says)) => {
            assert!(message.contains(says) && !message.contains('\u{1b}'), "{message}");
        }
        (Ok(answer), _) => panic!("{guest:?} answered: {}", text(answer)),
        (Err(error), _) => panic!("{guest:?}: {error:?}"),
    }
    if let Err((_, message)) = &said {
        assert!(message.len() <= 4096, "{} bytes of message", message.len());
    }
    // The receipt is true also of a call that was ended, and no budget was passed by more than one look at it.
    let limits = &world.limits;
    assert!(!receipt.wall.is_zero());
    assert!(receipt.cpu <= limits.cpu + Duration::from_millis(40), "{:?}", receipt.cpu);
    assert!((1..=limits.memory as u64).contains(&receipt.memory_peak), "{}", receipt.memory_peak);
    assert!(receipt.host_calls <= limits.host_calls + 1, "{}", receipt.host_calls);
}
