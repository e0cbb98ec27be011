//! From TOML to an archive and back, and the messages that users see.

use crate::{FileRole, Machine, Overrides, PackError, Packed, Source, pack, parse_toml, read_toml};
use addr::{CpuId, Ipa};
use manifest::{Device, Kernel, KernelFormat, Pinning, VmDescription, WarmReset};
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const MIB: u64 = 1024 * 1024;

const MACHINE: Machine = Machine {
    cpus: Some(4),
    ram_bytes: Some(1024 * MIB),
    ipa_bits: Some(40),
};

const MINIMAL: &str = "[[vm]]\nname = \"a\"\nmemory = \"64M\"\nkernel = \"./Image\"\n";

fn image() -> Vec<u8> {
    let mut image = vec![0; 64];
    image[16..24].copy_from_slice(&(32 * MIB).to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    image
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One segment: data, physical address, bytes of memory.
type Segment<'a> = (&'a [u8], u64, u64);

/// Builds an ELF file whose virtual addresses are the physical ones and 0xffff_0000_0000_0000.
fn elf(machine: u16, entry: u64, segments: &[Segment<'_>]) -> Vec<u8> {
    const HIGH: u64 = 0xffff_0000_0000_0000;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for field in [HIGH + entry, 64, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for field in [64, 56, segments.len() as u16, 64, 0, 0] {
        file.extend(field.to_le_bytes());
    }
    let mut offset = 64 + 56 * segments.len();
    for (data, physical, memory) in segments {
        file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
        let virtual_address = HIGH.wrapping_add(*physical);
        let stored = data.len() as u64;
        for field in [
            offset as u64,
            virtual_address,
            *physical,
            stored,
            *memory,
            8,
        ] {
            file.extend(field.to_le_bytes());
        }
        offset += data.len();
    }
    for (data, ..) in segments {
        file.extend(*data);
    }
    file
}

/// A folder that is removed with its files when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("bulkhead-pack-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.write("Image", &image());
        folder.write("Image.gz", &gzip(&image()));
        folder.write("initrd.cpio", &[7; 5000]);
        folder.write("flat.bin", &[2; 100]);
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).unwrap();
    }

    fn parse(&self, text: &str) -> Result<Source, PackError> {
        parse_toml("test.toml", text, &self.0)
    }

    fn resolve(&self, role: FileRole, name: &str) -> Result<PathBuf, String> {
        match (role, name) {
            (FileRole::Kernel, "debian") => Ok(self.0.join("Image")),
            (FileRole::Initrd, "busybox") => Ok(self.0.join("initrd.cpio")),
            _ => Err("no such name; there are debian and busybox".into()),
        }
    }

    fn pack_with(&self, text: &str, overrides: &Overrides) -> Result<Packed, PackError> {
        let resolver = |role, name: &str| self.resolve(role, name);
        pack(&self.parse(text)?, overrides, &resolver, &MACHINE)
    }

    fn pack(&self, text: &str) -> Result<Packed, PackError> {
        self.pack_with(text, &Overrides::default())
    }

    /// Packs one VM whose kernel is this file.
    fn pack_kernel(&self, bytes: &[u8]) -> Result<(Kernel, Vec<u8>), String> {
        self.write("kernel.file", bytes);
        let text = MINIMAL.replace("./Image", "kernel.file");
        let packed = self.pack(&text).map_err(|error| error.to_string())?;
        let kernel = packed.description.vms[0].kernel.clone();
        let (archive, _) = manifest::open(&packed.archive).unwrap();
        let data = archive.find(&kernel.file).unwrap().data.to_vec();
        Ok((kernel, data))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FULL: &str = r#"
version = 1

[[vm]]
name = "one"
vcpus = 2
memory = "256M"
kernel = "debian"
initrd = "busybox"
cmdline = "console=ttyAMA0 quiet"
pinning = [0, 3]
devices = ["pvpanic", { name = "pl011" }, "pl031"]
spis = 96
warm-reset = "crash"

[[vm]]
name = "two"
memory = 0x4000000
kernel = "Image.gz"
initrd = "initrd.cpio"
"#;

#[test]
fn a_description_becomes_an_archive_with_everything_in_it() {
    let folder = Folder::new("everything");
    let packed = folder.pack(FULL).unwrap();
    let one = VmDescription {
        name: "one".into(),
        vcpus: 2,
        memory: 256 * MIB,
        kernel: Kernel {
            file: "kernel-0".into(),
            format: KernelFormat::Image,
        },
        initrd: Some("initrd-0".into()),
        cmdline: "console=ttyAMA0 quiet".into(),
        pinning: Pinning::Fixed(vec![CpuId::new(0), CpuId::new(3)]),
        devices: vec![Device::Pvpanic, Device::Pl011, Device::Pl031],
        spis: 96,
        warm_reset: WarmReset::Crash,
    };
    let two = VmDescription {
        name: "two".into(),
        vcpus: 1,
        memory: 64 * MIB,
        kernel: Kernel {
            file: "kernel-1".into(),
            format: KernelFormat::Image,
        },
        initrd: Some("initrd-0".into()),
        cmdline: String::new(),
        pinning: Pinning::Floating,
        devices: vec![Device::Pl011],
        spis: 64,
        warm_reset: WarmReset::Reset,
    };
    assert_eq!(packed.description.vms, [one, two]);
    let (archive, description) = manifest::open(&packed.archive).unwrap();
    assert_eq!(description, packed.description);
    let names: Vec<_> = archive.entries().map(|entry| entry.name).collect();
    assert_eq!(
        names,
        ["manifest.dtb", "kernel-0", "initrd-0", "kernel-1"],
        "a file that two VMs use is stored once"
    );
    for entry in archive.entries().skip(1) {
        assert_eq!(entry.offset as u64 % (2 * MIB), 0, "{}", entry.name);
    }
    assert_eq!(archive.find("kernel-1").unwrap().data, image(), "unpacked");
}

#[test]
fn the_same_description_gives_the_same_archive() {
    let folder = Folder::new("same");
    assert_eq!(folder.pack(FULL).unwrap(), folder.pack(FULL).unwrap());
}

#[test]
fn the_examples_can_be_packed() {
    let folder = Folder::new("examples");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for (file, vms, vcpus) in [("linux.toml", 1, 4), ("two-linux.toml", 2, 2)] {
        let source = read_toml(&examples.join(file)).unwrap();
        let resolver = |role, name: &str| folder.resolve(role, name);
        let packed = pack(&source, &Overrides::default(), &resolver, &MACHINE).unwrap();
        assert_eq!(packed.description.vms.len(), vms);
        assert_eq!(packed.description.vms[0].vcpus, vcpus);
        for vm in &packed.description.vms {
            // Either without the other would hide a panic, or take it for a reset.
            assert!(vm.cmdline.contains("panic=-1 reboot=panic_warm"), "{file}");
            assert_eq!(vm.warm_reset, WarmReset::Crash, "{file}");
        }
    }
}

#[test]
fn overrides_change_the_first_vm_only() {
    let folder = Folder::new("overrides");
    let overrides = Overrides {
        kernel: Some("debian".into()),
        initrd: Some("busybox".into()),
        cmdline: Some("single".into()),
        vcpus: Some(2),
        memory: Some("128M".into()),
    };
    let packed = folder.pack_with(FULL, &overrides).unwrap();
    let [one, two] = &packed.description.vms[..] else {
        panic!("two VMs");
    };
    assert_eq!(one.memory, 128 * MIB);
    assert_eq!(one.cmdline, "single");
    assert_eq!(one.initrd.as_deref(), Some("initrd-0"));
    assert_eq!(two.memory, 64 * MIB);
    assert_eq!(two.cmdline, "");
}

#[test]
fn another_kernel_drops_the_initrd_of_the_first() {
    let folder = Folder::new("drops");
    let overrides = Overrides {
        kernel: Some(folder.0.join("flat.bin").display().to_string()),
        ..Overrides::default()
    };
    let packed = folder.pack_with(FULL, &overrides).unwrap();
    assert_eq!(packed.description.vms[0].initrd, None);
    assert_eq!(packed.description.vms[0].kernel.format, KernelFormat::Flat);
    assert!(packed.description.vms[1].initrd.is_some());
}

#[test]
fn errors_about_overrides_name_the_option() {
    let folder = Folder::new("options");
    let message = |overrides| folder.pack_with(FULL, &overrides).unwrap_err().to_string();
    assert_eq!(
        message(Overrides {
            memory: Some("lots".into()),
            ..Overrides::default()
        }),
        "--memory: memory = \"lots\": not a size; write 512M, 2G or a number of bytes"
    );
    assert_eq!(
        message(Overrides {
            memory: Some("3M".into()),
            ..Overrides::default()
        }),
        "--memory: memory = 3M: not a multiple of 2M; use 2M or 4M"
    );
    assert_eq!(
        message(Overrides {
            vcpus: Some(4),
            ..Overrides::default()
        }),
        "test.toml:11: pinning: 2 CPUs for 4 vCPUs; name one for each, or leave the key out"
    );
}

/// What is said about the minimal VM with one more line.
fn message_for(folder: &Folder, line: &str) -> String {
    let text = format!("{MINIMAL}{line}\n");
    folder.pack(&text).unwrap_err().to_string()
}

#[test]
fn errors_say_where_what_and_what_would_be_right() {
    let folder = Folder::new("messages");
    let lines = [
        (
            "vcpu = 4",
            "test.toml:5: vcpu = 4: unknown key; known are name, vcpus, memory, kernel, initrd, \
             cmdline, pinning, devices, spis, warm-reset",
        ),
        (
            "warm-reset = \"panic\"",
            "test.toml:5: warm-reset = \"panic\": no such meaning of a warm reset; use \"reset\" or \
             \"crash\"",
        ),
        (
            "warm-reset = true",
            "test.toml:5: warm-reset = true: no such meaning of a warm reset; use \"reset\" or \
             \"crash\"",
        ),
        (
            "vcpus = 700",
            "test.toml:5: vcpus = 700: impossible number of vCPUs; use 1 to 123",
        ),
        (
            "vcpus = -1",
            "test.toml:5: vcpus = -1: impossible number of vCPUs; use 1 to 123",
        ),
        (
            "pinning = [9]",
            "test.toml:5: pinning = 9: the machine has no such CPU; use 0 to 3",
        ),
        (
            "pinning = 3",
            "test.toml:5: pinning = 3: must be a list with the number of one CPU for each vCPU, \
             such as [0, 1]",
        ),
        (
            "devices = [\n  \"pl011\",\n  \"pl101\",\n]",
            "test.toml:7: devices = \"pl101\": no such device; there are pl011, pvpanic, pl031, \
             pl061, virtio-blk, virtio-rng and virtio-console",
        ),
        (
            "devices = [\"pl031\", { name = \"pl031\" }]",
            "test.toml:5: devices = { name = \"pl031\" }: the device is there twice; once is right",
        ),
        (
            "devices = [\"pl011\", \"pl011\"]",
            "test.toml:5: devices = \"pl011\": the device is there twice; once is right",
        ),
        (
            "devices = [{ name = \"pl011\", port = 1 }]",
            "test.toml:5: port = 1: unknown key; a device has a name, and a disk (virtio-blk) image \
             and read-only",
        ),
        (
            "spis = 33",
            "test.toml:5: spis = 33: impossible number of interrupts; use a multiple of 32 from \
             32 to 960, or 988",
        ),
        (
            "cmdline = \"a\\nb\"",
            "test.toml:5: cmdline: '\\n' in the command line; only printable ASCII can be passed",
        ),
        (
            "cmdline = 3",
            "test.toml:5: cmdline = 3: must be a text in quotes",
        ),
        (
            "initrd = \"debian\"",
            "test.toml:5: initrd = \"debian\": no such name; there are debian and busybox",
        ),
    ];
    for (line, message) in lines {
        assert_eq!(message_for(&folder, line), message);
    }
}

#[test]
fn errors_about_required_keys_and_files_are_clear() {
    let folder = Folder::new("required");
    let message = |text: &str| folder.pack(text).unwrap_err().to_string();
    assert_eq!(
        message("\n\n[[vm]]\nname = \"a\"\nkernel = \"x\"\n"),
        "test.toml:3: this VM has no memory; write for example memory = \"512M\""
    );
    assert_eq!(
        message(&MINIMAL.replace("64M", "64MB")),
        "test.toml:3: memory = \"64MB\": not a size; write \"512M\", \"2G\" or a number of bytes"
    );
    assert_eq!(
        message(&MINIMAL.replace("64M", "32M")),
        "test.toml:4: kernel = \"./Image\": no 2 MB block for the device tree between the kernel's \
         end at 0x42000000 and the end of the memory [0x40000000, 0x42000000); give the VM more \
         memory"
    );
    assert_eq!(
        message(&format!("{MINIMAL}{MINIMAL}")),
        "test.toml:6: name = \"a\": vm 0 has that name already; each VM needs its own"
    );
    let missing = message(&MINIMAL.replace("./Image", "./Imag"));
    assert!(
        missing.starts_with("test.toml:4: kernel = \"./Imag\": ") && missing.contains("can't be"),
        "{missing}"
    );
    assert_eq!(
        message("version = 2"),
        "test.toml:1: version = 2: unknown version; this tool reads version 1"
    );
    assert_eq!(
        message("# nothing"),
        "test.toml:1: there is no VM; write at least one [[vm]]"
    );
    assert_eq!(
        message("[vm]\nname = \"a\""),
        "test.toml:1: vm = [vm]: must be a list of tables; write [[vm]] before the keys of each VM"
    );
    let syntax = message("[[vm]]\nname = \"a\nmemory = 3");
    assert!(
        syntax.starts_with("test.toml:2: not valid TOML: "),
        "{syntax}"
    );
    let file = read_toml(Path::new("/nonexistent.toml")).unwrap_err();
    assert!(
        file.to_string()
            .starts_with("/nonexistent.toml: can't be read: "),
        "{file}"
    );
}

#[test]
fn kernels_are_recognised_by_their_content() {
    let folder = Folder::new("content");
    let (kernel, data) = folder.pack_kernel(&gzip(b"machine code")).unwrap();
    assert_eq!(kernel.format, KernelFormat::Flat);
    assert_eq!(data, b"machine code");
    let twice = folder.pack_kernel(&gzip(&gzip(b"x"))).unwrap_err();
    assert!(twice.ends_with("compressed twice; unpack it once"));
    let empty = folder.pack_kernel(&gzip(b"")).unwrap_err();
    assert!(empty.ends_with("the kernel is an empty file"), "{empty}");
    let efi = folder.pack_kernel(b"MZ\0\0zimg").unwrap_err();
    assert!(efi.contains("vmlinuz.efi"), "{efi}");
    let cut = folder.pack_kernel(&gzip(&image())[..12]).unwrap_err();
    assert!(cut.contains("can't be unpacked with gzip"), "{cut}");
}

#[test]
fn elf_files_become_memory_images() {
    let folder = Folder::new("elf");
    let segments: [Segment<'_>; 3] = [
        (b"data", 0x4000_2000, 0x1000),
        (b"code", 0x4000_0000, 4),
        (b"", 0x4000_4000, 0x800),
    ];
    let file = elf(183, 0x4000_0002, &segments);
    for file in [gzip(&file), file] {
        let (kernel, data) = folder.pack_kernel(&file).unwrap();
        assert_eq!(
            kernel.format,
            KernelFormat::Raw {
                load: Ipa::new(0x4000_0000),
                entry: Ipa::new(0x4000_0002),
                memory_size: 0x4800,
            }
        );
        assert_eq!(data.len(), 0x2004, ".bss at the end is not stored");
        assert!(data.starts_with(b"code\0"));
        assert!(data.ends_with(b"\0data"));
    }
}

#[test]
fn h2_wrong_elf_files_are_refused() {
    let folder = Folder::new("wrong-elf");
    let base = 0x4000_0000;
    let code: &[u8] = b"code";
    let refused = [
        (elf(62, base, &[(code, base, 4)]), "must be for AArch64"),
        (elf(183, base, &[]), "without loadable segments"),
        (elf(183, 0, &[(code, base, 4)]), "lies in no segment"),
        (
            elf(183, base, &[(code, base, 4), (code, base + 3, 4)]),
            "segments overlap at 0x40000003",
        ),
        (
            elf(183, base, &[(code, base, 4), (code, 1 << 60, 4)]),
            "span more than",
        ),
        (elf(183, base, &[(code, base, 3)]), "more bytes in the file"),
        (
            elf(183, base, &[(code, u64::MAX - 2, 4)]),
            "goes beyond 64 bits",
        ),
        (
            elf(183, 0, &[(code, 0, 4)]),
            "not all of them in the memory",
        ),
        (b"\x7fELF".to_vec(), "not a 64-bit ELF file"),
    ];
    for (file, expected) in refused {
        let message = folder.pack_kernel(&file).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn h2_truncated_and_flipped_elf_files_cause_no_panic() {
    let file = elf(183, 0x4000_0000, &[(b"code", 0x4000_0000, 0x100)]);
    for length in 0..file.len() {
        assert!(crate::elf::flatten(&file[..length]).is_err());
    }
    for bit in 0..file.len() * 8 {
        let mut file = file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        let _ = crate::elf::flatten(&file);
    }
}

#[test]
fn h5_truncated_and_changed_toml_causes_no_panic() {
    let folder = Path::new("");
    for length in 0..FULL.len() {
        let _ = parse_toml("test.toml", &FULL[..length], folder);
    }
    for index in 0..FULL.len() {
        for byte in ['\0', '\n', '"', '[', ']', '=', '{', '9', '-', 'ä'] {
            let mut text = FULL.to_owned();
            text.replace_range(index..=index, byte.encode_utf8(&mut [0; 4]));
            if let Err(error) = parse_toml("test.toml", &text, folder) {
                assert!(error.to_string().starts_with("test.toml:"), "{error}");
            }
        }
    }
}

#[test]
fn h5_flipped_bits_of_the_archive_give_vms_or_an_error() {
    let folder = Folder::new("flips");
    let original = folder.pack(FULL).unwrap().archive;
    let boot = |bytes: &[u8]| {
        let (archive, description) = manifest::open(bytes)?;
        manifest::validate(&description, &MACHINE, &archive)
    };
    assert_eq!(boot(&original), Ok(()));
    // All of headers, manifest and kernel header; padding and files hold nothing to read.
    let (archive, _) = manifest::open(&original).unwrap();
    let interesting = archive
        .entries()
        .flat_map(|entry| entry.offset.saturating_sub(128)..entry.offset + entry.data.len().min(64))
        .chain(0..archive.find("manifest.dtb").unwrap().data.len() + 128);
    let mut bytes = original.clone();
    for index in interesting {
        for bit in 0..8 {
            bytes[index] ^= 1 << bit;
            if let Err(error) = boot(&bytes) {
                assert!(error.to_string().starts_with("machine description"));
            }
            bytes[index] ^= 1 << bit;
        }
    }
    for length in (0..4096).chain((4096..original.len()).step_by(4099)) {
        assert!(boot(&original[..length]).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_is_written_is_what_boot_reads(
        name in "[a-z0-9-]{1,31}",
        vcpus in 1_u16..=123,
        blocks in 18_u64..512,
        cmdline in "[ -~]{0,200}",
        pinned: bool,
        spis in 1_u16..=30,
    ) {
        let folder = Folder::new("property");
        let quoted = cmdline.replace('\\', "\\\\").replace('"', "\\\"");
        let mut text = format!(
            "[[vm]]\nname = \"{name}\"\nkernel = \"Image.gz\"\nvcpus = {vcpus}\nmemory = {}\n\
             cmdline = \"{quoted}\"\nspis = {}\n",
            blocks * 2 * MIB,
            spis * 32,
        );
        if pinned {
            let cpus: Vec<_> = (0..vcpus).map(|cpu| (cpu % 4).to_string()).collect();
            text.push_str(&format!("pinning = [{}]\n", cpus.join(", ")));
        }
        let packed = folder.pack(&text).unwrap();
        let (_, description) = manifest::open(&packed.archive).unwrap();
        prop_assert_eq!(&description, &packed.description);
        let vm = &description.vms[0];
        prop_assert_eq!(&vm.name, &name);
        prop_assert_eq!(vm.vcpus, vcpus);
        prop_assert_eq!(vm.memory, blocks * 2 * MIB);
        prop_assert_eq!(&vm.cmdline, &cmdline);
        prop_assert_eq!(vm.spis, spis * 32);
        prop_assert_eq!(vm.pinning == Pinning::Floating, !pinned);
    }

    #[test]
    fn h5_any_text_is_a_description_or_an_error(text in "\\PC{0,200}") {
        let _ = parse_toml("test.toml", &text, Path::new(""));
    }
}

#[test]
fn disks_are_packed_once_and_come_in_order() {
    let folder = Folder::new("disks");
    folder.write("one.img", &[1; 1000]);
    folder.write("two.img", &[2; 513]);
    let text = format!(
        "{MINIMAL}\ndevices = [\"pl011\", {{ name = \"virtio-blk\", image = \"two.img\" }}, \
         \"virtio-rng\", {{ name = \"virtio-blk\", image = \"one.img\", read-only = true }}, \
         {{ name = \"virtio-blk\", image = \"./two.img\", read-only = false }}]"
    );
    let packed = folder.pack(&text).unwrap();
    let disk = |image: &str, access| {
        Device::VirtioBlk(manifest::Disk {
            image: image.into(),
            access,
        })
    };
    use manifest::DiskAccess::{ReadOnly, ReadWrite};
    assert_eq!(
        packed.description.vms[0].devices,
        [
            Device::Pl011,
            disk("disk-0", ReadWrite),
            Device::VirtioRng,
            disk("disk-1", ReadOnly),
            disk("disk-0", ReadWrite),
        ]
    );
    let (archive, _) = manifest::open(&packed.archive).unwrap();
    assert_eq!(archive.find("disk-0").unwrap().data, [2; 513]);
    assert_eq!(archive.find("disk-1").unwrap().data, [1; 1000]);
}

#[test]
fn what_is_wrong_with_a_disk_is_said() {
    let folder = Folder::new("wrong-disks");
    folder.write("empty.img", &[]);
    for (devices, problem) in [
        ("\"virtio-blk\"", "a disk needs an image"),
        ("{ name = \"virtio-blk\" }", "a disk needs an image"),
        (
            "{ name = \"virtio-blk\", image = 3 }",
            "must be a text in quotes",
        ),
        (
            "{ name = \"virtio-blk\", image = \"empty.img\" }",
            "the image of a disk is empty",
        ),
        (
            "{ name = \"virtio-blk\", image = \"absent.img\" }",
            "can't be read",
        ),
        (
            "{ name = \"virtio-blk\", image = \"flat.bin\", read-only = \"yes\" }",
            "must be true or false",
        ),
        (
            "{ name = \"virtio-rng\", image = \"flat.bin\" }",
            "only a disk (virtio-blk) has this key",
        ),
        ("\"virtio-rng\", \"virtio-rng\"", "there twice"),
    ] {
        let text = format!("{MINIMAL}\ndevices = [{devices}]");
        let error = folder.pack(&text).unwrap_err().to_string();
        assert!(error.contains(problem), "{devices}: {error}");
    }
}
