//! `archive` for libFuzzer; what it does is in `fuzz_targets::archive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::archive::run(data));
