#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| scout_fuzz::read("uri", input));
