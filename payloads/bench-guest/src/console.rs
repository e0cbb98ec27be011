//! Output on the PL011 at the address that QEMU's `virt` machine has it.

use core::fmt::{self, Write};

const DATA: *mut u32 = 0x0900_0000 as *mut u32;
const FLAGS: *const u32 = 0x0900_0018 as *const u32;
/// The transmit FIFO is full (DDI0183, 3.3.3).
const FLAG_TRANSMIT_FULL: u32 = 1 << 5;

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
    loop {
        // SAFETY: the PL011's flag register; the machine has one there, and reading is harmless.
        let flags = unsafe { FLAGS.read_volatile() };
        if flags & FLAG_TRANSMIT_FULL == 0 {
            break;
        }
    }
    // SAFETY: the PL011's data register; writing it transmits and touches no memory.
    unsafe { DATA.write_volatile(u32::from(byte)) };
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
