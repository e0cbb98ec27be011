//! In front of the kernel: at EL1, MMU off, in the memory map of QEMU's `virt` machine.

use crate::{DIGITS, MARK};
use core::arch::asm;
use core::fmt::{self, Write};

/// The PL011.
const UART_DATA: *mut u32 = 0x0900_0000 as *mut u32;
const UART_FLAGS: *const u32 = 0x0900_0018 as *const u32;
/// The transmit FIFO is full (DDI0183, 3.3.3).
const FLAG_TRANSMIT_FULL: u32 = 1 << 5;

/// Where the kernel follows.
const KERNEL: u64 = 0x4020_0000;

/// What a flattened device tree starts with (Devicetree Specification, 5.2).
const TREE_MAGIC: u32 = 0xd00d_feed;

/// The device tree is printed in lines of so many bytes.
const LINE: usize = 64;

/// Prints the device tree, notes the time in it, and enters the kernel.
#[unsafe(no_mangle)]
extern "C" fn before_kernel(tree: *mut u8) -> ! {
    let word = |index: usize| {
        let mut bytes = [0; 4];
        for (offset, byte) in bytes.iter_mut().enumerate() {
            *byte = get(tree, index * 4 + offset);
        }
        u32::from_be_bytes(bytes)
    };
    if word(0) != TREE_MAGIC {
        stop("x0 is no device tree");
    }
    let size = word(1) as usize;
    print(tree, size);
    let Some(place) = find(tree, size) else {
        stop("the command line has no entry=0000000000000000");
    };
    note(tree, place);
    // SAFETY: whoever made the file put the kernel there, which wants the tree in x0, and x1 to x3
    // zero; nothing of this program is used any more.
    unsafe {
        asm!(
            "br x9",
            in("x0") tree,
            in("x1") 0,
            in("x2") 0,
            in("x3") 0,
            in("x9") KERNEL,
            options(noreturn),
        )
    }
}

/// Prints the device tree for whoever wants to boot another machine with it.
fn print(tree: *const u8, size: usize) {
    line(format_args!("tree {:#x} {size}", tree.addr()));
    for start in (0..size).step_by(LINE) {
        line(format_args!(
            "data {}",
            Hex {
                tree,
                start,
                end: size.min(start + LINE)
            }
        ));
    }
}

/// Returns the offset of the digits after the mark, which must all be 0.
fn find(tree: *const u8, size: usize) -> Option<usize> {
    let last = size.checked_sub(MARK.len() + DIGITS)?;
    (0..=last).find_map(|start| {
        let at = |index: usize| get(tree, start + index);
        let digits = start + MARK.len();
        let here = MARK
            .iter()
            .enumerate()
            .all(|(index, byte)| at(index) == *byte)
            && (0..DIGITS).all(|index| get(tree, digits + index) == b'0');
        here.then_some(digits)
    })
}

/// Writes the virtual counter there.
fn note(tree: *mut u8, place: usize) {
    let now: u64;
    // SAFETY: reading the counter changes nothing.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) now, options(nomem, nostack)) };
    for index in 0..DIGITS {
        let nibble = (now >> (60 - 4 * index)) as u8 & 0xf;
        let digit = if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        };
        let address = tree.wrapping_add(place + index);
        // SAFETY: `find` found the digits in the tree, which is ours until the kernel is entered.
        unsafe { address.write_volatile(digit) };
    }
}

/// Reads a byte of the device tree.
fn get(tree: *const u8, offset: usize) -> u8 {
    let address = tree.wrapping_add(offset);
    // SAFETY: the boot protocol passes a tree of the size that it states, of at least its header's
    // 40 bytes, and callers stay inside.
    unsafe { address.read_volatile() }
}

struct Hex {
    tree: *const u8,
    start: usize,
    end: usize,
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.start..self.end).try_for_each(|offset| write!(f, "{:02x}", get(self.tree, offset)))
    }
}

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(put);
        Ok(())
    }
}

fn put(byte: u8) {
    loop {
        // SAFETY: the PL011's flag register; the machine has one there, and reading is harmless.
        let flags = unsafe { UART_FLAGS.read_volatile() };
        if flags & FLAG_TRANSMIT_FULL == 0 {
            break;
        }
    }
    // SAFETY: the PL011's data register; writing it transmits and touches no memory.
    unsafe { UART_DATA.write_volatile(u32::from(byte)) };
}

fn line(text: fmt::Arguments<'_>) {
    // Writing to the console can't fail.
    let _ = writeln!(Console, "ruler: {text}");
}

fn stop(reason: &str) -> ! {
    line(format_args!("FAILED: {reason}"));
    loop {
        core::hint::spin_loop();
    }
}
