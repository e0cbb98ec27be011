//! Every instruction in EL2, from the emulator's log: what the guest's clock can't tell.
//!
//! The emulator translates one instruction at a time and logs each that it executes in the image's
//! addresses, and each exception. So a stay in EL2 is what stands between an exception that goes to
//! EL2 and the return to EL1. This takes a line for each instruction, so runs are short.

use super::guest::{Guest, Setup};
use crate::images::Image;
use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the image is linked, and an address after it.
const IMAGE: std::ops::Range<u64> = 0x8000_0000_0000..0x8000_0400_0000;
/// Where the emulator loads it: it runs there until its MMU is on. The guest lies below.
const LOADED: std::ops::Range<u64> = 0x4020_0000..0x4100_0000;

/// The code of the image.
pub(super) struct Code {
    text: Vec<u8>,
    base: u64,
    /// The functions that zero memory, by their addresses.
    zeroing: Vec<std::ops::Range<u64>>,
}

/// What an instruction is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Barrier,
    Tlb,
    Read,
    Write,
    Other,
}

impl Kind {
    /// Decodes the system instructions (Arm ARM, C4.1.86).
    fn of(word: u32) -> Self {
        match word {
            // CLREX to ISB: hints and PSTATE accesses have other values of CRn.
            _ if word & 0xffff_f000 == 0xd503_3000 => Self::Barrier,
            _ if word & 0xfff8_f000 == 0xd508_8000 => Self::Tlb,
            _ if word & 0xfff0_0000 == 0xd530_0000 => Self::Read,
            _ if word & 0xfff0_0000 == 0xd510_0000 => Self::Write,
            _ => Self::Other,
        }
    }
}

impl Code {
    /// Reads the image's code.
    pub(super) fn read(elf: &Path) -> Result<Self> {
        let bytes = std::fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
        let file = object::File::parse(&*bytes).context("the image is no ELF")?;
        let section = file.section_by_name(".text").context("there is no .text")?;
        let zeroing = file
            .symbols()
            .filter(|symbol| {
                let name = symbol.name().unwrap_or_default();
                name.contains("zero") && symbol.size() != 0
            })
            .map(|symbol| symbol.address()..symbol.address() + symbol.size())
            .collect();
        Ok(Self {
            text: section.data()?.to_vec(),
            base: section.address(),
            zeroing,
        })
    }

    fn kind(&self, address: u64) -> Kind {
        let offset = address.checked_sub(self.base).map(|offset| offset as usize);
        offset
            .and_then(|offset| self.text.get(offset..offset + 4))
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(Kind::Other, |bytes| Kind::of(u32::from_le_bytes(bytes)))
    }

    fn zeroes(&self, address: u64) -> bool {
        self.zeroing.iter().any(|range| range.contains(&address))
    }
}

/// One stay in EL2.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Stay {
    /// The last mark that the guest set before it.
    pub(super) mark: u16,
    /// The emulator's name of the exception, and its class.
    pub(super) reason: String,
    /// How many instructions were executed.
    pub(super) instructions: u64,
    #[serde(skip)]
    addresses: Vec<u64>,
}

/// What stands on one way through EL2.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HotPath {
    /// What the guest did.
    pub(super) operation: &'static str,
    /// All instructions.
    pub(super) instructions: u64,
    /// DSB, DMB, ISB.
    pub(super) barriers: u64,
    /// TLBI.
    pub(super) tlb: u64,
    /// MRS.
    pub(super) reads: u64,
    /// MSR.
    pub(super) writes: u64,
}

/// What a trace showed.
#[derive(Default)]
pub(super) struct Trace {
    /// From the first instruction to the guest's first, without zeroing memory.
    pub(super) entry: u64,
    /// As `entry`, with everything.
    pub(super) entry_total: u64,
    pub(super) longest: Option<Stay>,
    /// Exits by reason: how many, and instructions of the shortest and the longest.
    pub(super) reasons: BTreeMap<String, (u64, u64, u64)>,
    /// The last stay after each mark, by reason.
    last: BTreeMap<(u16, String), Stay>,
}

/// The marks of the guest's rows and what stands in an exit there, by the start of the reason.
const HOT: &[(u16, &str, &str)] = &[
    (1, "HVC", "null hypercall"),
    (2, "HVC", "PSCI_VERSION"),
    (3, "HVC", "unknown hypercall"),
    (4, "data abort, load", "GICD_TYPER"),
    (5, "data abort, load", "GICD_ISENABLER2"),
    (6, "system register", "ID register"),
    (7, "data abort, load", "PL011 flags"),
    (7, "data abort, store", "PL011 data"),
    (8, "system register", "SGI to itself"),
    (10, "IRQ", "virtual timer"),
    (30, "WFI", "vCPU switch"),
];

