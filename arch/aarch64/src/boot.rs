//! The first instructions: image header, boot tables, MMU.
//!
//! The header is that of an arm64 Linux `Image` (Linux, Documentation/arch/arm64/booting.rst), so
//! that any boot loader that starts Linux starts this. Until the MMU is on the code is
//! position-independent (`adrp`); afterwards it runs where it is linked.
//!
//! The boot tables map the image's first 2 MiB at its physical address, for the one instruction
//! that follows the MMU's start, and the whole image where it is linked. Every CPU starts on them
//! and leaves them for the final tables as soon as these exist.
//!
//! Registers: x19 the loader's argument (device tree, or `&PerCpu` for a secondary), x21 the
//! image's physical address, x20 the place to go on. Clobbers x0–x9.

use crate::layout;
use core::arch::global_asm;

/// Normal memory in MAIR_EL2: index 0, write-back, allocating.
pub(crate) const MAIR_NORMAL: u64 = 0;
/// Device memory in MAIR_EL2: index 1, nGnRE.
pub(crate) const MAIR_DEVICE: u64 = 1;

/// MAIR_EL2: attribute 0 is 0xff (Normal, write-back), 1 is 0x04 (Device-nGnRE).
const MAIR: u64 = 0xff | 0x04 << 8;

/// TCR_EL2 without PS: T0SZ = 16 (48-bit addresses), walks cacheable and inner shareable, 4 KiB
/// granule; bits 31 and 23 are RES1 (Arm ARM, TCR_EL2 with E2H = 0).
const TCR: u64 = 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 31 | 1 << 23;

/// SCTLR_EL2 with MMU and caches on: M, C, SA, I and the bits that are RES1 in Armv8.0
/// (Arm ARM, SCTLR_EL2 with E2H = 0). WXN follows with the final tables: the boot tables map the
/// image writable and executable.
const SCTLR_BOOT: u64 = 0x30c5_0830 | 1 | 1 << 2 | 1 << 3 | 1 << 12;

/// SCTLR_EL2.WXN: whatever is writable is not executable.
const SCTLR_WXN: u64 = 1 << 19;

/// A table descriptor's and a page descriptor's low bits, and a boot block's: Normal, inner
/// shareable, access flag, AP\[1\] (RES1), valid block.
const BOOT_BLOCK: u64 = 1 | MAIR_NORMAL << 2 | 1 << 6 | 3 << 8 | 1 << 10;

