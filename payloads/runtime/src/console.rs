//! Output on the PL011 at the address that QEMU's `virt` machine has it.

use core::fmt::{self, Write};

const DATA: *mut u32 = 0x0900_0000 as *mut u32;
const FLAGS: *const u32 = 0x0900_0018 as *const u32;
/// The transmit FIFO is full (DDI0183, 3.3.3).
const FLAG_TRANSMIT_FULL: u32 = 1 << 5;
/// The receive FIFO is empty.
const FLAG_RECEIVE_EMPTY: u32 = 1 << 4;

/// The console.
pub struct Console;

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

/// Returns a byte that was typed, if there is one.
pub fn get() -> Option<u8> {
    // SAFETY: the PL011's flag register; the machine has one there, and reading is harmless.
    let flags = unsafe { FLAGS.read_volatile() };
    if flags & FLAG_RECEIVE_EMPTY != 0 {
        return None;
    }
    // SAFETY: the PL011's data register; reading takes a byte from the FIFO.
    let byte = unsafe { DATA.cast_const().read_volatile() };
    Some(byte as u8)
}

/// Prints a line that starts with the guest's name.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {{
        use core::fmt::Write;
        // Writing to the console can't fail.
        let _ = writeln!(
            $crate::console::Console,
            "{}: {}",
            $crate::name(),
            format_args!($($argument)*)
        );
    }};
}

pub use crate::say;
