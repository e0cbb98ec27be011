//! The functions that the compiler calls by name, against loops that move one byte at a time.

use core::ffi::c_void;
use core::hint::black_box;

unsafe extern "C" {
    fn memmove(destination: *mut c_void, source: *const c_void, size: usize) -> *mut c_void;
    fn memcpy(destination: *mut c_void, source: *const c_void, size: usize) -> *mut c_void;
    fn memset(destination: *mut c_void, byte: i32, size: usize) -> *mut c_void;
    fn memcmp(left: *const c_void, right: *const c_void, size: usize) -> i32;
}

/// As much memory as the largest call and its surroundings need, in bytes.
const SIZE: usize = 512;
/// The largest call, in bytes: over twice what a turn of the longest loop moves.
const LARGEST: usize = 200;
type Memory = [u8; SIZE];

/// Calls each function for all sizes, alignments and overlaps; returns how many calls there were,
/// and how many of them did something else than they should.
pub(crate) fn try_all() -> (u32, u32) {
    let mut calls = 0;
    let mut wrong = 0;
    let mut check = |right: bool| {
        calls += 1;
        wrong += u32::from(!right);
    };
    for size in 0..=LARGEST {
        for to in 0..17 {
            check(set(128 + to, size));
            for apart in [0, 1, 7, 8, 15, 16, 17, 63, 64, 65] {
                check(moved(128 + to, 128 + to + apart, size));
                check(moved(128 + to + apart, 128 + to, size));
            }
        }
        for from in 0..9 {
            check(copied(from, size));
            check(compared(from, size));
        }
    }
    (calls, wrong)
}

fn pattern() -> Memory {
    let mut memory = [0; SIZE];
    for (index, byte) in memory.iter_mut().enumerate() {
        *byte = (index * 7 + index / 251) as u8;
    }
    black_box(memory)
}

/// Moves bytes one at a time; `black_box` keeps the compiler from calling what is tested.
fn move_bytes(memory: &mut Memory, to: usize, from: usize, size: usize) {
    let before = *memory;
    for index in 0..size {
        memory[to + index] = black_box(before[from + index]);
    }
}

/// Compares one byte at a time.
fn same(left: &Memory, right: &Memory) -> bool {
    (0..SIZE).all(|index| black_box(left[index]) == black_box(right[index]))
}

fn moved(to: usize, from: usize, size: usize) -> bool {
    let mut memory = pattern();
    let mut expected = pattern();
    move_bytes(&mut expected, to, from, size);
    let start = memory.as_mut_ptr();
    // SAFETY: `to` and `from` are below 128 + 17 + 65 and `size` is at most `LARGEST`, so both ranges
    // lie in `memory`.
    let returned = unsafe {
        memmove(
            start.wrapping_add(to).cast(),
            start.wrapping_add(from).cast(),
            size,
        )
    };
    returned == start.wrapping_add(to).cast() && same(&memory, &expected)
}

fn copied(from: usize, size: usize) -> bool {
    let source = pattern();
    let mut memory = [0; SIZE];
    let mut expected = [0; SIZE];
    for index in 0..size {
        expected[64 + index] = black_box(source[from + index]);
    }
    let to = memory.as_mut_ptr().wrapping_add(64);
    // SAFETY: both ranges lie in their arrays, which are two.
    let returned = unsafe { memcpy(to.cast(), source.as_ptr().wrapping_add(from).cast(), size) };
    returned == to.cast() && same(&memory, &expected)
}

fn set(to: usize, size: usize) -> bool {
    let mut memory = pattern();
    let mut expected = pattern();
    for index in 0..size {
        expected[to + index] = black_box(0xa5);
    }
    let start = memory.as_mut_ptr().wrapping_add(to);
    // SAFETY: the range lies in `memory`. More than a byte of the value is to be ignored.
    let returned = unsafe { memset(start.cast(), 0x12a5, size) };
    returned == start.cast() && same(&memory, &expected)
}

/// Compares what is equal, and then differs in one byte, up and down, wherever that stands.
fn compared(from: usize, size: usize) -> bool {
    let left = pattern();
    let compare = |right: &Memory| {
        let right = right.as_ptr().wrapping_add(from);
        // SAFETY: both ranges lie in their arrays.
        unsafe { memcmp(left.as_ptr().wrapping_add(from).cast(), right.cast(), size) }
    };
    if compare(&left) != 0 {
        return false;
    }
    (from..from + size).all(|place| {
        let mut right = left;
        right[place] = left[place].wrapping_add(1);
        // A later difference the other way must not decide.
        if place + 1 < from + size {
            right[place + 1] = left[place + 1].wrapping_sub(1);
        }
        let order = left[place].cmp(&right[place]);
        compare(&right).cmp(&0) == order
    })
}
