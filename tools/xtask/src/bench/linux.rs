//! Debian's kernel, from its entry to the first instruction of its first process, in a VM and on the
//! bare machine with the same files, at the same addresses, under the same device tree.

use super::guest::ONE;
use super::lab::Lab;
use super::trace;
use crate::emulator::{Boot, Machine};
use crate::images::Image;
use crate::{elf, guests};
use anyhow::{Context, Result, ensure};
use archive::{DeviceNumber, Writer};
use board::Board;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The package of the program that stands before and after the kernel, and its binary.
pub(super) const RULER: &str = "linux-ruler";

/// Where that program lies, and the kernel behind it: as its linker script and its source have it.
const RULER_ADDRESS: u64 = 0x4018_0000;
const KERNEL_ADDRESS: u64 = 0x4020_0000;

/// Where the bare machine begins: above the device tree of the emulator's own, below the program.
const TRAMPOLINE_ADDRESS: u64 = 0x4010_0000;

/// The VM's memory, and that of the bare machine.
const MEMORY_MIB: u64 = 512;

/// The memory of the machine below the hypervisor.
const HOST_MEMORY_MIB: u64 = 1024;

/// What the kernel is told, beside what a case adds.
const CMDLINE: &str = "console=ttyAMA0 entry=0000000000000000";

/// What the kernel prints while it boots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Console {
    /// All of its messages.
    Full,
    /// Nothing.
    Quiet,
}

impl Console {
    /// Returns the name of the figure.
    pub(super) fn row(self) -> &'static str {
        match self {
            Self::Full => "linux-full",
            Self::Quiet => "linux-quiet",
        }
    }

    fn cmdline(self) -> String {
        match self {
            Self::Full => CMDLINE.to_owned(),
            Self::Quiet => format!("{CMDLINE} quiet"),
        }
    }
}

/// The kernel and what stands around it.
pub(super) struct Linux<'a> {
    lab: &'a Lab,
    kernel: PathBuf,
    initrd: PathBuf,
}

/// How long the boots took, in ticks of the virtual counter, which are instructions but for the time
/// in which the CPU waits.
pub(super) struct Boots {
    /// In the VM.
    pub(super) under: f64,
    /// On the bare machine.
    pub(super) native: f64,
}

/// What one boot told.
struct Report {
    ticks: f64,
    tree_address: u64,
    tree: Vec<u8>,
}

impl<'a> Linux<'a> {
    /// Fetches the kernel and puts the program around it.
    pub(super) fn new(lab: &'a Lab, ruler: &Image) -> Result<Self> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let kernel = read(&guests::fetch(guests::DEFAULT_SUITE)?.kernel())?;
        let joined = join(&read(&ruler.raw)?, &kernel)?;
        Ok(Self {
            lab,
            kernel: lab.write("ruler-and-kernel", &joined)?,
            initrd: lab.write("ruler.cpio", &initial_files(&read(&ruler.elf)?)?)?,
        })
    }

    /// Boots in a VM, then on the bare machine; returns how long both took.
    pub(super) fn boot(&self, image: &Image, console: Console) -> Result<Boots> {
        let output = self.lab.output(&self.in_vm(image, console, &[])?)?;
        let under = report(&output).with_context(|| format!("the VM printed:\n{output}"))?;
        let output = self.lab.output(&self.on_bare_machine(&under)?)?;
        let bare = report(&output).with_context(|| format!("the machine printed:\n{output}"))?;
        // Both noted their own time in it, after they had printed it.
        ensure!(
            bare.tree == under.tree && bare.tree_address == under.tree_address,
            "the bare machine got another device tree than the VM"
        );
        Ok(Boots {
            under: under.ticks,
            native: bare.ticks,
        })
    }

    /// Boots in a VM and counts the exits by reason.
    pub(super) fn exits(&self, image: &Image, console: Console) -> Result<BTreeMap<String, u64>> {
        trace::count_reasons(|extra, take| self.lab.log(&self.in_vm(image, console, extra)?, take))
    }

    fn in_vm(&self, image: &Image, console: Console, extra: &[&str]) -> Result<Machine> {
        let description = format!(
            "[[vm]]\nname = \"linux\"\nvcpus = 1\nmemory = \"{MEMORY_MIB}M\"\nkernel = {:?}\n\
             initrd = {:?}\ncmdline = {:?}\npinning = [0]\ndevices = [\"pl011\"]\n",
            self.kernel,
            self.initrd,
            console.cmdline(),
        );
        let boot = Boot::Hypervisor {
            image: image.raw.clone(),
            archive: self.lab.pack(&description, 1)?,
        };
        Ok(Lab::machine(boot, ONE, 1, HOST_MEMORY_MIB, extra))
    }

    fn on_bare_machine(&self, under: &Report) -> Result<Machine> {
        let board = Board::discover(&under.tree).context("the VM's device tree")?;
        let initrd = board
            .chosen
            .initrd
            .context("the device tree names no initial file system")?;
        let files = vec![
            (self.kernel.clone(), RULER_ADDRESS),
            (self.initrd.clone(), initrd.start().get()),
            (self.lab.write("tree.dtb", &under.tree)?, under.tree_address),
            (
                self.lab
                    .write("trampoline", &trampoline(under.tree_address))?,
                TRAMPOLINE_ADDRESS,
            ),
        ];
        let entry = TRAMPOLINE_ADDRESS;
        let boot = Boot::Loaded { files, entry };
        Ok(Lab::machine(boot, ONE, 1, MEMORY_MIB, &[]))
    }
}

