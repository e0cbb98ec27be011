//! The kernel's first process.

use crate::{DIGITS, MARK};
use core::arch::asm;
use core::fmt::{self, Write};

/// System calls of Linux for arm64 (include/uapi/asm-generic/unistd.h).
const WRITE: u64 = 64;
const REBOOT: u64 = 142;
/// What `reboot` wants to be told (include/uapi/linux/reboot.h).
const REBOOT_MAGIC: [u64; 3] = [0xfee1_dead, 672_274_793, 0x4321_fedc];

/// Prints how long the kernel took, and turns the machine off.
///
/// `stack` is the stack that Linux gives a process: the number of arguments, their addresses, null,
/// the addresses of the environment's strings, null. `now` is the counter at the first instruction.
#[unsafe(no_mangle)]
extern "C" fn first_process(stack: *const *const u8, now: u64) -> ! {
    let pointer = |index: usize| {
        let address = stack.wrapping_add(index);
        // SAFETY: callers stop at the null after the environment, which is on the stack.
        unsafe { address.read() }
    };
    let environment = pointer(0).addr() + 2;
    let strings = (environment..)
        .map(pointer)
        .take_while(|string| !string.is_null());
    match strings.into_iter().find_map(entered) {
        Some(before) => line(format_args!("boot {}", now.wrapping_sub(before))),
        None => line(format_args!("FAILED: the environment has no entry=")),
    }
    let [first, second, command] = REBOOT_MAGIC;
    call(REBOOT, first, second, command);
    line(format_args!("FAILED: the machine is still on"));
    loop {
        core::hint::spin_loop();
    }
}

/// Reads the counter out of a string of the environment, if it is that one.
fn entered(string: *const u8) -> Option<u64> {
    let at = |index: usize| {
        let address = string.wrapping_add(index);
        // SAFETY: callers stop at the null that ends the string.
        unsafe { address.read() }
    };
    if !MARK
        .iter()
        .enumerate()
        .all(|(index, byte)| at(index) == *byte)
    {
        return None;
    }
    (MARK.len()..MARK.len() + DIGITS).try_fold(0, |value, index| {
        let digit = char::from(at(index)).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

struct Text {
    bytes: [u8; 80],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.bytes.get_mut(self.length).ok_or(fmt::Error)? = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// Prints a line in one piece, so that the kernel's own don't come in between.
fn line(text: fmt::Arguments<'_>) {
    let mut line = Text {
        bytes: [0; 80],
        length: 0,
    };
    // What does not fit is cut off.
    let _ = writeln!(line, "ruler: {text}");
    call(
        WRITE,
        1,
        line.bytes.as_ptr().expose_provenance() as u64,
        line.length as u64,
    );
}

fn call(number: u64, first: u64, second: u64, third: u64) {
    // SAFETY: the two calls above read the bytes that they are given, at most; of the registers
    // Linux changes x0 only.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") first => _,
            in("x1") second,
            in("x2") third,
            options(nostack),
        );
    }
}
