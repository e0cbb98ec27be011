//! The heap, table memory and the windows into guest memory.

use crate::cpu::{ThisCpu, this};
use crate::el2_table::{self, Use};
use crate::layout;
use crate::sysreg::{self, dsb, isb};
use addr::{Address, BLOCK_2M, PAGE_SIZE, Pa, PaRange, Range, align_down};
use buddy_system_allocator::Heap;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use lock::Lock;
use machine::{Accounting, GuestMemory, GuestMemoryError, OwnMemory, TableMemory};

/// Largest power of two of bytes that the heap can hand out at once, plus one.
const ORDERS: usize = 33;

struct LockedHeap(Lock<Heap<ORDERS>>);

#[global_allocator]
static HEAP: LockedHeap = LockedHeap(Lock::new(Heap::new()));

// SAFETY: the buddy allocator returns blocks of at least the layout's size, aligned to their own
// power-of-two size, from memory that was given to it once (`add_to_heap`), and the lock makes each
// call exclusive.
unsafe impl GlobalAlloc for LockedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0
            .lock()
            .alloc(layout)
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller passes what `alloc` returned for the same layout.
            unsafe { self.0.lock().dealloc(pointer, layout) };
        }
    }
}

/// Returns where the heap lies for what precedes the choice of the hypervisor's memory: EL2's first
/// tables and the device tree's facts.
/// It lies in the image's part that is not cleared.
fn early_heap() -> (usize, usize) {
    unsafe extern "C" {
        static bk_early_heap: u8;
        static bk_early_heap_end: u8;
    }
    (
        (&raw const bk_early_heap).addr(),
        (&raw const bk_early_heap_end).addr(),
    )
}

/// Gives the early heap to the allocator.
pub(crate) fn start_early_heap() {
    let (start, end) = early_heap();
    // SAFETY: the linker script sets this part of the image aside for nothing else, and it is mapped
    // writable for good.
    unsafe { HEAP.0.lock().add_to_heap(start, end) };
}

/// Maps RAM that belongs to the hypervisor and gives it to the heap.
pub(crate) fn add_owned(range: PaRange) {
    let start = layout::OWNED + range.start().get();
    el2_table::map(start, range.start().get(), range.size(), Use::Data);
    // SAFETY: the caller took the range out of the machine's free RAM for this purpose alone, and
    // it was mapped writable just now.
    unsafe {
        HEAP.0
            .lock()
            .add_to_heap(start as usize, (start + range.size()) as usize)
    };
}

/// Returns how much of the heap is in use, in bytes.
#[must_use]
pub fn heap_in_use() -> usize {
    HEAP.0.lock().stats_alloc_actual()
}

/// Allocates a page of zeros that is never given back.
pub(crate) fn leak_zeroed_page<T>() -> &'static T {
    assert!(size_of::<T>() == PAGE_SIZE as usize);
    let address = allocate_zeroed(page_layout(0)).expect("no memory left for EL2's tables");
    // SAFETY: fresh, zeroed, page-sized and page-aligned memory that nobody else has; `T` is an
    // array of atomic integers, for which zeros are a value.
    unsafe { address.cast::<T>().as_ref() }
}

/// Allocates memory in whole pages that is never given back, whatever is in it; returns its physical
/// address.
pub(crate) fn leak_pages(size: u64) -> u64 {
    let layout = Layout::from_size_align(size as usize, PAGE_SIZE as usize)
        .ok()
        .filter(|layout| layout.size() != 0)
        .expect("a size in pages");
    // SAFETY: the layout's size is not 0.
    let pointer = NonNull::new(unsafe { HEAP.alloc(layout) }).expect("no memory left for EL2");
    el2_table::own_to_pa(pointer.addr().get() as u64)
}

fn page_layout(order: u32) -> Layout {
    let size = (PAGE_SIZE as usize) << order;
    Layout::from_size_align(size, size).expect("a power of two of pages")
}

fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the layout's size is not 0.
    NonNull::new(unsafe { HEAP.alloc_zeroed(layout) })
}

/// Tables that are handed out now, for the leak tests.
static TABLES: AtomicUsize = AtomicUsize::new(0);

/// Returns how many translation-table pages are handed out.
#[must_use]
pub fn tables_in_use() -> usize {
    TABLES.load(Ordering::Relaxed)
}

fn descriptor(table: Pa, index: usize) -> &'static AtomicU64 {
    assert!(index < 16 * 512, "descriptor {index} of a stage 2 table");
    let address = el2_table::own_from_pa(table.get()) + index as u64 * 8;
    // SAFETY: `table` is what `allocate` returned, so the descriptor lies in mapped heap memory that
    // only `TableMemory` uses; it is only reached as an atomic.
    unsafe { &*(address as *const AtomicU64) }
}

