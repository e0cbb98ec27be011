//! The distributor: the SPIs of a VM, and the GICD frame.

use crate::bank::{Bank, GroupEnables};
use crate::bits::{Bits, bit, low_bits, when};
use crate::effects::{Effects, MAX_VCPUS, VcpuSet};
use crate::recipients::{Disabled, Request, Share, ask};
use crate::registers::{self, Access, BANKED_FRAME, BankRegister, Register};
use addr::{IntId, Width};
use alloc::boxed::Box;
use alloc::vec;
use core::fmt;

/// What a distributor is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The number of SPIs, 0 to 988. The guest sees it rounded up to a multiple of 32
    /// (GICD_TYPER.ITLinesNumber), at most up to INTID 1019.
    pub spi_count: u16,
    /// The number of vCPUs, 1 to [`MAX_VCPUS`].
    pub vcpu_count: u16,
}

/// Why a distributor can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// There are not that many INTIDs for SPIs.
    TooManySpis {
        /// The number that was asked for.
        count: u16,
    },
    /// No vCPU, or more than [`MAX_VCPUS`].
    VcpuCount {
        /// The number that was asked for.
        count: u16,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManySpis { count } => write!(f, "{count} SPIs, but at most 988 exist"),
            Self::VcpuCount { count } => write!(f, "{count} vCPUs, not 1 to {MAX_VCPUS}"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// The level of an interrupt's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Asserted.
    High,
    /// Not asserted.
    Low,
}

/// Whether a vCPU takes interrupts that may go to any vCPU (GICD_IROUTER.Interrupt_Routing_Mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Participation {
    /// It may be chosen.
    Yes,
    /// It is off.
    No,
}

/// What came of a guest's read of the GICD frame.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DistributorRead {
    /// The value, zero-extended.
    Value(u64),
    /// The value depends on other vCPUs' list registers, or others must be told of what was found
    /// in this one's: apply the effects, and let the guest execute the instruction again without
    /// advancing. After every kicked vCPU has called [`crate::VcpuInterrupts::deliver`] or left its
    /// CPU, the read gets its value.
    Again(Effects),
}

/// No vCPU, as a target or a holder.
pub(crate) const NOBODY: u16 = u16::MAX;

/// The distributor of one VM. All methods run under the VM's interrupt lock. It is plain state:
/// equal values behave equally from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distributor {
    pub(crate) config: Config,
    pub(crate) groups: GroupEnables,
    /// The banks of INTIDs 32 on.
    pub(crate) banks: Box<[Bank]>,
    /// GICD_IROUTER of INTIDs 32 on.
    pub(crate) routes: Box<[u64]>,
    /// The index of the vCPU that each SPI goes to, or [`NOBODY`].
    pub(crate) targets: Box<[u16]>,
    /// The index of the vCPU in whose list registers an SPI is, or on which it is active.
    pub(crate) holders: Box<[u16]>,
    /// One for each vCPU.
    pub(crate) requests: Box<[Request]>,
    /// One for each vCPU: `targets` and `holders` the other way round.
    pub(crate) shares: Box<[Share]>,
    /// The banks that may have active interrupts in no list register; never too few.
    pub(crate) active_words: u32,
    /// The number of vCPUs that still have to take back what the guest has disabled: GICD_CTLR.RWP.
    pub(crate) disabling: u16,
    pub(crate) participants: VcpuSet,
    /// Where the search for the next target of a 1-of-N interrupt starts.
    pub(crate) next_target: u16,
    guest_errors: u32,
}

const IROUTER_MASK: u64 = 0xff_80ff_ffff;
pub(crate) const IROUTER_ANY: u64 = 1 << 31;
/// GICD_CTLR: DS and ARE are RAO/WI, RWP stands in bit 31.
const CTLR_FIXED: u32 = 1 << 6 | 1 << 4;
const CTLR_RWP: u32 = 1 << 31;
/// GICD_TYPER: 10 INTID bits, message-based SPIs, Aff3 in routes; 1-of-N is supported.
const TYPER_FIXED: u32 = 1 << 24 | 9 << 19 | 1 << 16;
/// GICD_PIDR0 of Arm's own distributor.
pub(crate) const PIDR0: u8 = 0x92;

