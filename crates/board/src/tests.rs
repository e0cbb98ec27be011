//! Trees of the shape that QEMU's `virt` has, and what a hostile author makes of them.

use super::*;
use addr::{Mpidr, Pa};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use dtoolkit::ToPropertyValue;
use dtoolkit::fdt::Fdt;
use dtoolkit::memreserve::MemoryReservation;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

const CLOCK: u32 = 0x8000;
const GIC: u32 = 0x8003;

/// Adds or replaces a property of the node at `path`, which is created if need be.
fn set(tree: &mut DeviceTree, path: &str, name: &str, value: impl ToPropertyValue) {
    let mut node = &mut tree.root;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        node = node.add_child_mut(DeviceTreeNode::new_unchecked(part));
    }
    node.add_property(DeviceTreeProperty::new_unchecked(name, value));
}

fn remove(tree: &mut DeviceTree, path: &str, name: &str) {
    let removed = tree.find_node_mut(path).unwrap().remove_property(name);
    assert!(removed.is_some(), "{path} has no {name}");
}

fn cpu(tree: &mut DeviceTree, path: &str, reg: u32) {
    set(tree, path, "device_type", "cpu");
    set(tree, path, "reg", reg);
    set(tree, path, "enable-method", "psci");
}

/// A machine like QEMU's `-M virt,virtualization=on,gic-version=3 -smp 2 -m 1G`.
fn virt() -> DeviceTree {
    let mut tree = DeviceTree::new();
    let t = &mut tree;
    set(t, "/", "interrupt-parent", GIC);
    set(t, "/", "model", "linux,dummy-virt");
    set(t, "/", "#address-cells", 2u32);
    set(t, "/", "#size-cells", 2u32);
    set(
        t,
        "/psci",
        "compatible",
        "arm,psci-1.0\0arm,psci-0.2\0arm,psci",
    );
    set(t, "/psci", "method", "smc");
    set(t, "/memory@40000000", "device_type", "memory");
    set(
        t,
        "/memory@40000000",
        "reg",
        [0u32, 0x4000_0000, 0, 0x4000_0000],
    );
    set(
        t,
        "/platform-bus@c000000",
        "compatible",
        "qemu,platform\0simple-bus",
    );
    set(t, "/platform-bus@c000000", "#address-cells", 1u32);
    set(t, "/platform-bus@c000000", "#size-cells", 1u32);
    set(
        t,
        "/platform-bus@c000000",
        "ranges",
        [0u32, 0, 0x0c00_0000, 0x0200_0000],
    );
    let uart = "/pl011@9000000";
    set(t, uart, "compatible", "arm,pl011\0arm,primecell");
    set(t, uart, "reg", [0u32, 0x0900_0000, 0, 0x1000]);
    set(t, uart, "interrupts", [0u32, 1, 4]);
    set(t, uart, "clocks", [CLOCK, CLOCK]);
    set(t, uart, "clock-names", "uartclk\0apb_pclk");
    set(
        t,
        "/pl031@9010000",
        "compatible",
        "arm,pl031\0arm,primecell",
    );
    set(t, "/pl031@9010000", "reg", [0u32, 0x0901_0000, 0, 0x1000]);
    let gic = "/intc@8000000";
    set(t, gic, "phandle", GIC);
    set(t, gic, "compatible", "arm,gic-v3");
    set(t, gic, "interrupts", [1u32, 9, 4]);
    set(
        t,
        gic,
        "reg",
        [
            0u32,
            0x0800_0000,
            0,
            0x1_0000,
            0,
            0x080a_0000,
            0,
            0x00f6_0000,
        ],
    );
    set(t, gic, "#redistributor-regions", 1u32);
    set(t, gic, "#interrupt-cells", 3u32);
    set(t, "/cpus", "#address-cells", 1u32);
    set(t, "/cpus", "#size-cells", 0u32);
    set(t, "/cpus/cpu-map", "x", 0u32);
    cpu(t, "/cpus/cpu@0", 0);
    cpu(t, "/cpus/cpu@1", 1);
    set(
        t,
        "/timer",
        "compatible",
        "arm,armv8-timer\0arm,armv7-timer",
    );
    set(
        t,
        "/timer",
        "interrupts",
        [1u32, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4, 1, 12, 4],
    );
    set(t, "/apb-pclk", "phandle", CLOCK);
    set(t, "/apb-pclk", "compatible", "fixed-clock");
    set(t, "/apb-pclk", "clock-frequency", 24_000_000u32);
    set(t, "/aliases", "serial0", "/pl011@9000000");
    set(t, "/chosen", "stdout-path", "/pl011@9000000");
    set(t, "/chosen", "rng-seed", [1u32, 2, 3, 4, 5, 6, 7, 8]);
    set(t, "/chosen", "bootargs", "console=ttyAMA0");
    set(t, "/chosen", "linux,initrd-start", 0x4800_0000u32);
    set(t, "/chosen", "linux,initrd-end", 0x4900_0000u64);
    tree
}

