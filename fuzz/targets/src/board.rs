//! The host's device tree.

use ::board::{Board, usable_ram};
use addr::{Pa, PaRange};
use dtoolkit::ToPropertyValue;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

/// Reads a machine and asks what of its memory can be used.
///
/// # Panics
/// If memory is given out that is not there, is taken, or is given out twice.
pub fn run(data: &[u8]) {
    let board = match Board::discover(data) {
        Ok(board) => board,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    if let Err(error) = board.maintenance_interrupt() {
        let _ = error.to_string();
    }
    assert!(!board.cpus.is_empty());
    let range = |start, size| PaRange::new(Pa::new(start), size).expect("a constant");
    let image = range(0x4020_0000, 0x10_0000);
    let dtb = range(0x4000_0000, 0x1234);
    let free = usable_ram(&board, image, dtb);
    for (index, piece) in free.iter().enumerate() {
        assert!(piece.is_aligned(addr::PAGE_SIZE));
        assert!(!piece.overlaps(image) && !piece.overlaps(dtb));
        assert!(board.ram.iter().any(|bank| bank.contains_range(*piece)));
        assert!(!board.reserved.iter().any(|taken| taken.overlaps(*piece)));
        assert!(
            !board
                .chosen
                .initrd
                .is_some_and(|taken| taken.overlaps(*piece))
        );
        if let Some(next) = free.get(index + 1) {
            assert!(piece.end() <= next.start());
        }
    }
}

/// Makes the device tree of a small machine.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    vec![machine().to_dtb()]
}

fn set(tree: &mut DeviceTree, path: &str, name: &str, value: impl ToPropertyValue) {
    let mut node = &mut tree.root;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        node = node.add_child_mut(DeviceTreeNode::new_unchecked(part));
    }
    node.add_property(DeviceTreeProperty::new_unchecked(name, value));
}

fn machine() -> DeviceTree {
    let mut tree = DeviceTree::new();
    let t = &mut tree;
    set(t, "/", "#address-cells", 2_u32);
    set(t, "/", "#size-cells", 2_u32);
    set(t, "/", "interrupt-parent", 1_u32);
    set(t, "/psci", "compatible", "arm,psci-1.0");
    set(t, "/psci", "method", "smc");
    set(t, "/memory@40000000", "device_type", "memory");
    let reg = [0_u32, 0x4000_0000, 0, 0x4000_0000];
    set(t, "/memory@40000000", "reg", reg);
    set(t, "/reserved-memory", "#address-cells", 2_u32);
    set(t, "/reserved-memory", "#size-cells", 2_u32);
    let reg = [0_u32, 0x5000_0000, 0, 0x1_0000];
    set(t, "/reserved-memory/firmware@50000000", "reg", reg);
    let reg = [0_u32, 0x0900_0000, 0, 0x1000];
    set(t, "/pl011@9000000", "compatible", "arm,pl011");
    set(t, "/pl011@9000000", "reg", reg);
    set(t, "/pl011@9000000", "interrupts", [0_u32, 1, 4]);
    set(t, "/pl031@9010000", "compatible", "arm,pl031");
    let reg = [0_u32, 0x0901_0000, 0, 0x1000];
    set(t, "/pl031@9010000", "reg", reg);
    let gic = "/intc@8000000";
    set(t, gic, "phandle", 1_u32);
    set(t, gic, "compatible", "arm,gic-v3");
    set(t, gic, "interrupts", [1_u32, 9, 4]);
    let frames = [
        0_u32,
        0x0800_0000,
        0,
        0x1_0000,
        0,
        0x080a_0000,
        0,
        0xf6_0000,
    ];
    set(t, gic, "reg", frames);
    set(t, gic, "#interrupt-cells", 3_u32);
    set(t, "/cpus", "#address-cells", 1_u32);
    set(t, "/cpus", "#size-cells", 0_u32);
    for cpu in 0..2_u32 {
        let path = format!("/cpus/cpu@{cpu}");
        set(t, &path, "device_type", "cpu");
        set(t, &path, "reg", cpu);
        set(t, &path, "enable-method", "psci");
    }
    set(t, "/timer", "compatible", "arm,armv8-timer");
    let timers = [1_u32, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4];
    set(t, "/timer", "interrupts", timers);
    set(t, "/chosen", "stdout-path", "/pl011@9000000");
    set(t, "/chosen", "rng-seed", [1_u32, 2, 3, 4, 5, 6, 7, 8]);
    set(t, "/chosen", "linux,initrd-start", 0x4800_0000_u32);
    set(t, "/chosen", "linux,initrd-end", 0x4900_0000_u64);
    tree
}
