//! `pack_toml` for libFuzzer; what it does is in `fuzz_targets::pack_toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::pack_toml::run(data));
