//! `board` for libFuzzer; what it does is in `fuzz_targets::board`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::board::run(data));
