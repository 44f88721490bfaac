//! What a component may be made of: counted in its bytes before anything is compiled.
//!
//! Compiling has no budget, and a small file can make it long: bounded here is what costs the compiler more than its bytes
//! say. The bounds are far above what compilers of real languages write; an interpreter with its standard library in one
//! component has some 30,000 functions, the largest of 200 KiB. Knows no grants. Whether the bytes are valid at all is
//! asked next, in `features`.

use wasmparser::{FunctionBody, Operator, Parser, Payload};

/// Components and modules inside each other.
const MAX_DEPTH: usize = 8;
/// Components and modules in all.
const MAX_PARTS: u64 = 200;
/// Functions of all modules.
const MAX_FUNCTIONS: u64 = 100_000;
/// Types of all modules and components.
const MAX_TYPES: u64 = 50_000;
/// Imports of all modules and components.
const MAX_IMPORTS: u64 = 5_000;
/// Exports of all modules and components.
const MAX_EXPORTS: u64 = 50_000;
/// Globals, tables, memories, segments, instances, aliases, adapters of all modules and components.
const MAX_ITEMS: u64 = 200_000;
/// The largest function, in bytes.
const MAX_FUNCTION: usize = 1 << 20;
/// Parameters and results of a function's type, each.
const MAX_VALUES: usize = 200;
/// Local variables of one function: a declaration of five bytes can make millions.
const MAX_LOCALS: u64 = 20_000;
/// Local variables of all functions.
const MAX_LOCALS_IN_ALL: u64 = 3_000_000;
/// Local variables times blocks inside each other, of one function: at each end of a block each may need a merge.
const MAX_MERGES: u64 = 1_000_000;

#[derive(Default)]
struct Counted {
    parts: u64,
    functions: u64,
    types: u64,
    imports: u64,
    exports: u64,
    items: u64,
    locals: u64,
}

/// Refuses what would be too much to compile. Bytes that are no component pass: the validator says better what is wrong.
///
/// # Errors
/// What there is too much of, as the rest of a sentence that begins with the plugin's name.
pub(crate) fn check(component: &[u8]) -> Result<(), String> {
    let mut counted = Counted::default();
    let mut depth: usize = 0;
    for payload in Parser::new(0).parse_all(component) {
        let Ok(payload) = payload else { return Ok(()) };
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                counted.parts += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::TypeSection(types) => {
                counted.types += u64::from(types.count());
                for function in types.clone().into_iter_err_on_gc_types().flatten() {
                    let values = function.params().len().max(function.results().len());
                    within("values in the type of a function", values as u64, MAX_VALUES as u64)?;
                }
            }
            Payload::CoreTypeSection(section) => counted.types += u64::from(section.count()),
            Payload::ComponentTypeSection(section) => counted.types += u64::from(section.count()),
            Payload::ImportSection(section) => counted.imports += u64::from(section.count()),
            Payload::ComponentImportSection(section) => counted.imports += u64::from(section.count()),
            Payload::ExportSection(section) => counted.exports += u64::from(section.count()),
            Payload::ComponentExportSection(section) => counted.exports += u64::from(section.count()),
            Payload::TableSection(section) => counted.items += u64::from(section.count()),
            Payload::MemorySection(section) => counted.items += u64::from(section.count()),
            Payload::TagSection(section) => counted.items += u64::from(section.count()),
            Payload::GlobalSection(section) => counted.items += u64::from(section.count()),
            Payload::ElementSection(section) => counted.items += u64::from(section.count()),
            Payload::DataSection(section) => counted.items += u64::from(section.count()),
            Payload::InstanceSection(section) => counted.items += u64::from(section.count()),
            Payload::ComponentInstanceSection(section) => counted.items += u64::from(section.count()),
            Payload::ComponentAliasSection(section) => counted.items += u64::from(section.count()),
            Payload::ComponentCanonicalSection(section) => counted.items += u64::from(section.count()),
            Payload::FunctionSection(section) => counted.functions += u64::from(section.count()),
            Payload::CodeSectionEntry(body) => counted.locals += function(body)?,
            _ => {}
        }
        within("components inside each other", depth as u64, MAX_DEPTH as u64)?;
        within("components and modules", counted.parts, MAX_PARTS)?;
        within("functions", counted.functions, MAX_FUNCTIONS)?;
        within("types", counted.types, MAX_TYPES)?;
        within("imports", counted.imports, MAX_IMPORTS)?;
        within("exports", counted.exports, MAX_EXPORTS)?;
        within("globals, segments, instances and the like", counted.items, MAX_ITEMS)?;
        within("local variables", counted.locals, MAX_LOCALS_IN_ALL)?;
    }
    Ok(())
}

/// Checks one function; gives the number of its local variables.
fn function(body: &FunctionBody<'_>) -> Result<u64, String> {
    let bytes = body.as_bytes().len();
    within("bytes in one function", bytes as u64, MAX_FUNCTION as u64)?;
    let Ok(declared) = body.get_locals_reader() else { return Ok(0) };
    let locals = declared.into_iter().flatten().map(|(count, _)| u64::from(count)).sum();
    within("local variables in one function", locals, MAX_LOCALS)?;
    // A block takes two bytes at least; most functions need no closer look.
    if (bytes as u64 / 2).saturating_mul(locals) > MAX_MERGES {
        let merges = depth_of_blocks(body).saturating_mul(locals);
        within("local variables times blocks inside each other in one function", merges, MAX_MERGES)?;
    }
    Ok(locals)
}

fn depth_of_blocks(body: &FunctionBody<'_>) -> u64 {
    let (mut depth, mut deepest) = (0_u64, 0_u64);
    for operator in body.get_operators_reader().into_iter().flatten().flatten() {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            Operator::End => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn within(what: &str, count: u64, allowed: u64) -> Result<(), String> {
    if count <= allowed { Ok(()) } else { Err(format!("has {count} {what}; {allowed} are allowed")) }
}
