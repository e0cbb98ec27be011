//! The document that lists what guests can use although their ID registers don't show it is what the
//! feature table says.

use id_registers::untrappable;
use std::fmt::Write;
use std::path::Path;

/// Set to write the document instead of comparing it.
const WRITE: &str = "BULKHEAD_WRITE_DOCUMENTS";

fn document() -> String {
    let mut text = String::from(
        "# CPU features that cannot be hidden\n\n\
         A guest's ID registers show it a machine without the features that Bulkhead does not\n\
         virtualize, and using one of them is UNDEFINED. The architecture gives EL2 no control over a\n\
         few: a guest that ignores its ID registers can use them. They are listed here with what that\n\
         means. Generated from the feature table of `crates/id-registers`; to write it anew:\n\n\
         ```text\n\
         BULKHEAD_WRITE_DOCUMENTS=1 cargo test -p bulkhead-id-registers --test document\n\
         ```\n\n\
         | register | field | what can be used, and why that does no harm |\n\
         |---|---|---|\n",
    );
    for (field, reason) in untrappable() {
        // Writing to a string can't fail.
        let _ = writeln!(text, "| {} | {} | {reason} |", field.register, field.name);
    }
    text
}

#[test]
fn the_document_lists_what_cannot_be_trapped() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cpu-features.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, document()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, document(), "write {} anew", path.display());
}
