//! What the vectors call when a vCPU leaves its guest.

use crate::Frame;
use alloc::boxed::Box;

/// The syndrome registers of an exit, as the CPU left them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Syndrome {
    /// ESR_EL2.
    pub esr: u64,
    /// FAR_EL2.
    pub far: u64,
    /// HPFAR_EL2.
    pub hpfar: u64,
}

/// How an exit goes on after a handler that saw only part of the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Next {
    /// Back into the guest.
    Resume = 0,
    /// Save all registers, then call [`ExitHandler::full`].
    Full = 1,
}

/// How an exit goes on after a short handler: whether it has carried out the instruction that trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Short {
    /// It has: the guest goes on behind the instruction.
    Done = 0,
    /// It has done nothing: save all registers, then call [`ExitHandler::trap`].
    Refused = 1,
    /// It has: the guest stands behind the instruction. But something else is to be done: save all
    /// registers, then call [`ExitHandler::full`].
    Full = 2,
}

/// A role, as the vectors call it. `H` is the hardware token of the CPU that runs the call.
///
/// Interrupts are masked throughout, and no handler is entered twice on one CPU. A handler returns
/// when the guest whose registers stand in the frame shall run.
///
/// The handlers that see all registers are given the frame in a box, and may leave another one
/// there: the registers of another vCPU are not copied but swapped in.
pub trait ExitHandler<H> {
    /// Handles an HVC or SMC of AArch64 state. Only x0–x18, x29 and x30 of the frame are valid, and
    /// only they are restored.
    fn call(&mut self, hardware: &mut H, frame: &mut Frame, conduit: Conduit) -> Next;

    /// Handles a physical interrupt. The frame is as in [`ExitHandler::call`].
    fn interrupt(&mut self, hardware: &mut H) -> Next;

    /// Carries out a trapped MRS, MSR or system instruction of AArch64 state whose operand is not
    /// one of x19–x28, if that is short. The frame is as in [`ExitHandler::call`], and stays as it is
    /// but for the operand.
    fn register(&mut self, hardware: &mut H, frame: &mut Frame, esr: u64) -> Short;

    /// Carries out the instruction behind a data abort, under the conditions of
    /// [`ExitHandler::register`].
    fn access(&mut self, hardware: &mut H, frame: &mut Frame, syndrome: &Syndrome) -> Short;

    /// Handles any other synchronous exception. All of the frame is valid and is restored.
    fn trap(&mut self, hardware: &mut H, frame: &mut Box<Frame>, syndrome: &Syndrome);

    /// Handles an SError that the guest took to EL2. All of the frame is valid and is restored.
    fn system_error(&mut self, hardware: &mut H, frame: &mut Box<Frame>, syndrome: &Syndrome);

    /// Goes on after [`Next::Full`]. All of the frame is valid and is restored.
    fn full(&mut self, hardware: &mut H, frame: &mut Box<Frame>);
}

/// The instruction of an SMCCC call (DEN0028, 2.4) and its immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// HVC; ELR_EL2 points behind it.
    Hvc {
        /// The instruction's immediate.
        immediate: u16,
    },
    /// SMC, trapped; the vector has moved ELR_EL2 behind it.
    Smc {
        /// The instruction's immediate.
        immediate: u16,
    },
}
