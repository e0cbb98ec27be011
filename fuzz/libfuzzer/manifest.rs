//! `manifest` for libFuzzer; what it does is in `fuzz_targets::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::manifest::run(data));
