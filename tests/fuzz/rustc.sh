#!/bin/sh
# Cargo's RUSTC_WRAPPER: what Scout reads bytes with counts for libFuzzer which of its branches were taken. Flags of stable
# Rust; wasmtime and what else reads no such bytes are built as always, and so is serde_json: procedural macros have it, too,
# which rustc cannot load with counters.
case " $* " in
  *" --crate-name scout_"* | *" --crate-name toml"* | *" --crate-name russh "* | \
    *" --crate-name ssh_key "* | *" --crate-name ssh_encoding "* | *" --crate-name rmcp "* | *" --crate-name jsonschema "*)
    exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
      -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$@"
