//! The machine's console.

/// The physical UART that the operator sits at.
pub trait Console {
    /// Writes bytes as they are; waits for room for a bounded time, then drops the rest and counts
    /// it.
    fn write_bytes(&mut self, bytes: &[u8]);

    /// Takes the next byte that was typed, if any.
    fn read_byte(&mut self) -> Option<u8>;
}