impl Accounting for ThisCpu {
    fn own_memory(&self) -> OwnMemory {
        OwnMemory {
            heap: heap_in_use(),
            tables: tables_in_use(),
        }
    }
}

impl TableMemory for ThisCpu {
    fn read(&self, table: Pa, index: usize) -> u64 {
        descriptor(table, index).load(Ordering::Relaxed)
    }

    fn write(&mut self, table: Pa, index: usize, value: u64) {
        descriptor(table, index).store(value, Ordering::Relaxed);
        // SAFETY: a barrier: the walker sees this store and all earlier ones.
        unsafe { core::arch::asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
    }

    fn allocate(&mut self, order: u32) -> Option<Pa> {
        let pointer = allocate_zeroed(page_layout(order))?;
        TABLES.fetch_add(1 << order, Ordering::Relaxed);
        Some(Pa::new(el2_table::own_to_pa(pointer.addr().get() as u64)))
    }

    fn free(&mut self, table: Pa, order: u32) {
        TABLES.fetch_sub(1 << order, Ordering::Relaxed);
        let pointer = el2_table::own_from_pa(table.get()) as *mut u8;
        // SAFETY: by the trait's contract `allocate` returned this table for the same order.
        unsafe { HEAP.dealloc(pointer, page_layout(order)) };
    }
}

/// The windows of a CPU.
#[derive(Clone, Copy)]
enum Window {
    Source = 0,
    Target = 1,
}

/// Makes the tables of a CPU's windows.
pub(crate) fn prepare_windows(cpu: usize, data: &crate::cpu::PerCpu) {
    let base = layout::WINDOWS + cpu as u64 * layout::WINDOWS_PER_CPU * layout::WINDOW_SIZE;
    for (window, pages) in (0..).zip(&data.window_pages) {
        let first = el2_table::entry(base + window * layout::WINDOW_SIZE, 3);
        pages.store(core::ptr::from_ref(first).addr() as u64, Ordering::Relaxed);
    }
    data.window_entries.store(base, Ordering::Relaxed);
}

/// Most ranges of RAM that guests' memory may lie in.
const MAX_RANGES: usize = 32;

/// The RAM that a window may show: neither EL2's own nor the boot loader's files.
static GUEST_RAM: [(AtomicU64, AtomicU64); MAX_RANGES] =
    [const { (AtomicU64::new(0), AtomicU64::new(0)) }; MAX_RANGES];

/// Sets which physical ranges windows may show.
pub(crate) fn set_guest_ram(ranges: &[PaRange]) {
    assert!(
        ranges.len() <= MAX_RANGES,
        "the machine's free RAM is in more than {MAX_RANGES} pieces"
    );
    for ((start, end), range) in GUEST_RAM.iter().zip(ranges) {
        start.store(range.start().get(), Ordering::Relaxed);
        end.store(range.end().get(), Ordering::Relaxed);
    }
}

fn check_ram(address: Pa, size: u64) -> Result<(), GuestMemoryError> {
    let error = GuestMemoryError { address, size };
    let end = address.checked_add(size).ok_or(error)?;
    let is_ram = GUEST_RAM.iter().any(|(from, to)| {
        from.load(Ordering::Relaxed) <= address.get() && end.get() <= to.load(Ordering::Relaxed)
    });
    if is_ram { Ok(()) } else { Err(error) }
}

/// Shows up to 512 pages of guest memory, from the one that holds `address` to the end of its
/// 2 MiB block at most, and calls `use_it` with the address's place and the bytes shown from it on.
fn with_window<R>(window: Window, address: Pa, size: u64, use_it: impl FnOnce(u64, u64) -> R) -> R {
    let data = this();
    let table = data.window_pages[window as usize].load(Ordering::Relaxed);
    let base = data.window_entries.load(Ordering::Relaxed) + window as u64 * layout::WINDOW_SIZE;
    let block_end = align_down(address.get(), BLOCK_2M) + BLOCK_2M;
    let shown = size
        .min(block_end - address.get())
        .min(MAX_SHOWN - address.page_offset());
    let pages = (address.page_offset() + shown).div_ceil(PAGE_SIZE);
    let attributes = Use::Data.attributes() | 3;
    for page in 0..pages {
        // SAFETY: `table` is this CPU's level 3 table of 512 entries (`prepare_windows`), and
        // `pages` is at most `MAX_SHOWN / PAGE_SIZE`, far fewer.
        let entry = unsafe { &*((table + page * 8) as *const AtomicU64) };
        entry.store(
            (address.page().get() + page * PAGE_SIZE) | attributes,
            Ordering::Relaxed,
        );
    }
    // SAFETY: barriers: the walker sees the entries before the first access.
    unsafe { core::arch::asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
    let result = use_it(base + address.page_offset(), shown);
    for page in 0..pages {
        // SAFETY: as above.
        let entry = unsafe { &*((table + page * 8) as *const AtomicU64) };
        entry.store(0, Ordering::Relaxed);
    }
    // SAFETY: barriers and TLB maintenance of this CPU's own window addresses, which no reference
    // points into.
    unsafe { core::arch::asm!("dsb ishst", options(nostack, preserves_flags)) };
    for page in 0..pages {
        // SAFETY: as above; the operand is a virtual page number.
        unsafe {
            core::arch::asm!(
                "tlbi vae2, {}",
                in(reg) (base >> 12) + page,
                options(nostack, preserves_flags)
            );
        }
    }
    dsb();
    isb();
    result
}

/// How much one use of a window shows at the most: 16 pages.
const MAX_SHOWN: u64 = 16 * PAGE_SIZE;

/// Copies bytes between places that guests may write at the same time, so not as Rust values.
///
/// # Safety
/// Both places are mapped, the target writable, for `size` bytes, and don't overlap.
unsafe fn copy_bytes(target: u64, source: u64, size: u64) {
    // SAFETY: by the contract; the loop touches exactly `size` bytes of each.
    unsafe {
        core::arch::asm!(
            "    cmp    {size}, #64",
            "    b.lo   7f",
            // ID_AA64ISAR2_EL1.MOPS: the CPU has instructions for that (FEAT_MOPS).
            "    mrs    {a}, s3_0_c0_c6_2",
            "    tst    {a}, #0xf0000",
            "    b.eq   2f",
            "    .arch_extension mops",
            "    cpyfp  [{target}]!, [{source}]!, {size}!",
            "    cpyfm  [{target}]!, [{source}]!, {size}!",
            "    cpyfe  [{target}]!, [{source}]!, {size}!",
            "    .arch_extension nomops",
            "    b      9f",
            "2:  subs   {size}, {size}, #64",
            "    b.lo   6f",
            "    ldp    {a}, {b}, [{source}]",
            "    ldp    {c}, {d}, [{source}, #16]",
            "    stp    {a}, {b}, [{target}]",
            "    stp    {c}, {d}, [{target}, #16]",
            "    ldp    {a}, {b}, [{source}, #32]",
            "    ldp    {c}, {d}, [{source}, #48]",
            "    stp    {a}, {b}, [{target}, #32]",
            "    stp    {c}, {d}, [{target}, #48]",
            "    add    {source}, {source}, #64",
            "    add    {target}, {target}, #64",
            "    b      2b",
            "6:  add    {size}, {size}, #64",
            "7:  subs   {size}, {size}, #16",
            "    b.lo   3f",
            "    ldp    {a}, {b}, [{source}], #16",
            "    stp    {a}, {b}, [{target}], #16",
            "    b      7b",
            // The tail by halves: a field of 2, 4 or 8 bytes, aligned as it must be, is moved by
            // one load and one store, so that it is never seen in part.
            "3:  tbz    {size}, #3, 4f",
            "    ldr    {a}, [{source}], #8",
            "    str    {a}, [{target}], #8",
            "4:  tbz    {size}, #2, 5f",
            "    ldr    {a:w}, [{source}], #4",
            "    str    {a:w}, [{target}], #4",
            "5:  tbz    {size}, #1, 8f",
            "    ldrh   {a:w}, [{source}], #2",
            "    strh   {a:w}, [{target}], #2",
            "8:  tbz    {size}, #0, 9f",
            "    ldrb   {a:w}, [{source}]",
            "    strb   {a:w}, [{target}]",
            "9:",
            size = inout(reg) size => _,
            source = inout(reg) source => _,
            target = inout(reg) target => _,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            options(nostack)
        );
    }
}

impl GuestMemory for ThisCpu {
    fn read(&self, address: Pa, buffer: &mut [u8]) -> Result<(), GuestMemoryError> {
        check_ram(address, buffer.len() as u64)?;
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let from = Pa::new(address.get() + done as u64);
            done += with_window(Window::Source, from, rest.len() as u64, |source, shown| {
                // SAFETY: the window shows `shown` bytes of RAM, at most the rest of the buffer.
                unsafe { copy_bytes(rest.as_mut_ptr().addr() as u64, source, shown) };
                shown as usize
            });
        }
        Ok(())
    }

    fn write(&self, address: Pa, bytes: &[u8]) -> Result<(), GuestMemoryError> {
        check_ram(address, bytes.len() as u64)?;
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let to = Pa::new(address.get() + done as u64);
            done += with_window(Window::Target, to, rest.len() as u64, |target, shown| {
                // SAFETY: the window shows `shown` bytes of RAM, at most the rest of the buffer.
                unsafe { copy_bytes(target, rest.as_ptr().addr() as u64, shown) };
                shown as usize
            });
        }
        Ok(())
    }

