//! What may differ, and why.

use super::Operation;

/// Whose the difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// QEMU does not do what the manual says.
    Qemu,
    /// The manual leaves it open, or we leave something out on purpose.
    Choice,
}

/// How a difference is kept out of the comparison.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// The subject's [`super::Shadow`] keeps clear of what leads there.
    Avoided,
    /// Values that were read are compared after this function.
    View(fn(&Operation, u64) -> u64),
}

/// A difference that is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Whose it is.
    pub whose: Whose,
    /// What differs, and why that is right.
    pub reason: &'static str,
    /// How it is kept out.
    pub effect: Effect,
}

/// Returns what of a value is compared.
pub(super) fn view(choices: &[Choice], operation: &Operation, value: u64) -> u64 {
    choices
        .iter()
        .fold(value, |value, choice| match choice.effect {
            Effect::View(look) => look(operation, value),
            Effect::Avoided => value,
        })
}
