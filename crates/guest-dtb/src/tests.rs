//! Blobs are read back by the parser of dtoolkit and by the code that reads the machine's own tree.

use super::*;
use addr::{Ipa, Mpidr};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use board::{Board, Conduit, PsciVersion};
use dtoolkit::fdt::Fdt;
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};

fn range(start: u64, size: u64) -> IpaRange {
    IpaRange::new(Ipa::new(start), size).unwrap()
}

fn device(kind: DeviceKind, start: u64, size: u64, spi: u32) -> GuestDevice {
    GuestDevice {
        kind,
        range: range(start, size),
        interrupt: IntId::spi(spi),
    }
}

fn devices() -> [GuestDevice; 6] {
    [
        device(DeviceKind::Pl011, 0x0900_0000, 0x1000, 1),
        device(DeviceKind::Pl031, 0x0901_0000, 0x1000, 2),
        device(DeviceKind::Pl061, 0x0903_0000, 0x1000, 7),
        GuestDevice {
            kind: DeviceKind::Pvpanic,
            range: range(0x090d_0000, 2),
            interrupt: None,
        },
        device(DeviceKind::VirtioMmio, 0x0a00_0000, 0x200, 16),
        device(DeviceKind::VirtioMmio, 0x0a00_0200, 0x200, 17),
    ]
}

const SEEDS: Seeds = Seeds {
    random: [7; 32],
    kaslr: 0x0123_4567_89ab_cdef_u64.to_be_bytes(),
};

/// Returns the blob that a guest finds.
fn with_seeds(tree: &GuestTree, seeds: Option<&Seeds>) -> Vec<u8> {
    let mut blob = tree.bytes().to_vec();
    for patch in tree.patches(seeds) {
        blob[patch.offset..][..patch.bytes.len()].copy_from_slice(patch.bytes);
    }
    blob
}

/// Builds a full machine after `edit`, with seeds.
fn built<'a>(edit: impl FnOnce(&mut GuestMachine<'a>)) -> Result<Vec<u8>, GuestDtbError> {
    Ok(with_seeds(&tree(edit)?, Some(&SEEDS)))
}

fn tree<'a>(edit: impl FnOnce(&mut GuestMachine<'a>)) -> Result<GuestTree, GuestDtbError> {
    let devices: &'static [GuestDevice] = Vec::from(devices()).leak();
    let memory: &'static [IpaRange] = vec![range(0x4000_0000, 0x1000_0000)].leak();
    let mut machine = GuestMachine {
        vcpus: 17,
        memory,
        distributor: range(0x0800_0000, 0x1_0000),
        redistributors: range(0x080a_0000, 0x00f6_0000),
        devices,
        bootargs: "console=ttyAMA0 quiet",
        initrd: Some(range(0x4800_0000, 0x10_0001)),
    };
    edit(&mut machine);
    build(&machine)
}

#[test]
fn our_own_discovery_finds_the_machine_that_was_described() {
    let board = Board::discover(&built(|_| ()).unwrap()).unwrap();
    let ranges: Vec<(u64, u64)> = board
        .ram
        .iter()
        .chain([&board.gic.distributor])
        .chain(&board.gic.redistributor_regions)
        .chain([&board.console.registers])
        .chain(&board.rtc)
        .chain(&board.chosen.initrd)
        .map(|range| (range.start().get(), range.size()))
        .collect();
    assert_eq!(
        ranges,
        [
            (0x4000_0000, 0x1000_0000),
            (0x0800_0000, 0x1_0000),
            (0x080a_0000, 0x00f6_0000),
            (0x0900_0000, 0x1000),
            (0x0901_0000, 0x1000),
            (0x4800_0000, 0x10_0001),
        ]
    );
    for (index, cpu) in (0..17).zip(&board.cpus) {
        assert_eq!(cpu.mpidr, Mpidr::of_vcpu(addr::VcpuIndex::new(index)));
    }
    assert_eq!(board.cpus.len(), 17);
    assert_eq!(board.psci.conduit, Conduit::Hvc);
    assert_eq!(board.psci.version, PsciVersion::V1_0);
    assert_eq!(board.gic.maintenance, None);
    assert_eq!(board.timers.secure_physical, IntId::new(29));
    assert_eq!(board.timers.physical, crate::PHYSICAL_TIMER);
    assert_eq!(board.timers.virtual_timer, crate::VIRTUAL_TIMER);
    assert_eq!(board.timers.hypervisor, IntId::new(26));
    assert_eq!(board.console.interrupt, IntId::new(33));
    assert_eq!(board.console.clock_hz, Some(24_000_000));
    assert_eq!(board.chosen.bootargs, "console=ttyAMA0 quiet");
    assert_eq!(board.chosen.rng_seed, [7; 32]);
}

