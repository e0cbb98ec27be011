//! What the writer writes the reader reads; what nobody should have written it refuses.

use crate::{
    Archive, ArchiveError, DeviceNumber, EntryKind, MAX_ENTRIES, MAX_NAME, PADDING_NAME,
    WriteError, Writer,
};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

const BLOCK: u64 = 2 * 1024 * 1024;

fn small_archive() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.file("manifest.dtb", 0o444, b"tree").unwrap();
    writer
        .aligned_file("kernel", 0o444, b"machine code", 512)
        .unwrap();
    writer.file("empty", 0o444, b"").unwrap();
    writer.finish()
}

/// Builds one entry by hand, so that it can be wrong.
fn raw_entry(mode: &str, name_size: &str, file_size: &str, name: &[u8], data: &[u8]) -> Vec<u8> {
    let zero = "00000000";
    let mut bytes = format!("070701{zero}{mode}{zero}{zero}{zero}{zero}{file_size}").into_bytes();
    bytes.extend(format!("{zero}{zero}{zero}{zero}{name_size}{zero}").into_bytes());
    bytes.extend(name);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn every_kind_of_entry_survives_the_round_trip() {
    let mut writer = Writer::new();
    writer.directory("dev", 0o755).unwrap();
    let console = DeviceNumber::Character { major: 5, minor: 1 };
    writer.device("dev/console", 0o600, console).unwrap();
    let disk = DeviceNumber::Block {
        major: 254,
        minor: 0,
    };
    writer.device("dev/vda", 0o600, disk).unwrap();
    writer.file("init", 0o755, b"#!/bin/sh\n").unwrap();
    writer.symlink("bin", "usr/bin").unwrap();
    let bytes = writer.finish();

    let archive = Archive::parse(&bytes).unwrap();
    let entries: Vec<_> = archive
        .entries()
        .map(|entry| (entry.name, entry.kind, entry.data))
        .collect();
    assert_eq!(
        entries,
        [
            ("dev", EntryKind::Directory, &b""[..]),
            ("dev/console", EntryKind::CharacterDevice, b""),
            ("dev/vda", EntryKind::BlockDevice, b""),
            ("init", EntryKind::File, b"#!/bin/sh\n"),
            ("bin", EntryKind::Symlink, b"usr/bin"),
        ]
    );
    assert_eq!(archive.find("init").unwrap().data, b"#!/bin/sh\n");
    assert_eq!(archive.find("dev"), None, "only files are found");
    assert_eq!(archive.find("missing"), None);
}

#[test]
fn headers_are_laid_out_as_the_format_says() {
    let mut writer = Writer::new();
    let console = DeviceNumber::Character { major: 5, minor: 1 };
    writer.device("dev/console", 0o600, console).unwrap();
    let bytes = writer.finish();
    let expected = concat!(
        "070701",
        "00000001",
        "00002180",
        "00000000",
        "00000000",
        "00000001",
        "00000000",
        "00000000",
        "00000000",
        "00000000",
        "00000005",
        "00000001",
        "0000000C",
        "00000000",
        "dev/console\0"
    );
    assert_eq!(&bytes[..expected.len()], expected.as_bytes());
    assert_eq!(&bytes[124..130], b"070701", "the name is padded to 4 bytes");
    assert!(bytes.ends_with(b"TRAILER!!!\0\0\0\0"));
}

#[test]
fn aligned_files_begin_on_their_boundary_and_padding_stays_hidden() {
    let mut writer = Writer::new();
    writer.file("manifest.dtb", 0o444, &[1; 999]).unwrap();
    for (name, size) in [("kernel", 3 * BLOCK as usize + 1), ("initrd", 7)] {
        writer
            .aligned_file(name, 0o444, &vec![2; size], BLOCK)
            .unwrap();
    }
    let bytes = writer.finish();
    let archive = Archive::parse(&bytes).unwrap();
    let names: Vec<_> = archive.entries().map(|entry| entry.name).collect();
    assert_eq!(names, ["manifest.dtb", "kernel", "initrd"]);
    assert_eq!(archive.find("kernel").unwrap().offset, BLOCK as usize);
    assert_eq!(archive.find("initrd").unwrap().offset, 5 * BLOCK as usize);
    assert_eq!(archive.find(PADDING_NAME), None);
}

#[test]
fn alignment_holds_whatever_comes_before() {
    for before in 0..2048 {
        let mut writer = Writer::new();
        writer.file("before", 0o444, &vec![0; before]).unwrap();
        writer.aligned_file("after", 0o444, b"x", 512).unwrap();
        let bytes = writer.finish();
        let after = Archive::parse(&bytes).unwrap().find("after").unwrap();
        assert_eq!(after.offset % 512, 0, "{before} bytes before");
        assert_eq!(after.data, b"x");
    }
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    assert_eq!(small_archive(), small_archive());
}

#[test]
fn unusable_entries_are_refused_by_the_writer() {
    let mut writer = Writer::new();
    writer.file("a", 0o444, b"").unwrap();
    assert_eq!(
        writer.directory("a", 0o755),
        Err(WriteError::Duplicate { name: "a".into() })
    );
    let long = "x".repeat(MAX_NAME + 1);
    for name in ["", "a\0b", PADDING_NAME, "TRAILER!!!", long.as_str()] {
        let error = WriteError::BadName { name: name.into() };
        assert_eq!(writer.file(name, 0o444, b""), Err(error));
    }
    for alignment in [0, 2, 3, 6] {
        assert_eq!(
            writer.aligned_file("b", 0o444, b"", alignment),
            Err(WriteError::BadAlignment { alignment })
        );
    }
    writer
        .file(&"x".repeat(MAX_NAME), 0o444, b"")
        .expect("the longest name");
    Archive::parse(&writer.finish()).unwrap();
}

#[test]
fn what_follows_the_end_is_ignored() {
    let mut bytes = small_archive();
    bytes.extend(b"\0\0\0\0rubbish");
    assert_eq!(Archive::parse(&bytes).unwrap().entries().count(), 3);
}

#[test]
fn h5_every_truncation_is_refused() {
    let bytes = small_archive();
    // Only the padding behind the last name may be missing.
    let shortest = bytes.len() - 3;
    assert!(Archive::parse(&bytes[..shortest]).is_ok());
    for length in 0..shortest {
        let error = Archive::parse(&bytes[..length]).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Truncated { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn h5_no_flipped_bit_causes_a_panic_or_moves_data_out_of_bounds() {
    let original = small_archive();
    for bit in 0..original.len() * 8 {
        let mut bytes = original.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match Archive::parse(&bytes) {
            Ok(archive) => {
                for entry in archive.entries() {
                    assert!(entry.offset + entry.data.len() <= bytes.len());
                }
            }
            Err(error) => assert!(error.to_string().starts_with("archive, entry at byte")),
        }
    }
}

#[test]
fn h5_huge_sizes_do_not_wrap() {
    let bytes = raw_entry("00008124", "00000002", "FFFFFFFF", b"a\0", b"");
    assert!(matches!(
        Archive::parse(&bytes),
        Err(ArchiveError::Truncated { at: 0, needed, .. }) if needed == 112 + 0xffff_ffff
    ));
    for length in [0, 1, MAX_NAME as u32 + 2, u32::MAX] {
        let name_size = format!("{length:08x}");
        let bytes = raw_entry("00008124", &name_size, "00000000", b"a\0", b"");
        let error = ArchiveError::BadNameLength { at: 0, length };
        assert_eq!(Archive::parse(&bytes).unwrap_err(), error);
    }
}

#[test]
fn h5_fields_are_digits_and_nothing_else() {
    for file_size in ["+0000001", "0x000001", "       1", "0000000G", "-0000001"] {
        let bytes = raw_entry("00008124", "00000002", file_size, b"a\0", b"x");
        let error = ArchiveError::BadNumber {
            at: 0,
            field: "c_filesize",
        };
        assert_eq!(Archive::parse(&bytes).unwrap_err(), error, "{file_size}");
    }
}

#[test]
fn h5_wrong_names_and_kinds_are_refused() {
    for name in [&b"ab\0c"[..], b"abcd", b"\xff\xfe\xfd\0"] {
        let bytes = raw_entry("00008124", "00000004", "00000000", name, b"");
        let error = ArchiveError::BadName { at: 0 };
        assert_eq!(Archive::parse(&bytes).unwrap_err(), error);
    }
    let socket = raw_entry("0000C000", "00000002", "00000000", b"a\0", b"");
    let error = ArchiveError::BadKind {
        at: 0,
        mode: 0o140_000,
    };
    assert_eq!(Archive::parse(&socket).unwrap_err(), error);
    let mut other_format = small_archive();
    other_format[5] = b'7';
    let error = ArchiveError::BadMagic { at: 0 };
    assert_eq!(Archive::parse(&other_format).unwrap_err(), error);
}

#[test]
fn h5_a_name_that_occurs_twice_is_refused() {
    let mut bytes = raw_entry("00008124", "00000002", "00000004", b"a\0", b"data");
    let second = 2 * bytes.len();
    bytes.extend(raw_entry(
        "00008124", "00000002", "00000004", b"b\0", b"data",
    ));
    bytes.extend(raw_entry(
        "00008124", "00000002", "00000004", b"a\0", b"evil",
    ));
    bytes.extend(Writer::new().finish());
    let error = ArchiveError::Duplicate { first: 0, second };
    assert_eq!(Archive::parse(&bytes).unwrap_err(), error);
}

#[test]
fn h5_the_number_of_entries_is_bounded() {
    let archive_of = |count: usize| {
        let mut writer = Writer::new();
        for index in 0..count {
            writer.file(&index.to_string(), 0o444, b"").unwrap();
        }
        writer.finish()
    };
    let most = archive_of(MAX_ENTRIES);
    assert_eq!(
        Archive::parse(&most).unwrap().entries().count(),
        MAX_ENTRIES
    );
    let error = Archive::parse(&archive_of(MAX_ENTRIES + 1)).unwrap_err();
    assert!(matches!(error, ArchiveError::TooManyEntries { .. }));
}

#[test]
fn errors_say_where_what_and_what_would_be_right() {
    let message = |error: ArchiveError| -> String { error.to_string() };
    assert_eq!(
        message(ArchiveError::Truncated {
            at: 124,
            needed: 5000,
            length: 4096
        }),
        "archive, entry at byte 124: cut off; 5000 bytes are needed and 4096 are there"
    );
    assert_eq!(
        message(ArchiveError::BadMagic { at: 0 }),
        "archive, entry at byte 0: no cpio header; it must begin with 070701 (cpio \"newc\")"
    );
    assert_eq!(
        WriteError::TooBig {
            name: "kernel".into(),
            size: 0x1_0000_0000
        }
        .to_string(),
        "archive entry \"kernel\": 4294967296 bytes of data; the format allows 4294967295 at most"
    );
}
