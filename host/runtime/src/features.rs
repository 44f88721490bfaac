//! What of WebAssembly a component may use, whoever made it.
//!
//! Owns the set of features, which the engine is held to as well, and the validation of a component against it before
//! wasmtime sees it. Why twice: what wasmtime leaves out of a build is not always refused by it (RUSTSEC-2026-0570 and
//! GHSA-2674-w29h-wqvj are aborts of builds without `gc` and without `threads`), and a feature that a later wasmtime
//! brings is not offered because it is there.

use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

/// What compilers of real languages use without being asked to: WebAssembly 2.0, and of 3.0 what needs nothing of the
/// engine but its compiler. Of reference types only `funcref`: the others need a garbage collector.
///
/// Not: GC, function references, exceptions, threads, stack switching, memory64; of components: asynchronous functions,
/// streams and futures, threads, maps, values.
pub(crate) const OFFERED: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::COMPONENT_MODEL);

/// The longest message of the validator that is told, in characters: it may hold names of the component's.
const MAX_MESSAGE: usize = 300;

/// Validates a component. What it has too much of is counted before.
///
/// # Errors
/// Why it is invalid, or which feature it uses that is not offered, as the rest of a sentence that begins with the plugin's
/// name.
pub(crate) fn check(component: &[u8]) -> Result<(), String> {
    Validator::new_with_features(OFFERED).validate_all(component).map(drop).map_err(|error| told(&error))
}

