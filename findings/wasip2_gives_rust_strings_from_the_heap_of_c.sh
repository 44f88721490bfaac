#!/usr/bin/env bash
# wit-bindgen 0.61.1, Rust 1.95: a component for wasm32-wasip2 gets the strings that its host gives it from the heap of C (`cabi_realloc` is wasi-libc's, over its malloc),
# also if the crate has a `#[global_allocator]` of its own, and frees them into that one. Built for wasm32-unknown-unknown, the same crate gets them from its own allocator.
# Surprising: generated code makes a `String` of them, and the documentation of `GlobalAlloc` says that an allocator is given back only what it gave. An allocator that
# keeps a heap of its own (talc, for one) takes memory in which the other heap still has its books; with the default allocator, which is the same malloc, nobody notices.
# wit-bindgen brings a `cabi_realloc` over the global allocator, and links it for the targets without wasi-libc only.
#
# Needs Rust 1.95 with the targets wasm32-wasip2 and wasm32-unknown-unknown, Node.js 20 and npm. Builds one crate for both, whose allocator passes everything on to the
# default one and counts what is given back that it never gave: nothing is broken by it here.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

mkdir -p src wit
cat >Cargo.toml <<'END'
[package]
name = "foreign"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[dependencies]
wit-bindgen = "=0.61.1"

[workspace]
END
cat >wit/world.wit <<'END'
package an:example;

world counts {
    /// Lets go of the text, and tells how much was given back so far that the allocator never gave.
    export takes: func(text: string) -> u32;
}
END
cat >src/lib.rs <<'END'
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counts {
    given: [Cell<usize>; 1024],
    foreign: Cell<u32>,
}

// A component has one thread.
unsafe impl Sync for Counts {}

unsafe impl GlobalAlloc for Counts {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let at = unsafe { System.alloc(layout) };
        if let Some(free) = self.given.iter().find(|place| place.get() == 0) {
            free.set(at as usize);
        }
        at
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        match self.given.iter().find(|place| place.get() == at as usize) {
            Some(place) => place.set(0),
            None => self.foreign.set(self.foreign.get() + 1),
        }
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTS: Counts = Counts { given: [const { Cell::new(0) }; 1024], foreign: Cell::new(0) };

wit_bindgen::generate!({ path: "wit", world: "counts" });

struct Example;

impl Guest for Example {
    fn takes(text: String) -> u32 {
        drop(text);
        COUNTS.foreign.get()
    }
}

export!(Example);
END

cat >package.json <<'END'
{"private": true, "type": "module", "dependencies": {"@bytecodealliance/jco": "1.25.2", "@bytecodealliance/preview2-shim": "0.17.9"}}
END
timeout 300 npm install --silent --no-audit --no-fund
rustc --version
timeout 300 cargo build --quiet --release --target wasm32-wasip2
timeout 300 cargo build --quiet --release --target wasm32-unknown-unknown
cp target/wasm32-wasip2/release/foreign.wasm wasip2.wasm
timeout 60 npx jco new target/wasm32-unknown-unknown/release/foreign.wasm -o unknown.wasm >/dev/null

seen=
for target in wasip2 unknown; do
  timeout 120 npx jco transpile "$target.wasm" --name "$target" -o "out-$target" --quiet
  printf 'import { takes } from "./out-%s/%s.js";\nconsole.log(takes("a"), takes("b"), takes("c"));\n' "$target" "$target" >"$target.mjs"
  counted=$(timeout 60 node "$target.mjs")
  printf 'wasm32-%s: given back and never given, after each of three calls: %s\n' "$target" "$counted"
  seen+="$counted;"
done
[ "$seen" = "1 2 3;0 0 0;" ]