/// What discovery makes of `virt` after `edit`.
fn edited(edit: impl FnOnce(&mut DeviceTree)) -> Result<Board, BoardError> {
    let mut tree = virt();
    edit(&mut tree);
    Board::discover(&tree.to_dtb())
}

fn refused(edit: impl FnOnce(&mut DeviceTree)) -> String {
    edited(edit).unwrap_err().to_string()
}

fn range(start: u64, size: u64) -> PaRange {
    PaRange::new(Pa::new(start), size).unwrap()
}

#[test]
fn a_single_cpu_needs_no_way_to_be_started() {
    let mut tree = virt();
    set(&mut tree, "/cpus/cpu@1", "status", "disabled");
    remove(&mut tree, "/cpus/cpu@0", "enable-method");
    let board = Board::discover(&tree.to_dtb()).unwrap();
    assert_eq!(board.cpus.len(), 1);
}

#[test]
fn a_machine_like_qemus_virt_is_discovered() {
    let board = edited(|_| ()).unwrap();
    assert_eq!(board.model, "linux,dummy-virt");
    assert_eq!(board.ram, [range(0x4000_0000, 0x4000_0000)]);
    assert_eq!(board.reserved, []);
    let affinities: Vec<u64> = board.cpus.iter().map(|cpu| cpu.mpidr.get()).collect();
    assert_eq!(affinities, [0, 1]);
    assert_eq!(
        board.psci,
        Psci {
            conduit: Conduit::Smc,
            version: PsciVersion::V1_0
        }
    );
    assert_eq!(board.gic.distributor, range(0x0800_0000, 0x1_0000));
    assert_eq!(
        board.gic.redistributor_regions,
        [range(0x080a_0000, 0x00f6_0000)]
    );
    assert_eq!(board.gic.redistributor_stride, None);
    assert_eq!(board.maintenance_interrupt(), Ok(IntId::new(25)));
    assert_eq!(board.timers.secure_physical, IntId::new(29));
    assert_eq!(board.timers.physical, IntId::new(30));
    assert_eq!(board.timers.virtual_timer, IntId::new(27));
    assert_eq!(board.timers.hypervisor, IntId::new(26));
    assert_eq!(board.timers.hypervisor_virtual, Some(IntId::new(28)));
    assert_eq!(board.console.registers, range(0x0900_0000, 0x1000));
    assert_eq!(board.console.interrupt, IntId::new(33));
    assert_eq!(board.console.clock_hz, Some(24_000_000));
    assert_eq!(board.console.baud, None);
    assert_eq!(board.rtc, Some(range(0x0901_0000, 0x1000)));
    assert_eq!(board.chosen.bootargs, "console=ttyAMA0");
    assert_eq!(board.chosen.initrd, Some(range(0x4800_0000, 0x100_0000)));
    assert_eq!(board.chosen.rng_seed.len(), 32);
    assert!(!format!("{board:?}").contains("[0, 0, 0, 1"));
}

#[test]
fn banks_of_several_nodes_are_sorted_and_disabled_ones_are_left_out() {
    let board = edited(|t| {
        set(t, "/memory@1", "device_type", "memory");
        set(
            t,
            "/memory@1",
            "reg",
            [1u32, 0, 0, 0x1000, 0, 0x2000, 0, 0x1000],
        );
        set(t, "/secram@e", "device_type", "memory");
        set(t, "/secram@e", "reg", [0u32, 0x0e00_0000, 0, 0x0100_0000]);
        set(t, "/secram@e", "status", "disabled");
    })
    .unwrap();
    assert_eq!(
        board.ram,
        [
            range(0x2000, 0x1000),
            range(0x4000_0000, 0x4000_0000),
            range(0x1_0000_0000, 0x1000)
        ]
    );
}

