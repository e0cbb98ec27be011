//! `guest_image` for libFuzzer; what it does is in `fuzz_targets::guest_image`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::guest_image::run(data));