#[test]
fn devices_stand_in_the_order_and_with_the_bindings_that_linux_knows() {
    let blob = built(|_| ()).unwrap();
    let tree = Fdt::new(&blob).unwrap();
    let found: Vec<&str> = tree
        .root()
        .children()
        .map(|node| node.name())
        .filter(|name| name.contains("virtio") || name.contains("pvpanic"))
        .collect();
    assert_eq!(
        found,
        [
            "pvpanic@90d0000",
            "virtio_mmio@a000000",
            "virtio_mmio@a000200"
        ]
    );
    let words = |path: &str, name: &str| {
        let node = tree.find_node(path).unwrap();
        let value = node.property(name).unwrap().value().to_vec();
        value
            .as_chunks()
            .0
            .iter()
            .map(|word| u32::from_be_bytes(*word))
            .collect::<Vec<u32>>()
    };
    assert_eq!(
        words("/virtio_mmio@a000200", "reg"),
        [0, 0x0a00_0200, 0, 0x200]
    );
    assert_eq!(words("/virtio_mmio@a000200", "interrupts"), [0, 17, 4]);
    assert_eq!(words("/pvpanic@90d0000", "reg"), [0, 0x090d_0000, 0, 2]);
    let pvpanic = tree.find_node("/pvpanic@90d0000").unwrap();
    assert!(pvpanic.is_compatible("qemu,pvpanic-mmio"));
    assert!(pvpanic.property("interrupts").is_none());
    assert_eq!(
        words("/timer", "interrupts"),
        [1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]
    );
    let gpio = words("/pl061@9030000", "phandle")[0];
    assert_eq!(words("/gpio-keys/poweroff", "gpios"), [gpio, 3, 0]);
    assert_eq!(words("/gpio-keys/poweroff", "linux,code"), [116]);
    assert_eq!(words("/chosen", "kaslr-seed"), [0x0123_4567, 0x89ab_cdef]);
    assert!(tree.find_node("/cpus/cpu@100").is_some());
}

#[test]
fn seeds_are_all_that_differs_between_two_starts() {
    let tree = tree(|_| ()).unwrap();
    let other = Seeds {
        random: [8; 32],
        kaslr: [9; 8],
    };
    let (one, two) = (
        with_seeds(&tree, Some(&SEEDS)),
        with_seeds(&tree, Some(&other)),
    );
    let different = one.iter().zip(&two).filter(|(a, b)| a != b).count();
    assert_eq!((one.len(), different), (two.len(), 40));
    let seed = Board::discover(&two).unwrap().chosen.rng_seed;
    assert_eq!(seed, [8; 32]);
    // Zeros would be taken for random numbers.
    let without = Board::discover(&with_seeds(&tree, None)).unwrap();
    assert_eq!(without.chosen.rng_seed, []);
    assert_eq!(without.chosen.bootargs, "console=ttyAMA0 quiet");
}

#[test]
fn what_is_allocated_at_once_is_enough() {
    let tree = tree(|machine| machine.vcpus = 123).unwrap();
    let capacity = 123 * 128 + 6 * 256 + 21 + 2048;
    assert_eq!(tree.blob.capacity(), capacity);
}

