//! `device_snapshot` for libFuzzer; what it does is in `fuzz_targets::devices`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::devices::run_snapshot(data));
