//! All questions about one match, made from the bytes of an input. What is asked, and what must
//! hold of the answers, is in the crate's tests, which try a fixed sequence of inputs.
#![no_main]
#![allow(dead_code)]

#[path = "../tests/suite/common.rs"]
mod common;
#[path = "../tests/suite/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    hostile::ask_everything(&mut hostile::Rng::of_input(data));
});
