//! `vswitch_stream` for libFuzzer; what it does is in `fuzz_targets::vswitch_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::vswitch_stream::run(data));