    fn copy(&self, target: Pa, source: Pa, size: u64) -> Result<(), GuestMemoryError> {
        check_ram(target, size)?;
        check_ram(source, size)?;
        let mut done = 0;
        while done < size {
            let (to, from) = (Pa::new(target.get() + done), Pa::new(source.get() + done));
            done += with_window(Window::Source, from, size - done, |source, readable| {
                with_window(Window::Target, to, readable, |target, shown| {
                    // SAFETY: both windows show at least `shown` bytes of RAM.
                    unsafe { copy_bytes(target, source, shown) };
                    shown
                })
            });
        }
        Ok(())
    }

    fn zero(&self, range: Range<Pa>) -> Result<(), GuestMemoryError> {
        check_ram(range.start(), range.size())?;
        let mut done = 0;
        while done < range.size() {
            let at = Pa::new(range.start().get() + done);
            done += with_window(Window::Target, at, range.size() - done, |target, shown| {
                zero_and_clean(target, shown);
                shown
            });
        }
        dsb();
        Ok(())
    }

    fn publish(&self, range: Range<Pa>) {
        if check_ram(range.start(), range.size()).is_err() {
            return;
        }
        let mut done = 0;
        while done < range.size() {
            let at = Pa::new(range.start().get() + done);
            done += with_window(Window::Target, at, range.size() - done, |target, shown| {
                clean(target, shown);
                shown
            });
        }
        dsb();
        // SAFETY: invalidates all instruction caches: the guest runs at other virtual addresses, so
        // invalidation by address would not do (Arm ARM, VIPT caches).
        unsafe {
            core::arch::asm!(
                "ic ialluis",
                "dsb ish",
                "isb",
                options(nostack, preserves_flags)
            )
        };
    }
}

