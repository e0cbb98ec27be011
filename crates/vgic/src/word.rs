//! Reads of aligned 32-bit words, which nearly all of a guest's reads are: the same answers as
//! [`VcpuInterrupts::read_distributor`] and its like give, in fewer steps. Nothing here calls
//! anything: the exit path saves no register for it.

use crate::bank::Bank;
use crate::distributor::{self, Distributor};
use crate::redistributor::{self, RedistributorRegion, offset as gicr};
use crate::registers::{self, BankRegister, low_word};
use crate::vcpu::VcpuInterrupts;

/// Where a frame's registers with an array of words begin, in units of 128 bytes.
mod unit {
    pub(super) const GROUP: u32 = 1;
    pub(super) const SET_ENABLE: u32 = 2;
    pub(super) const CLEAR_ENABLE: u32 = 3;
    pub(super) const SET_PENDING: u32 = 4;
    pub(super) const CLEAR_PENDING: u32 = 5;
    pub(super) const SET_ACTIVE: u32 = 6;
    pub(super) const CLEAR_ACTIVE: u32 = 7;
    pub(super) const PRIORITY: u32 = 8;
    pub(super) const PRIORITY_LAST: u32 = 15;
    pub(super) const CONFIGURATION: u32 = 24;
    pub(super) const CONFIGURATION_LAST: u32 = 25;
}

/// Where the last of them ends, in bytes.
const ARRAYS_END: u32 = 0xd00;

/// What a word of an array of registers reads as.
enum BankWord {
    /// This.
    Is(u32),
    /// List registers have to do with it: that takes the long way.
    InFlight,
    /// It is in no array.
    Elsewhere,
}

/// Reads the word at an offset of the GICD frame or of GICR's SGI frame, out of the banks that `find`
/// has by number. Each arm has its own code to the end: that saves deciding twice.
#[inline(always)]
fn bank_word<'a>(offset: u32, find: impl Fn(u32) -> Option<&'a Bank>) -> BankWord {
    let single = (offset >> 2) & 0x1f;
    let value = |bank: Option<&Bank>, read: fn(&Bank) -> u32| BankWord::Is(bank.map_or(0, read));
    let settled = |bank: Option<&Bank>, read: fn(&Bank) -> u32| match bank {
        Some(bank) if bank.in_flight() != 0 => BankWord::InFlight,
        Some(bank) => BankWord::Is(read(bank)),
        None => BankWord::Is(0),
    };
    match offset >> 7 {
        unit::GROUP => value(find(single), |bank| bank.group()),
        unit::SET_ENABLE | unit::CLEAR_ENABLE => {
            value(find(single), |bank| bank.read(BankRegister::SetEnable, 0))
        }
        unit::SET_PENDING | unit::CLEAR_PENDING => settled(find(single), |bank| bank.pending()),
        unit::SET_ACTIVE | unit::CLEAR_ACTIVE => settled(find(single), |bank| bank.active()),
        unit::PRIORITY..=unit::PRIORITY_LAST => {
            let (bank, sub) = (find((offset >> 5) & 0x1f), (offset >> 2) & 7);
            BankWord::Is(bank.map_or(0, |bank| bank.read(BankRegister::Priority, sub)))
        }
        unit::CONFIGURATION..=unit::CONFIGURATION_LAST => {
            let (bank, sub) = (find((offset >> 3) & 0x1f), (offset >> 2) & 1);
            BankWord::Is(bank.map_or(0, |bank| bank.read(BankRegister::Configuration, sub)))
        }
        _ => BankWord::Elsewhere,
    }
}

impl Distributor {
    /// Reads the 32-bit register at `offset` bytes in the GICD frame. `None` if that takes the long
    /// way, [`VcpuInterrupts::read_distributor`].
    #[inline(always)]
    #[must_use]
    pub fn read_word(&mut self, offset: u32) -> Option<u32> {
        if offset & 3 != 0 {
            return None;
        }
        if offset < 0x80 {
            let word = self.control_word(offset);
            if word.is_none() && !distributor::is_silent_register(offset) {
                self.count_error();
            }
            return Some(word.unwrap_or(0));
        }
        if offset < ARRAYS_END {
            match bank_word(offset, |bank| self.bank(bank)) {
                BankWord::Is(word) => return Some(word),
                BankWord::InFlight => return None,
                BankWord::Elsewhere => {}
            }
        }
        // In the same units.
        match offset >> 7 {
            0xc0..=0xff => {
                let route = self.route((offset >> 3) & 0x3ff);
                Some(low_word(route.wrapping_shr((offset & 4).wrapping_mul(8))))
            }
            // Registers of features that there are not.
            16..=23 | 26 | 28..=0x77 | 0x100..=0x13f | 0x180..=0x1fe => Some(0),
            0x1ff => Some(registers::identification(offset, distributor::PIDR0)),
            // Holes of the frame.
            _ => {
                self.count_error();
                Some(0)
            }
        }
    }
}

/// The bit of an offset that tells the SGI frame from the RD frame.
const SGI_FRAME: u32 = 0x1_0000;

impl VcpuInterrupts {
    /// Reads the 32-bit register at `offset` bytes in this vCPU's redistributor, as
    /// [`crate::Frame::offset`]. `None` if that takes the long way,
    /// [`RedistributorRegion::read_constant`] and [`VcpuInterrupts::read_redistributor`].
    #[inline(always)]
    #[must_use]
    pub fn read_word(&self, region: RedistributorRegion, offset: u32) -> Option<u32> {
        if offset & 3 != 0 {
            return None;
        }
        if offset & SGI_FRAME == 0 {
            return Some(self.read_control_word(region, offset));
        }
        let offset = offset & !SGI_FRAME;
        match bank_word(offset, |bank| (bank == 0).then_some(&self.bank)) {
            BankWord::Is(word) => Some(word),
            BankWord::InFlight => None,
            // Registers of features that there are not, and holes.
            BankWord::Elsewhere => Some(0),
        }
    }

    #[inline(always)]
    fn read_control_word(&self, region: RedistributorRegion, offset: u32) -> u32 {
        match offset {
            gicr::TYPER => low_word(region.typer(self.index)),
            gicr::TYPER_HIGH => low_word(region.typer(self.index) >> 32),
            gicr::IIDR => registers::IMPLEMENTER,
            gicr::WAKER if self.asleep => {
                redistributor::WAKER_PROCESSOR_SLEEP | redistributor::WAKER_CHILDREN_ASLEEP
            }
            registers::IDENTIFICATION.. => registers::identification(offset, redistributor::PIDR0),
            // Registers of features that there are not, and holes.
            _ => 0,
        }
    }
}
