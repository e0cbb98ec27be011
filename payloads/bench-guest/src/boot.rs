//! Where CPUs enter, and the way to what is measured.

use crate::console::say;
use crate::{console, gic, measure, pair, psci, single, switch};
use core::arch::global_asm;
use core::panic::PanicInfo;
use dtoolkit::fdt::Fdt;
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};

/// Size of a CPU's stack in bytes, as the linker script has it.
const STACK_SIZE: usize = 0x2000;

// `entry` is where the loader enters the first CPU, with the device tree's address in x0. It starts
// with the header of an arm64 `Image` (Linux, Documentation/arch/arm64/booting.rst).
// `secondary_entry` is where PSCI CPU_ON enters the other, with 1 in x0. Both take the stack of
// their index and go to Rust with x0 as it was. Clobbers x1, x2, x3 and sp.
global_asm!(
    ".pushsection .text.entry, \"ax\"",
    ".global entry",
    "entry:",
    "    b 0f",
    "    .word 0",
    "    .quad 0x80000",            // text_offset: from the start of memory to the link address
    "    .quad image_size",
    "    .quad 0x2",                // flags: little-endian, 4 KiB pages, near the start of memory
    "    .quad 0, 0, 0",
    "    .ascii \"ARM\\x64\"",
    "    .word 0",
    "0:  mov x1, xzr",
    "    adr x2, first_main",
    "    b 1f",
    ".global secondary_entry",
    "secondary_entry:",
    "    mov x1, x0",
    "    adr x2, secondary_main",
    "1:  msr daifset, #0xf",
    "    msr spsel, #1",
    "    add x1, x1, #1",
    "    mov x3, #{stack_size}",
    "    mul x1, x1, x3",
    "    adrp x3, stacks",
    "    add x3, x3, :lo12:stacks",
    "    add sp, x3, x1",
    "    mov x29, xzr",
    "    mov x30, xzr",
    "    br x2",
    ".popsection",
    stack_size = const STACK_SIZE,
);

/// What the command line asks for.
pub(crate) struct Request {
    what: &'static str,
    /// How often each operation is repeated.
    pub(crate) iterations: u64,
}

/// Measures what the command line names, on the first CPU.
#[unsafe(no_mangle)]
extern "C" fn first_main(tree: *const u8) -> ! {
    // SAFETY: the boot protocol has the loader pass the tree's address; nothing writes there.
    let request = match unsafe { read_request(tree) } {
        Ok(request) => request,
        Err(reason) => panic!("no usable device tree: {reason}"),
    };
    gic::set_up(0);
    match request.what {
        "single" => single::run(request.iterations),
        "sweep" => single::sweep(),
        "compute" => single::compute(request.iterations),
        "pair" => pair::run(request.iterations),
        "switch" => switch::run(request.iterations),
        other => panic!("there is no measurement {other:?}"),
    }
    say!("done");
    psci::system_off()
}

/// Serves the first CPU's measurement, on the other CPU.
#[unsafe(no_mangle)]
extern "C" fn secondary_main(index: usize) -> ! {
    gic::set_up(index);
    if switch::is_running() {
        switch::serve();
    }
    pair::serve()
}

/// Reads the command line.
///
/// # Safety
/// `tree` is null, or the start of a flattened device tree that nothing ever writes.
unsafe fn read_request(tree: *const u8) -> Result<Request, &'static str> {
    if tree.is_null() {
        return Err("x0 is 0");
    }
    // SAFETY: not null, so that by the caller's contract this is a tree which lives for ever.
    let tree: Fdt<'static> = unsafe { Fdt::from_raw(tree) }.map_err(|_| "it is malformed")?;
    let chosen = tree.find_node("/chosen").ok_or("it has no /chosen")?;
    let bootargs: &'static str = match chosen.property("bootargs") {
        Some(bootargs) => bootargs.value_as().map_err(|_| "bootargs is no string")?,
        None => "",
    };
    find_devices(tree)?;
    let value = |key: &str| {
        bootargs
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    if value("marks") == Some("off") {
        measure::set_no_marks();
    }
    Ok(Request {
        what: value("bench").unwrap_or("single"),
        iterations: value("iterations")
            .and_then(|text| text.parse().ok())
            .unwrap_or(1000),
    })
}

/// Finds console and interrupt controller: hypervisors have maps of their own.
fn find_devices(tree: Fdt<'static>) -> Result<(), &'static str> {
    let root = tree.root();
    let address = |kinds: &[&str], index: usize| {
        let node = kinds.iter().find_map(|kind| {
            let mut nodes = root.children();
            nodes.find(|node| node.is_compatible(kind))
        })?;
        let register = node.reg().ok()??.nth(index)?;
        register
            .address::<u64>()
            .ok()
            .map(|address| address as usize)
    };
    let console = address(&["arm,pl011", "arm,sbsa-uart"], 0).ok_or("it has no console")?;
    console::found(console);
    let gicd = address(&["arm,gic-v3"], 0).ok_or("it has no GICv3")?;
    let gicr = address(&["arm,gic-v3"], 1).ok_or("it has no redistributors")?;
    gic::found(gicd, gicr);
    Ok(())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => say!(
            "FAILED: {} ({}:{})",
            info.message(),
            place.file(),
            place.line()
        ),
        None => say!("FAILED: {}", info.message()),
    }
    psci::system_off()
}