fn told(error: &BinaryReaderError) -> String {
    let said: String = error.to_string().lines().next().unwrap_or_default().chars().take(MAX_MESSAGE).collect();
    let Some(missing) = error.missing_wasm_feature() else {
        // wasmparser has no types for these.
        if said.contains("type nesting is too deep") {
            return "has types too deep inside each other".to_owned();
        }
        if said.contains("type size exceeds") {
            return "has a type of more than a million parts".to_owned();
        }
        return format!("is not a component that can be used: {said}");
    };
    let names: Vec<String> =
        missing.iter_names().map(|(name, _)| name.to_ascii_lowercase().replace('_', "-")).collect();
    format!("uses a feature of WebAssembly that Scout does not offer, {}: {said}; build it without", names.join(" or "))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    /// A component with one module of this text.
    fn with_module(module: &str) -> String {
        format!("(component (core module {module}))")
    }

    fn refusal(component: &str) -> Option<String> {
        check(&wat::parse_str(component).unwrap()).err()
    }

    /// Each is the least that uses the feature, and is valid where the feature is offered.
    fn not_offered() -> Vec<(WasmFeatures, String)> {
        let modules = [
            (WasmFeatures::GC_TYPES, "(table 1 externref)"),
            (WasmFeatures::GC_TYPES, "(func (param anyref))"),
            (WasmFeatures::GC, "(type (struct (field i32)))"),
            (WasmFeatures::GC, "(type (array i8))"),
            (WasmFeatures::GC, "(rec (type (func)) (type (func)))"),
            (WasmFeatures::FUNCTION_REFERENCES, "(type $f (func)) (func (param (ref null $f)))"),
            (WasmFeatures::FUNCTION_REFERENCES, "(func (param (ref func)))"),
            (WasmFeatures::FUNCTION_REFERENCES, "(func (param funcref) (drop (ref.as_non_null (local.get 0))))"),
            (WasmFeatures::FUNCTION_REFERENCES, "(func $f) (elem declare func $f) (table 1 funcref (ref.func $f))"),
            (WasmFeatures::EXCEPTIONS, "(tag)"),
            (WasmFeatures::EXCEPTIONS, "(func (try_table))"),
            (WasmFeatures::LEGACY_EXCEPTIONS, "(func try catch_all end)"),
            (WasmFeatures::THREADS, "(memory 1 1 shared)"),
            (WasmFeatures::THREADS, "(func (atomic.fence))"),
            (WasmFeatures::THREADS, "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))"),
            (WasmFeatures::SHARED_EVERYTHING_THREADS, "(global (shared i32) (i32.const 0))"),
            (WasmFeatures::STACK_SWITCHING, "(type $f (func)) (type (cont $f))"),
            (WasmFeatures::MEMORY64, "(memory i64 1)"),
            (WasmFeatures::MEMORY64, "(table i64 1 funcref)"),
            (WasmFeatures::CUSTOM_PAGE_SIZES, "(memory 1 (pagesize 1))"),
            (
                WasmFeatures::WIDE_ARITHMETIC,
                "(func (param i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 0)))",
            ),
            (WasmFeatures::COMPACT_IMPORTS, r#"(import "m" (item "a" (func)) (item "b" (func)))"#),
            (WasmFeatures::MEMORY_CONTROL, "(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))"),
        ];
        let components = [
            (WasmFeatures::CM_ASYNC, r#"(component (type (stream)))"#),
            (WasmFeatures::CM_ASYNC, r#"(component (type (future)))"#),
            (WasmFeatures::CM_ASYNC, r#"(component (core func (canon task.cancel)))"#),
            (WasmFeatures::CM_THREADING, r#"(component (core func (canon thread.index)))"#),
            (WasmFeatures::CM_ERROR_CONTEXT, r#"(component (type error-context))"#),
            (WasmFeatures::CM_VALUES, r#"(component (import "v" (value $v string)) (export "w" (value $v)))"#),
            (WasmFeatures::CM_MAP, r#"(component (type (map string u8)))"#),
            (WasmFeatures::CM_FIXED_LENGTH_LISTS, r#"(component (type (list u8 4)))"#),
            (WasmFeatures::CM_IMPLEMENTS, r#"(component (import "a" (implements "b:c/d") (instance)))"#),
            (WasmFeatures::CM_NESTED_NAMES, r#"(component (import "a:b:c/d" (instance)))"#),
            // In a type of something that another component would bring, too.
            (WasmFeatures::THREADS, r#"(component (core type (module (import "" "" (memory 1 1 shared)))))"#),
            (WasmFeatures::GC, r#"(component (core type (struct)))"#),
        ];
        let modules = modules.map(|(feature, module)| (feature, with_module(module)));
        modules.into_iter().chain(components.map(|(feature, text)| (feature, text.to_owned()))).collect()
    }

    #[test]
    fn each_feature_that_is_not_offered_is_refused_by_name() {
        for (feature, component) in not_offered() {
            let name = feature.iter_names().next().unwrap().0.to_ascii_lowercase().replace('_', "-");
            let refusal = refusal(&component).unwrap_or_else(|| panic!("{name} passes: {component}"));
            // Of features of names the validator tells in its own words only.
            let says = match feature {
                WasmFeatures::CM_IMPLEMENTS => "the `cm-implements` feature is not active".to_owned(),
                WasmFeatures::CM_NESTED_NAMES => "`a:b:c/d` is not a valid extern name".to_owned(),
                _ => format!("uses a feature of WebAssembly that Scout does not offer, {name}: "),
            };
            assert!(refusal.contains(&says), "{component}: {refusal}");
        }
    }

    /// Else it is refused for another fault, and what the feature needs may pass.
    #[test]
    fn each_refused_component_is_valid_where_the_feature_is_offered() {
        for (_, component) in not_offered() {
            let bytes = wat::parse_str(&component).unwrap();
            Validator::new_with_features(WasmFeatures::all()).validate_all(&bytes).unwrap();
        }
    }

    /// Cannot be used without another one that is not offered.
    const PARTS: WasmFeatures = WasmFeatures::CM_ASYNC_STACKFUL
        .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
        .union(WasmFeatures::CM_GC)
        .union(WasmFeatures::CM64)
        .union(WasmFeatures::CM_CANON_NAMES)
        .union(WasmFeatures::CUSTOM_DESCRIPTORS);

    #[test]
    fn each_feature_is_offered_or_tried() {
        let tried = not_offered().into_iter().fold(OFFERED.union(PARTS), |all, (feature, _)| all.union(feature));
        let missing: Vec<_> = WasmFeatures::all().difference(tried).iter_names().map(|(name, _)| name).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn what_compilers_use_is_offered() {
        for module in [
            "(memory 1) (func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(table 2 funcref) (elem declare func 0) (func (table.set (i32.const 0) (ref.func 0)))",
            "(func (result i32 i64) (i32.extend8_s (i32.const 0)) (i64.const 0))",
            "(func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))",
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
            "(func (return_call 0))",
        ] {
            assert_eq!(refusal(&with_module(module)), None, "{module}");
        }
    }

    #[test]
    fn what_is_invalid_is_told_as_that() {
        let refusal = refusal(&with_module("(func (result i32) (i64.const 0))")).unwrap();
        assert!(refusal.starts_with("is not a component that can be used: type mismatch"), "{refusal}");
    }
}
