//! The redistributors' frames: 128 KiB to a vCPU, RD frame first, SGI frame second.

use crate::bits::Bits;
use crate::effects::PrivateSet;
use crate::private::PrivateDelivery;
use crate::registers::{
    self, Access, BANKED_FRAME, BankRegister, IDENTIFICATION, REDISTRIBUTOR_FRAME, Register,
};
use crate::vcpu::VcpuInterrupts;
use addr::{Mpidr, VcpuIndex, Width};
use machine::VirtualCpuInterface;

/// Size in bytes of what one vCPU has in the region: two frames of 64 KiB.
pub const REDISTRIBUTOR_STRIDE: u64 = 2 * FRAME_SIZE;
pub(crate) const FRAME_SIZE: u64 = 0x1_0000;

/// GICR_PIDR0 of Arm's own redistributor.
pub(crate) const PIDR0: u8 = 0x93;
/// GICR_TYPER.Last: this is the last redistributor of the region.
const TYPER_LAST: u64 = 1 << 4;
pub(crate) const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;
pub(crate) const WAKER_CHILDREN_ASLEEP: u32 = 1 << 2;

pub(crate) mod offset {
    pub(crate) const CTLR: u32 = 0x00;
    pub(crate) const IIDR: u32 = 0x04;
    pub(crate) const TYPER: u32 = 0x08;
    pub(crate) const TYPER_HIGH: u32 = 0x0c;
    pub(crate) const STATUSR: u32 = 0x10;
    pub(crate) const WAKER: u32 = 0x14;
    pub(crate) const MPAMIDR: u32 = 0x18;
    pub(crate) const PARTIDR: u32 = 0x1c;
    pub(crate) const SETLPIR: u32 = 0x40;
    pub(crate) const CLRLPIR: u32 = 0x48;
    pub(crate) const PROPBASER: u32 = 0x70;
    pub(crate) const PENDBASER: u32 = 0x78;
    pub(crate) const INVLPIR: u32 = 0xa0;
    pub(crate) const INVALLR: u32 = 0xb0;
    pub(crate) const SYNCR: u32 = 0xc0;
}

/// The region that holds a VM's redistributors, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedistributorRegion {
    vcpu_count: u16,
}

/// A place in one vCPU's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The vCPU that owns the frames.
    pub vcpu: VcpuIndex,
    /// The offset in them, in bytes: below 0x10000 the RD frame, from there on the SGI frame.
    pub offset: u64,
}

/// What a write to a redistributor's frame leaves to do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The *physical* private interrupts to deactivate: the guest took the virtual ones back. (They
    /// come again if their source is still asserted.)
    pub deactivate: PrivateSet,
    /// Whether the list registers are up to date.
    pub delivery: PrivateDelivery,
}

impl RedistributorRegion {
    /// Describes the region of a VM with `vcpu_count` vCPUs.
    #[must_use]
    pub const fn new(vcpu_count: u16) -> Self {
        Self { vcpu_count }
    }

    /// Returns the size of the region in bytes.
    #[must_use]
    pub const fn size(self) -> u64 {
        (self.vcpu_count as u64).wrapping_mul(REDISTRIBUTOR_STRIDE)
    }

    /// Finds the vCPU and the offset in its frames for an offset in the region; `None` beyond its
    /// end.
    #[inline]
    #[must_use]
    pub fn locate(self, offset: u64) -> Option<Frame> {
        let index = u16::try_from(offset >> 17).ok()?;
        (index < self.vcpu_count).then_some(Frame {
            vcpu: VcpuIndex::new(index),
            offset: offset & REDISTRIBUTOR_STRIDE.wrapping_sub(1),
        })
    }

    /// Reads a register that never changes, of any vCPU's frames, without its owner. `None` if the
    /// owner must be asked: it runs [`VcpuInterrupts::read_redistributor`] or
    /// [`VcpuInterrupts::write_redistributor`], and the guest executes the instruction again until
    /// the answer is there. An access that the architecture does not have reads as zero.
    #[must_use]
    pub fn read_constant(self, frame: Frame, width: Width) -> Option<u64> {
        if frame.offset >= FRAME_SIZE {
            return match BANKED_FRAME.find(frame.offset.wrapping_sub(FRAME_SIZE), width) {
                Some(access) => match access.register {
                    Register::Bank(_) if access.interrupt < 32 => None,
                    Register::Bank(_)
                    | Register::Absent
                    | Register::Route
                    | Register::Control
                    | Register::Identification => Some(0),
                },
                None => Some(0),
            };
        }
        let Some(access) = REDISTRIBUTOR_FRAME.find(frame.offset, width) else {
            return Some(0);
        };
        match access.register {
            Register::Control => self.read_constant_control(frame.vcpu, access),
            Register::Identification => Some(u64::from(registers::identification(
                access.offset.wrapping_add(IDENTIFICATION),
                PIDR0,
            ))),
            Register::Bank(_) | Register::Route | Register::Absent => Some(0),
        }
    }

    fn read_constant_control(self, vcpu: VcpuIndex, access: Access) -> Option<u64> {
        match (access.offset, access.width) {
            (offset::TYPER, Width::Double) => Some(self.typer(vcpu)),
            (offset::TYPER, _) => Some(self.typer(vcpu) & Width::Word.mask()),
            (offset::TYPER_HIGH, _) => Some(self.typer(vcpu) >> 32),
            (offset::IIDR, Width::Word) => Some(u64::from(registers::IMPLEMENTER)),
            (offset::WAKER, Width::Word) => None,
            // If a variant is added to `Width`, it is an access that no register has.
            _ => Some(0),
        }
    }

