//! `virtio_rng_stream` for libFuzzer; what it does is in `fuzz_targets::virtio`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::virtio::run_rng(data));
