//! What a record tells about.

use core::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal, $first:literal, $second:literal;)+) => {
        /// What a record tells about. The documentation of each kind names its two payload words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Kind {
            $(
                $(#[$doc])*
                #[doc = concat!("Payload: ", $first, ", ", $second, ".")]
                $name = $code,
            )+
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns the code in a record.
            #[must_use]
            pub const fn code(self) -> u16 {
                self as u16
            }

            /// Returns the kind's name and those of its two payload words.
            #[must_use]
            pub const fn words(self) -> [&'static str; 3] {
                match self {
                    $(Self::$name => [$text, $first, $second],)+
                }
            }
        }

        impl TryFrom<u16> for Kind {
            type Error = UnknownKind;

            fn try_from(code: u16) -> Result<Self, Self::Error> {
                match code {
                    $($code => Ok(Self::$name),)+
                    // A new kind brings its own arm: this is for codes, not for kinds.
                    _ => Err(UnknownKind { code }),
                }
            }
        }
    };
}

kinds! {
    /// A vCPU goes on in its guest.
    Entry = 0x01, "entry", "pc", "pstate";
    /// A hypercall.
    ExitHvc = 0x10, "exit hvc", "function", "result";
    /// A trapped secure monitor call.
    ExitSmc = 0x11, "exit smc", "function", "result";
    /// A trapped system register or instruction.
    ExitSystemRegister = 0x12, "exit sysreg", "syndrome", "value";
    /// A load from a device.
    ExitMmioRead = 0x13, "exit mmio read", "address", "value";
    /// A store to a device.
    ExitMmioWrite = 0x14, "exit mmio write", "address", "value";
    /// A data abort that no device answers.
    ExitDataAbort = 0x15, "exit data abort", "syndrome", "address";
    /// An instruction abort.
    ExitInstructionAbort = 0x16, "exit instruction abort", "syndrome", "address";
    /// WFI or WFE.
    ExitWait = 0x17, "exit wait", "syndrome", "pc";
    /// The first use of FP or SIMD after a switch.
    ExitFloatingPoint = 0x18, "exit fp", "syndrome", "pc";
    /// A physical interrupt.
    ExitInterrupt = 0x19, "exit interrupt", "intid", "pc";
    /// A system error.
    ExitSystemError = 0x1a, "exit serror", "syndrome", "pc";
    /// Any other exit.
    ExitOther = 0x1b, "exit other", "syndrome", "pc";
    /// A virtual interrupt was put into a list register.
    InjectInterrupt = 0x20, "inject interrupt", "intid", "list register";
    /// An exception was injected.
    InjectException = 0x21, "inject exception", "syndrome", "address";
    /// A device's interrupt line changed.
    Line = 0x22, "line", "intid", "level";
    /// Another CPU was kicked.
    Kick = 0x23, "kick", "cpu", "reason";
    /// A vCPU was put on the CPU.
    SwitchIn = 0x30, "switch in", "vmid", "pc";
    /// A vCPU was taken off the CPU.
    SwitchOut = 0x31, "switch out", "reason", "pc";
    /// The CPU has nothing to run.
    Idle = 0x32, "idle", "deadline", "reserved";
    /// A vCPU or a VM changed its state.
    StateChange = 0x40, "state change", "from", "to";
    /// A VM starts again.
    Restart = 0x41, "restart", "reason", "count";
    /// EL2's timer was armed.
    TimerArmed = 0x50, "timer armed", "deadline", "reserved";
    /// EL2's timer fired.
    TimerFired = 0x51, "timer fired", "deadline", "reserved";
    /// A guest did what a correct driver does not do.
    GuestError = 0x60, "guest error", "error", "offset";
    /// A guest reported something about itself.
    GuestEvent = 0x61, "guest event", "event", "reserved";
    /// A VM was stopped for what it did.
    Stopped = 0x70, "stopped", "reason", "pc";
    /// EL2 panicked.
    Panic = 0x71, "panic", "pc", "syndrome";
    /// Whatever a developer wants to see.
    Mark = 0x7f, "mark", "value", "value";
}

/// A record's code that is no kind: the memory is not a log, or a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKind {
    /// The code.
    pub code: u16,
}

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no kind of record has code {:#x}", self.code)
    }
}

impl core::error::Error for UnknownKind {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_converts_back_and_no_other_is_a_kind() {
        let known: std::vec::Vec<Kind> = (0..=u16::MAX)
            .filter_map(|code| {
                let kind = Kind::try_from(code);
                match kind {
                    Ok(kind) => assert_eq!(kind.code(), code),
                    Err(error) => assert_eq!(error, UnknownKind { code }),
                }
                kind.ok()
            })
            .collect();
        assert_eq!(known, Kind::ALL);
    }
}
