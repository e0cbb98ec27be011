use super::*;
use crate::map::RAM_BASE;
use crate::{GranuleSize, Placement};

const MIB: u64 = 1024 * 1024;

fn ram(size: u64) -> IpaRange {
    IpaRange::new(RAM_BASE, size).unwrap()
}

fn image(text_offset: u64, image_size: u64) -> KernelPlacement {
    KernelPlacement::Image(ImageHeader {
        text_offset,
        image_size,
        granule: GranuleSize::Kib4,
        placement: Placement::Anywhere,
    })
}

fn request(kernel: KernelPlacement) -> LayoutRequest {
    LayoutRequest {
        ram: ram(256 * MIB),
        kernel,
        kernel_bytes: 30 * MIB,
        initrd_bytes: 5 * MIB + 7,
        dtb_max: 64 * 1024,
    }
}

/// Recomputes from the request what the kernel takes, and checks every promise of `layout`.
fn check(request: &LayoutRequest, layout: &Layout) {
    let memory_size = match request.kernel {
        KernelPlacement::Image(header) => header.image_size,
        KernelPlacement::Flat => 0,
        KernelPlacement::Fixed { memory_size, .. } => memory_size,
    };
    let size = memory_size.max(request.kernel_bytes);
    let kernel = IpaRange::new(layout.kernel, size).unwrap();
    let dtb_block = IpaRange::new(layout.dtb.start(), BLOCK_2M).unwrap();
    assert!(request.ram.contains_range(kernel));
    assert!(kernel.contains(layout.entry));
    assert!(request.ram.contains_range(dtb_block));
    assert!(dtb_block.is_aligned(BLOCK_2M));
    assert!(!dtb_block.overlaps(kernel));
    assert_eq!(layout.dtb.size(), request.dtb_max);
    assert_eq!(layout.initrd.is_some(), request.initrd_bytes != 0);
    if let Some(initrd) = layout.initrd {
        assert!(request.ram.contains_range(initrd));
        assert!(initrd.start().is_aligned(PAGE_SIZE));
        assert_eq!(initrd.size(), request.initrd_bytes);
        assert!(!initrd.overlaps(kernel));
        assert!(!initrd.overlaps(dtb_block));
    }
}

#[test]
fn an_image_lies_at_its_offset_from_the_start_of_memory() {
    for text_offset in [0, 0x8_0000] {
        let request = request(image(text_offset, 32 * MIB));
        let layout = layout(&request).unwrap();
        assert_eq!(layout.kernel, Ipa::new(0x4000_0000 + text_offset));
        assert_eq!(layout.entry, layout.kernel);
        assert_eq!(layout.dtb.start(), Ipa::new(0x4fe0_0000));
        assert_eq!(layout.initrd.unwrap().start(), Ipa::new(0x4f8f_f000));
        check(&request, &layout);
    }
}

#[test]
fn a_flat_binary_is_entered_at_its_first_byte() {
    let request = request(KernelPlacement::Flat);
    let layout = layout(&request).unwrap();
    assert_eq!(layout.kernel, Ipa::new(0x4008_0000));
    assert_eq!(layout.entry, Ipa::new(0x4008_0000));
    check(&request, &layout);
}

#[test]
fn fixed_addresses_are_kept() {
    let fixed = KernelPlacement::Fixed {
        load: Ipa::new(0x4123_4000),
        entry: Ipa::new(0x4123_4560),
        memory_size: 31 * MIB,
    };
    let request = request(fixed);
    let layout = layout(&request).unwrap();
    assert_eq!(layout.kernel, Ipa::new(0x4123_4000));
    assert_eq!(layout.entry, Ipa::new(0x4123_4560));
    check(&request, &layout);
}

#[test]
fn no_initrd_takes_no_place() {
    let request = LayoutRequest {
        initrd_bytes: 0,
        ..request(image(0, 32 * MIB))
    };
    assert_eq!(layout(&request).unwrap().initrd, None);
}

