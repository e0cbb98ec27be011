//! `fdt` for libFuzzer; what it does is in `fuzz_targets::fdt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::fdt::run(data));
