//! Output on the PL011, or what looks like one, where the device tree has it.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

static BASE: AtomicUsize = AtomicUsize::new(0);
/// The flag register (DDI0183, 3.3.3); the data register is the first.
const FLAGS: usize = 0x18;
/// The transmit FIFO is full (DDI0183, 3.3.3).
const FLAG_TRANSMIT_FULL: u32 = 1 << 5;

/// Notes where the console is.
pub(crate) fn found(base: usize) {
    BASE.store(base, Ordering::Relaxed);
}

/// Returns the address of the console's flag register.
pub(crate) fn flags() -> usize {
    BASE.load(Ordering::Relaxed) + FLAGS
}

/// The console.
pub(crate) struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            put(byte);
        }
        Ok(())
    }
}

fn put(byte: u8) {
    let base = BASE.load(Ordering::Relaxed);
    if base == 0 {
        return;
    }
    let flags = core::ptr::with_exposed_provenance::<u32>(flags());
    let data = core::ptr::with_exposed_provenance_mut::<u32>(base);
    loop {
        // SAFETY: the PL011's flag register; the device tree has one there, and reading is harmless.
        let flags = unsafe { flags.read_volatile() };
        if flags & FLAG_TRANSMIT_FULL == 0 {
            break;
        }
    }
    // SAFETY: the PL011's data register; writing it transmits and touches no memory.
    unsafe { data.write_volatile(u32::from(byte)) };
}

/// Prints a line that starts with the guest's name.
macro_rules! say {
    ($($argument:tt)*) => {{
        use core::fmt::Write;
        // Writing to the console can't fail.
        let _ = writeln!(
            $crate::console::Console,
            "bench: {}",
            format_args!($($argument)*)
        );
    }};
}

pub(crate) use say;
