//! `vgic_stream` for libFuzzer; what it does is in `fuzz_targets::vgic_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::vgic_stream::run(data));