#[test]
fn phandles_are_unique() {
    let blob = built(|_| ()).unwrap();
    let root = Fdt::new(&blob).unwrap().root();
    let mut phandles: Vec<u32> = root
        .children()
        .filter_map(|child| child.phandle().unwrap())
        .collect();
    let count = phandles.len();
    phandles.sort_unstable();
    phandles.dedup();
    assert_eq!((count, phandles.len()), (3, 3));
}

#[test]
fn what_is_not_given_is_left_out() {
    let tree = tree(|machine| {
        machine.bootargs = "";
        machine.initrd = None;
        machine.devices = &[];
    })
    .unwrap();
    let blob = with_seeds(&tree, None);
    let tree = Fdt::new(&blob).unwrap();
    let chosen = tree.find_node("/chosen").unwrap();
    assert_eq!(chosen.properties().count(), 0);
    assert!(tree.find_node("/aliases").is_none());
    assert!(tree.find_node("/gpio-keys").is_none());
}

#[test]
fn a_description_that_contradicts_itself_is_refused() {
    let memory = range(0x4000_0000, 0x1000_0000);
    let uart = devices()[0];
    assert_eq!(built(|m| m.vcpus = 0), Err(GuestDtbError::NoVcpus));
    assert_eq!(built(|m| m.memory = &[]), Err(GuestDtbError::NoMemory));
    assert_eq!(
        built(|m| m.vcpus = 124),
        Err(GuestDtbError::FewRedistributors {
            range: range(0x080a_0000, 0x00f6_0000),
            vcpus: 124
        })
    );
    assert!(built(|m| m.vcpus = 123).is_ok());
    assert_eq!(
        built(|m| m.memory = vec![memory, memory].leak()),
        Err(GuestDtbError::Overlap {
            first: memory,
            second: memory
        })
    );
    let low = range(0x0900_0fff, 0x5000_0000);
    assert_eq!(
        built(|m| m.memory = vec![low].leak()),
        Err(GuestDtbError::Overlap {
            first: uart.range,
            second: low
        })
    );
    let silent = GuestDevice {
        interrupt: None,
        ..uart
    };
    assert_eq!(
        built(|m| m.devices = vec![silent].leak()),
        Err(GuestDtbError::MissingInterrupt { device: silent })
    );
    let private = GuestDevice {
        interrupt: IntId::ppi(1),
        ..uart
    };
    assert_eq!(
        built(|m| m.devices = vec![private].leak()),
        Err(GuestDtbError::WrongInterrupt { device: private })
    );
    let loud = device(DeviceKind::Pvpanic, 0x090d_0000, 2, 9);
    assert_eq!(
        built(|m| m.devices = vec![loud].leak()),
        Err(GuestDtbError::WrongInterrupt { device: loud })
    );
    let twin = device(DeviceKind::Pl031, 0x0901_0000, 0x1000, 1);
    assert_eq!(
        built(|m| m.devices = vec![uart, twin].leak()),
        Err(GuestDtbError::SharedInterrupt {
            interrupt: IntId::new(33)
        })
    );
    let outside = range(0x4fff_ffff, 2);
    assert_eq!(
        built(|m| m.initrd = Some(outside)),
        Err(GuestDtbError::InitrdOutsideMemory { range: outside })
    );
}

#[test]
fn h1_a_command_line_that_no_guest_could_read_is_refused() {
    let longest = "x".repeat(MAX_BOOTARGS);
    assert!(built(|m| m.bootargs = &longest).is_ok());
    let longer = format!("{longest}x");
    let error = built(|m| m.bootargs = &longer).unwrap_err();
    assert_eq!(error, GuestDtbError::LongBootargs { length: 2048 });
    assert!(error.to_string().contains("2047"));
    assert_eq!(
        built(|m| m.bootargs = "quiet\0init=/x"),
        Err(GuestDtbError::NulInBootargs { position: 5 })
    );
}
