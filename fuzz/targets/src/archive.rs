//! The boot archive, and everything that is made of it before a VM is.

use ::archive::{Archive, EntryKind, Writer};
use ::manifest::Machine;
use addr::VmId;

/// Parses an archive, looks at all of its entries, and takes it for a boot archive.
///
/// # Panics
/// If what the parser says contradicts itself.
pub fn run(data: &[u8]) {
    let Ok(archive) = Archive::parse(data) else {
        return;
    };
    let mut count = 0;
    for entry in archive.entries() {
        count += 1;
        assert!(count <= ::archive::MAX_ENTRIES, "too many entries");
        let end = entry.offset + entry.data.len();
        assert_eq!(data.get(entry.offset..end), Some(entry.data));
        if entry.kind == EntryKind::File
            && let Some(found) = archive.find(entry.name)
        {
            assert_eq!(found.name, entry.name);
        }
    }
    assert!(
        archive
            .find("no such file")
            .is_none_or(|entry| entry.name == "no such file")
    );
    let Ok((archive, description)) = ::manifest::open(data) else {
        return;
    };
    let machine = Machine {
        cpus: Some(4),
        ram_bytes: Some(1 << 30),
        ipa_bits: Some(40),
    };
    if let Err(error) = ::manifest::validate(&description, &machine, &archive) {
        let _ = error.to_string();
        return;
    }
    for (number, vm) in (0..).zip(&description.vms) {
        let files = ::manifest::boot_files(VmId::new(number), vm, &archive)
            .expect("what was found valid can be placed");
        let ram = vm.ram().expect("a valid size");
        assert!(ram.contains(files.layout.kernel));
        assert!(ram.contains(files.layout.entry));
        assert!(ram.contains_range(files.layout.dtb));
        assert!(
            files
                .layout
                .initrd
                .is_none_or(|initrd| ram.contains_range(initrd))
        );
    }
}

/// Makes an archive with all kinds of entries, and a boot archive.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut kinds = Writer::new();
    let made = kinds
        .directory("bin", 0o755)
        .and_then(|()| kinds.file("bin/init", 0o755, b"#!/bin/sh\n"))
        .and_then(|()| kinds.symlink("bin/sh", "init"))
        .and_then(|()| kinds.aligned_file("kernel", 0o644, &[0xd5; 100], 512));
    assert_eq!(made, Ok(()));
    let descriptions = crate::manifest::descriptions();
    let boot = descriptions.iter().map(|description| {
        let mut boot = Writer::new();
        let made = boot
            .file(
                ::manifest::FILE_NAME,
                0o644,
                &::manifest::to_dtb(description),
            )
            .and_then(|()| boot.file("kernel-0", 0o644, &crate::guest_image::header()))
            .and_then(|()| boot.file("initrd-0", 0o644, b"initrd"));
        assert_eq!(made, Ok(()));
        boot.finish()
    });
    boot.chain([kinds.finish()]).collect()
}