mod offset {
    pub(super) const CTLR: u32 = 0x00;
    pub(super) const TYPER: u32 = 0x04;
    pub(super) const IIDR: u32 = 0x08;
    pub(super) const TYPER2: u32 = 0x0c;
    pub(super) const STATUSR: u32 = 0x10;
    pub(super) const SETSPI_NSR: u32 = 0x40;
    pub(super) const CLRSPI_NSR: u32 = 0x48;
    pub(super) const SETSPI_SR: u32 = 0x50;
    pub(super) const CLRSPI_SR: u32 = 0x58;
}

impl Distributor {
    /// Makes a distributor in its reset state; the only function that allocates. Every SPI is routed
    /// to affinity 0.0.0.0, and every vCPU participates in 1-of-N routing.
    ///
    /// # Errors
    /// [`ConfigError`] if the architecture or this model has no room for the numbers.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        if u32::from(config.spi_count) > IntId::LAST_SPI - IntId::FIRST_SPI + 1 {
            return Err(ConfigError::TooManySpis {
                count: config.spi_count,
            });
        }
        if config.vcpu_count == 0 || config.vcpu_count > MAX_VCPUS {
            return Err(ConfigError::VcpuCount {
                count: config.vcpu_count,
            });
        }
        let words = usize::from(config.spi_count.div_ceil(32));
        let spis = words.saturating_mul(32);
        let mut banks = vec![Bank::new(u32::MAX, 0, u32::MAX); words];
        // INTIDs 1020 to 1023 are special.
        if let Some(last) = banks.get_mut(30) {
            *last = Bank::new(low_bits(28), 0, low_bits(28));
        }
        let vcpus = usize::from(config.vcpu_count);
        let mut distributor = Self {
            config,
            groups: GroupEnables::default(),
            banks: banks.into_boxed_slice(),
            routes: vec![0; spis].into_boxed_slice(),
            targets: vec![0; spis].into_boxed_slice(),
            holders: vec![NOBODY; spis].into_boxed_slice(),
            requests: vec![Request::default(); vcpus].into_boxed_slice(),
            shares: vec![Share::default(); vcpus].into_boxed_slice(),
            active_words: 0,
            disabling: 0,
            participants: VcpuSet::first(config.vcpu_count),
            next_target: 0,
            guest_errors: 0,
        };
        distributor.reset_shares();
        Ok(distributor)
    }

    /// Returns to the reset state, when all vCPUs of the VM are at rest. Wires keep their level and
    /// vCPUs their participation: neither is the distributor's.
    pub fn reset(&mut self) {
        self.groups = GroupEnables::default();
        self.banks.iter_mut().for_each(Bank::reset);
        self.routes.fill(0);
        self.reset_shares();
        self.active_words = 0;
        self.next_target = 0;
    }

    /// Returns what the distributor was made for.
    #[must_use]
    pub const fn config(&self) -> Config {
        self.config
    }

    /// Returns the number of accesses with a width, an alignment or an offset that the architecture
    /// does not have; they read as zero and write nothing. It stops at its maximum.
    #[must_use]
    pub const fn guest_errors(&self) -> u32 {
        self.guest_errors
    }

    /// Reads a register at `offset` bytes in the frame. What is pending or active in a list register
    /// is reported as its vCPU last saw it: a guest's reads go through
    /// [`crate::VcpuInterrupts::read_distributor`].
    #[inline]
    pub fn read(&mut self, offset: u64, width: Width) -> u64 {
        match BANKED_FRAME.find(offset, width) {
            Some(access) => self.read_found(access),
            None => self.refuse(),
        }
    }

    /// As [`Distributor::read`], for an access that the frame's map allows.
    #[inline]
    pub(crate) fn read_found(&mut self, access: Access) -> u64 {
        match access.register {
            Register::Bank(register) => access.extract(
                self.bank(access.interrupt >> 5)
                    .map_or(0, |bank| bank.read(register, access.sub)),
            ),
            Register::Route => self.read_route(access),
            Register::Control => self.read_control(access),
            Register::Identification => u64::from(registers::identification(
                access.offset.wrapping_add(registers::IDENTIFICATION),
                PIDR0,
            )),
            Register::Absent => 0,
        }
    }

    /// Writes a register at `offset` bytes in the frame. The effects may name any vCPU of the VM, the
    /// writer too: a guest's writes go through [`crate::VcpuInterrupts::write_distributor`].
    #[inline]
    pub fn write(&mut self, offset: u64, width: Width, value: u64) -> Effects {
        let Some(access) = BANKED_FRAME.find(offset, width) else {
            self.count_error();
            return Effects::NONE;
        };
        match access.register {
            Register::Bank(register) => self.write_bank(register, access, value),
            Register::Route => self.write_route(access, value),
            Register::Control => self.write_control(access, value),
            // Read-only, or not there.
            Register::Identification | Register::Absent => Effects::NONE,
        }
    }

    /// Returns the interrupts in flight that an access is about, if it is to a register that shows
    /// what the guest changes without an exit.
    #[inline]
    pub(crate) fn in_flight_at(&self, access: Access) -> u32 {
        match access.register {
            Register::Bank(register) if register.shows_flight() => self
                .bank(access.interrupt >> 5)
                .map_or(0, |bank| bank.in_flight()),
            Register::Bank(_)
            | Register::Route
            | Register::Control
            | Register::Identification
            | Register::Absent => 0,
        }
    }

    /// Counts a guest's error; returns what the guest then reads.
    #[cold]
    pub(crate) fn refuse(&mut self) -> u64 {
        self.count_error();
        0
    }

    #[inline]
    pub(crate) fn count_error(&mut self) {
        self.guest_errors = self.guest_errors.saturating_add(1);
    }

    #[inline(never)]
    fn read_control(&mut self, access: Access) -> u64 {
        if access.width != Width::Word {
            return self.read_halfword(access);
        }
        if let Some(word) = self.control_word(access.offset) {
            return u64::from(word);
        }
        if !is_silent_register(access.offset) {
            self.count_error();
        }
        0
    }

    /// Reads one of the single 32-bit registers that don't read as zero.
    #[inline(always)]
    pub(crate) fn control_word(&self, offset: u32) -> Option<u32> {
        Some(match offset {
            offset::CTLR => {
                let pending = when(self.disabling != 0, CTLR_RWP);
                CTLR_FIXED | self.groups.control() | pending
            }
            offset::TYPER => TYPER_FIXED | low_lines(self.banks.len()),
            offset::IIDR => registers::IMPLEMENTER,
            _ => return None,
        })
    }

    fn read_halfword(&mut self, access: Access) -> u64 {
        if !is_message_register(access.offset) {
            self.count_error();
        }
        0
    }

    fn write_control(&mut self, access: Access, value: u64) -> Effects {
        if access.width != Width::Word && !is_message_register(access.offset) {
            self.count_error();
            return Effects::NONE;
        }
        let word = registers::low_word(value);
        match access.offset {
            offset::CTLR => self.write_ctlr(word),
            offset::SETSPI_NSR => self.message(word, Level::High),
            offset::CLRSPI_NSR => self.message(word, Level::Low),
            // Read-only, or of the Secure state, which there is not.
            offset::TYPER
            | offset::IIDR
            | offset::TYPER2
            | offset::STATUSR
            | offset::SETSPI_SR
            | offset::CLRSPI_SR => Effects::NONE,
            _ => {
                self.count_error();
                Effects::NONE
            }
        }
    }

    /// Enables and disables groups. Every vCPU that runs must learn it, for its private interrupts
    /// too; RWP reads as 1 until all have taken back what was disabled.
    #[inline(never)]
    fn write_ctlr(&mut self, value: u32) -> Effects {
        let groups = GroupEnables::from_control(value);
        if groups == self.groups {
            return Effects::NONE;
        }
        let disabled = if self.groups.control() & !groups.control() == 0 {
            Disabled::Nothing
        } else {
            Disabled::Some
        };
        self.groups = groups;
        self.ask_all(disabled);
        Effects {
            kick: VcpuSet::first(self.config.vcpu_count),
            ..Effects::NONE
        }
    }

    fn write_bank(&mut self, register: BankRegister, access: Access, value: u64) -> Effects {
        let word = access.interrupt >> 5;
        let groups = self.groups;
        let Some(bank) = self.bank_mut(word) else {
            return Effects::NONE;
        };
        let before = bank.wanted(groups);
        let (value, mask) = access.insert(value);
        let affected = bank.write(register, access.sub, value, mask);
        let fresh = bank.wanted(groups) & (!before | affected);
        let inside = affected & bank.in_flight();
        let activated = match register {
            BankRegister::SetActive => affected & !bank.in_flight(),
            BankRegister::Group
            | BankRegister::SetEnable
            | BankRegister::ClearEnable
            | BankRegister::SetPending
            | BankRegister::ClearPending
            | BankRegister::ClearActive
            | BankRegister::Priority
            | BankRegister::Configuration => 0,
        };
        let mut effects = Effects::NONE;
        for number in Bits(activated) {
            self.adopt_active(word, number);
        }
        let asks = if register == BankRegister::ClearEnable {
            ask::REFOLD | ask::DISABLING
        } else {
            ask::REFOLD
        };
        for number in Bits(inside | activated) {
            let holder = self.holder(word, number);
            self.ask(holder, asks, &mut effects);
        }
        for number in Bits(fresh) {
            self.retarget(word, number);
            self.notify(word, number, &mut effects);
        }
        effects
    }

    fn read_route(&self, access: Access) -> u64 {
        let route = self.route(access.interrupt);
        match access.width {
            Width::Double => route,
            Width::Byte | Width::Half | Width::Word if access.offset & 4 != 0 => route >> 32,
            Width::Byte | Width::Half | Width::Word => route & Width::Word.mask(),
        }
    }

    fn write_route(&mut self, access: Access, value: u64) -> Effects {
        let id = access.interrupt;
        let old = self.route(id);
        let new = match access.width {
            Width::Double => value,
            Width::Byte | Width::Half | Width::Word if access.offset & 4 != 0 => {
                (old & Width::Word.mask()) | value << 32
            }
            Width::Byte | Width::Half | Width::Word => {
                (old & !Width::Word.mask()) | (value & Width::Word.mask())
            }
        } & IROUTER_MASK;
        if new == old {
            return Effects::NONE;
        }
        self.set_route(id, new)
    }

    /// Returns GICD_IROUTER of an INTID.
    pub(crate) fn route(&self, id: u32) -> u64 {
        self.routes.get(spi_index(id)).copied().unwrap_or(0)
    }

    /// Returns the bank of register word `word`; none for word 0, whose interrupts are the vCPUs'.
    #[inline]
    pub(crate) fn bank(&self, word: u32) -> Option<&Bank> {
        self.banks.get((word as usize).wrapping_sub(1))
    }

    /// As [`Distributor::bank`], to change it.
    #[inline]
    pub(crate) fn bank_mut(&mut self, word: u32) -> Option<&mut Bank> {
        self.banks.get_mut((word as usize).wrapping_sub(1))
    }

    /// Returns a word with a bit for each bank.
    pub(crate) fn all_words(&self) -> u32 {
        low_lines(self.banks.len())
            .checked_add(1)
            .map_or(0, |count| low_bits(count) & !bit(0))
    }
}

/// Returns the index of an SPI in the arrays; out of bounds for private interrupts.
#[inline]
pub(crate) const fn spi_index(id: u32) -> usize {
    (id as usize).wrapping_sub(32)
}

/// Returns GICD_TYPER.ITLinesNumber for a number of banks.
fn low_lines(banks: usize) -> u32 {
    u32::try_from(banks & 0x1f).unwrap_or(0)
}

/// Tells whether a single register exists and reads as zero; the message registers are write-only.
#[inline]
pub(crate) const fn is_silent_register(offset: u32) -> bool {
    matches!(
        offset,
        offset::TYPER2
            | offset::STATUSR
            | offset::SETSPI_NSR
            | offset::CLRSPI_NSR
            | offset::SETSPI_SR
            | offset::CLRSPI_SR
    )
}

const fn is_message_register(offset: u32) -> bool {
    offset >= offset::SETSPI_NSR && offset <= offset::CLRSPI_SR && offset & 7 == 0
}
