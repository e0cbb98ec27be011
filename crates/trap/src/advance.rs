//! Stepping over an instruction that the hypervisor carried out.

use crate::esr::InstructionLength;
use crate::pstate::Pstate;

/// Where the guest goes on after an instruction that was carried out for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// The address of the next instruction (ELR_EL2).
    pub pc: u64,
    /// The state after the instruction (SPSR_EL2).
    pub pstate: Pstate,
}

/// Steps over the instruction at `pc`, as if the guest had executed it.
///
/// For data aborts, system registers, WFI, WFE and a trapped SMC, whose return address is the
/// instruction itself; never for HVC, whose return address is already the next one, and never for an
/// exit that ends in an exception for the guest.
///
/// The branch type becomes 0 and the single step is used up, as after any instruction; in AArch32
/// the IT block moves on (Arm ARM, AArch32.ITAdvance).
#[must_use]
pub const fn advance(pc: u64, pstate: Pstate, length: InstructionLength) -> Advanced {
    let next = pc.wrapping_add(length.bytes());
    if !pstate.is_aarch32() {
        return Advanced {
            pc: next,
            pstate: pstate.without(Pstate::BTYPE | Pstate::SS),
        };
    }
    let stepped = pstate.without(Pstate::SS);
    Advanced {
        pc: next & 0xffff_ffff,
        pstate: if stepped.is_t32() {
            stepped.with_it_state(next_it_state(stepped.it_state()))
        } else {
            stepped
        },
    }
}

/// Moves ITSTATE to the next instruction of its block, or to 0 after the last one.
const fn next_it_state(it: u64) -> u64 {
    if it & 0b111 == 0 {
        0
    } else {
        (it & 0b1110_0000) | ((it << 1) & 0b0001_1111)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clears_the_branch_type_and_uses_up_the_step() {
        let state = Pstate::new(Pstate::NZCV | Pstate::BTYPE | Pstate::SS | Pstate::EL1H);
        let after = advance(0x1000, state, InstructionLength::Four);
        assert_eq!(after.pc, 0x1004);
        assert_eq!(after.pstate.get(), Pstate::NZCV | Pstate::EL1H);
    }

    #[test]
    fn b6_moves_an_it_block_of_t32_on() {
        // ITTTE EQ: condition 0000, mask 0001 for the last of four.
        let mut state = Pstate::new(0x30).with_it_state(0b0000_0011);
        let mut seen = [0; 4];
        let mut pc = 0x2000;
        for slot in &mut seen {
            *slot = state.it_state();
            let after = advance(pc, state, InstructionLength::Two);
            (pc, state) = (after.pc, after.pstate);
        }
        assert_eq!(seen, [0b0_0011, 0b0_0110, 0b0_1100, 0b1_1000]);
        assert_eq!(state.it_state(), 0);
        assert_eq!(pc, 0x2008);
    }

    #[test]
    fn b6_leaves_a32_state_alone_and_wraps_in_32_bits() {
        let state = Pstate::new(0xf000_0010);
        let after = advance(0xffff_fffc, state, InstructionLength::Four);
        assert_eq!(after.pc, 0);
        assert_eq!(after.pstate, state);
    }
}
