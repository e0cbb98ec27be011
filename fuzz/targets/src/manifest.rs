//! The machine description as a device tree.

use crate::input::Input;
use ::archive::{Archive, Writer};
use ::manifest::{
    Description, Device, Disk, DiskAccess, Kernel, KernelFormat, Machine, Pinning, VmDescription,
    WarmReset, from_dtb, to_dtb, validate,
};
use addr::{CpuId, Ipa};
use std::sync::OnceLock;

/// Reads a manifest; what can be read must survive writing, and validation must end.
///
/// The last three bytes choose the machine that it is for.
///
/// # Panics
/// If a description changes on its way through a device tree.
pub fn run(data: &[u8]) {
    let description = match from_dtb(data) {
        Ok(description) => description,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    let again = from_dtb(&to_dtb(&description)).expect("what we write can be read");
    assert_eq!(again, description);
    let tail = data.len().saturating_sub(3);
    let mut input = Input::new(&data[tail..]);
    let machine = Machine {
        cpus: input.of(&[None, Some(1), Some(4), Some(512)]),
        ram_bytes: input.of(&[None, Some(0), Some(1 << 30), Some(u64::MAX)]),
        ipa_bits: input.of(&[None, Some(32), Some(40), Some(52)]),
    };
    let archive = Archive::parse(files()).expect("our own archive");
    if let Err(error) = validate(&description, &machine, &archive) {
        let _ = error.to_string();
    }
}

/// The files that manifests may name.
fn files() -> &'static [u8] {
    static FILES: OnceLock<Vec<u8>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut writer = Writer::new();
        let made = writer
            .file("kernel-0", 0o644, &crate::guest_image::header())
            .and_then(|()| writer.file("initrd-0", 0o644, b"initrd"));
        assert_eq!(made, Ok(()));
        writer.finish()
    })
}

/// Makes manifests of one and two VMs.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    descriptions().iter().map(to_dtb).collect()
}

/// Valid descriptions that use every key.
pub(crate) fn descriptions() -> Vec<Description> {
    let one = VmDescription {
        name: "one".into(),
        vcpus: 2,
        memory: 64 << 20,
        kernel: Kernel {
            file: "kernel-0".into(),
            format: KernelFormat::Image,
        },
        initrd: Some("initrd-0".into()),
        cmdline: "console=ttyAMA0".into(),
        pinning: Pinning::Fixed(vec![CpuId::new(0), CpuId::new(1)]),
        devices: vec![
            Device::Pl011,
            Device::VirtioBlk(Disk {
                image: "initrd-0".into(),
                access: DiskAccess::ReadOnly,
            }),
            Device::Pvpanic,
            Device::Pl031,
            Device::VirtioRng,
        ],
        spis: 64,
        warm_reset: WarmReset::Crash,
    };
    let two = VmDescription {
        name: "two".into(),
        vcpus: 1,
        kernel: Kernel {
            file: "kernel-0".into(),
            format: KernelFormat::Raw {
                load: Ipa::new(0x4010_0000),
                entry: Ipa::new(0x4010_0000),
                memory_size: 0x2_0000,
            },
        },
        initrd: None,
        pinning: Pinning::Floating,
        spis: 988,
        ..one.clone()
    };
    let flat = VmDescription {
        kernel: Kernel {
            file: "kernel-0".into(),
            format: KernelFormat::Flat,
        },
        ..two.clone()
    };
    vec![
        Description {
            vms: vec![one.clone(), two],
        },
        Description { vms: vec![flat] },
        Description { vms: vec![one] },
    ]
}
