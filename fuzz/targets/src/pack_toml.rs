//! The machine description as a user writes it.

use std::path::Path;

/// Reads a description; errors must be printable. Files that it names are not opened.
pub fn run(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Err(error) = pack::parse_toml("fuzz.toml", text, Path::new("/nowhere")) {
        let message = error.to_string();
        assert!(!message.is_empty());
    }
    let _ = pack::parse_size(text);
}

/// Returns the examples.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    [
        include_str!("../../../examples/linux.toml"),
        include_str!("../../../examples/two-linux.toml"),
        "version = 1\n[[vm]]\nname = \"a\"\nvcpus = 2\nmemory = 2097152\nkernel = \"./k\"\n\
         pinning = [0, 1]\nspis = 32\nwarm-reset = \"reset\"\ndevices = []\n",
        "512M",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}
