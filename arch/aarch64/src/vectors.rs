//! The exception vectors of EL2.
//!
//! While a guest runs, SP_EL2 is the top of the CPU's stack. HVC, SMC and IRQ save x0–x18, x29 and
//! x30 there, and no more: the handler is `extern "C"`, so
//! x19–x28 still hold the guest's values when it returns, and are saved only if it asks for
//! [`machine::Next::Full`]: then all move to the [`Frame`] that the vCPU has lent the CPU
//! (`PerCpu::frame`), and come from there, or from that of another vCPU, when the guest goes on. So it is for register traps and data
//! aborts whose operand is another register, as long as the short handlers serve them
//! ([`machine::Short`]). Everything else saves all registers there at once, since any may be an operand. The first two calls of
//! [`smccc_dispatch::SIMPLE`], whose answers never change, are answered before anything is saved.
//!
//! All of this stands here twice: on CPUs with FEAT_PAuth the key that signs EL2's return addresses is
//! in the register of the guest's, so the ways through Rust code exchange them.
//!
//! An exception of EL2 itself is fatal. It changes to the emergency stack before it touches memory,
//! since the stack may be what is broken; x0 and x1 pass through TPIDR_EL0 and TPIDRRO_EL0, whose
//! guest values nobody needs any more.
//!
//! Clobbers: none on the way back to a guest.

use core::arch::global_asm;
use core::mem::{offset_of, size_of};
use machine::Frame;
use smccc_dispatch::SIMPLE;

const _: () = assert!(size_of::<Frame>() == 272);
const _: () = assert!(offset_of!(Frame, x) == 0);
const _: () = assert!(offset_of!(Frame, pc) == 248);
const _: () = assert!(offset_of!(Frame, pstate) == 256);
const _: () = assert!(SIMPLE[0].0 & 0xffff == 0 && SIMPLE[1].0 & 0xffff == 0);