#[test]
fn free_ram_is_what_nothing_else_holds_in_whole_pages() {
    let board = edited(|t| {
        t.memory_reservations
            .push(MemoryReservation::new(0x4000_0010, 0x10));
        set(t, "/reserved-memory", "#address-cells", 1u32);
        set(t, "/reserved-memory", "#size-cells", 1u32);
        set(t, "/reserved-memory", "ranges", [0u32; 0]);
        set(t, "/reserved-memory/a", "reg", [0x7fff_f000u32, 0x2000]);
        set(t, "/reserved-memory/b", "size", [0x2000u32]);
        set(t, "/reserved-memory/c", "reg", [0x7fff_0000u32, 0xf000]);
        set(t, "/reserved-memory/d", "reg", [0x5000_0000u32, 0x1000]);
        set(t, "/reserved-memory/d", "status", "disabled");
    })
    .unwrap();
    assert_eq!(
        board.reserved,
        [range(0x4000_0010, 0x10), range(0x7fff_0000, 0x1_1000)]
    );
    let free = usable_ram(
        &board,
        range(0x4008_0000, 0x10_0001),
        range(0x4880_0000, 0x1000),
    );
    assert_eq!(
        free,
        [
            range(0x4000_1000, 0x7_f000),
            range(0x4018_1000, 0x7e7_f000),
            range(0x4900_0000, 0x36ff_0000)
        ]
    );
}

#[test]
fn a_cpu_that_is_not_okay_is_skipped_and_ids_stay_dense() {
    let board = edited(|t| {
        set(t, "/cpus/cpu@0", "status", "fail");
        cpu(t, "/cpus/cpu@100", 0x100);
    })
    .unwrap();
    let ids: Vec<u16> = board.cpus.iter().map(|cpu| cpu.id.get()).collect();
    assert_eq!(ids, [0, 1]);
    assert_eq!(board.cpus[1].mpidr, Mpidr::from_fields(0, 0, 1, 0));
}

#[test]
fn affinity_3_takes_two_cells() {
    let board = edited(|t| {
        set(t, "/cpus", "#address-cells", 2u32);
        set(t, "/cpus/cpu@0", "reg", [0u32, 0]);
        set(t, "/cpus/cpu@1", "reg", [0x12u32, 0x0034_5678]);
    })
    .unwrap();
    assert_eq!(
        board.cpus[1].mpidr,
        Mpidr::from_fields(0x12, 0x34, 0x56, 0x78)
    );
}

#[test]
fn the_console_is_found_by_alias_and_speed() {
    let board = edited(|t| set(t, "/chosen", "stdout-path", "serial0:115200n8")).unwrap();
    assert_eq!(board.console.registers, range(0x0900_0000, 0x1000));
    assert_eq!(board.console.baud, Some(115_200));
}

#[test]
fn without_stdout_path_the_first_pl011_is_the_console() {
    let board = edited(|t| remove(t, "/chosen", "stdout-path")).unwrap();
    assert_eq!(board.console.registers, range(0x0900_0000, 0x1000));
    let board = edited(|t| {
        remove(t, "/chosen", "stdout-path");
        set(t, "/pl011@9000000", "status", "disabled");
    });
    assert!(matches!(board, Err(BoardError::MissingNode { .. })));
}

#[test]
fn a_uart_behind_a_bus_has_its_address_translated() {
    let uart = "/platform-bus@c000000/pl011@1000";
    let add = |t: &mut DeviceTree, start: u32| {
        set(t, uart, "compatible", "arm,pl011");
        set(t, uart, "reg", [start, 0x1000u32]);
        set(t, uart, "interrupts", [0u32, 8, 4]);
        set(t, "/chosen", "stdout-path", uart);
    };
    let board = edited(|t| add(t, 0x1000)).unwrap();
    assert_eq!(board.console.registers, range(0x0c00_1000, 0x1000));
    assert_eq!(board.console.clock_hz, None);
    let outside = refused(|t| add(t, 0x0200_0000));
    assert!(
        outside.contains("0x1000 bytes at 0x2000000") && outside.contains("window"),
        "{outside}"
    );
}

