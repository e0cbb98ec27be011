//! `psci_stream` for libFuzzer; what it does is in `fuzz_targets::psci_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::psci_stream::run(data));
