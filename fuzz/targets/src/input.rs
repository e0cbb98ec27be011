//! The bytes of an input as a sequence of choices.

/// What is left of an input. Behind its end there are zeros.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Begins with the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Tells whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// Takes a byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }

    /// Takes 16 bits.
    pub fn half(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    /// Takes 32 bits.
    pub fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    /// Takes 64 bits.
    pub fn double(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// Takes a number below `count`, which is at most 256 and not 0.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// Takes one of `choices`.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Takes a yes or a no.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    /// Takes a number of 64 bits: a small one, a single bit, all ones, a byte everywhere, or any.
    pub fn value(&mut self) -> u64 {
        match self.below(6) {
            0 => u64::from(self.byte()),
            1 => 1 << (self.byte() & 63),
            2 => u64::MAX << (self.byte() & 63),
            3 => u64::from(self.byte()) * 0x0101_0101_0101_0101,
            4 => u64::from(self.word()),
            _ => self.double(),
        }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let count = N.min(self.rest.len());
        let (head, tail) = self.rest.split_at(count);
        bytes[..count].copy_from_slice(head);
        self.rest = tail;
        bytes
    }
}
