//! Hands the linker script to the linker, for the bare-metal target only.

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    let bare_metal = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    if bare_metal {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".to_owned());
        println!("cargo::rustc-link-arg-bins=-T{folder}/link.ld");
    }
}
