//! What the feature table is made of.

use crate::{table, table_aarch32};
use trap::SysRegId;

/// A field of an ID register, and what a guest gets of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The register.
    pub register: SysRegId,
    /// The field's name in the architecture.
    pub name: &'static str,
    /// Its lowest bit; each field has four.
    pub shift: u32,
    /// How its values are ordered.
    pub sign: Sign,
    /// What a guest is shown.
    pub policy: Policy,
    /// How EL2 keeps a guest from what it is not shown.
    pub guard: Guard,
}

/// How a field's values are ordered (Arm ARM, D24.1.5, "Principles of the ID scheme").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// More is more; 0 is nothing.
    Unsigned,
    /// Two's complement; 0xf is nothing.
    Signed,
}

/// What a guest is shown of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// What all CPUs of the machine have.
    Show,
    /// What all CPUs have, but no more than this value.
    Limit(u8),
    /// Nothing.
    Hide,
    /// This value, whatever the CPUs have.
    Fixed(u8),
}

/// A control register of EL2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// HCR_EL2.
    Hcr,
    /// HCRX_EL2.
    Hcrx,
    /// MDCR_EL2.
    Mdcr,
    /// CPTR_EL2, with HCR_EL2.E2H 0.
    Cptr,
    /// MPAM2_EL2.
    Mpam2,
    /// HFGRTR_EL2 and HFGWTR_EL2, which agree on the bits that are used here.
    Hfgrtr,
    /// HFGITR_EL2.
    Hfgitr,
    /// HDFGRTR_EL2 and HDFGWTR_EL2.
    Hdfgrtr,
    /// HFGRTR2_EL2, HFGWTR2_EL2, HFGITR2_EL2, HDFGRTR2_EL2 and HDFGWTR2_EL2.
    FineGrained2,
}

impl Control {
    /// How many there are.
    pub(crate) const COUNT: usize = 9;

    /// Returns the control's place in an array of [`Control::COUNT`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// How a guest is kept from what a field doesn't show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The field gives a guest neither an instruction nor a register.
    Nothing,
    /// These bits are set on each CPU that has more than the guest is shown.
    TrapWhenHidden(Control, u64),
    /// As [`Guard::TrapWhenHidden`]; what the text names can't be trapped.
    TrapExcept(Control, u64, &'static str),
    /// These bits trap while they are 0, and are never set.
    LeaveClear(Control, u64),
    /// These bits trap while they are 0, and are set if the guest is shown the field.
    EnableWhenShown(Control, u64),
    /// EL2 has no control; the text says why hiding it does no harm.
    Untrappable(&'static str),
}

impl Field {
    /// Takes this field out of its register's value.
    #[must_use]
    pub const fn get(&self, register: u64) -> u8 {
        let [.., low] = register.wrapping_shr(self.shift).to_be_bytes();
        low & 0xf
    }

    /// Returns a register's value of only this field.
    #[must_use]
    pub const fn put(&self, value: u8) -> u64 {
        (value as u64 & 0xf).wrapping_shl(self.shift)
    }

    /// Returns the lesser of two of this field's values.
    #[must_use]
    pub const fn least(&self, a: u8, b: u8) -> u8 {
        // Flipping the top bit makes two's complement sort like unsigned numbers.
        let flip = match self.sign {
            Sign::Unsigned => 0,
            Sign::Signed => 8,
        };
        if a ^ flip < b ^ flip { a } else { b }
    }

    /// Returns the value that says that there is nothing.
    #[must_use]
    pub const fn nothing(&self) -> u8 {
        match self.sign {
            Sign::Unsigned => 0,
            Sign::Signed => 0xf,
        }
    }

    /// Returns what a guest is shown where all CPUs have at least `host`.
    #[must_use]
    pub const fn guest_value(&self, host: u8) -> u8 {
        match self.policy {
            Policy::Show => host,
            Policy::Limit(most) => self.least(host, most),
            Policy::Hide => self.nothing(),
            Policy::Fixed(value) => value,
        }
    }
}

/// Goes through the whole feature table.
pub fn fields() -> impl Iterator<Item = &'static Field> {
    table::FIELDS.iter().chain(table_aarch32::FIELDS)
}

/// Goes through what is hidden, or shown in part, and yet works if a guest uses it: the field and
/// the reason. Documentation lists these.
pub fn untrappable() -> impl Iterator<Item = (&'static Field, &'static str)> {
    fields().filter_map(|field| match field.guard {
        Guard::Untrappable(reason) | Guard::TrapExcept(_, _, reason) => Some((field, reason)),
        Guard::Nothing
        | Guard::TrapWhenHidden(..)
        | Guard::LeaveClear(..)
        | Guard::EnableWhenShown(..) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_fields_sort_absence_below_zero() {
        let field = |sign| Field {
            register: SysRegId::ID_AA64PFR0_EL1,
            name: "FP",
            shift: 16,
            sign,
            policy: Policy::Hide,
            guard: Guard::Nothing,
        };
        let signed = field(Sign::Signed);
        assert_eq!(signed.least(0xf, 0), 0xf);
        assert_eq!(signed.guest_value(1), 0xf);
        let unsigned = field(Sign::Unsigned);
        assert_eq!(unsigned.least(0xf, 0), 0);
        assert_eq!(unsigned.guest_value(1), 0);
    }

    #[test]
    fn the_last_control_has_the_last_index() {
        assert_eq!(Control::FineGrained2.index(), Control::COUNT - 1);
    }

    #[test]
    fn what_cannot_be_trapped_has_a_reason_in_words() {
        assert!(untrappable().count() > 0);
        for (field, reason) in untrappable() {
            assert!(reason.contains(' '), "{}", field.name);
        }
    }
}
