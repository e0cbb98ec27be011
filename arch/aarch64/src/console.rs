//! The physical PL011: the operator's console, and the log's.

use crate::cpu::ThisCpu;
use addr::PaRange;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use lock::Lock;
use machine::Console;

/// Register offsets (DDI0183, 3.2) and the bits used.
const DR: u64 = 0x0;
const FR: u64 = 0x18;
const CR: u64 = 0x30;
const IMSC: u64 = 0x38;
const ICR: u64 = 0x44;
const FR_RXFE: u32 = 1 << 4;
const FR_TXFF: u32 = 1 << 5;
const RX_AND_TIMEOUT: u32 = 1 << 4 | 1 << 6;
/// UARTEN, TXE, RXE.
const CR_ENABLE: u32 = 1 | 1 << 8 | 1 << 9;

/// How often a full transmit FIFO is looked at in one call before the rest is dropped.
const PATIENCE: u32 = 100_000;

static BASE: AtomicU64 = AtomicU64::new(0);
/// Bytes that were dropped because the UART took none for too long.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Keeps the bytes of one call together.
static OUTPUT: Lock<()> = Lock::new(());

fn read(offset: u64) -> u32 {
    let address = BASE.load(Ordering::Relaxed) + offset;
    // SAFETY: callers have checked that `BASE` is set, so the UART is mapped as device memory.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(offset: u64, value: u32) {
    let address = BASE.load(Ordering::Relaxed) + offset;
    // SAFETY: as in `read`; the UART does no DMA (DMACR is never written).
    unsafe { (address as *mut u32).write_volatile(value) }
}

/// Maps the UART and enables it, with interrupts for what is typed.
pub(crate) fn start(registers: PaRange) {
    BASE.store(crate::setup::map_device(registers), Ordering::Relaxed);
    write(CR, CR_ENABLE);
    write(ICR, 0x7ff);
    write(IMSC, RX_AND_TIMEOUT);
}

fn put_all(bytes: &[u8]) {
    if BASE.load(Ordering::Relaxed) == 0 {
        return;
    }
    let mut patience = PATIENCE;
    for (done, byte) in bytes.iter().enumerate() {
        while read(FR) & FR_TXFF != 0 {
            patience -= 1;
            if patience == 0 {
                let dropped = (bytes.len() - done) as u64;
                DROPPED.fetch_add(dropped, Ordering::Relaxed);
                return;
            }
        }
        write(DR, u32::from(*byte));
    }
}

impl Console for ThisCpu {
    fn write_bytes(&mut self, bytes: &[u8]) {
        let _together = OUTPUT.lock();
        put_all(bytes);
    }

    fn read_byte(&mut self) -> Option<u8> {
        if BASE.load(Ordering::Relaxed) == 0 || read(FR) & FR_RXFE != 0 {
            return None;
        }
        // The upper bits report errors of the line; the byte is passed on as it came.
        Some((read(DR) & 0xff) as u8)
    }
}

/// Writes to the console without its lock: for a CPU that is about to stop, and may hold it.
pub(crate) struct PanicConsole;

impl fmt::Write for PanicConsole {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                put_all(b"\r");
            }
            put_all(&[byte]);
        }
        Ok(())
    }
}