/// Puts the kernel behind the program, and has the program's header ask for the memory of both.
fn join(ruler: &[u8], kernel: &[u8]) -> Result<Vec<u8>> {
    elf::check_image_header(kernel).context("the kernel can't be measured")?;
    let distance = KERNEL_ADDRESS - RULER_ADDRESS;
    let size = |image: &[u8]| {
        let field = image.get(16..24).and_then(|bytes| bytes.try_into().ok());
        field.map(u64::from_le_bytes).context("there is no header")
    };
    ensure!(size(ruler)? <= distance, "the program reaches the kernel");
    let mut joined = ruler.to_vec();
    joined.resize(usize::try_from(distance)?, 0);
    joined.extend_from_slice(kernel);
    joined[16..24].copy_from_slice(&(distance + size(kernel)?).to_le_bytes());
    Ok(joined)
}

/// Returns an initial file system of the first process alone, and the console it writes to.
fn initial_files(process: &[u8]) -> Result<Vec<u8>> {
    let mut files = Writer::new();
    files.directory("dev", 0o755)?;
    let console = DeviceNumber::Character { major: 5, minor: 1 };
    files.device("dev/console", 0o600, console)?;
    files.file("init", 0o755, process)?;
    Ok(files.finish())
}

/// Returns code that enters the program as a loader does, with the device tree's address in x0.
fn trampoline(tree: u64) -> Vec<u8> {
    let mut code = Vec::new();
    for word in [
        0x5800_0080_u32, // ldr x0, 16 bytes on
        0x5800_00a1,     // ldr x1, 20 bytes on
        0xd61f_0020,     // br x1
        0xd503_201f,     // nop
    ] {
        code.extend_from_slice(&word.to_le_bytes());
    }
    code.extend_from_slice(&tree.to_le_bytes());
    code.extend_from_slice(&RULER_ADDRESS.to_le_bytes());
    code
}

/// Reads what the program printed, with the kernel's lines in between.
fn report(output: &str) -> Result<Report> {
    let lines: Vec<&str> = output
        .lines()
        .filter_map(|line| line.trim_end().split_once("ruler: "))
        .map(|(_, rest)| rest)
        .collect();
    let find = |what: &str| {
        let mut values = lines.iter().filter_map(|line| line.strip_prefix(what));
        values.next().with_context(|| format!("there is no{what}"))
    };
    let (address, size) = find("tree 0x")?.split_once(' ').context("no size")?;
    let mut tree = Vec::new();
    for digits in lines.iter().filter_map(|line| line.strip_prefix("data ")) {
        for byte in digits.as_bytes().chunks(2) {
            tree.push(u8::from_str_radix(std::str::from_utf8(byte)?, 16)?);
        }
    }
    let size: usize = size.parse()?;
    ensure!(tree.len() == size, "{} of {size} bytes", tree.len());
    Ok(Report {
        ticks: find("boot ")?.parse()?,
        tree_address: u64::from_str_radix(address, 16)?,
        tree,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_stands_between_the_kernel_s_lines() {
        let text = "bulkhead: x\r\nruler: tree 0x5fe00000 3\r\nruler: data d00d\r\n\
                    ruler: data fe\r\n[    0.1] Linux\r\nruler: boot 123\r\n[    1.0] off\r\n";
        let report = report(text).unwrap();
        assert_eq!(report.ticks, 123.0);
        assert_eq!(report.tree_address, 0x5fe0_0000);
        assert_eq!(report.tree, [0xd0, 0x0d, 0xfe]);
        assert!(
            super::report("ruler: tree 0x5fe00000 3\nruler: data d00d\nruler: boot 1").is_err()
        );
        assert!(super::report("Kernel panic").is_err());
    }

    #[test]
    fn the_kernel_follows_the_program_and_its_memory_is_asked_for() {
        let image = |size: u64| {
            let mut image = vec![0; 64];
            image[16..24].copy_from_slice(&size.to_le_bytes());
            image[56..60].copy_from_slice(b"ARM\x64");
            image
        };
        let joined = join(&image(0x5000), &image(0x1ed_0000)).unwrap();
        assert_eq!(joined[16..24], 0x1f5_0000_u64.to_le_bytes());
        assert_eq!(joined[0x8_0000..], image(0x1ed_0000));
        assert!(join(&image(0x8_0001), &image(1)).is_err());
        assert!(join(&image(0x5000), &[0; 64]).is_err());
    }

    #[test]
    fn the_bare_machine_is_entered_with_the_device_tree() {
        let code = trampoline(0x5fe0_0000);
        let quad = |at: usize| u64::from_le_bytes(code[at..at + 8].try_into().unwrap());
        // The two loads are relative to their own addresses, 0 and 4.
        assert_eq!((quad(16), quad(4 + 20)), (0x5fe0_0000, RULER_ADDRESS));
    }
}
