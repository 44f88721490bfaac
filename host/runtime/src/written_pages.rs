//! Pages of `docs` that are written from tables of this crate.

use std::path::Path;

/// Holds a page against what its table makes of it; with `WRITE_DOCS` it is written first. `table` is where the table is, `test` the test
/// that asks.
pub(crate) fn hold(page: &str, expected: &str, table: &str, test: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, expected).expect("the page is written");
    }
    let found = std::fs::read_to_string(&path).expect("the page is there");
    assert!(found == expected, "{page} is not what {table} says: WRITE_DOCS=1 cargo test -p scout-runtime {test}");
}
