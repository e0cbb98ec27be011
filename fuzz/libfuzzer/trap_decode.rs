//! `trap_decode` for libFuzzer; what it does is in `fuzz_targets::trap_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::trap_decode::run(data));