#[test]
fn timers_may_be_named_in_any_order() {
    let board = edited(|t| {
        set(
            t,
            "/timer",
            "interrupt-names",
            "hyp-phys\0virt\0phys\0sec-phys",
        );
    })
    .unwrap();
    assert_eq!(board.timers.hypervisor, IntId::new(29));
    assert_eq!(board.timers.secure_physical, IntId::new(26));
    assert_eq!(board.timers.hypervisor_virtual, None);
}

#[test]
fn redistributors_may_lie_in_several_regions_with_a_stride() {
    let board = edited(|t| {
        let gic = "/intc@8000000";
        set(t, gic, "#redistributor-regions", 2u32);
        set(t, gic, "redistributor-stride", 0x4_0000u64);
        set(
            t,
            gic,
            "reg",
            [
                0u32,
                0x0800_0000,
                0,
                0x1_0000,
                0,
                0x080a_0000,
                0,
                0x4_0000,
                1,
                0,
                0,
                0x4_0000,
                // The CPU interface of GICv2, which many trees list after the redistributors.
                0,
                0x0804_0000,
                0,
                0x2000,
            ],
        );
    })
    .unwrap();
    assert_eq!(
        board.gic.redistributor_regions,
        [range(0x080a_0000, 0x4_0000), range(0x1_0000_0000, 0x4_0000)]
    );
    assert_eq!(board.gic.redistributor_stride, Some(0x4_0000));
}

#[test]
fn what_follows_the_tree_is_ignored() {
    let mut blob = virt().to_dtb();
    blob.extend_from_slice(&[0xff; 4096]);
    assert!(Board::discover(&blob).is_ok());
}

/// What is wrong, and what the message must say of node, property, value and remedy.
type Case = (fn(&mut DeviceTree), &'static [&'static str]);

