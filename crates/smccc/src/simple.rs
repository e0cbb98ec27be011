//! Calls whose answer never changes: served on the exit path before anything is decoded.

/// SMCCC_VERSION.
pub(crate) const SMCCC_VERSION: u32 = 0x8000_0000;
/// PSCI_VERSION.
pub(crate) const PSCI_VERSION: u32 = 0x8400_0000;
/// PSCI MIGRATE_INFO_TYPE.
pub(crate) const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;

/// The simple calls: function identifier and x0 of the answer. All others registers are preserved.
///
/// PSCI 1.1 (DEN0022, 5.1.1); SMCCC 1.2, the last version without the SVE hint in the identifier
/// (DEN0028, 7.2); no Trusted OS that would have to migrate (DEN0022, 5.1.6).
pub const SIMPLE: [(u32, u64); 3] = [
    (PSCI_VERSION, 0x1_0001),
    (SMCCC_VERSION, 0x1_0002),
    (MIGRATE_INFO_TYPE, 2),
];

/// Answers a call with immediate 0 whose x0 is given, if its answer never changes: the new x0.
#[inline(always)]
#[must_use]
pub const fn simple_answer(x0: u64) -> Option<u64> {
    // Written out, so that the compiler sees constants; a test compares it with the table.
    match x0 & 0xffff_ffff {
        0x8400_0000 => Some(0x1_0001),
        0x8000_0000 => Some(0x1_0002),
        0x8400_0006 => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_function_agree() {
        for (id, answer) in SIMPLE {
            assert_eq!(simple_answer(u64::from(id)), Some(answer));
        }
        let answered = (0x8000_0000..0x8000_0100_u64)
            .chain(0x8400_0000..0x8400_0100)
            .chain(0xc400_0000..0xc400_0100)
            .chain(0..0x100)
            .filter(|x0| simple_answer(*x0).is_some());
        assert_eq!(answered.count(), SIMPLE.len());
    }

    #[test]
    fn c6_dirty_top_halves_are_ignored() {
        assert_eq!(simple_answer(0xdead_beef_8400_0000), Some(0x1_0001));
    }
}
