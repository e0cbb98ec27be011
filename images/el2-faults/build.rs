//! Links the image by its linker script.

fn main() {
    let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rerun-if-changed=../hypervisor/image.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg-bins=-T{directory}/../hypervisor/image.ld");
        println!("cargo:rustc-link-arg-bins=-znostart-stop-gc");
    }
}
