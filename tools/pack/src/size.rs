//! Sizes of memory as users write them.

/// Reads a size such as `512M`, `2G`, `4096K` or a plain number of bytes; `None` if it is none or
/// does not fit in 64 bits. The units are powers of 1024.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 10),
        b'M' => (text.strip_suffix('M')?, 20),
        b'G' => (text.strip_suffix('G')?, 30),
        _ => (text, 0),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1_u64 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(parse_size("512M"), Some(512 * 1024 * 1024));
        assert_eq!(parse_size("2G"), Some(2 << 30));
        assert_eq!(parse_size("4K"), Some(4096));
        assert_eq!(parse_size("2097152"), Some(2 << 20));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "M",
            "-1M",
            "+1M",
            "1.5G",
            "512 M",
            "512m",
            "512MB",
            "1T",
            "17179869184G",
            "ä",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
