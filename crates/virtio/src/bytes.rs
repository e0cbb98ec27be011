//! Parts of integers, without casts.

/// Returns the low 32 bits.
pub(crate) const fn low_word(value: u64) -> u32 {
    let [b0, b1, b2, b3, ..] = value.to_le_bytes();
    u32::from_le_bytes([b0, b1, b2, b3])
}

/// Returns the high 32 bits.
pub(crate) const fn high_word(value: u64) -> u32 {
    let [.., b4, b5, b6, b7] = value.to_le_bytes();
    u32::from_le_bytes([b4, b5, b6, b7])
}

/// Returns the low 16 bits.
pub(crate) const fn low_half(value: u32) -> u16 {
    let [b0, b1, ..] = value.to_le_bytes();
    u16::from_le_bytes([b0, b1])
}

/// Returns `value` with its low 32 bits replaced.
pub(crate) const fn with_low_word(value: u64, low: u32) -> u64 {
    let [.., b4, b5, b6, b7] = value.to_le_bytes();
    let [b0, b1, b2, b3] = low.to_le_bytes();
    u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7])
}

/// Returns `value` with its high 32 bits replaced.
pub(crate) const fn with_high_word(value: u64, high: u32) -> u64 {
    let [b0, b1, b2, b3, ..] = value.to_le_bytes();
    let [b4, b5, b6, b7] = high.to_le_bytes();
    u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_and_replaced() {
        let value = 0x1122_3344_5566_7788;
        assert_eq!(
            (low_word(value), high_word(value)),
            (0x5566_7788, 0x1122_3344)
        );
        assert_eq!(low_half(0x5566_7788), 0x7788);
        assert_eq!(with_low_word(value, 1), 0x1122_3344_0000_0001);
        assert_eq!(with_high_word(value, 1), 0x0000_0001_5566_7788);
    }
}
