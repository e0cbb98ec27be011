//! Debian's own virtio drivers: a disk, random numbers, a console.

use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::time::Duration;
use system_tests::{ANSWER, BOOT, Console, DiskAccess, Setup, Vm, is_native, log_folder};

/// 8 MiB and a bit: the last block of the overlay is not full.
const SECTORS: usize = 8 * 2048 + 1;

/// Makes the image of a disk; no two of its sectors are alike.
fn image(test: &str, seed: u64) -> (PathBuf, Vec<u8>) {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(SECTORS * 512);
    while bytes.len() < SECTORS * 512 {
        // A linear congruential generator: Knuth's MMIX.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state ^ (state >> 31)).to_le_bytes());
    }
    let path = log_folder().join(format!("{test}-{seed}.img"));
    std::fs::write(&path, &bytes)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    (path, bytes)
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits for the shell, and keeps the kernel's own messages off the console.
fn expect_shell(console: &mut Console) {
    console.expect_shell(2, BOOT);
    console.command("dmesg -n 1");
}

/// Returns the check sum of a device or file in the guest, read anew.
fn guest_hash(console: &mut Console, file: &str) -> String {
    let answer = console.command_within(
        &format!("echo 3 >/proc/sys/vm/drop_caches; sha256sum {file}"),
        Duration::from_secs(60),
    );
    answer.split_whitespace().next().unwrap_or("").to_owned()
}

#[test]
fn linux_reads_and_writes_its_disk() {
    if is_native() {
        return;
    }
    let test = "linux_reads_and_writes_its_disk";
    let (first, mut content) = image(test, 1);
    let (second, other) = image(test, 2);
    let vm = Vm::linux("linux")
        .vcpus(2)
        .disk(&first, DiskAccess::ReadWrite)
        .disk(&second, DiskAccess::ReadOnly);
    let mut console = Setup::new(2, vec![vm]).start(test);
    expect_shell(&mut console);
    assert_eq!(
        console.command("cat /sys/block/vda/size /sys/block/vda/ro /sys/block/vdb/ro"),
        format!("{SECTORS}\n0\n1")
    );
    assert_eq!(console.command("cat /sys/block/vdb/serial; echo"), "disk-1");
    assert_eq!(guest_hash(&mut console, "/dev/vda"), hash(&content));
    assert_eq!(guest_hash(&mut console, "/dev/vdb"), hash(&other));
    // A piece that begins and ends in the middle of pages of the overlay, and one at the end.
    for (digit, unit, seek, count) in [('7', 7, 1, 571), ('5', 5, (SECTORS - 5) / 5, 1)] {
        let (bytes, start) = (unit * 512, seek * unit * 512);
        console.command_within(
            &format!(
                "head -c {} /dev/zero | tr '\\0' {digit} | \
                 dd of=/dev/vda bs={bytes} seek={seek} conv=fsync iflag=fullblock 2>/dev/null",
                bytes * count
            ),
            ANSWER,
        );
        content[start..start + bytes * count].fill(digit as u8);
    }
    assert_eq!(guest_hash(&mut console, "/dev/vda"), hash(&content));
    let refused = console.command("echo x >/dev/vdb && echo written || echo refused");
    assert!(refused.contains("refused"), "{refused}");
    // A reset keeps the disk; the image in the archive was never written.
    console.type_line("reboot -f");
    expect_shell(&mut console);
    assert_eq!(guest_hash(&mut console, "/dev/vda"), hash(&content));
    assert_eq!(guest_hash(&mut console, "/dev/vdb"), hash(&other));
    console.type_line("poweroff -f");
    console.expect_orderly_end();
}

#[test]
fn linux_takes_random_numbers_and_writes_to_the_console() {
    if is_native() {
        return;
    }
    let test = "linux_takes_random_numbers_and_writes_to_the_console";
    let vm = Vm::linux("linux")
        .device("virtio-rng")
        .device("virtio-console");
    let mut console = Setup::new(1, vec![vm]).start(test);
    console.expect_shell(1, BOOT);
    assert_eq!(
        console.command("cat /sys/class/misc/hw_random/rng_current"),
        "virtio_rng.0"
    );
    let piece = |console: &mut Console| {
        console.command_within("head -c 4000 /dev/hwrng | sha256sum", ANSWER)
    };
    let (one, two) = (piece(&mut console), piece(&mut console));
    assert_ne!(one, two);
    assert_eq!(console.command("head -c 4000 /dev/hwrng | wc -c"), "4000");
    console.type_line("seq 1 2000 >/dev/hvc0; echo 'all' | tr a-z A-Z >/dev/hvc0");
    console.expect("1999", ANSWER);
    console.expect("ALL", ANSWER);
    console.type_line("poweroff -f");
    console.expect_orderly_end();
}