/// Names the ways through EL2 that a trace tells apart.
pub(super) fn ways() -> impl Iterator<Item = &'static str> {
    HOT.iter().map(|(_, _, operation)| *operation)
}

impl Trace {
    /// Counts what stands on the ways that [`HOT`] names, as far as they were gone: of each the
    /// shortest exit, which is not that of the guest's own output.
    pub(super) fn paths(&self, code: &Code) -> Vec<HotPath> {
        let path = |&(mark, reason, operation): &(u16, &str, &'static str)| {
            let stay = self.last.get(&(mark, reason.to_owned()))?;
            let count = |kind| {
                let kinds = stay.addresses.iter().map(|address| code.kind(*address));
                kinds.filter(|other| *other == kind).count() as u64
            };
            Some(HotPath {
                operation,
                instructions: stay.instructions,
                barriers: count(Kind::Barrier),
                tlb: count(Kind::Tlb),
                reads: count(Kind::Read),
                writes: count(Kind::Write),
            })
        };
        HOT.iter().filter_map(path).collect()
    }

    /// Returns the addresses of the instructions on one of the ways that [`ways`] names.
    pub(super) fn way(&self, operation: &str) -> Option<&[u64]> {
        let (mark, reason, _) = HOT.iter().find(|(_, _, name)| *name == operation)?;
        let stay = self.last.get(&(*mark, (*reason).to_owned()))?;
        Some(&stay.addresses)
    }

    fn end(&mut self, stay: Stay) {
        let entry = (0, u64::MAX, 0);
        let (count, least, most) = self.reasons.entry(stay.reason.clone()).or_insert(entry);
        *count += 1;
        *least = (*least).min(stay.instructions);
        *most = (*most).max(stay.instructions);
        let longest = self.longest.as_ref().map_or(0, |stay| stay.instructions);
        if stay.instructions > longest {
            self.longest = Some(stay.clone());
        }
        let place = self.last.entry((stay.mark, stay.reason.clone()));
        place
            .and_modify(|last| {
                if stay.instructions < last.instructions {
                    *last = stay.clone();
                }
            })
            .or_insert(stay);
    }
}

/// Reads the log line by line.
struct Reader<'a> {
    code: &'a Code,
    trace: Trace,
    /// The guest has run.
    entered: bool,
    exception: String,
    mark: u16,
    stay: Option<Stay>,
    before: u64,
}

impl Reader<'_> {
    fn take(&mut self, line: &[u8]) {
        if let Some(address) = address(line) {
            // An instruction that the emulator began and gave up (its time was over) is logged again.
            if address != self.before {
                self.execute(address);
            }
            self.before = address;
            return;
        }
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if let Some(rest) = text.strip_prefix("Taking exception ") {
            self.exception = exception_name(rest).to_owned();
        } else if text == "...from EL1 to EL2" || text == "...from EL0 to EL2" {
            self.stay = Some(Stay {
                mark: self.mark,
                reason: self.exception.clone(),
                ..Stay::default()
            });
        } else if let Some(esr) = text.strip_prefix("...with ESR ") {
            self.syndrome(esr);
        } else if text.starts_with("Exception return from AArch64 EL2 to AArch64 EL1") {
            self.entered = true;
            if let Some(stay) = self.stay.take() {
                self.trace.end(stay);
            }
        }
    }

    fn execute(&mut self, address: u64) {
        if !self.entered {
            self.trace.entry_total += 1;
            self.trace.entry += u64::from(!self.code.zeroes(address));
        } else if let Some(stay) = &mut self.stay {
            stay.instructions += 1;
            // A long stay's addresses are of no use.
            if stay.instructions < 10_000 {
                stay.addresses.push(address);
            }
        }
    }

    fn syndrome(&mut self, text: &str) {
        let Some(stay) = &mut self.stay else { return };
        // For these the emulator logs the syndrome of the exception before.
        if ASYNCHRONOUS.contains(&stay.reason.as_str()) {
            return;
        }
        let Some(esr) = parse_esr(text) else { return };
        stay.reason = reason(esr).to_owned();
        if esr >> 26 == 0x16 && esr & 0xffff != 0 {
            stay.reason = "mark".to_owned();
            self.mark = (esr & 0xffff) as u16;
        }
    }
}

