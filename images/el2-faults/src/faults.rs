//! The faults.

use arch::give_up;
use core::arch::asm;

/// What EL2 does wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It stores to its own instructions.
    WriteCode,
    /// It stores to its own constants.
    WriteConstants,
    /// It branches to a variable.
    ExecuteData,
    /// It branches to its stack.
    ExecuteStack,
    /// It uses more stack than there is.
    OverrunStack,
    /// It loads from where nothing is mapped: the first page.
    LoadNull,
    /// It loads RAM by its physical address, which no window shows.
    LoadPhysical,
    /// It calls where no landing pad is.
    CallNoLandingPad,
    /// It returns to an address that it did not sign.
    ForgeReturn,
    /// It panics.
    Panic,
    /// None: it tries the functions that move memory, which rely on EL2's MMU.
    MemoryFunctions,
}

impl Fault {
    /// Finds the fault that a command line names.
    pub(crate) fn named_in(command_line: &str) -> Option<Self> {
        let mut words = command_line.split_whitespace();
        Some(match words.find_map(|word| word.strip_prefix("fault="))? {
            "write-code" => Self::WriteCode,
            "write-constants" => Self::WriteConstants,
            "execute-data" => Self::ExecuteData,
            "execute-stack" => Self::ExecuteStack,
            "overrun-stack" => Self::OverrunStack,
            "load-null" => Self::LoadNull,
            "load-physical" => Self::LoadPhysical,
            "call-no-landing-pad" => Self::CallNoLandingPad,
            "forge-return" => Self::ForgeReturn,
            "panic" => Self::Panic,
            "none-memory-functions" => Self::MemoryFunctions,
            _ => return None,
        })
    }

    /// Commits the fault.
    pub(crate) fn commit(self) -> ! {
        match self {
            Self::WriteCode => store((Self::commit as *const ()).addr()),
            Self::WriteConstants => store((&raw const CONSTANT).addr()),
            Self::ExecuteData => branch((&raw const DATA).addr()),
            Self::ExecuteStack => {
                let code = RET;
                branch((&raw const code).addr());
            }
            Self::OverrunStack => {
                let depth = recurse(1);
                give_up(format_args!("{depth} calls fit the stack"));
            }
            Self::LoadNull => load(8),
            // The start of RAM on QEMU's `virt`: guests lie there.
            Self::LoadPhysical => load(0x4000_0000),
            // Behind the function's first instruction, which is the landing pad.
            Self::CallNoLandingPad => branch((recurse as *const ()).addr() + 4),
            Self::ForgeReturn => forge_return((recurse as *const ()).addr()),
            Self::Panic => panic!("provoked"),
            Self::MemoryFunctions => {
                let (calls, wrong) = crate::memory_functions::try_all();
                give_up(format_args!(
                    "memory functions: {calls} calls, {wrong} wrong"
                ));
            }
        }
        give_up(format_args!("{self:?} was not stopped"))
    }
}

const RET: u32 = 0xd65f_03c0;
static CONSTANT: u64 = 0x1234;
static DATA: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(RET);

fn store(address: usize) {
    // SAFETY: this is the fault that is to be provoked; if it is not stopped the machine is turned
    // off at once.
    unsafe { asm!("str xzr, [{}]", in(reg) address, options(nostack)) };
}

fn load(address: usize) {
    // SAFETY: as above.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) address => _, options(nostack)) };
}

fn branch(address: usize) {
    // SAFETY: as above; if the code is run it returns.
    unsafe { asm!("blr {}", in(reg) address, clobber_abi("C")) };
}

/// Returns after its return address was overwritten.
#[inline(never)]
fn forge_return(target: usize) {
    overwrite(target);
    // The call is not the last thing that is done, so the return address is on the stack.
    core::hint::black_box(target);
}

/// Overwrites the frame of its caller, which lies above its own.
#[inline(never)]
fn overwrite(target: usize) {
    let mut words = core::hint::black_box([0_usize; 4]);
    let start = words.as_mut_ptr();
    for place in 0..32 {
        // SAFETY: this is the fault that is to be provoked: it breaks the frames above this one. If the
        // return is not stopped, the machine is turned off in the end.
        unsafe { start.add(place).write_volatile(target) };
    }
    core::hint::black_box(words);
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let block = core::hint::black_box([depth; 32]);
    if core::hint::black_box(depth) == u64::MAX {
        return block[0];
    }
    recurse(depth + 1).wrapping_add(core::hint::black_box(block)[1])
}
