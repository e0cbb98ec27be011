//! The machine's memory.

use guest_image::map;

/// Memory at the address where machine `virt` has it.
#[derive(Debug)]
pub struct Ram {
    bytes: Vec<u8>,
}

impl Ram {
    /// Makes `size` bytes of zeros; the host provides them once they are touched.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            bytes: vec![0; size],
        }
    }

    /// Returns `length` bytes from a guest-physical address on, if all of them are memory.
    #[must_use]
    pub fn get(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = offset(address)?;
        self.bytes.get(start..start.checked_add(length)?)
    }

    /// As [`Ram::get`], to write there.
    pub fn get_mut(&mut self, address: u64, length: usize) -> Option<&mut [u8]> {
        let start = offset(address)?;
        self.bytes.get_mut(start..start.checked_add(length)?)
    }
}

fn offset(address: u64) -> Option<usize> {
    usize::try_from(address.checked_sub(map::RAM_BASE.get())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_memory_as_a_whole_is_given() {
        let mut ram = Ram::new(16);
        let base = map::RAM_BASE.get();
        ram.get_mut(base + 12, 4).unwrap().fill(7);
        assert_eq!(ram.get(base + 8, 8), Some(&[0, 0, 0, 0, 7, 7, 7, 7][..]));
        for (address, length) in [
            (base - 1, 2),
            (base + 12, 5),
            (u64::MAX, 1),
            (base, usize::MAX),
        ] {
            assert_eq!(ram.get(address, length), None);
        }
    }
}