/// What the emulator calls exceptions that have no syndrome of their own.
const ASYNCHRONOUS: [&str; 2] = ["IRQ", "FIQ"];

/// Returns the name in `13 [Hypervisor Call] on CPU 0`.
fn exception_name(text: &str) -> &str {
    text.split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or("", |(name, _)| name)
}

/// Returns the syndrome in `0x16/0x5a000000`.
fn parse_esr(text: &str) -> Option<u32> {
    let (_, esr) = text.split_once('/')?;
    u32::from_str_radix(esr.trim_start_matches("0x"), 16).ok()
}

/// Names an exception class (Arm ARM, D24.2.40).
fn reason(esr: u32) -> &'static str {
    match esr >> 26 {
        0x01 => "WFI",
        0x07 => "FP/SIMD",
        0x16 => "HVC",
        0x17 => "SMC",
        0x18 => "system register",
        0x20 => "instruction abort",
        // WnR.
        0x24 if esr & 1 << 6 == 0 => "data abort, load",
        0x24 => "data abort, store",
        _ => "other",
    }
}

/// Returns the address in a line such as `Trace 0: 0x7f… [00000000/0000800000001134/…] name`.
fn address(line: &[u8]) -> Option<u64> {
    if !line.starts_with(b"Trace ") {
        return None;
    }
    let start = line.iter().position(|byte| *byte == b'/')? + 1;
    let digits = line.get(start..start + 16)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Reads the log of a machine, which `log` runs with more arguments for the emulator.
pub(super) fn run(
    code: &Code,
    log: impl FnOnce(&[&str], &mut dyn FnMut(&[u8])) -> Result<()>,
) -> Result<Trace> {
    let mut reader = Reader {
        code,
        trace: Trace::default(),
        entered: false,
        exception: String::new(),
        mark: 0,
        stay: None,
        before: 0,
    };
    let range =
        |range: &std::ops::Range<u64>| format!("{:#x}+{:#x}", range.start, range.end - range.start);
    let filter = format!("{},{}", range(&IMAGE), range(&LOADED));
    let extra = [
        "-accel",
        "tcg,one-insn-per-tb=on",
        "-d",
        "int,exec,nochain",
        "-dfilter",
        &filter,
    ];
    log(&extra, &mut |line| reader.take(line))?;
    Ok(reader.trace)
}

/// Has the guest compute and counts the exits between its two marks.
pub(super) fn count_exits(
    guest: &Guest<'_>,
    image: &Image,
    instructions: u64,
    mark: u16,
) -> Result<u64> {
    let mut marks = Vec::new();
    let mut exits = 0_u64;
    let setup = Setup::single("compute", instructions);
    guest.log(image, &setup, &["-d", "int"], &mut |line| {
        let text = String::from_utf8_lossy(line);
        if let Some((_, esr)) = text.trim_end().split_once("/0x5a00") {
            marks.push((u16::from_str_radix(esr, 16).unwrap_or(0), exits));
        } else if text.starts_with("...from EL") && text.trim_end().ends_with("to EL2") {
            exits += 1;
        }
    })?;
    let at = |wanted| marks.iter().find(|(mark, _)| *mark == wanted);
    let (_, first) = at(mark).context("the guest set no mark")?;
    let (_, last) = at(mark + 1).context("the guest did not finish")?;
    // The second mark is an exit itself.
    Ok(last.saturating_sub(*first).saturating_sub(1))
}

/// Counts the exits of a machine by reason, which `log` runs with more arguments for the emulator.
pub(super) fn count_reasons(
    log: impl FnOnce(&[&str], &mut dyn FnMut(&[u8])) -> Result<()>,
) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    let mut exit = ExitLines::default();
    log(&["-d", "int"], &mut |line| {
        if let Some(reason) = exit.take(line) {
            *counts.entry(reason).or_insert(0) += 1;
        }
    })?;
    Ok(counts)
}

/// Reads the lines that the emulator logs of an exception.
#[derive(Default)]
struct ExitLines {
    exception: String,
    to_el2: bool,
}