#[test]
fn errors_name_node_property_value_and_remedy() {
    let cases: &[Case] = &[
        (
            |t| remove(t, "/cpus/cpu@1", "reg"),
            &["/cpus/cpu@1", "reg", "missing", "affinity"],
        ),
        (
            |t| set(t, "/cpus/cpu@1", "reg", 0u32),
            &["/cpus/cpu@1", "reg", "0x0", "own affinity"],
        ),
        (
            |t| set(t, "/cpus/cpu@1", "reg", 1u32 << 31),
            &["/cpus/cpu@1", "0x80000000", "MPIDR"],
        ),
        (
            |t| set(t, "/cpus/cpu@1", "reg", 1u64),
            &["/cpus/cpu@1", "8 bytes", "/cpus says"],
        ),
        (
            |t| set(t, "/cpus/cpu@1", "enable-method", "spin-table"),
            &["spin-table", "\"psci\""],
        ),
        (
            |t| remove(t, "/cpus/cpu@1", "enable-method"),
            &["/cpus/cpu@1", "enable-method"],
        ),
        (
            |t| set(t, "/cpus", "#address-cells", 0u32),
            &["/cpus", "#address-cells", "0x0", "1 or 2"],
        ),
        (
            |t| set(t, "/cpus", "#address-cells", u32::MAX),
            &["/cpus", "0xffffffff", "1 or 2"],
        ),
        (|t| drop(t.root.remove_child("cpus")), &["no node /cpus"]),
        (
            |t| set(t, "/psci", "method", "svc"),
            &["/psci", "method", "\"svc\"", "\"smc\" or \"hvc\""],
        ),
        (
            |t| remove(t, "/psci", "method"),
            &["/psci", "method", "missing"],
        ),
        (
            |t| set(t, "/psci", "compatible", "arm,psci"),
            &["arm,psci-1.0"],
        ),
        (
            |t| set(t, "/", "#address-cells", 0u32),
            &["reg", "0x0", "1 or 2"],
        ),
        (
            |t| set(t, "/", "#address-cells", u32::MAX),
            &["reg", "0xffffffff", "1 or 2"],
        ),
        (
            |t| set(t, "/", "#size-cells", 3u32),
            &["reg", "0x3", "1 or 2"],
        ),
        (
            |t| set(t, "/", "#size-cells", [2u32, 2]),
            &["reg", "0xffffffff", "1 or 2"],
        ),
        (
            |t| {
                set(
                    t,
                    "/memory@40000000",
                    "reg",
                    [u64::MAX, 0x1000].map(u64::to_be_bytes).concat(),
                )
            },
            &[
                "/memory@40000000",
                "0x1000 bytes at 0xffffffffffffffff",
                "within 64 bits",
            ],
        ),
        (
            |t| set(t, "/memory@40000000", "reg", [0u32, 0x4000_0000, 0, 0]),
            &[
                "/memory@40000000",
                "0x0 bytes at 0x40000000",
                "at least one byte",
            ],
        ),
        (
            |t| set(t, "/memory@40000000", "reg", [0u32, 1, 2]),
            &["/memory@40000000", "12 bytes"],
        ),
        (
            |t| set(t, "/memory@40000000", "reg", [0u8; 5]),
            &["/memory@40000000", "5 bytes"],
        ),
        (
            |t| set(t, "/memory@40000000", "reg", [0u32; 0]),
            &["/memory@40000000", "0 bytes"],
        ),
        (
            |t| remove(t, "/memory@40000000", "reg"),
            &["/memory@40000000", "reg is missing"],
        ),
        (
            |t| remove(t, "/memory@40000000", "device_type"),
            &["no node", "memory"],
        ),
        (
            |t| {
                set(t, "/memory@7", "device_type", "memory");
                set(t, "/memory@7", "reg", [0u32, 0x7fff_f000, 0, 0x2000]);
            },
            &["banks of RAM overlap", "0x7ffff000", "0x40000000"],
        ),
        (
            |t| {
                t.memory_reservations
                    .push(MemoryReservation::new(u64::MAX, 2))
            },
            &["/memreserve/", "0x2 bytes at 0xffffffffffffffff"],
        ),
        (
            |t| set(t, "/reserved-memory/a", "reg", [0u32; 3]),
            &["/reserved-memory/a", "0x0 bytes at 0x0"],
        ),
        (
            |t| set(t, "/intc@8000000", "compatible", "arm,gic-400"),
            &["arm,gic-v3"],
        ),
        (
            |t| set(t, "/intc@8000000", "#interrupt-cells", 2u32),
            &["/intc@8000000", "0x2", "3, or 4"],
        ),
        (
            |t| set(t, "/intc@8000000", "#redistributor-regions", 0u32),
            &["0x0", "from 1 to 64"],
        ),
        (
            |t| set(t, "/intc@8000000", "#redistributor-regions", 2u32),
            &["reg is 0x2", "one region"],
        ),
        (
            |t| {
                let reg = [0u32, 0x0800_0000, 0, 0x1_0000, 0, 0x080a_0000, 0, 0x2_0000];
                set(t, "/intc@8000000", "reg", reg);
            },
            &["/intc@8000000", "1 redistributors", "2 CPUs"],
        ),
        (
            |t| {
                let reg = [0u32, 0x0800_0000, 0, 0x2_0000, 0, 0x0801_0000, 0, 0x4_0000];
                set(t, "/intc@8000000", "reg", reg);
            },
            &["regions of the GIC overlap", "0x8010000"],
        ),
        (
            |t| {
                let reg = [0u32, 0x0800_1000, 0, 0x1_0000, 0, 0x080a_0000, 0, 0x4_0000];
                set(t, "/intc@8000000", "reg", reg);
            },
            &["/intc@8000000", "0x8001000", "aligned to 64 KiB"],
        ),
        (
            |t| set(t, "/intc@8000000", "redistributor-stride", 0u64),
            &["stride", "0x0", "128 KiB"],
        ),
        (
            |t| set(t, "/timer", "interrupts", [1u32, 16, 4]),
            &["/timer", "0x10", "PPI of 0 to 15"],
        ),
        (
            |t| set(t, "/timer", "interrupts", [2u32, 1, 4]),
            &["/timer", "0x2", "PPI"],
        ),
        (
            |t| set(t, "/timer", "interrupts", [1u32, 13, 4]),
            &["/timer", "interrupts", "EL2 timers"],
        ),
        (
            |t| set(t, "/timer", "interrupts", [0u32, 988, 4]),
            &["/timer", "0x3dc", "SPI of 0 to 987"],
        ),
        (
            |t| {
                set(
                    t,
                    "/timer",
                    "interrupts",
                    [0u32, 1, 4, 1, 1, 4, 1, 2, 4, 1, 3, 4],
                )
            },
            &["/timer", "0x21", "PPIs"],
        ),
        (
            |t| set(t, "/timer", "interrupts", [1u32, 13]),
            &["/timer", "8 bytes", "#interrupt-cells"],
        ),
        (
            |t| set(t, "/timer", "interrupt-parent", 7u32),
            &["/timer", "interrupt-parent", "0x7", "GIC"],
        ),
        (
            |t| set(t, "/chosen", "stdout-path", "/nowhere:9600"),
            &["/chosen", "/nowhere:9600", "PL011"],
        ),
        (
            |t| set(t, "/chosen", "stdout-path", "serial9"),
            &["/chosen", "\"serial9\"", "PL011"],
        ),
        (
            |t| set(t, "/chosen", "stdout-path", "/timer"),
            &["/chosen", "\"/timer\"", "PL011"],
        ),
        (
            |t| set(t, "/chosen", "stdout-path", [0xffu8, 0]),
            &["/chosen", "stdout-path", "2 bytes"],
        ),
        (
            |t| remove(t, "/pl011@9000000", "interrupts"),
            &["/pl011@9000000", "interrupts"],
        ),
        (
            |t| set(t, "/pl011@9000000", "reg", [0u32, 0x0900_0800, 0, 0x1000]),
            &["/pl011@9000000", "0x9000800", "aligned to 4 KiB"],
        ),
        (
            |t| remove(t, "/chosen", "linux,initrd-end"),
            &["/chosen", "linux,initrd-end", "missing"],
        ),
        (
            |t| remove(t, "/chosen", "linux,initrd-start"),
            &["/chosen", "linux,initrd-start"],
        ),
        (
            |t| set(t, "/chosen", "linux,initrd-end", 0x4800_0000u32),
            &["initrd-end", "0x48000000"],
        ),
        (
            |t| set(t, "/chosen", "linux,initrd-end", [0u32; 3]),
            &["initrd-end", "12 bytes"],
        ),
    ];
    for (number, (edit, parts)) in cases.iter().enumerate() {
        let message = refused(edit);
        for part in *parts {
            assert!(
                message.contains(part),
                "case {number}: {part} not in: {message}"
            );
        }
    }
}