global_asm!(
    r#"
    // Saves x4–x18, x29 and x30 behind x0–x3 in the frame at \base.
    .macro bk_save_caller base
    stp     x4, x5, [\base, #32]
    stp     x6, x7, [\base, #48]
    stp     x8, x9, [\base, #64]
    stp     x10, x11, [\base, #80]
    stp     x12, x13, [\base, #96]
    stp     x14, x15, [\base, #112]
    stp     x16, x17, [\base, #128]
    str     x18, [\base, #144]
    stp     x29, x30, [\base, #232]
    .endm

    // Saves x19–x28 in the frame at \base.
    .macro bk_save_callee base
    stp     x19, x20, [\base, #152]
    stp     x21, x22, [\base, #168]
    stp     x23, x24, [\base, #184]
    stp     x25, x26, [\base, #200]
    stp     x27, x28, [\base, #216]
    .endm

    // Loads x2–x18, x29 and x30 from the frame at \base.
    .macro bk_load_caller base
    ldp     x2, x3, [\base, #16]
    ldp     x4, x5, [\base, #32]
    ldp     x6, x7, [\base, #48]
    ldp     x8, x9, [\base, #64]
    ldp     x10, x11, [\base, #80]
    ldp     x12, x13, [\base, #96]
    ldp     x14, x15, [\base, #112]
    ldp     x16, x17, [\base, #128]
    ldr     x18, [\base, #144]
    ldp     x29, x30, [\base, #232]
    .endm

    // Goes on in the guest's own frame, which x0 points to afterwards: saves x19–x28 there, x0–x3
    // from the stack, PC and PSTATE. Clobbers x2 and x3.
    .macro bk_complete
    bk_save_callee x0
    ldp     x2, x3, [sp]
    stp     x2, x3, [x0]
    ldp     x2, x3, [sp, #16]
    stp     x2, x3, [x0, #16]
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    stp     x2, x3, [x0, #248]
    .endm

    // Where this CPU's guest has its frame.
    .macro bk_frame register
    mrs     \register, tpidr_el2
    ldr     \register, [\register, #16]     // PerCpu.frame
    .endm

    // Compares w0 with the function identifier `high` << 16; its answer goes to w3. Clobbers w2.
    .macro bk_simple_call high, answer_high, answer_low
    movz    w2, #\high, lsl #16
    movz    w3, #\answer_high, lsl #16
    movk    w3, #\answer_low
    cmp     w0, w2
    .endm

    // The guest's APIAKey gives way to EL2's, before the first function that signs its return
    // address. Clobbers x9–x11.
    .macro bk_take_key pac
    .if \pac
    mrs     x9, tpidr_el2
    mrs     x10, S3_0_C2_C1_0       // APIAKeyLo_EL1
    mrs     x11, S3_0_C2_C1_1       // APIAKeyHi_EL1
    stp     x10, x11, [x9, #32]     // PerCpu.guest_key
    ldp     x10, x11, [x9, #48]     // PerCpu.key
    msr     S3_0_C2_C1_0, x10
    msr     S3_0_C2_C1_1, x11
    isb
    .endif
    .endm

    // And back, after the last one; ERET synchronizes. Clobbers x9–x11.
    .macro bk_give_key pac
    .if \pac
    mrs     x9, tpidr_el2
    ldp     x10, x11, [x9, #32]     // PerCpu.guest_key
    msr     S3_0_C2_C1_0, x10
    msr     S3_0_C2_C1_1, x11
    .endif
    .endm

    // After ERET nothing may run on speculatively.
    .macro bk_return
    eret
    dsb     nsh
    isb
    .endm

    .text
    // Steps over an instruction that was carried out for a guest in AArch64 state: BTYPE becomes 0,
    // and a single step is used up. Clobbers x2 and x3.
    .macro bk_step_over
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    add     x2, x2, #4
    and     x3, x3, #~(3 << 10)
    and     x3, x3, #~(1 << 21)
    msr     elr_el2, x2
    msr     spsr_el2, x3
    .endm

    // Every way from a guest into EL2 and back, with names that end in `kind`.
    .macro bk_ways kind, pac
    .balign 16
bk_step\kind:
    bk_step_over
bk_restore_caller\kind:
    bk_give_key \pac
    bk_load_caller sp
    ldp     x0, x1, [sp], #272
    bk_return

    // x4–x18, x29 and x30 stand on the stack; they move to the guest's frame.
    .balign 16
bk_full\kind:
    bl      bk_move_caller\kind
    bk_complete
    bl      bk_role_full
    // x0: the frame of the guest that shall run.
bk_restore_all\kind:
    ldp     x2, x3, [x0, #248]
    msr     elr_el2, x2
    msr     spsr_el2, x3
    ldp     x19, x20, [x0, #152]
    ldp     x21, x22, [x0, #168]
    ldp     x23, x24, [x0, #184]
    ldp     x25, x26, [x0, #200]
    ldp     x27, x28, [x0, #216]
    bk_give_key \pac
    bk_load_caller x0
    add     sp, sp, #272
    ldp     x0, x1, [x0]
    bk_return

    // Returns the guest's frame in x0.
bk_move_caller\kind:
    bk_frame x0
    mov     x1, x30
    bk_load_caller sp
    bk_save_caller x0
    ret     x1

    .balign 16
bk_lower_synchronous\kind:
    mrs     x1, esr_el2
    stp     x2, x3, [sp, #16]
    lsr     w2, w1, #26
    sub     w2, w2, #0x16           // HVC, AArch64; SMC is the next one
    cmp     w2, #0x18 - 0x16        // a system register
    b.eq    bk_register\kind
    b.lo    2f
    cmp     w2, #0x24 - 0x16        // a data abort
    b.eq    bk_access\kind
bk_trap\kind:
    bk_frame x0
    bk_save_caller x0
    bk_take_key \pac
bk_trap_complete\kind:
    bk_complete
    mrs     x0, esr_el2
    mrs     x1, far_el2
    mrs     x2, hpfar_el2
    bl      bk_role_trap
    b       bk_restore_all\kind
bk_trap_saved\kind:
    bl      bk_move_caller\kind
    b       bk_trap_complete\kind
2:  cbz     w2, 3f
    mrs     x3, elr_el2             // a trapped SMC has not moved on
    add     x3, x3, #4
    msr     elr_el2, x3
    mrs     x3, spsr_el2            // as a step over it does: SS and BTYPE are 0
    bic     x3, x3, #(1 << 21)
    bic     x3, x3, #(3 << 10)
    msr     spsr_el2, x3
    b       1f
3:  tst     w1, #0xffff             // the immediate
    b.eq    bk_simple\kind
1:  bk_save_caller sp
    mov     x0, sp
    bk_take_key \pac
    bl      bk_role_call
    cbnz    x0, bk_full\kind
    b       bk_restore_caller\kind

    // Rt stands in bits 9-5.
    .balign 16
bk_register\kind:
    ubfx    w2, w1, #5, #5
    sub     w2, w2, #19
    cmp     w2, #28 - 19
    b.ls    bk_trap\kind
    bk_save_caller sp
    mov     x0, sp
    bk_take_key \pac
    bl      bk_role_register
    cbz     x0, bk_step\kind
    tbz     x0, #1, bk_trap_saved\kind
    bk_step_over
    b       bk_full\kind

    // SRT stands in bits 20-16, if the syndrome describes the access, which the handler checks.
    .balign 16
bk_access\kind:
    mrs     x3, spsr_el2
    ubfx    w2, w1, #16, #5
    tbnz    w3, #4, bk_trap\kind         // AArch32
    sub     w2, w2, #19
    cmp     w2, #28 - 19
    b.ls    bk_trap\kind
    bk_save_caller sp
    mrs     x2, far_el2
    mrs     x3, hpfar_el2
    mov     x0, sp
    bk_take_key \pac
    bl      bk_role_access
    cbz     x0, bk_step\kind
    tbz     x0, #1, bk_trap_saved\kind
    bk_step_over
    b       bk_full\kind

    // The two most usual calls whose answer never changes.
bk_simple\kind:
    bk_simple_call {first_high}, {first_answer_high}, {first_answer_low}
    b.eq    4f
    bk_simple_call {second_high}, {second_answer_high}, {second_answer_low}
    b.ne    1b
4:  mov     w0, w3
    ldp     x2, x3, [sp, #16]
    ldr     x1, [sp, #8]
    add     sp, sp, #272
    bk_return

    .balign 16
bk_lower_interrupt\kind:
    stp     x2, x3, [sp, #16]
    bk_save_caller sp
    bk_take_key \pac
    bl      bk_role_interrupt
    cbnz    x0, bk_full\kind
    b       bk_restore_caller\kind

    .balign 16
bk_lower_system_error\kind:
    stp     x2, x3, [sp, #16]
    bk_frame x0
    bk_save_caller x0
    bk_complete
    mrs     x0, esr_el2
    mrs     x1, far_el2
    mov     x2, xzr
    bk_take_key \pac
    bl      bk_role_system_error
    b       bk_restore_all\kind

    // Enters the guest whose registers stand in the frame at x0; x1 is the top of this CPU's stack.
    .balign 16
    .global bk_enter_guest\kind
bk_enter_guest\kind:
    sub     sp, x1, #272
    b       bk_restore_all\kind

    .endm

    // x0: which vector; x0 and x1 as they were are in TPIDR_EL0 and TPIDRRO_EL0.
    .balign 16
bk_fatal:
    mrs     x1, tpidr_el2
    ldr     x1, [x1, #8]            // PerCpu.emergency_top
    sub     x1, x1, #288
    stp     x2, x3, [x1, #16]
    mov     x2, sp
    str     x2, [x1, #264]
    mov     sp, x1
    bk_save_caller sp
    bk_save_callee sp
    mrs     x2, tpidr_el0
    mrs     x3, tpidrro_el0
    stp     x2, x3, [sp]
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    stp     x2, x3, [sp, #248]
    mov     x1, x0
    mov     x0, sp
    mrs     x2, esr_el2
    mrs     x3, far_el2
    bl      bk_fatal_exception
3:  wfe
    b       3b

    .macro bk_vector_lower, handler
    .balign 128
    stp     x0, x1, [sp, #-272]!
    b       \handler
    .endm

    .macro bk_vector_fatal, number
    .balign 128
    msr     tpidr_el0, x0
    msr     tpidrro_el0, x1
    mov     x0, #\number
    b       bk_fatal
    .endm

    .macro bk_vector_table kind, pac
    bk_ways \kind, \pac
    .balign 2048
bk_vectors\kind:
    bk_vector_fatal 0
    bk_vector_fatal 1
    bk_vector_fatal 2
    bk_vector_fatal 3
    bk_vector_fatal 4
    bk_vector_fatal 5
    bk_vector_fatal 6
    bk_vector_fatal 7
    bk_vector_lower bk_lower_synchronous\kind
    bk_vector_lower bk_lower_interrupt\kind
    bk_vector_lower bk_lower_interrupt\kind
    bk_vector_lower bk_lower_system_error\kind
    bk_vector_lower bk_lower_synchronous\kind
    bk_vector_lower bk_lower_interrupt\kind
    bk_vector_lower bk_lower_interrupt\kind
    bk_vector_lower bk_lower_system_error\kind
    .balign 128
    .endm

    // For CPUs without and with FEAT_PAuth.
    bk_vector_table _plain, 0
    bk_vector_table _pac, 1
    "#,
    first_high = const SIMPLE[0].0 >> 16,
    first_answer_high = const SIMPLE[0].1 >> 16,
    first_answer_low = const SIMPLE[0].1 & 0xffff,
    second_high = const SIMPLE[1].0 >> 16,
    second_answer_high = const SIMPLE[1].1 >> 16,
    second_answer_low = const SIMPLE[1].1 & 0xffff,
);

unsafe extern "C" {
    /// Enters the guest whose registers stand in the frame of this CPU. Everything on its stack is
    /// given up.
    fn bk_enter_guest_plain(frame: *const Frame, stack_top: u64) -> !;
    /// The same on a CPU with FEAT_PAuth.
    fn bk_enter_guest_pac(frame: *const Frame, stack_top: u64) -> !;
}

/// Enters the guest whose registers stand in the frame of this CPU.
///
/// # Safety
/// `frame` is this CPU's, complete, and `stack_top` is the top of its stack.
pub(crate) unsafe fn enter_guest(frame: *const Frame, stack_top: u64) -> ! {
    if crate::world::has_pointer_authentication() {
        // SAFETY: as this function's contract says.
        unsafe { bk_enter_guest_pac(frame, stack_top) }
    }
    // SAFETY: as this function's contract says.
    unsafe { bk_enter_guest_plain(frame, stack_top) }
}

/// Defines the functions that the vectors call, for one role. An image uses it once.
///
/// `$role` implements [`machine::ExitHandler`] for [`ThisCpu`](crate::ThisCpu); `$entry` is a safe
/// `fn(arch::Boot) -> !`, and `$secondary` a safe `fn(&mut $role, &mut arch::ThisCpu) -> !`.
#[macro_export]
macro_rules! image {
    (role: $role:ty, primary: $primary:path, secondary: $secondary:path) => {
        // SAFETY: the name is the one that `boot.rs` calls, once, on the first CPU.
        #[unsafe(no_mangle)]
        extern "C" fn bk_primary_main(device_tree: u64, image: u64) -> ! {
            $primary($crate::Boot::begin(device_tree, image))
        }

        // SAFETY: the name is the one that `boot.rs` calls, once on each further CPU.
        #[unsafe(no_mangle)]
        extern "C" fn bk_secondary_main() -> ! {
            // SAFETY: this CPU has just started and has no other token or role reference.
            let (role, hardware) = unsafe { $crate::enter_secondary::<$role>() };
            $secondary(role, hardware)
        }

        // SAFETY: the name is the one that `vectors.rs` calls.
        #[unsafe(no_mangle)]
        extern "C" fn bk_role_call(frame: &mut machine::Frame, esr: u64) -> machine::Next {
            // SAFETY: called from a vector, so no other token or role reference is alive here.
            let (role, hardware) = unsafe { $crate::enter::<$role>() };
            machine::ExitHandler::call(role, hardware, frame, $crate::conduit(esr))
        }

        // SAFETY: the name is the one that `vectors.rs` calls.
        #[unsafe(no_mangle)]
        extern "C" fn bk_role_interrupt() -> machine::Next {
            // SAFETY: called from a vector, so no other token or role reference is alive here.
            let (role, hardware) = unsafe { $crate::enter::<$role>() };
            machine::ExitHandler::interrupt(role, hardware)
        }

        // SAFETY: the name is the one that `vectors.rs` calls.
        #[unsafe(no_mangle)]
        extern "C" fn bk_role_register(frame: &mut machine::Frame, esr: u64) -> machine::Short {
            // SAFETY: called from a vector, so no other token or role reference is alive here.
            let (role, hardware) = unsafe { $crate::enter::<$role>() };
            machine::ExitHandler::register(role, hardware, frame, esr)
        }

        // SAFETY: the name is the one that `vectors.rs` calls.
        #[unsafe(no_mangle)]
        extern "C" fn bk_role_access(
            frame: &mut machine::Frame,
            esr: u64,
            far: u64,
            hpfar: u64,
        ) -> machine::Short {
            // SAFETY: called from a vector, so no other token or role reference is alive here.
            let (role, hardware) = unsafe { $crate::enter::<$role>() };
            let syndrome = machine::Syndrome { esr, far, hpfar };
            machine::ExitHandler::access(role, hardware, frame, &syndrome)
        }

        // SAFETY: the name is the one that `vectors.rs` calls.
        #[unsafe(no_mangle)]
        extern "C" fn bk_role_trap(esr: u64, far: u64, hpfar: u64) -> *const machine::Frame {
            // SAFETY: called from a vector, so no other token or role reference is alive here.
            let (role, hardware) = unsafe { $crate::enter::<$role>() };
            // SAFETY: the vector has saved all registers, and the box is given back below.
            let mut frame = unsafe { $crate::take_frame() };
            let syndrome = machine::Syndrome { esr, far, hpfar };
            machine::ExitHandler::trap(role, hardware, &mut frame, &syndrome);
            $crate::put_frame(frame)
        }

        // SAFETY: the name is the one that `vectors.rs` calls.
        #[unsafe(no_mangle)]
        extern "C" fn bk_role_system_error(
            esr: u64,
            far: u64,
            hpfar: u64,
        ) -> *const machine::Frame {
            // SAFETY: called from a vector, so no other token or role reference is alive here.
            let (role, hardware) = unsafe { $crate::enter::<$role>() };
            // SAFETY: the vector has saved all registers, and the box is given back below.
            let mut frame = unsafe { $crate::take_frame() };
            let syndrome = machine::Syndrome { esr, far, hpfar };
            machine::ExitHandler::system_error(role, hardware, &mut frame, &syndrome);
            $crate::put_frame(frame)
        }

        // SAFETY: the name is the one that `vectors.rs` calls.
        #[unsafe(no_mangle)]
        extern "C" fn bk_role_full() -> *const machine::Frame {
            // SAFETY: called from a vector, so no other token or role reference is alive here.
            let (role, hardware) = unsafe { $crate::enter::<$role>() };
            // SAFETY: the vector has saved all registers, and the box is given back below.
            let mut frame = unsafe { $crate::take_frame() };
            machine::ExitHandler::full(role, hardware, &mut frame);
            $crate::put_frame(frame)
        }
    };
}