impl ExitLines {
    /// Returns the reason at the last line of an exception that went to EL2.
    fn take(&mut self, line: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if let Some(rest) = text.strip_prefix("Taking exception ") {
            self.exception = exception_name(rest).to_owned();
        } else if text.starts_with("...from EL") {
            self.to_el2 = text == "...from EL1 to EL2" || text == "...from EL0 to EL2";
        } else if let Some(esr) = text.strip_prefix("...with ESR ") {
            if self.to_el2 && !ASYNCHRONOUS.contains(&self.exception.as_str()) {
                self.exception = reason(parse_esr(esr)?).to_owned();
            }
        } else if text.starts_with("...to EL2 ") && self.to_el2 {
            self.to_el2 = false;
            return Some(self.exception.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_instructions_are_told_apart() {
        for (word, kind) in [
            (0xd503_3fdf, Kind::Barrier), // isb
            (0xd503_3b9f, Kind::Barrier), // dsb ish
            (0xd503_201f, Kind::Other),   // nop
            (0xd50c_83df, Kind::Tlb),     // tlbi vmalls12e1is
            (0xd53c_5202, Kind::Read),    // mrs x2, esr_el2
            (0xd51c_4022, Kind::Write),   // msr elr_el2, x2
            (0xd69f_03e0, Kind::Other),   // eret
        ] {
            assert_eq!(Kind::of(word), kind, "{word:#x}");
        }
    }

    #[test]
    fn exits_are_counted_by_reason_and_exceptions_of_the_guest_are_not() {
        let log = "Taking exception 4 [Data Abort] on CPU 0\n...from EL1 to EL2\n\
                   ...with ESR 0x24/0x93800007\n...with FAR 0xffff800080015000\n...with ELR 0x1\n\
                   ...to EL2 PC 0x800000001400 PSTATE 0x3c9\n\
                   Exception return from AArch64 EL2 to AArch64 EL1 PC 0xffff800080a3c4ac\n\
                   Taking exception 5 [IRQ] on CPU 0\n...from EL0 to EL2\n...with ESR 0x24/0x93800007\n\
                   ...with SPSR 0x60000005\n...to EL2 PC 0x800000001480 PSTATE 0x3c9\n\
                   Taking exception 2 [SVC] on CPU 0\n...from EL0 to EL1\n...with ESR 0x15/0x56000000\n\
                   ...to EL1 PC 0xffff800080010c00 PSTATE 0x3c5\n";
        let mut exits = ExitLines::default();
        let reasons: Vec<String> = log
            .lines()
            .filter_map(|line| exits.take(line.as_bytes()))
            .collect();
        assert_eq!(reasons, ["data abort, load", "IRQ"]);
    }

    #[test]
    fn a_stay_lasts_from_the_exception_to_the_return() {
        let code = Code {
            text: Vec::new(),
            base: 0,
            zeroing: std::iter::once(0x100..0x200).collect(),
        };
        let mut reader = Reader {
            code: &code,
            trace: Trace::default(),
            entered: false,
            exception: String::new(),
            mark: 0,
            stay: None,
            before: 0,
        };
        let step = |address: u64| format!("Trace 0: 0x7f [00000000/{address:016x}/61/ff] \n");
        let back = "Exception return from AArch64 EL2 to AArch64 EL1 PC 0x40080000\n".to_owned();
        let call = |immediate: u32| {
            format!(
                "Taking exception 13 [Hypervisor Call] on CPU 0\n...from EL1 to EL2\n\
                 ...with ESR 0x16/{:#x}\n",
                0x5a00_0000 | immediate
            )
        };
        let log = [
            step(0x40),
            step(0x104),
            back.clone(),
            call(7),
            step(0x400),
            step(0x400),
            step(0x404),
            back.clone(),
            call(0),
            step(0x400),
            back.clone(),
            "Taking exception 5 [IRQ] on CPU 0\n...from EL1 to EL2\n...with ESR 0x16/0x5a000007\n"
                .to_owned(),
            step(0x480),
            step(0x484),
            step(0x488),
            back,
        ];
        for line in log.concat().lines() {
            reader.take(line.as_bytes());
        }
        let trace = reader.trace;
        assert_eq!((trace.entry, trace.entry_total), (1, 2));
        assert_eq!(trace.longest.as_ref().unwrap().instructions, 3);
        assert_eq!(trace.reasons["IRQ"], (1, 3, 3));
        assert_eq!(trace.reasons["mark"], (1, 2, 2));
        assert_eq!(trace.reasons["HVC"], (1, 1, 1));
        assert_eq!(trace.last[&(7, "HVC".to_owned())].instructions, 1);
    }
}
