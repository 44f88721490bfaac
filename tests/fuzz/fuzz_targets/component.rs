//! Whatever the bytes are: loading them and calling what was loaded neither crashes nor hangs.
#![no_main]

mod survive;

libfuzzer_sys::fuzz_target!(|component: &[u8]| {
    survive::load_and_call(component);
});