/// Cleans the data cache to the point of coherency, for every line that holds one of these bytes.
/// A DSB has to follow.
fn clean(target: u64, size: u64) {
    let line = cache_line();
    // SAFETY: cache maintenance by address changes no value, and each line holds bytes that the
    // window shows.
    unsafe {
        core::arch::asm!(
            "2:  dc     cvac, {at}",
            "    add    {at}, {at}, {line}",
            "    cmp    {at}, {end}",
            "    b.lo   2b",
            at = inout(reg) align_down(target, line) => _,
            end = in(reg) target + size,
            line = in(reg) line,
            options(nostack)
        );
    }
}

/// Returns the size of the smallest data cache line, in bytes (CTR_EL0.DminLine).
fn cache_line() -> u64 {
    4 << (sysreg::read!("ctr_el0") >> 16 & 0xf)
}

/// Returns how many bytes DC ZVA writes, and is aligned to; `None` if it may not be used.
fn zero_block() -> Option<u64> {
    let dczid = sysreg::read!("dczid_el0");
    (dczid & 1 << 4 == 0).then_some(4 << (dczid & 0xf))
}

/// Writes zeros, and cleans their lines as [`clean`] does.
fn zero_and_clean(target: u64, size: u64) {
    let line = cache_line();
    let whole = (target | size).is_multiple_of(4 * line) && size != 0;
    if zero_block() == Some(line) && whole {
        // SAFETY: the window shows these bytes, writable, as Normal memory, and they are whole
        // blocks, four at a time.
        unsafe {
            core::arch::asm!(
                "2:",
                ".rept 4",
                "    dc     zva, {at}",
                "    dc     cvac, {at}",
                "    add    {at}, {at}, {line}",
                ".endr",
                "    cmp    {at}, {end}",
                "    b.lo   2b",
                at = inout(reg) target => _,
                end = in(reg) target + size,
                line = in(reg) line,
                options(nostack)
            );
        }
        return;
    }
    let (mut at, end) = (target, target + size);
    while at < end {
        let address = at as *mut u64;
        if at.is_multiple_of(8) && end - at >= 8 {
            // SAFETY: the window shows these bytes, writable; volatile, since guests share them.
            unsafe { address.write_volatile(0) };
            at += 8;
        } else {
            // SAFETY: as above.
            unsafe { address.cast::<u8>().write_volatile(0) };
            at += 1;
        }
    }
    clean(target, size);
}

/// A root table without a valid descriptor, aligned for any size of a concatenated root.
#[repr(C, align(65536))]
struct EmptyRoot([AtomicU64; 16 * 512]);
static EMPTY_ROOT: EmptyRoot = EmptyRoot([const { AtomicU64::new(0) }; 16 * 512]);

/// Returns the physical address of stage 2 tables that map nothing.
pub(crate) fn empty_root() -> u64 {
    el2_table::image_to_pa((&raw const EMPTY_ROOT).addr() as u64)
}