#[test]
fn a_loader_uses_32_gib_of_a_larger_memory() {
    let request = LayoutRequest {
        ram: ram(100 * BLOCK_1G),
        ..request(image(0, 32 * MIB))
    };
    let layout = layout(&request).unwrap();
    assert_eq!(
        layout.dtb.start().get(),
        0x4000_0000 + 32 * BLOCK_1G - BLOCK_2M
    );
    check(&request, &layout);
}

#[test]
fn h2_a_kernel_that_asks_for_more_than_there_is_is_refused() {
    for image_size in [257 * MIB, u64::MAX, 1 << 63] {
        let error = layout(&request(image(0, image_size))).unwrap_err();
        assert!(matches!(error, LayoutError::KernelOutside { size, .. } if size == image_size));
    }
    for text_offset in [255 * MIB, u64::MAX - 4095, u64::MAX - 0x4000_0000 - 4095] {
        let error = layout(&request(image(text_offset, 32 * MIB))).unwrap_err();
        assert!(matches!(error, LayoutError::KernelOutside { .. }));
    }
}

#[test]
fn h2_a_file_longer_than_its_header_says_is_counted_whole() {
    let request = LayoutRequest {
        kernel_bytes: 255 * MIB,
        ..request(image(0, 1))
    };
    let error = layout(&request).unwrap_err();
    assert!(matches!(error, LayoutError::NoRoomForDtb { .. }), "{error}");
}

#[test]
fn h2_fixed_addresses_outside_are_refused() {
    let fixed = |load: u64, entry: u64, memory_size: u64| {
        layout(&request(KernelPlacement::Fixed {
            load: Ipa::new(load),
            entry: Ipa::new(entry),
            memory_size,
        }))
    };
    for load in [0, 0x3fff_f000, 0x5000_0000, u64::MAX] {
        let error = fixed(load, load, 1).unwrap_err();
        assert!(matches!(error, LayoutError::KernelOutside { start, .. } if start == load));
    }
    for entry in [0x3fff_ffff, 0x4000_0000 + 30 * MIB, u64::MAX] {
        let error = fixed(0x4000_0000, entry, 40 * MIB).unwrap_err();
        assert!(matches!(error, LayoutError::EntryOutside { .. }), "{error}");
    }
}

#[test]
fn h4_the_initrd_never_reaches_kernel_or_device_tree() {
    let free = 256 * MIB - 32 * MIB - BLOCK_2M;
    let with = |initrd_bytes| {
        let request = LayoutRequest {
            initrd_bytes,
            ..request(image(0, 32 * MIB))
        };
        layout(&request).inspect(|layout| check(&request, layout))
    };
    assert!(with(1).is_ok());
    assert!(with(free).is_ok());
    for size in [free + 1, free + PAGE_SIZE, 1 << 40, u64::MAX] {
        assert_eq!(with(size), Err(LayoutError::NoRoomForInitrd { size, free }));
    }
}

#[test]
fn h4_every_small_memory_gives_a_sound_layout_or_an_error() {
    for blocks in 1..=32 {
        for kernel_mib in 1..=40 {
            for initrd_bytes in [0, 1, PAGE_SIZE, 3 * MIB + 1, 20 * MIB] {
                let request = LayoutRequest {
                    ram: ram(blocks * BLOCK_2M),
                    kernel: image(0x8_0000, kernel_mib * MIB),
                    kernel_bytes: MIB,
                    initrd_bytes,
                    dtb_max: MAX_DTB_BYTES,
                };
                if let Ok(layout) = layout(&request) {
                    check(&request, &layout);
                }
            }
        }
    }
}

#[test]
fn the_device_tree_has_a_size() {
    for size in [0, MAX_DTB_BYTES + 1, u64::MAX] {
        let request = LayoutRequest {
            dtb_max: size,
            ..request(image(0, 32 * MIB))
        };
        assert_eq!(layout(&request), Err(LayoutError::DtbSize { size }));
    }
}

#[test]
fn an_empty_kernel_is_refused() {
    let request = LayoutRequest {
        kernel_bytes: 0,
        ..request(KernelPlacement::Flat)
    };
    assert_eq!(layout(&request), Err(LayoutError::EmptyKernel));
}