#[test]
fn h1_more_cpus_than_supported_are_refused() {
    let many = |count: u32| {
        move |t: &mut DeviceTree| {
            for number in 2..count {
                cpu(t, &format!("/cpus/cpu@{number:x}"), number);
            }
        }
    };
    assert_eq!(edited(many(64)).unwrap().cpus.len(), MAX_CPUS);
    assert!(refused(many(65)).contains("/cpus/cpu@40"));
}

#[test]
fn h1_zero_cpus_are_refused() {
    let message = refused(|t| {
        drop(t.find_node_mut("/cpus").unwrap().remove_child("cpu@0"));
        set(t, "/cpus/cpu@1", "status", "disabled");
    });
    assert!(message.contains("no enabled CPU"), "{message}");
}

#[test]
fn h1_no_truncation_is_accepted() {
    let blob = virt().to_dtb();
    for length in 0..blob.len() {
        let result = Board::discover(&blob[..length]);
        assert!(
            matches!(
                result,
                Err(BoardError::Truncated { .. } | BoardError::Malformed(_))
            ),
            "{length}: {result:?}"
        );
    }
}

#[test]
fn h1_a_truncation_that_lies_about_its_size_is_refused() {
    let blob = virt().to_dtb();
    for length in 40..blob.len() {
        let mut short = blob[..length].to_vec();
        short[4..8].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        assert!(Board::discover(&short).is_err(), "{length}");
    }
}

