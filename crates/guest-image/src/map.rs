//! The guest's memory map: where every VM finds its memory, its interrupt controller and its
//! devices. The addresses are those of QEMU's `virt` machine, which guests know well.

use addr::{BLOCK_1G, IntId, Ipa, IpaRange, RangeError};

/// A block of registers in the guest's memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first address.
    pub base: Ipa,
    /// The size in bytes.
    pub size: u64,
    /// The interrupt that the device raises, if any.
    pub interrupt: Option<IntId>,
}

impl Frame {
    /// Returns the addresses that the frame takes.
    ///
    /// # Errors
    /// Never for the frames of this module; [`RangeError`] as of [`IpaRange::new`].
    pub fn range(self) -> Result<IpaRange, RangeError> {
        IpaRange::new(self.base, self.size)
    }
}

const fn frame(base: u64, size: u64, interrupt: Option<IntId>) -> Frame {
    Frame {
        base: Ipa::new(base),
        size,
        interrupt,
    }
}

/// Start of the guest's memory.
pub const RAM_BASE: Ipa = Ipa::new(BLOCK_1G);

/// The distributor of the interrupt controller.
pub const GICD: Frame = frame(0x0800_0000, 0x1_0000, None);

/// First address of the redistributors, one after the other in the order of the vCPUs.
pub const GICR_BASE: Ipa = Ipa::new(0x080a_0000);

/// Size of one vCPU's redistributor in bytes: RD_base and SGI_base (IHI0069, 12.10).
pub const GICR_STRIDE: u64 = 0x2_0000;

/// Most vCPUs of a VM: as many redistributors fit below the first device.
pub const MAX_VCPUS: u16 = 123;

/// The console, a PL011.
pub const PL011: Frame = frame(0x0900_0000, 0x1000, IntId::spi(1));

/// The real-time clock, a PL031.
pub const PL031: Frame = frame(0x0901_0000, 0x1000, IntId::spi(2));

/// The GPIO controller with the power key, a PL061.
pub const PL061: Frame = frame(0x0903_0000, 0x1000, IntId::spi(7));

/// The panic notifier, pvpanic as a memory-mapped device.
pub const PVPANIC: Frame = frame(0x090d_0000, 0x2, None);

/// Number of slots for virtio devices.
pub const VIRTIO_SLOTS: u16 = 32;

/// First address of the slots for virtio devices.
pub const VIRTIO_BASE: Ipa = Ipa::new(0x0a00_0000);

/// Size of one slot in bytes.
pub const VIRTIO_STRIDE: u64 = 0x200;

/// The shared peripheral interrupt of the first slot; the others follow.
pub const VIRTIO_FIRST_SPI: u32 = 16;

/// Returns the slot number `slot` for a virtio device; `None` if there is no such slot.
#[must_use]
pub fn virtio(slot: u16) -> Option<Frame> {
    if slot >= VIRTIO_SLOTS {
        return None;
    }
    let offset = u64::from(slot).checked_mul(VIRTIO_STRIDE)?;
    let spi = VIRTIO_FIRST_SPI.checked_add(u32::from(slot))?;
    Some(frame(
        VIRTIO_BASE.get().checked_add(offset)?,
        VIRTIO_STRIDE,
        IntId::spi(spi),
    ))
}

/// Returns the redistributors of a VM with `vcpus` vCPUs; `None` if it has none or too many.
#[must_use]
pub fn redistributors(vcpus: u16) -> Option<IpaRange> {
    if vcpus > MAX_VCPUS {
        return None;
    }
    let size = u64::from(vcpus).checked_mul(GICR_STRIDE)?;
    IpaRange::new(GICR_BASE, size).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn frames_do_not_overlap_and_lie_below_the_memory() {
        let mut frames: Vec<IpaRange> = [GICD, PL011, PL031, PL061, PVPANIC]
            .map(|frame| frame.range().unwrap())
            .into();
        frames.push(redistributors(MAX_VCPUS).unwrap());
        frames.extend((0..VIRTIO_SLOTS).map(|slot| virtio(slot).unwrap().range().unwrap()));
        for (index, frame) in frames.iter().enumerate() {
            assert!(frame.end() <= RAM_BASE);
            for other in &frames[index + 1..] {
                assert!(!frame.overlaps(*other), "{frame} {other}");
            }
        }
    }

    #[test]
    fn one_more_redistributor_would_reach_the_first_device() {
        assert_eq!(redistributors(MAX_VCPUS).unwrap().end(), PL011.base);
        assert_eq!(redistributors(MAX_VCPUS + 1), None);
        assert_eq!(redistributors(0), None);
    }

    #[test]
    fn slots_count_addresses_and_interrupts() {
        let last = virtio(31).unwrap();
        assert_eq!(last.base, Ipa::new(0x0a00_3e00));
        assert_eq!(last.interrupt, Some(IntId::new(32 + 47)));
        assert_eq!(virtio(32), None);
    }
}
