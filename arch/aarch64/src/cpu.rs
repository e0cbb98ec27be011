//! What each CPU has of its own, and the token that stands for it.

use crate::sysreg;
use alloc::boxed::Box;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use machine::{Conduit, Frame};

/// The most CPUs that the tables of this crate have room for.
pub const MAX_CPUS: usize = 64;

/// One CPU's data, at TPIDR_EL2. The assembly knows the offsets that are given.
#[repr(C)]
pub(crate) struct PerCpu {
    /// Offset 0: where the main stack begins.
    pub(crate) stack_top: AtomicU64,
    /// Offset 8: where a fatal exception's stack begins.
    pub(crate) emergency_top: AtomicU64,
    /// Offset 16: where all registers of the guest are saved, a box that the CPU owns: null until a
    /// guest is entered, and while a handler has the box.
    pub(crate) frame: AtomicPtr<Frame>,
    /// The CPU's place in the device tree's list.
    pub(crate) index: AtomicUsize,
    /// Offset 32: the guest's APIAKey, low half first, while EL2's is in the registers.
    pub(crate) guest_key: [AtomicU64; 2],
    /// Offset 48: EL2's APIAKey, by which it signs its return addresses.
    pub(crate) key: [AtomicU64; 2],
    /// The role's data of this CPU, once it has started.
    pub(crate) role: AtomicPtr<()>,
    /// EL2's address of the first window; the others follow.
    pub(crate) window_entries: AtomicU64,
    /// Where the window's level 3 tables lie.
    pub(crate) window_pages: [AtomicU64; 2],
}

impl PerCpu {
    pub(crate) const fn new() -> Self {
        Self {
            stack_top: AtomicU64::new(0),
            emergency_top: AtomicU64::new(0),
            frame: AtomicPtr::new(core::ptr::null_mut()),
            index: AtomicUsize::new(0),
            guest_key: [const { AtomicU64::new(0) }; 2],
            key: [const { AtomicU64::new(0) }; 2],
            role: AtomicPtr::new(core::ptr::null_mut()),
            window_entries: AtomicU64::new(0),
            window_pages: [const { AtomicU64::new(0) }; 2],
        }
    }
}

const _: () = assert!(core::mem::offset_of!(PerCpu, stack_top) == 0);
const _: () = assert!(core::mem::offset_of!(PerCpu, emergency_top) == 8);
const _: () = assert!(core::mem::offset_of!(PerCpu, frame) == 16);
const _: () = assert!(core::mem::offset_of!(PerCpu, guest_key) == 32);
const _: () = assert!(core::mem::offset_of!(PerCpu, key) == 48);

/// The data of all CPUs.
pub(crate) static CPUS: [PerCpu; MAX_CPUS] = [const { PerCpu::new() }; MAX_CPUS];

/// The hardware of the CPU that runs the code: the one value that implements the traits of
/// `machine`. It cannot leave its CPU, and there is one at a time.
pub struct ThisCpu {
    _stays_here: PhantomData<*mut ()>,
}

impl ThisCpu {
    /// Makes the token.
    ///
    /// # Safety
    /// The CPU's interface (MMU, GIC, per-CPU data) is set up, and no other token of this CPU is
    /// alive.
    pub(crate) unsafe fn new() -> Self {
        Self {
            _stays_here: PhantomData,
        }
    }
}

/// Returns the data of the CPU that runs the call.
#[inline]
pub(crate) fn this() -> &'static PerCpu {
    let pointer = sysreg::read!("tpidr_el2") as *const PerCpu;
    // SAFETY: TPIDR_EL2 is set before any Rust code runs on a CPU (`boot.rs`), to an element of
    // `CPUS`: the boot CPU's is the first until `Boot::start` has found its place in the list. It
    // lives forever, and all fields are atomics.
    unsafe { &*pointer }
}

/// Gives a vector's handler its role and hardware.
///
/// # Safety
/// Called once per exception, by the functions that [`image!`](crate::image) defines, with `R` the
/// type that [`ThisCpu::start_role`] was given; so neither is borrowed twice.
#[inline]
pub unsafe fn enter<R>() -> (&'static mut R, &'static mut ThisCpu) {
    let role = this().role.load(Ordering::Relaxed).cast::<R>();
    // SAFETY: `start_role` or `start_cpu` stored a leaked `R` for this CPU alone, and by this
    // function's contract there is no other reference while the exception is handled.
    let role = unsafe { &mut *role };
    // SAFETY: the token has no size, so any aligned address will do for it, and the contract says
    // that no other is alive. A reference to a local one would cost the handlers a stack frame.
    let hardware = unsafe { NonNull::dangling().as_mut() };
    (role, hardware)
}

/// Gives a vector's handler the box in which the vector has saved all registers.
///
/// # Safety
/// Called once per exception by the functions that [`image!`](crate::image) defines, for an exception
/// from a guest whose vector has saved all registers; [`put_frame`] gives the box back before the
/// guest goes on.
#[inline]
#[must_use]
pub unsafe fn take_frame() -> Box<Frame> {
    let frame = this().frame.load(Ordering::Relaxed);
    // SAFETY: `put_frame` got the pointer from a box and was the last to use it but for this CPU's
    // vector, which has finished. By this function's contract nobody else makes a box of it.
    unsafe { Box::from_raw(frame) }
}

/// Gives the CPU the box that holds the guest's registers, and the next exit's afterwards. Returns
/// where they are.
#[inline]
pub fn put_frame(frame: Box<Frame>) -> *const Frame {
    let frame = Box::into_raw(frame);
    this().frame.store(frame, Ordering::Relaxed);
    frame
}

/// Sets up a secondary CPU and gives its first function role and hardware.
///
/// # Safety
/// Called once, by the function that [`image!`](crate::image) defines for the CPU's start.
pub unsafe fn enter_secondary<R>() -> (&'static mut R, &'static mut ThisCpu) {
    crate::setup::cpu_interface();
    // SAFETY: the CPU has just started, so this is the first and only entry.
    unsafe { enter() }
}

/// Decodes which instruction made an SMCCC call, from ESR_EL2.
#[inline]
#[must_use]
pub fn conduit(esr: u64) -> Conduit {
    let immediate = (esr & 0xffff) as u16;
    if esr >> 26 == 0x16 {
        Conduit::Hvc { immediate }
    } else {
        Conduit::Smc { immediate }
    }
}

/// Enters the guest whose registers are in `frame`, and gives up the stack. From then on EL2 signs its
/// return addresses on this CPU by `key`, or, without one, by that which the CPU started with.
pub fn enter_guest(frame: Box<Frame>, key: Option<[u64; 2]>) -> ! {
    if crate::world::has_pointer_authentication() {
        let key = key.unwrap_or_else(crate::world::signing_key);
        for (half, value) in this().key.iter().zip(key) {
            half.store(value, Ordering::Relaxed);
        }
    }
    let frame = put_frame(frame);
    let top = this().stack_top.load(Ordering::Relaxed);
    // SAFETY: `frame` is this CPU's, and `top` is the top of its stack.
    unsafe { crate::vectors::enter_guest(frame, top) }
}