global_asm!(
    r#"
    .section .head.text, "ax"
    .global _image_head
_image_head:
    b       bk_boot_primary
    .long   0
    .quad   0                       // text_offset
    .quad   _image_size             // includes .bss
    .quad   0xa                     // little endian, 4 KiB pages, anywhere in memory
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0

    .text
    .balign 16
bk_boot_primary:
    msr     daifset, #0xf
    msr     spsel, #1
    mov     x19, x0
    adrp    x21, _image_head
    // Any EL but 2 cannot work: say nothing, stay.
    mrs     x0, CurrentEL
    cmp     x0, #(2 << 2)
    b.ne    bk_boot_hang

    // The boot tables, which no loader clears: first out of the caches, so that no old line is
    // written back over them.
    mrs     x7, ctr_el0
    ubfx    x7, x7, #16, #4         // DminLine: log2 of the words in the smallest line
    mov     x8, #4
    lsl     x7, x8, x7
    adrp    x0, bk_boot_l0
    add     x1, x0, #(5 * 4096)
6:  dc      ivac, x0
    add     x0, x0, x7
    cmp     x0, x1
    b.lo    6b
    dsb     sy
    adrp    x0, bk_boot_l0
0:  stp     xzr, xzr, [x0]
    stp     xzr, xzr, [x0, #16]
    stp     xzr, xzr, [x0, #32]
    stp     xzr, xzr, [x0, #48]
    add     x0, x0, #64
    cmp     x0, x1
    b.lo    0b

    // Level 0: the identity mapping's entry and the image's.
    adrp    x0, bk_boot_l0
    adrp    x1, bk_boot_l1_identity
    adrp    x2, bk_boot_l2_identity
    orr     x3, x1, #3
    ubfx    x4, x21, #39, #9
    str     x3, [x0, x4, lsl #3]
    orr     x3, x2, #3
    ubfx    x4, x21, #30, #9
    str     x3, [x1, x4, lsl #3]
    ldr     x5, ={block}
    orr     x3, x21, x5
    ubfx    x4, x21, #21, #9
    str     x3, [x2, x4, lsl #3]

    adrp    x1, bk_boot_l1_image
    adrp    x2, bk_boot_l2_image
    orr     x3, x1, #3
    mov     x4, #({image} >> 39)
    str     x3, [x0, x4, lsl #3]
    orr     x3, x2, #3
    str     x3, [x1]
    ldr     x6, =_image_size
    orr     x3, x21, x5
2:  str     x3, [x2], #8
    add     x3, x3, #0x200000
    subs    x6, x6, #0x200000
    b.hi    2b

    // The stores above bypassed the caches: drop what was fetched of these lines meanwhile.
    dmb     sy
    adrp    x0, bk_boot_l0
    add     x1, x0, #(5 * 4096)
3:  dc      ivac, x0
    add     x0, x0, x7
    cmp     x0, x1
    b.lo    3b
    dsb     sy

    adr     x20, bk_boot_primary_mapped
    b       bk_boot_mmu

    .balign 16
    .global bk_boot_secondary
bk_boot_secondary:
    msr     daifset, #0xf
    msr     spsel, #1
    mov     x19, x0
    adrp    x21, _image_head
    adr     x20, bk_boot_secondary_mapped

bk_boot_mmu:
    ldr     x0, ={mair}
    msr     mair_el2, x0
    ldr     x0, ={tcr}
    mrs     x1, id_aa64mmfr0_el1
    and     x1, x1, #0xf
    mov     x2, #5                  // 48-bit addresses suffice
    cmp     x1, x2
    csel    x1, x1, x2, lo
    bfi     x0, x1, #16, #3
    msr     tcr_el2, x0
    adrp    x0, bk_boot_l0
    msr     ttbr0_el2, x0
    // E2H = 0: EL2's own regime, EL1 beneath. RW = 1 so that nothing is AArch32 by accident.
    mov     x0, #(1 << 31)
    msr     hcr_el2, x0
    isb
    tlbi    alle2
    dsb     nsh
    isb
    ldr     x0, ={sctlr}
    // FEAT_PAuth: Rust's functions sign their return addresses, from the first one on (EnIA). The key
    // is that of the time until a guest is entered: nobody hostile has run on this CPU before.
    mrs     x1, id_aa64isar1_el1
    mrs     x2, S3_0_C0_C6_2        // ID_AA64ISAR2_EL1
    and     x1, x1, #0xff0          // API, APA
    and     x2, x2, #0xf000         // APA3
    orr     x1, x1, x2
    cbz     x1, 1f
    mrs     x1, cntpct_el0
    mrs     x2, id_aa64isar0_el1
    lsr     x2, x2, #60             // RNDR
    cbz     x2, 0f
    mrs     x2, S3_3_C2_C4_0        // RNDR; 0 if it fails
    eor     x1, x1, x2
0:  msr     S3_0_C2_C1_0, x1        // APIAKeyLo_EL1
    ror     x1, x1, #29
    msr     S3_0_C2_C1_1, x1        // APIAKeyHi_EL1
    orr     x0, x0, #(1 << 31)
    // FEAT_BTI: a jump may not land on PACIASP either (BT); a call may.
1:  mrs     x1, id_aa64pfr1_el1
    tst     x1, #0xf
    orr     x1, x0, #(1 << 36)
    csel    x0, x0, x1, eq
    msr     sctlr_el2, x0
    isb
    // Go on at the linked address: x20 - physical + linked.
    ldr     x0, ={image}
    sub     x20, x20, x21
    add     x20, x20, x0
    br      x20

bk_boot_primary_mapped:
    bti     j
    adrp    x0, bk_boot_stack_top
    mov     sp, x0
    bl      bk_set_vectors
    // .bss, with the caches on; its bounds are 4 KiB aligned. The boot tables stand outside. Two
    // cache blocks (DC ZVA) have at most 4 KiB, so that they are whole.
    adrp    x0, __bss_start
    adrp    x1, __bss_end
    mrs     x2, dczid_el0
    tbnz    x2, #4, 4f              // DC ZVA is not permitted
    ubfx    x2, x2, #0, #4
    mov     x3, #4
    lsl     x2, x3, x2
7:  cmp     x0, x1
    b.hs    5f
    dc      zva, x0
    add     x0, x0, x2
    dc      zva, x0
    add     x0, x0, x2
    b       7b
4:  cmp     x0, x1
    b.hs    5f
    stp     xzr, xzr, [x0], #16
    b       4b
5:  mov     x29, xzr
    mov     x30, xzr
    adrp    x0, {cpus}
    add     x0, x0, :lo12:{cpus}
    msr     tpidr_el2, x0
    adrp    x1, bk_boot_stack_top   // until the CPU's own stacks are mapped
    str     x1, [x0, #8]
    mov     x0, x19
    mov     x1, x21
    bl      bk_primary_main
    b       bk_boot_hang

bk_boot_secondary_mapped:
    bti     j
    bl      bk_set_vectors
    adrp    x0, {root}
    ldr     x0, [x0, :lo12:{root}]
    bl      bk_enter_final_tables
    msr     tpidr_el2, x19
    ldr     x0, [x19]               // PerCpu.stack_top
    sub     sp, x0, #272            // the top frame is an exit's
    mov     x29, xzr
    mov     x30, xzr
    bl      bk_secondary_main

bk_boot_hang:
    wfe
    b       bk_boot_hang

    // x0: physical address of the final root. The code stands in the image, which both tables map
    // at the same place, so the change needs no break-before-make: each address that is valid in
    // both gives the same memory.
    .global bk_enter_final_tables
bk_enter_final_tables:
    dsb     ish
    msr     ttbr0_el2, x0
    isb
    tlbi    alle2
    dsb     nsh
    isb
    mrs     x1, sctlr_el2
    orr     x1, x1, #{wxn}
    msr     sctlr_el2, x1
    isb
    ret

    // Chooses the vectors. Clobbers x0–x2.
bk_set_vectors:
    adrp    x0, bk_vectors_plain
    add     x0, x0, :lo12:bk_vectors_plain
    adrp    x1, bk_vectors_pac
    add     x1, x1, :lo12:bk_vectors_pac
    mrs     x2, sctlr_el2
    tst     x2, #(1 << 31)          // EnIA
    csel    x0, x0, x1, eq
    msr     vbar_el2, x0
    ret

    .section .boot_tables, "aw", %nobits
    .balign 4096
bk_boot_l0:             .zero 4096
bk_boot_l1_identity:    .zero 4096
bk_boot_l2_identity:    .zero 4096
bk_boot_l1_image:       .zero 4096
bk_boot_l2_image:       .zero 4096
    "#,
    block = const BOOT_BLOCK,
    image = const layout::IMAGE,
    mair = const MAIR,
    tcr = const TCR,
    sctlr = const SCTLR_BOOT,
    wxn = const SCTLR_WXN,
    cpus = sym crate::cpu::CPUS,
    root = sym crate::el2_table::FINAL_ROOT,
);

unsafe extern "C" {
    static _image_head: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __image_end: u8;
    static bk_boot_secondary: u8;
    /// Changes to the final translation tables, whose root is at the physical address.
    pub(crate) fn bk_enter_final_tables(root: u64);
}

/// The linked addresses that bound the image's parts; all are page-aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageBounds {
    pub(crate) start: u64,
    pub(crate) text_start: u64,
    pub(crate) text_end: u64,
    pub(crate) rodata_end: u64,
    pub(crate) end: u64,
}

/// Returns the bounds that the linker script defines.
pub(crate) fn image_bounds() -> ImageBounds {
    ImageBounds {
        start: (&raw const _image_head).addr() as u64,
        text_start: (&raw const __text_start).addr() as u64,
        text_end: (&raw const __text_end).addr() as u64,
        rodata_end: (&raw const __rodata_end).addr() as u64,
        end: (&raw const __image_end).addr() as u64,
    }
}

unsafe extern "C" {
    static bk_boot_stack_bottom: u8;
    static bk_boot_stack_top: u8;
}

/// Returns address and size of the stack that the boot CPU starts on.
pub(crate) fn boot_stack() -> (u64, u64) {
    let bottom = (&raw const bk_boot_stack_bottom).addr() as u64;
    (
        bottom,
        (&raw const bk_boot_stack_top).addr() as u64 - bottom,
    )
}

/// Returns the linked address where a secondary CPU starts, with the MMU off.
pub(crate) fn secondary_entry() -> u64 {
    (&raw const bk_boot_secondary).addr() as u64
}
