//! Round trips, every rule, and hostile manifests.

use crate::key::tree;
use crate::{
    Description, Device, DeviceName, Disk, DiskAccess, FILE_NAME, Kernel, KernelFormat, Key,
    Machine, ManifestError, Pinning, Place, Problem, VmDescription, WarmReset, boot_files,
    default_devices, from_dtb, limits, open, to_dtb, validate,
};
use addr::{CpuId, Ipa, VmId};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use archive::{Archive, Writer};
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

const MIB: u64 = 1024 * 1024;

const MACHINE: Machine = Machine {
    cpus: Some(8),
    ram_bytes: Some(2048 * MIB),
    ipa_bits: Some(40),
};

fn vm(name: &str) -> VmDescription {
    VmDescription {
        name: name.into(),
        vcpus: 4,
        memory: 512 * MIB,
        kernel: Kernel {
            file: "kernel-0".into(),
            format: KernelFormat::Image,
        },
        initrd: Some("initrd-0".into()),
        cmdline: "console=ttyAMA0".into(),
        pinning: Pinning::Floating,
        devices: default_devices(),
        spis: limits::DEFAULT_SPIS,
        warm_reset: WarmReset::Reset,
    }
}

fn disk(access: DiskAccess) -> Device {
    Device::VirtioBlk(Disk {
        image: "initrd-0".into(),
        access,
    })
}

fn two_vms() -> Description {
    let second = VmDescription {
        vcpus: 2,
        kernel: Kernel {
            file: "flat".into(),
            format: KernelFormat::Raw {
                load: Ipa::new(0x4100_0000),
                entry: Ipa::new(0x4100_0004),
                memory_size: 0x1_0000,
            },
        },
        initrd: None,
        cmdline: String::new(),
        pinning: Pinning::Fixed([7, 0].map(CpuId::new).into()),
        devices: vec![
            Device::Pvpanic,
            disk(DiskAccess::ReadWrite),
            Device::Pl011,
            Device::VirtioRng,
            disk(DiskAccess::ReadOnly),
            Device::Pl031,
        ],
        warm_reset: WarmReset::Crash,
        ..vm("two")
    };
    Description {
        vms: vec![vm("one"), second],
    }
}