    /// Returns GICR_TYPER (IHI0069, 12.11.35): affinity, processor number, and whether it is the
    /// last; no LPIs.
    #[inline(always)]
    pub(crate) fn typer(self, vcpu: VcpuIndex) -> u64 {
        let affinity = Mpidr::of_vcpu(vcpu).get();
        let packed = (affinity >> 32) << 24 | (affinity & 0xff_ffff);
        let last = if vcpu.get().checked_add(1) == Some(self.vcpu_count) {
            TYPER_LAST
        } else {
            0
        };
        packed << 32 | u64::from(vcpu.get()) << 8 | last
    }
}

impl VcpuInterrupts {
    /// Reads this vCPU's own frames: what [`RedistributorRegion::read_constant`] left open. `offset`
    /// is [`Frame::offset`].
    pub fn read_redistributor<H: VirtualCpuInterface>(
        &mut self,
        offset: u64,
        width: Width,
        hw: &mut H,
    ) -> u64 {
        if offset < FRAME_SIZE {
            return self.read_control(offset, width);
        }
        let Some(access) = BANKED_FRAME.find(offset.wrapping_sub(FRAME_SIZE), width) else {
            self.count_error();
            return 0;
        };
        let Register::Bank(register) = access.register else {
            return 0;
        };
        if access.interrupt >= 32 {
            return 0;
        }
        if register.shows_flight() && self.is_resident() {
            self.look_at_private(hw);
        }
        access.extract(self.bank.read(register, access.sub))
    }

    /// Writes this vCPU's own frames and brings its list registers up to date. `offset` is
    /// [`Frame::offset`].
    pub fn write_redistributor<H: VirtualCpuInterface>(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        hw: &mut H,
    ) -> Written {
        let nothing = Written {
            deactivate: PrivateSet::EMPTY,
            delivery: PrivateDelivery::Done,
        };
        if offset < FRAME_SIZE {
            self.write_control(offset, width, value);
            return nothing;
        }
        let Some(access) = BANKED_FRAME.find(offset.wrapping_sub(FRAME_SIZE), width) else {
            self.count_error();
            return nothing;
        };
        match access.register {
            Register::Bank(register) if access.interrupt < 32 => {
                self.write_bank(register, access, value, hw)
            }
            Register::Bank(_)
            | Register::Absent
            | Register::Route
            | Register::Control
            | Register::Identification => nothing,
        }
    }

    fn write_bank<H: VirtualCpuInterface>(
        &mut self,
        register: BankRegister,
        access: Access,
        value: u64,
        hw: &mut H,
    ) -> Written {
        let (value, mask) = access.insert(value);
        let mut affected = self.bank.write(register, access.sub, value, mask);
        if register == BankRegister::SetPending {
            // Pending once more while active: its list register must lose the HW bit.
            affected |= value & self.linked;
        }
        for number in Bits(affected & self.bank.in_flight()) {
            self.take_back_private(number, hw);
        }
        Written {
            deactivate: self.settle_links(),
            delivery: self.deliver_private(hw),
        }
    }

    fn read_control(&mut self, offset: u64, width: Width) -> u64 {
        let access = REDISTRIBUTOR_FRAME.find(offset, width);
        if let Some(access) = access {
            if access.register == Register::Control && !is_register(access) {
                self.count_error();
            }
            if is_waker(access) {
                let asleep = WAKER_PROCESSOR_SLEEP | WAKER_CHILDREN_ASLEEP;
                return if self.asleep { u64::from(asleep) } else { 0 };
            }
        } else {
            self.count_error();
        }
        0
    }

    /// Writes the RD frame, of which only GICR_WAKER.ProcessorSleep is writable. ChildrenAsleep
    /// follows at once. An interface said to be asleep still takes its interrupts: where hardware
    /// would send a wake-up request, this one wakes.
    fn write_control(&mut self, offset: u64, width: Width, value: u64) {
        match REDISTRIBUTOR_FRAME.find(offset, width) {
            Some(access) if is_waker(access) => {
                self.asleep = registers::low_word(value) & WAKER_PROCESSOR_SLEEP != 0;
            }
            Some(access) if access.register == Register::Control && !is_register(access) => {
                self.count_error();
            }
            Some(_) => {}
            None => self.count_error(),
        }
    }

    fn count_error(&mut self) {
        self.guest_errors = self.guest_errors.saturating_add(1);
    }
}

fn is_waker(access: Access) -> bool {
    access.register == Register::Control
        && access.offset == offset::WAKER
        && access.width == Width::Word
}

/// Tells whether the architecture has a register of that width there (IHI0069, table 12-27).
fn is_register(access: Access) -> bool {
    match access.offset {
        offset::CTLR
        | offset::IIDR
        | offset::TYPER_HIGH
        | offset::STATUSR
        | offset::WAKER
        | offset::MPAMIDR
        | offset::PARTIDR
        | offset::SYNCR => access.width == Width::Word,
        offset::TYPER
        | offset::SETLPIR
        | offset::CLRLPIR
        | offset::PROPBASER
        | offset::PENDBASER
        | offset::INVLPIR
        | offset::INVALLR => true,
        _ => false,
    }
}
