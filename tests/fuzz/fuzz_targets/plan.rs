#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floutage_fuzz::plan(data));
