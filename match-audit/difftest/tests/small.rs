//! A short comparison with the compiler, so that `cargo test` is not without one.

use std::process::Command;

#[test]
fn a_few_hundred_matches_agree_with_the_compiler() {
    let output = Command::new(env!("CARGO_BIN_EXE_match-audit-difftest"))
        .args(["--count", "400", "--seed", "3"])
        .output()
        .expect("the comparison starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(" 0 differences"), "{text}");
}
