//! A ticket lock: whoever asks first is served first, so that no CPU starves.
//!
//! It stands under `arch/` because it holds the only unsafe code that is not about the CPU. The
//! hypervisor runs with interrupts masked, so a holder is never preempted, and a wait is bounded by
//! the other CPUs' critical sections. With `--cfg loom` the same code runs on loom's atomics.

#![cfg_attr(not(loom), no_std)]

#[cfg(loom)]
use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::atomic::{AtomicU32, Ordering},
};

#[cfg(not(loom))]
use core::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::atomic::{AtomicU32, Ordering},
};

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// A value that one CPU at a time may use.
pub struct Lock<T> {
    next: AtomicU32,
    serving: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a `Guard`, and `lock` hands out the next guard only
// after the earlier one was dropped, so moving `&Lock` between CPUs moves access to `T` between
// them; `T: Send` allows that.
unsafe impl<T: Send> Sync for Lock<T> {}

// SAFETY: the lock owns its value; sending the one sends the other.
unsafe impl<T: Send> Send for Lock<T> {}

/// The right to use a locked value; dropping it lets the next one in.
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
    /// The guard is as good as the borrow that it gives: shared between threads only if `T` is.
    borrow: PhantomData<&'a mut T>,
    #[cfg(loom)]
    pointer: loom::cell::MutPtr<T>,
}

impl<T> Lock<T> {
    /// Makes a free lock around `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self {
            next: AtomicU32::new(0),
            serving: AtomicU32::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Makes a free lock around `value`.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self {
            next: AtomicU32::new(0),
            serving: AtomicU32::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until the value is free and takes it. Taking it twice on one CPU never returns: the
    /// lock order at the top of each crate that owns locks rules that out.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        while self.serving.load(Ordering::Acquire) != ticket {
            wait();
        }
        Guard {
            lock: self,
            borrow: PhantomData,
            #[cfg(loom)]
            pointer: self.value.get_mut(),
        }
    }

    /// Takes the value if it is free now.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let ticket = self.serving.load(Ordering::Acquire);
        self.next
            .compare_exchange(
                ticket,
                ticket.wrapping_add(1),
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .ok()?;
        Some(Guard {
            lock: self,
            borrow: PhantomData,
            #[cfg(loom)]
            pointer: self.value.get_mut(),
        })
    }

    /// Returns the value through a borrow that proves that nobody else has it.
    #[cfg(not(loom))]
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

fn wait() {
    spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

impl<T: fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("Lock").field(&*guard).finish(),
            None => f.write_str("Lock(<held>)"),
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        #[cfg(loom)]
        let pointer = self.pointer.with(|pointer| pointer.cast_const());
        #[cfg(not(loom))]
        let pointer = self.lock.value.get().cast_const();
        // SAFETY: the guard's ticket is being served, so nobody else reaches the value until the
        // guard is dropped, and the borrow of the guard bounds the reference.
        unsafe { &*pointer }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        #[cfg(loom)]
        let pointer = self.pointer.with(|pointer| pointer);
        #[cfg(not(loom))]
        let pointer = self.lock.value.get();
        // SAFETY: as in `deref`; the exclusive borrow of the guard excludes other references.
        unsafe { &mut *pointer }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Only the holder writes `serving`, so a plain load and store are enough.
        let served = self.lock.serving.load(Ordering::Relaxed).wrapping_add(1);
        self.lock.serving.store(served, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;

    use super::*;
    use std::sync::Arc;
    use std::thread;
    use std::vec::Vec;

    #[test]
    fn counts_of_many_threads_add_up() {
        let total = Arc::new(Lock::new(0_u32));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let total = Arc::clone(&total);
                thread::spawn(move || (0..1000).for_each(|_| *total.lock() += 1))
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(*total.lock(), 4000);
    }

    #[test]
    fn a_held_lock_is_not_taken_again() {
        let lock = Lock::new(1);
        let held = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(held);
        assert!(lock.try_lock().is_some());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn two_cpus_never_hold_it_at_once() {
        loom::model(|| {
            let total = Arc::new(Lock::new(0_u32));
            let other = {
                let total = Arc::clone(&total);
                thread::spawn(move || *total.lock() += 1)
            };
            *total.lock() += 1;
            other.join().unwrap();
            assert_eq!(*total.lock(), 2);
        });
    }
}
