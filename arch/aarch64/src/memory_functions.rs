//! `memcpy`, `memmove`, `memset`, `memcmp` and `bcmp`, which the compiler calls by name.
//!
//! Those of `compiler_builtins` move eight bytes at a time and refuse unaligned words; a switch of
//! vCPUs spends a third of its instructions there. These move pairs of general registers, and rely on
//! unaligned accesses to Normal memory, which SCTLR_EL2.A = 0 allows: EL2's own code runs with its
//! MMU on, and reaches devices by volatile accesses only.
//!
//! Each loads the first and the last bytes of what it moves before it stores anything, and stores
//! the last ones over the others: so there is no tail loop, and `memcpy` is `memmove`.
//!
//! They clobber what a call may clobber, and no FP/SIMD register, which are the guest's.

use core::arch::global_asm;

// x0: destination, kept; x1: source; x2: bytes.
global_asm!(
    r#"
    .text
    .balign 16
    .global memcpy
    .type memcpy, %function
    .global memmove
    .type memmove, %function
memcpy:
memmove:
    bti     c
    add     x4, x1, x2              // the end of the source
    add     x5, x0, x2              // the end of the destination
    cmp     x2, #16
    b.lo    3f
    ldp     x12, x13, [x4, #-16]
    sub     x3, x0, x1
    cmp     x3, x2
    b.lo    5f                      // the destination begins inside the source

    // Upwards.
    mov     x3, x0
    subs    x2, x2, #64
    b.ls    1f
0:  ldp     x6, x7, [x1]
    ldp     x8, x9, [x1, #16]
    ldp     x10, x11, [x1, #32]
    ldp     x14, x15, [x1, #48]
    add     x1, x1, #64
    stp     x6, x7, [x3]
    stp     x8, x9, [x3, #16]
    stp     x10, x11, [x3, #32]
    stp     x14, x15, [x3, #48]
    add     x3, x3, #64
    subs    x2, x2, #64
    b.hi    0b
1:  adds    x2, x2, #48             // 1 to 64 bytes are left
    b.le    2f
4:  ldp     x6, x7, [x1], #16
    stp     x6, x7, [x3], #16
    subs    x2, x2, #16
    b.hi    4b
2:  stp     x12, x13, [x5, #-16]
    ret

    // Downwards.
5:  ldp     x14, x15, [x1]
    subs    x2, x2, #16
    b.ls    7f
6:  ldp     x6, x7, [x4, #-16]!
    stp     x6, x7, [x5, #-16]!
    subs    x2, x2, #16
    b.hi    6b
7:  stp     x14, x15, [x0]
    ret

    // Less than 16 bytes.
3:  tbz     x2, #3, 8f
    ldr     x6, [x1]
    ldr     x7, [x4, #-8]
    str     x6, [x0]
    str     x7, [x5, #-8]
    ret
8:  tbz     x2, #2, 9f
    ldr     w6, [x1]
    ldr     w7, [x4, #-4]
    str     w6, [x0]
    str     w7, [x5, #-4]
    ret
9:  tbz     x2, #1, 10f
    ldrh    w6, [x1]
    ldrh    w7, [x4, #-2]
    strh    w6, [x0]
    strh    w7, [x5, #-2]
    ret
10: cbz     x2, 11f
    ldrb    w6, [x1]
    strb    w6, [x0]
11: ret
    .size memmove, . - memmove
    .size memcpy, . - memcpy

    // x0: destination, kept; w1: byte; x2: bytes.
    .balign 16
    .global memset
    .type memset, %function
memset:
    bti     c
    and     x1, x1, #0xff
    orr     x1, x1, x1, lsl #8
    orr     x1, x1, x1, lsl #16
    orr     x1, x1, x1, lsl #32
    add     x5, x0, x2
    cmp     x2, #16
    b.lo    3f
    mov     x3, x0
    subs    x2, x2, #64
    b.ls    1f
0:  stp     x1, x1, [x3]
    stp     x1, x1, [x3, #16]
    stp     x1, x1, [x3, #32]
    stp     x1, x1, [x3, #48]
    add     x3, x3, #64
    subs    x2, x2, #64
    b.hi    0b
1:  adds    x2, x2, #48             // 1 to 64 bytes are left
    b.le    2f
4:  stp     x1, x1, [x3], #16
    subs    x2, x2, #16
    b.hi    4b
2:  stp     x1, x1, [x5, #-16]
    ret
3:  tbz     x2, #3, 8f
    str     x1, [x0]
    str     x1, [x5, #-8]
    ret
8:  tbz     x2, #2, 9f
    str     w1, [x0]
    str     w1, [x5, #-4]
    ret
9:  tbz     x2, #1, 10f
    strh    w1, [x0]
    strh    w1, [x5, #-2]
    ret
10: cbz     x2, 11f
    strb    w1, [x0]
11: ret
    .size memset, . - memset

    // x0, x1: what is compared; x2: bytes. Returns w0: negative, 0 or positive.
    .balign 16
    .global memcmp
    .type memcmp, %function
    .global bcmp
    .type bcmp, %function
memcmp:
bcmp:
    bti     c
    subs    x2, x2, #8
    b.lo    2f
0:  ldr     x3, [x0], #8
    ldr     x4, [x1], #8
    cmp     x3, x4
    b.ne    1f
    subs    x2, x2, #8
    b.hs    0b
2:  adds    x2, x2, #8              // 0 to 7 bytes are left
    b.eq    5f
4:  ldrb    w3, [x0], #1
    ldrb    w4, [x1], #1
    subs    w3, w3, w4
    b.ne    6f
    subs    x2, x2, #1
    b.ne    4b
5:  mov     w0, #0
    ret
6:  mov     w0, w3
    ret
    // The byte at the lowest address decides.
1:  rev     x3, x3
    rev     x4, x4
    cmp     x3, x4
    cset    w0, ne
    cneg    w0, w0, lo
    ret
    .size bcmp, . - bcmp
    .size memcmp, . - memcmp
    "#
);