/// An archive with a kernel of `image_size` bytes of memory, an initrd and a flat binary.
fn archive_with(image_size: u64) -> Vec<u8> {
    let mut image = vec![0; 64];
    image[16..24].copy_from_slice(&image_size.to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    let mut writer = Writer::new();
    writer.file("kernel-0", 0o444, &image).unwrap();
    writer.file("initrd-0", 0o444, &[1; 5000]).unwrap();
    writer.file("flat", 0o444, &[2; 100]).unwrap();
    writer.finish()
}

fn check(description: &Description) -> Result<(), ManifestError> {
    check_on(description, &MACHINE)
}

fn check_on(description: &Description, machine: &Machine) -> Result<(), ManifestError> {
    let archive = archive_with(32 * MIB);
    validate(description, machine, &Archive::parse(&archive).unwrap())
}

/// Changes the first of two good VMs, and returns the error that this must cause.
fn error_after(change: impl FnOnce(&mut VmDescription)) -> ManifestError {
    let mut description = two_vms();
    change(&mut description.vms[0]);
    check(&description).unwrap_err()
}

fn key_error(vm: u16, key: Key, problem: Problem) -> ManifestError {
    Place::Key(VmId::new(vm), key).error(problem)
}

#[test]
fn a_description_survives_the_round_trip() {
    let mut description = two_vms();
    description.vms[0].kernel.format = KernelFormat::Flat;
    for description in [two_vms(), description, Description::default()] {
        assert_eq!(from_dtb(&to_dtb(&description)), Ok(description));
    }
}

#[test]
fn the_largest_description_survives_the_round_trip() {
    let one = |index: usize| VmDescription {
        vcpus: limits::MAX_VCPUS,
        cmdline: "x".repeat(limits::MAX_CMDLINE),
        pinning: Pinning::Fixed((0..limits::MAX_VCPUS).map(CpuId::new).collect()),
        devices: {
            let mut devices = Vec::from(Device::PLAIN);
            devices.resize(limits::MAX_DEVICES, disk(DiskAccess::ReadOnly));
            devices
        },
        ..vm(&format!("{index:0>31}"))
    };
    let mut description = Description {
        vms: (0..limits::MAX_VMS).map(one).collect(),
    };
    assert_eq!(from_dtb(&to_dtb(&description)), Ok(description.clone()));
    description.vms.push(vm("more"));
    let count = limits::MAX_VMS + 1;
    let error = Place::Whole.error(Problem::TooManyVms { count });
    assert_eq!(from_dtb(&to_dtb(&description)), Err(error.clone()));
    assert_eq!(check(&description), Err(error));
}

#[test]
fn a_good_description_is_accepted() {
    assert_eq!(check(&two_vms()), Ok(()));
    assert_eq!(check_on(&two_vms(), &Machine::default()), Ok(()));
}

#[test]
fn boot_files_are_found_and_placed() {
    let bytes = archive_with(32 * MIB);
    let archive = Archive::parse(&bytes).unwrap();
    let description = two_vms();
    let files = boot_files(VmId::new(0), &description.vms[0], &archive).unwrap();
    assert_eq!(files.kernel.name, "kernel-0");
    assert_eq!(files.layout.entry, Ipa::new(0x4000_0000));
    assert_eq!(files.initrd.unwrap().data.len(), 5000);
    assert_eq!(files.layout.initrd.unwrap().size(), 5000);
    let raw = boot_files(VmId::new(1), &description.vms[1], &archive).unwrap();
    assert_eq!(raw.layout.kernel, Ipa::new(0x4100_0000));
    assert_eq!(raw.layout.entry, Ipa::new(0x4100_0004));
    assert_eq!(raw.layout.initrd, None);
}

#[test]
fn an_archive_is_opened_by_its_manifest() {
    let mut writer = Writer::new();
    writer.file(FILE_NAME, 0o444, &to_dtb(&two_vms())).unwrap();
    let bytes = writer.finish();
    let (archive, description) = open(&bytes).unwrap();
    assert_eq!(description, two_vms());
    assert!(archive.find(FILE_NAME).is_some());
    let error = open(&Writer::new().finish()).unwrap_err();
    assert_eq!(error, Place::Whole.error(Problem::NoManifest));
    let error = open(b"").unwrap_err();
    assert!(matches!(error.problem, Problem::Archive(_)));
}

#[test]
fn no_vm_at_all_is_refused() {
    let error = Place::Whole.error(Problem::NoVms);
    assert_eq!(check(&Description::default()), Err(error));
}

#[test]
fn names_follow_the_rules() {
    for name in ["", "Linux", "a_b", "a b", "é", &"x".repeat(32)] {
        let error = key_error(0, Key::Name, Problem::BadName { name: name.into() });
        assert_eq!(error_after(|vm| vm.name = name.into()), error);
    }
    let mut description = two_vms();
    description.vms[1].name = "one".into();
    let problem = Problem::DuplicateName {
        name: "one".into(),
        first: VmId::new(0),
    };
    let error = key_error(1, Key::Name, problem);
    assert_eq!(check(&description), Err(error));
}

#[test]
fn the_number_of_vcpus_is_limited() {
    for vcpus in [0, limits::MAX_VCPUS + 1, u16::MAX] {
        let problem = Problem::BadVcpuCount {
            vcpus: u64::from(vcpus),
        };
        let error = key_error(0, Key::Vcpus, problem);
        assert_eq!(error_after(|vm| vm.vcpus = vcpus), error);
    }
    let one = |index: u16| VmDescription {
        vcpus: limits::MAX_VCPUS,
        memory: 64 * MIB,
        ..vm(&index.to_string())
    };
    let description = Description {
        vms: (0..9).map(one).collect(),
    };
    let total = 9 * u32::from(limits::MAX_VCPUS);
    let error = key_error(8, Key::Vcpus, Problem::TooManyVcpus { total });
    assert_eq!(check(&description), Err(error));
}

#[test]
fn pins_name_one_present_cpu_for_each_vcpu() {
    let pinning = |cpus: &[u16]| Pinning::Fixed(cpus.iter().copied().map(CpuId::new).collect());
    assert_eq!(
        error_after(|vm| vm.pinning = pinning(&[0, 1, 2])),
        key_error(0, Key::Pinning, Problem::PinCount { pins: 3, vcpus: 4 })
    );
    assert_eq!(
        error_after(|vm| vm.pinning = pinning(&[0, 1, 2, 8])),
        key_error(0, Key::Pinning, Problem::AbsentCpu { cpu: 8, cpus: 8 })
    );
    let mut description = two_vms();
    description.vms[0].pinning = pinning(&[0, 1, 2, 8]);
    let unknown = Machine {
        cpus: None,
        ..MACHINE
    };
    assert_eq!(check_on(&description, &unknown), Ok(()));
}

#[test]
fn memory_is_whole_blocks_that_exist() {
    for bytes in [0, 1, MIB, 512 * MIB + 4096, u64::MAX] {
        let error = key_error(0, Key::Memory, Problem::UnalignedMemory { bytes });
        assert_eq!(error_after(|vm| vm.memory = bytes), error);
    }
    let bytes = (1 << 40) - 1024 * MIB + 2 * MIB;
    let ipa_bits = 40;
    let problem = Problem::MemoryBeyondIpa { bytes, ipa_bits };
    assert_eq!(
        error_after(|vm| vm.memory = bytes),
        key_error(0, Key::Memory, problem)
    );
    let mut description = two_vms();
    // 2 MiB more stand for the disk that it can write.
    description.vms[1].memory = 1536 * MIB;
    let problem = Problem::TooLittleRam {
        bytes: 1536 * MIB,
        total: 2050 * MIB,
        available: 2048 * MIB,
    };
    assert_eq!(check(&description), Err(key_error(1, Key::Memory, problem)));
}

#[test]
fn memory_totals_do_not_wrap() {
    let one = |index: u16| VmDescription {
        memory: (1 << 48) - 1024 * MIB,
        vcpus: 1,
        ..vm(&index.to_string())
    };
    let description = Description {
        vms: (0..64).map(one).collect(),
    };
    let unknown = Machine::default();
    assert_eq!(check_on(&description, &unknown), Ok(()));
    let known = Machine {
        ram_bytes: Some(u64::MAX),
        ..unknown
    };
    assert_eq!(check_on(&description, &known), Ok(()));
    let small = Machine {
        ram_bytes: Some(1 << 53),
        ..unknown
    };
    assert!(check_on(&description, &small).is_err());
}

#[test]
fn command_lines_are_short_printable_ascii() {
    let length = limits::MAX_CMDLINE + 1;
    assert_eq!(
        error_after(|vm| vm.cmdline = "x".repeat(length)),
        key_error(0, Key::Cmdline, Problem::LongCmdline { length })
    );
    for character in ['\n', '\0', 'ä', '\u{7f}'] {
        assert_eq!(
            error_after(|vm| vm.cmdline = format!("quiet{character}")),
            key_error(0, Key::Cmdline, Problem::BadCmdline { character })
        );
    }
}

#[test]
fn devices_and_interrupts_are_checked() {
    let name = "pvpanic";
    assert_eq!(
        error_after(|vm| vm.devices = vec![Device::Pvpanic, Device::Pl011, Device::Pvpanic]),
        key_error(0, Key::Devices, Problem::DuplicateDevice { name })
    );
    for spis in [0, 31, 33, 987, 989, u16::MAX] {
        let problem = Problem::BadSpiCount {
            spis: u64::from(spis),
        };
        assert_eq!(
            error_after(|vm| vm.spis = spis),
            key_error(0, Key::Spis, problem)
        );
    }
    for spis in [32, 960, 988] {
        let mut description = two_vms();
        description.vms[0].spis = spis;
        assert_eq!(check(&description), Ok(()));
    }
}

#[test]
fn files_must_be_there_and_fit() {
    let missing = |file: &str| Problem::MissingFile { file: file.into() };
    assert_eq!(
        error_after(|vm| vm.kernel.file = "vmlinux".into()),
        key_error(0, Key::Kernel, missing("vmlinux"))
    );
    assert_eq!(
        error_after(|vm| vm.initrd = Some("root".into())),
        key_error(0, Key::Initrd, missing("root"))
    );
    let not_an_image = error_after(|vm| vm.kernel.file = "flat".into());
    assert!(matches!(not_an_image.problem, Problem::Image { .. }));
    let too_big = error_after(|vm| vm.memory = 32 * MIB);
    assert_eq!(too_big.place, Place::Key(VmId::new(0), Key::Kernel));
    assert!(matches!(too_big.problem, Problem::Layout { .. }));
}

#[test]
fn h2_a_kernel_that_asks_for_all_memory_is_refused() {
    for image_size in [512 * MIB, u64::MAX] {
        let archive = archive_with(image_size);
        let archive = Archive::parse(&archive).unwrap();
        let error = validate(&two_vms(), &MACHINE, &archive).unwrap_err();
        assert!(matches!(error.problem, Problem::Layout { .. }), "{error}");
    }
}

#[test]
fn h4_an_initrd_that_would_reach_the_kernel_is_refused() {
    let archive = archive_with(512 * MIB - 2 * MIB - 4096);
    let archive = Archive::parse(&archive).unwrap();
    let error = validate(&two_vms(), &MACHINE, &archive).unwrap_err();
    assert_eq!(error.place, Place::Key(VmId::new(0), Key::Initrd));
    assert!(matches!(error.problem, Problem::Layout { .. }), "{error}");
}

/// Changes the tree of two good VMs, and returns the error that reading it must cause.
fn error_in_tree(change: impl FnOnce(&mut DeviceTree)) -> ManifestError {
    let dtb = to_dtb(&two_vms());
    let mut tree = DeviceTree::from_fdt(&Fdt::new(&dtb).unwrap());
    change(&mut tree);
    from_dtb(&tree.to_dtb()).unwrap_err()
}

fn first_vm(tree: &mut DeviceTree) -> &mut DeviceTreeNode {
    tree.find_node_mut("/vms/vm@0").unwrap()
}

fn set(node: &mut DeviceTreeNode, name: &str, value: &[u8]) {
    node.add_property(DeviceTreeProperty::new(name, value).unwrap());
}

#[test]
fn h1_another_version_is_refused_before_anything_else() {
    let error = error_in_tree(|tree| {
        set(&mut tree.root, "compatible", b"bulkhead,manifest-v2\0");
        set(&mut tree.root, "news", b"");
    });
    let found = "bulkhead,manifest-v2".into();
    assert_eq!(
        error,
        Place::Whole.error(Problem::WrongCompatible { found })
    );
}

#[test]
fn h1_unknown_properties_and_nodes_are_refused_everywhere() {
    let nodes = [
        "/",
        "/vms",
        "/vms/vm@0",
        "/vms/vm@0/kernel",
        "/vms/vm@0/devices",
        "/vms/vm@0/devices/pl011",
    ];
    for path in nodes {
        let error = error_in_tree(|tree| set(tree.find_node_mut(path).unwrap(), "vcpu", b""));
        assert!(
            matches!(&error.problem, Problem::Unknown { name, .. } if name == "vcpu"),
            "{path}: {error}"
        );
        let error = error_in_tree(|tree| {
            let node = DeviceTreeNode::new("vm@7").unwrap();
            tree.find_node_mut(path).unwrap().add_child(node);
        });
        match &error.problem {
            Problem::Unknown { name, .. } | Problem::UnknownDevice { name } => {
                assert_eq!(name, "vm@7", "{path}");
            }
            _ => panic!("{path}: {error}"),
        }
    }
}

#[test]
fn without_a_word_about_warm_resets_they_are_resets() {
    let dtb = to_dtb(&two_vms());
    let mut tree = DeviceTree::from_fdt(&Fdt::new(&dtb).unwrap());
    for path in ["/vms/vm@0", "/vms/vm@1"] {
        let vm = tree.find_node_mut(path).unwrap();
        assert!(vm.remove_property("warm-reset").is_some(), "{path}");
    }
    let mut expected = two_vms();
    expected.vms[1].warm_reset = WarmReset::Reset;
    assert_eq!(from_dtb(&tree.to_dtb()), Ok(expected));
}

#[test]
fn h1_every_missing_or_malformed_property_is_named() {
    for name in ["name", "vcpus", "memory", "cmdline", "spis"] {
        let error = error_in_tree(|tree| {
            first_vm(tree).remove_property(name);
        });
        assert_eq!(
            error,
            Place::Vm(VmId::new(0)).error(Problem::Missing { name })
        );
    }
    for name in [
        "name",
        "vcpus",
        "memory",
        "cmdline",
        "spis",
        "initrd",
        "pinning",
        "warm-reset",
    ] {
        for value in [&b"abc"[..], b"abcdefghi", b"a\0b\0\0"] {
            let error = error_in_tree(|tree| set(first_vm(tree), name, value));
            assert!(
                matches!(error.problem, Problem::WrongForm { name: at, length, .. }
                    if at == name && length == value.len()),
                "{name}: {error}"
            );
        }
    }
    for name in ["kernel", "devices"] {
        let error = error_in_tree(|tree| {
            first_vm(tree).remove_child(name);
        });
        assert_eq!(error.problem, Problem::Missing { name });
    }
    let format = error_in_tree(|tree| {
        set(
            first_vm(tree).child_mut("kernel").unwrap(),
            tree::FORMAT,
            b"elf\0",
        );
    });
    assert!(matches!(format.problem, Problem::WrongForm { name, .. } if name == tree::FORMAT));
}

#[test]
fn h1_numbers_beyond_their_type_are_refused() {
    let big = u32::MAX.to_be_bytes();
    for (key, name) in [(Key::Vcpus, "vcpus"), (Key::Spis, "spis")] {
        let error = error_in_tree(|tree| set(first_vm(tree), name, &big));
        assert_eq!(error.place, Place::Key(VmId::new(0), key));
    }
    let error = error_in_tree(|tree| set(first_vm(tree), "pinning", &big));
    assert!(matches!(error.problem, Problem::AbsentCpu { cpu, .. } if cpu == 0xffff_ffff));
    let many = vec![0; 4 * (usize::from(limits::MAX_VCPUS) + 1)];
    let error = error_in_tree(|tree| set(first_vm(tree), "pinning", &many));
    assert!(matches!(error.problem, Problem::WrongForm { .. }));
}

#[test]
fn h1_a_property_that_stands_there_twice_is_refused() {
    let original = to_dtb(&two_vms());
    // "spis" and "name" are as long as each other: point the second's name at the first's.
    let mut dtb = original.clone();
    let strings = u32::from_be_bytes(dtb[12..16].try_into().unwrap()) as usize;
    let spis = position(&dtb[strings..], b"spis\0");
    dtb[strings + spis..][..4].copy_from_slice(b"name");
    let error = from_dtb(&dtb).unwrap_err();
    assert_eq!(
        error.problem,
        Problem::Twice {
            name: "name".into()
        }
    );
}

fn position(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
        .unwrap()
}

#[test]
fn h1_every_truncation_is_refused() {
    let dtb = to_dtb(&two_vms());
    for length in 0..dtb.len() {
        assert!(from_dtb(&dtb[..length]).is_err(), "{length}");
    }
    let mut longer = dtb;
    longer.push(0);
    assert!(from_dtb(&longer).is_err());
}

#[test]
fn h1_every_flipped_bit_gives_a_description_or_an_error() {
    let original = to_dtb(&two_vms());
    let archive = archive_with(32 * MIB);
    let archive = Archive::parse(&archive).unwrap();
    for bit in 0..original.len() * 8 {
        let mut dtb = original.clone();
        dtb[bit / 8] ^= 1 << (bit % 8);
        let result =
            from_dtb(&dtb).and_then(|description| validate(&description, &MACHINE, &archive));
        if let Err(error) = result {
            let text = error.to_string();
            assert!(text.starts_with("machine description"), "{text}");
            assert!(text.contains(": "), "{text}");
        }
    }
}

#[test]
fn h1_header_fields_at_their_extremes_are_survived() {
    let original = to_dtb(&two_vms());
    for field in 0..10 {
        for value in [0, 1, 4, 39, 40, 0x7fff_ffff, 0xffff_fffc, u32::MAX] {
            let mut dtb = original.clone();
            dtb[field * 4..][..4].copy_from_slice(&value.to_be_bytes());
            let _ = from_dtb(&dtb);
        }
    }
}

#[test]
fn h1_deep_trees_use_no_stack() {
    const BEGIN: u32 = 1;
    const END: u32 = 2;
    const DEPTH: usize = 20_000;
    let mut structure: Vec<u32> = vec![BEGIN, 0];
    for _ in 0..DEPTH {
        structure.extend([BEGIN, u32::from_be_bytes(*b"vms\0")]);
    }
    structure.extend(core::iter::repeat_n(END, DEPTH + 1));
    structure.push(9);
    let size = structure.len() as u32 * 4;
    let total = 56 + size;
    let header = [0xd00d_feed, total, 56, total, 40, 17, 16, 0, 0, size];
    let words = header.iter().chain(&[0; 4]).chain(&structure);
    let dtb: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
    let error = from_dtb(&dtb).unwrap_err();
    let name = "compatible";
    assert_eq!(error, Place::Whole.error(Problem::Missing { name }));
}

#[test]
fn h1_a_huge_manifest_is_refused_unread() {
    let bytes = limits::MAX_MANIFEST_BYTES + 1;
    assert_eq!(
        from_dtb(&vec![0; bytes]),
        Err(Place::Whole.error(Problem::ManifestTooLarge { bytes }))
    );
}

#[test]
fn keys_and_devices_are_found_by_their_names() {
    for key in Key::ALL {
        assert_eq!(Key::from_name(key.name()), Some(key));
    }
    for name in DeviceName::ALL {
        assert_eq!(DeviceName::from_name(name.name()), Some(name));
        assert_eq!(Device::plain(name).is_none(), name == DeviceName::VirtioBlk);
    }
    for device in Device::PLAIN {
        assert_eq!(Device::plain(device.name()), Some(device));
    }
    assert_eq!(DeviceName::from_name("pl031"), Some(DeviceName::Pl031));
    assert_eq!(DeviceName::from_name("pl101"), None);
    for meaning in WarmReset::ALL {
        assert_eq!(WarmReset::from_name(meaning.name()), Some(meaning));
    }
    assert_eq!(WarmReset::from_name("Crash"), None);
    assert_eq!(FILE_NAME, "manifest.dtb");
}

#[test]
fn errors_say_where_what_and_what_would_be_right() {
    let texts = [
        (
            error_after(|vm| vm.vcpus = 700),
            "machine description, vm 0, vcpus = 700: impossible number of vCPUs; use 1 to 123",
        ),
        (
            error_after(|vm| vm.memory = 513 * MIB),
            "machine description, vm 0, memory = 513M: not a multiple of 2M; use 512M or 514M",
        ),
        (
            error_after(|vm| vm.memory = 4096 * MIB),
            "machine description, vm 0, memory = 4G: the VMs up to this one need 4G and the \
             machine has 2G for them; give less",
        ),
        (
            error_after(|vm| vm.pinning = Pinning::Fixed(vec![CpuId::new(9); 4])),
            "machine description, vm 0, pinning = 9: the machine has no such CPU; use 0 to 7",
        ),
        (
            error_after(|vm| vm.kernel.file = "vmlinux".into()),
            "machine description, vm 0, kernel = \"vmlinux\": there is no such file in the archive",
        ),
        (
            error_after(|vm| vm.memory = 32 * MIB),
            "machine description, vm 0, kernel = \"kernel-0\": no 2 MB block for the device tree \
             between the kernel's end at 0x42000000 and the end of the memory [0x40000000, \
             0x42000000); give the VM more memory",
        ),
        (
            from_dtb(b"").unwrap_err(),
            "machine description: the manifest is not a device tree: 0 bytes are less than a header",
        ),
        (
            error_in_tree(|tree| set(first_vm(tree), "vcpu", b"")),
            "machine description, vm 0: unknown key \"vcpu\"; known are name, vcpus, memory, \
             cmdline, pinning, spis, initrd, warm-reset, kernel, devices",
        ),
        (
            error_in_tree(|tree| set(first_vm(tree), "warm-reset", b"panic\0")),
            "machine description, vm 0, warm-reset = \"panic\": no such meaning; there are reset \
             and crash",
        ),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn disks_are_checked() {
    let file = |image: &str| {
        Device::VirtioBlk(Disk {
            image: image.into(),
            access: DiskAccess::ReadWrite,
        })
    };
    assert_eq!(
        error_after(|vm| vm.devices.push(file("absent"))),
        key_error(
            0,
            Key::Devices,
            Problem::MissingFile {
                file: "absent".into()
            }
        )
    );
    let all = vec![file("initrd-0"); 33];
    assert_eq!(
        error_after(|vm| vm.devices = all.clone()),
        key_error(
            0,
            Key::Devices,
            Problem::TooManyVirtio {
                count: 33,
                most: 32
            }
        )
    );
    assert_eq!(
        error_after(|vm| {
            vm.spis = 32;
            vm.devices = all[..17].into();
        }),
        key_error(
            0,
            Key::Devices,
            Problem::TooManyVirtio {
                count: 17,
                most: 16
            }
        )
    );
    let many = vec![file("initrd-0"); limits::MAX_DEVICES + 1];
    let count = many.len();
    let error = key_error(0, Key::Devices, Problem::TooManyDevices { count });
    let mut description = two_vms();
    description.vms[0].devices = many;
    assert_eq!(check(&description), Err(error.clone()));
    assert_eq!(from_dtb(&to_dtb(&description)), Err(error));
}

#[test]
fn what_is_written_to_disks_counts_as_memory() {
    let mut description = two_vms();
    let exact = Machine {
        ram_bytes: Some(1024 * MIB + 2 * MIB),
        ..MACHINE
    };
    // The second VM has one disk that it writes, and one that it does not.
    assert_eq!(check_on(&description, &exact), Ok(()));
    description.vms[0].devices.push(disk(DiskAccess::ReadOnly));
    assert_eq!(check_on(&description, &exact), Ok(()));
    description.vms[0].devices.push(disk(DiskAccess::ReadWrite));
    assert!(matches!(
        check_on(&description, &exact).unwrap_err().problem,
        Problem::TooLittleRam { .. }
    ));
}