#[test]
fn h1_bit_flips_never_panic() {
    let blob = virt().to_dtb();
    let (mut accepted, mut refused) = (0, 0);
    for position in 0..blob.len() {
        // Every other bit, so that the test takes seconds; neighbors take turns.
        for bit in (position % 2..8).step_by(2) {
            let mut flipped = blob.clone();
            flipped[position] ^= 1 << bit;
            match Board::discover(&flipped) {
                Ok(board) => {
                    accepted += 1;
                    let image = range(0x4008_0000, 0x10_0000);
                    assert!(usable_ram(&board, image, image).len() < 16);
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} {refused}");
}

#[test]
fn h1_extreme_words_anywhere_never_panic() {
    let blob = virt().to_dtb();
    for position in (0..blob.len() - 3).step_by(4) {
        for word in [
            0,
            1,
            2,
            3,
            4,
            9,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_fffc,
            u32::MAX,
        ] {
            let mut changed = blob.clone();
            changed[position..position + 4].copy_from_slice(&word.to_be_bytes());
            drop(Board::discover(&changed));
        }
    }
}

#[test]
fn h1_bad_magic_is_reported_as_such() {
    let mut blob = virt().to_dtb();
    blob[0] = 0;
    let message = Board::discover(&blob).unwrap_err().to_string();
    assert!(message.contains("magic"), "{message}");
}

#[test]
fn h1_a_huge_total_size_is_refused() {
    let mut blob = virt().to_dtb();
    blob[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(
        Board::discover(&blob),
        Err(BoardError::TooLarge { size: 0xffff_ffff })
    );
}

#[test]
fn h1_a_depth_bomb_is_refused_in_bounded_time() {
    // As deep as the permitted size allows: each level is a begin, a name and an end.
    let mut blob = virt().to_dtb();
    let header =
        |blob: &[u8], at: usize| u32::from_be_bytes(blob[at..at + 4].try_into().unwrap()) as usize;
    let (structure, strings) = (header(&blob, 8), header(&blob, 12));
    let levels = (MAX_TREE_SIZE - blob.len()) / 12;
    let mut bomb = Vec::new();
    for _ in 0..levels {
        bomb.extend_from_slice(&[0, 0, 0, 1, b'a', 0, 0, 0]);
    }
    for _ in 0..levels {
        bomb.extend_from_slice(&[0, 0, 0, 2]);
    }
    // Before the root's end and the tree's end.
    blob.splice(strings - 8..strings - 8, bomb.iter().copied());
    for (at, value) in [
        (4, blob.len()),
        (12, strings + bomb.len()),
        (36, strings + bomb.len() - structure),
    ] {
        blob[at..at + 4].copy_from_slice(&u32::try_from(value).unwrap().to_be_bytes());
    }
    assert!(Fdt::new(&blob).is_ok());
    let result = Board::discover(&blob);
    assert!(
        matches!(result, Err(BoardError::TooDeep { .. })),
        "{result:?}"
    );
}

#[test]
fn h1_a_wide_tree_costs_bounded_time() {
    let mut tree = virt();
    drop(tree.root.remove_child("pl031@9010000"));
    for number in 0..20_000 {
        set(&mut tree, &format!("/n{number:x}"), "compatible", "a\0b\0c");
    }
    let board = Board::discover(&tree.to_dtb()).unwrap();
    assert_eq!(board.rtc, None);
}

#[test]
fn h1_reserved_regions_may_overlap_and_cover_everything() {
    let board = edited(|t| {
        let rest = u64::MAX - 1;
        t.memory_reservations.push(MemoryReservation::new(0, rest));
        t.memory_reservations
            .push(MemoryReservation::new(0x1000, 7));
    })
    .unwrap();
    assert_eq!(board.reserved, [range(0, u64::MAX - 1)]);
    let image = range(0x4008_0000, 0x1000);
    assert_eq!(usable_ram(&board, image, image), vec![]);
}

#[test]
fn h1_a_list_of_too_many_regions_is_refused() {
    let message = refused(|t| {
        let one = [0u32, 0x4000_0000, 0, 0x1000];
        set(t, "/memory@40000000", "reg", [one; 257].concat());
    });
    assert!(message.contains("4112 bytes"), "{message}");
}
