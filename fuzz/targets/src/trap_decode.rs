//! Why a guest was left, and what it finds when it goes on.

use crate::input::Input;
use trap::{
    DeviceAccess, Esr, Exception, Exit, ExitRegisters, GuestContext, Pstate, SysRegAccess, advance,
    decode,
};

/// Decodes syndrome registers, injects each exception that may follow, and steps over the
/// instruction.
///
/// # Panics
/// If the short forms of the decoder differ from the long one, or a guest's next PC is none of its
/// own.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let registers = ExitRegisters {
        esr: Esr::new(input.double()),
        far: input.double(),
        hpfar: input.double(),
    };
    let guest = GuestContext {
        pc: input.double(),
        pstate: Pstate::new(input.double()),
        sctlr_el1: input.double(),
        vbar_el1: input.double(),
    };
    let device = input.double();
    let exit = decode(&registers);
    let _ = format!("{exit} {registers} {:?}", registers.esr);

    let short = SysRegAccess::recognize(registers.esr);
    let long = match exit {
        Exit::SystemRegister(access) => Some(access),
        _ => None,
    };
    assert_eq!(short, long);

    let mut exceptions = vec![Exception::Undefined];
    match exit {
        Exit::DataAbort(abort) => {
            exceptions.push(Exception::for_data_abort(&abort));
            let _ = (abort.is_naturally_aligned(), abort.last_byte());
            if let Some(access) = abort.mmio {
                assert!(access.register < 32);
                let stored = access.stored_value(device);
                assert_eq!(stored & !access.width.mask(), 0);
                let _ = access.loaded_value(device);
            }
        }
        Exit::InstructionAbort(abort) => {
            exceptions.push(Exception::for_instruction_abort(&abort));
        }
        _ => {}
    }
    if let Some(short) = DeviceAccess::recognize(&registers) {
        let Exit::DataAbort(abort) = exit else {
            panic!("{exit:?} taken for an access");
        };
        assert_eq!(
            (abort.ipa, abort.mmio),
            (Some(short.ipa), Some(short.access))
        );
    }
    for exception in exceptions {
        let entry = exception.take(&guest);
        let offset = entry.pc.wrapping_sub(guest.vbar_el1 & !0x7ff);
        assert!(matches!(offset, 0 | 0x200 | 0x400 | 0x600), "{entry:?}");
        assert_eq!(entry.elr_el1, guest.pc);
        assert!(!entry.pstate.is_aarch32(), "{entry:?}");
    }
    let length = registers.esr.instruction_length();
    let advanced = advance(guest.pc, guest.pstate, length);
    let next = guest.pc.wrapping_add(length.bytes());
    // AArch32 has 32 bits of PC.
    let mask = if guest.pstate.is_aarch32() {
        0xffff_ffff
    } else {
        u64::MAX
    };
    assert_eq!(advanced.pc, next & mask);
}

/// Makes an exit of each class with plausible registers.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let classes = [
        0x00, 0x01, 0x07, 0x0e, 0x11, 0x13, 0x16, 0x17, 0x18, 0x20, 0x24, 0x2f, 0x3c,
    ];
    classes
        .iter()
        .map(|class: &u64| {
            let esr = class << 26 | 1 << 25 | 1 << 24 | 2 << 22 | 9 << 16 | 7;
            let words = [
                esr,
                0xffff_8000_0900_0018,
                0x9_0000,
                0xffff_8000_1000_0000,
                0x6000_03c5,
                0x30d0_0985,
                0xffff_8000_1001_0800,
                0x1234_5678_9abc_def0,
            ];
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        })
        .collect()
}
