//! Kernels: what a file is, an arm64 `Image`'s header, and where everything goes.

use crate::input::Input;
use ::guest_image::{KernelPlacement, LayoutRequest, layout, parse_image, recognise};
use addr::{Ipa, IpaRange};

/// Looks at a file as a kernel, and places it in a memory that the first bytes describe.
///
/// # Panics
/// If something is placed outside the memory, or over something else.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let start = input.value();
    let size = input.value();
    let kernel_bytes = input.value();
    let initrd_bytes = input.value();
    let dtb_max = input.value();
    let fixed = [input.value(), input.value(), input.value()];
    let how = input.byte();
    let file = input.rest();

    let _ = recognise(file);
    let header = parse_image(file);
    let kernel = match (how % 3, header) {
        (0, Ok(header)) => KernelPlacement::Image(header),
        (1, _) => KernelPlacement::Fixed {
            load: Ipa::new(fixed[0]),
            entry: Ipa::new(fixed[1]),
            memory_size: fixed[2],
        },
        (_, Err(error)) => {
            let _ = error.to_string();
            KernelPlacement::Flat
        }
        _ => KernelPlacement::Flat,
    };
    let Ok(ram) = IpaRange::new(Ipa::new(start), size) else {
        return;
    };
    let request = LayoutRequest {
        ram,
        kernel,
        kernel_bytes,
        initrd_bytes,
        dtb_max,
    };
    let placed = match layout(&request) {
        Ok(placed) => placed,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    let kernel = IpaRange::new(placed.kernel, kernel_bytes).expect("a kernel with a size");
    assert!(ram.contains_range(kernel), "{placed:?} of {request:?}");
    assert!(ram.contains(placed.entry), "{placed:?} of {request:?}");
    assert!(ram.contains_range(placed.dtb), "{placed:?} of {request:?}");
    assert!(!placed.dtb.overlaps(kernel), "{placed:?} of {request:?}");
    if let Some(initrd) = placed.initrd {
        assert_eq!(initrd.size(), initrd_bytes);
        assert!(ram.contains_range(initrd), "{placed:?} of {request:?}");
        assert!(!initrd.overlaps(kernel), "{placed:?} of {request:?}");
        assert!(!initrd.overlaps(placed.dtb), "{placed:?} of {request:?}");
    }
}

/// Makes requests for an `Image` and for other files.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let wide = |value: u64| [&[5][..], &value.to_le_bytes()].concat();
    let request = |how: u8, file: &[u8]| {
        let mut bytes = Vec::new();
        let numbers = [
            0x4000_0000,
            64 << 20,
            1 << 20,
            0x1234,
            2 << 20,
            0x4008_0000,
            0x4008_1000,
            2 << 20,
        ];
        bytes.extend(numbers.iter().flat_map(|number| wide(*number)));
        bytes.push(how);
        bytes.extend(file);
        bytes
    };
    vec![
        request(0, &header()),
        request(1, b"\x7fELF"),
        request(2, b"\x1f\x8b\x08"),
    ]
}

/// The header of an arm64 `Image` (Linux, `booting.rst`, section 4) with some code behind it.
pub(crate) fn header() -> Vec<u8> {
    let mut bytes = vec![0x4d, 0x5a, 0x00, 0x91, 0, 0, 0, 0x14];
    // text_offset, image_size, flags, three reserved words.
    for field in [0_u64, 0x10_0000, 0b1010, 0, 0, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(b"ARM\x64");
    bytes.extend([0; 4]);
    bytes.extend([0xd5; 64]);
    bytes
}
