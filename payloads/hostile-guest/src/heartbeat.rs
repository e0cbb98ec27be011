//! The neighbour: it hashes its own memory for ever.

use crate::say;
use crate::timer;

/// The memory that is hashed: 4 MiB that nothing else uses, well above the guest's image.
const START: usize = 0x4200_0000;
const WORDS: usize = (4 << 20) / 8;

/// The pause between two beats, in milliseconds.
const PAUSE: u64 = 50;

/// Fills the memory and prints its hash again and again; does not return.
pub(crate) fn beat() -> ! {
    for index in 0..WORDS {
        let value = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // SAFETY: the region is RAM of this VM that holds neither the image nor its stacks.
        unsafe { word(index).write_volatile(value) };
    }
    for beat in 0u64.. {
        say!("heartbeat {beat} hash {:#018x}", hash());
        timer::spin(PAUSE);
    }
    unreachable!("2^64 beats");
}

/// Hashes the region (FNV-1a over words).
fn hash() -> u64 {
    (0..WORDS).fold(0xcbf2_9ce4_8422_2325, |hash: u64, index| {
        // SAFETY: the region is RAM that `beat` has filled.
        let value = unsafe { word(index).read_volatile() };
        (hash ^ value).wrapping_mul(0x100_0000_01b3)
    })
}

fn word(index: usize) -> *mut u64 {
    core::ptr::with_exposed_provenance_mut(START + index * 8)
}
