//! The command line: what can be asked of `cargo xtask`, and with which words.

use crate::guests::initramfs::ExtraFile;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Builds, runs and tests Bulkhead.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_version_flag = true
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Boots a machine description in the emulator; the terminal is the guest's console.
    Run(RunOptions),
    /// Runs every check and every test; the last line counts them.
    Test(TestOptions),
    /// Checks rules of the code base: layers, unsafe code, wildcard arms, licences.
    Check(CheckOptions),
    /// Runs the match auditor on this workspace: `cargo xtask match-audit what-if Device`.
    MatchAudit(MatchAuditOptions),
    /// Looks for inputs that break something, with libFuzzer and the nightly compiler.
    Fuzz(FuzzOptions),
    /// Changes the code in small ways and looks whether a test notices; takes hours for all crates.
    Mutants(MutantsOptions),
    /// Plays the cases of abuse and writes docs/security/abuse-report.md anew.
    AbuseReport(AbuseReportOptions),
    /// Measures what exits cost, in instructions, beside the bare machine and other hypervisors.
    Bench(BenchOptions),
    /// Compares our devices with a stock QEMU's, access for access; --help lists the options.
    #[command(disable_help_flag = true)]
    DiffDevices(DiffDevicesOptions),
    /// Installs what building and running needs and this machine lacks, after saying what it will do.
    Setup(SetupOptions),
    /// Builds a bare-metal image: an ELF with symbols and the raw binary that the emulator boots.
    BuildImage(BuildImageOptions),
    /// Fetches the guests' kernel and programs and builds their root file system.
    Guests(GuestsOptions),
    /// Runs cargo for the bare-metal target, with its sysroot: `cargo xtask bare build -p bulkhead-arch`.
    Bare(BareOptions),
    /// Becomes a program that ends with this process's parent.
    #[command(hide = true)]
    Own(OwnOptions),
}

/// Options of `cargo xtask run`.
#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    /// The machine description; examples/linux.toml by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The first VM's kernel: a path, debian, or debian:SUITE. Without --initrd there is no initial file system then.
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel: Option<String>,
    /// The first VM's initial file system: a path, busybox, or busybox:SUITE.
    #[arg(long, value_name = "FILE")]
    pub(crate) initrd: Option<String>,
    /// The first VM's kernel command line.
    #[arg(long, value_name = "TEXT")]
    pub(crate) cmdline: Option<String>,
    /// The first VM's number of vCPUs.
    #[arg(long, value_name = "N")]
    pub(crate) vcpus: Option<u16>,
    /// The first VM's memory, such as 512M.
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// The machine's number of CPUs.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) cpus: u16,
    /// The machine's processor model, in QEMU's words.
    #[arg(long, value_name = "MODEL")]
    pub(crate) cpu: Option<String>,
    /// End the machine after so many seconds, as a failure.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Stop before the first instruction and wait for a debugger.
    #[arg(long)]
    pub(crate) gdb: bool,
    /// Let the clock follow the count of instructions, for repeatable measurements.
    #[arg(long)]
    pub(crate) icount: bool,
    /// Boot the first VM's kernel on the bare machine, without the hypervisor, for comparison.
    #[arg(long)]
    pub(crate) native: bool,
    /// More arguments for QEMU.
    #[arg(last = true, value_name = "QEMU-ARGS")]
    pub(crate) qemu_arguments: Vec<OsString>,
}

/// Options of the hidden command that ties a program's life to ours.
#[derive(Args, Debug)]
pub(crate) struct OwnOptions {
    /// The process that starts us.
    pub(crate) parent: u32,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

/// Options of `cargo xtask setup`.
#[derive(Args, Debug)]
pub(crate) struct SetupOptions {
    /// Say what would be done, and let the package manager simulate it, without changing anything.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Options of `cargo xtask build-image`.
#[derive(Args, Debug)]
pub(crate) struct BuildImageOptions {
    /// The package under images/ or payloads/ to build.
    #[arg(long, default_value = crate::images::HYPERVISOR.package)]
    pub(crate) package: String,
    /// The binary of that package; its only one by default.
    #[arg(long)]
    pub(crate) bin: Option<String>,
}

/// Options of `cargo xtask guests`.
#[derive(Args, Debug)]
pub(crate) struct GuestsOptions {
    /// The Debian suite to take kernel and programs from.
    #[arg(long, default_value = crate::guests::DEFAULT_SUITE)]
    pub(crate) suite: String,
    /// Fetch the archive's newest versions even if the cache has some.
    #[arg(long)]
    pub(crate) refresh: bool,
    /// One more kernel module that the root file system loads; may be given again.
    #[arg(long = "module", value_name = "NAME")]
    pub(crate) modules: Vec<String>,
    /// One more executable file in the root file system; may be given again.
    #[arg(long = "extra", value_name = "FILE:/PATH/IN/GUEST")]
    pub(crate) extra: Vec<ExtraFile>,
}

/// Options of `cargo xtask test`.
#[derive(Args, Debug)]
pub(crate) struct TestOptions {
    /// Long tests too: ignored ones, many more cases of property tests.
    #[arg(long)]
    pub(crate) long: bool,
    /// Only steps and tests with this in their name.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Only what runs on the device board: QEMU's own device tests, and the comparison with QEMU.
    #[arg(long)]
    pub(crate) qtest: bool,
}

/// Options of `cargo xtask diff-devices`.
#[derive(Args, Debug)]
pub(crate) struct DiffDevicesOptions {
    /// The comparing program's own options, such as `--device pl011 --operations 1000000`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// Options of `cargo xtask bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchOptions {
    /// Compare with another commit's hypervisor instead, under the same guest.
    #[arg(long, value_name = "REV", conflicts_with_all = ["json", "plot"])]
    pub(crate) against: Option<String>,
    /// Write all figures to a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the comparison into an SVG file.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Tell only how large the image is, by section and by crate.
    #[arg(long, conflicts_with_all = ["against", "json", "plot", "profile", "peer"])]
    pub(crate) size: bool,
    /// Measure another hypervisor too, as its distribution ships it, under the same guest and clock;
    /// it is fetched for this.
    #[arg(long, value_name = "NAME", value_enum, conflicts_with_all = ["against"])]
    pub(crate) peer: Option<PeerName>,
    /// Tell instead which functions the instructions of one way through EL2 belong to, such as
    /// `"vCPU switch"`; `list` names the ways.
    #[arg(long, value_name = "WAY", conflicts_with_all = ["against", "json", "plot", "peer"])]
    pub(crate) profile: Option<String>,
}

/// Other hypervisors that can be measured here.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum PeerName {
    /// Xen, from Debian.
    Xen,
}

/// Options of `cargo xtask check`.
#[derive(Args, Debug)]
pub(crate) struct CheckOptions {
    /// Show every place, not only counts and violations.
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Record the counts as they are now as the accepted ones, and the devices' status, before
    /// checking.
    #[arg(long)]
    pub(crate) accept: bool,
}

/// Options of `cargo xtask match-audit`.
#[derive(Args, Debug)]
pub(crate) struct MatchAuditOptions {
    /// The match auditor's own arguments; `help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// Options of `cargo xtask fuzz`.
#[derive(Args, Debug)]
pub(crate) struct FuzzOptions {
    /// The target; all of them, one after the other, by default.
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// How long each target runs, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Run the target once, with this file's bytes.
    #[arg(
        long,
        value_name = "FILE",
        requires = "target",
        conflicts_with = "seconds"
    )]
    pub(crate) input: Option<PathBuf>,
}

/// Options of `cargo xtask mutants`.
#[derive(Args, Debug)]
pub(crate) struct MutantsOptions {
    /// The crate, such as stage2; all of them, one after the other, by default.
    #[arg(value_name = "CRATE")]
    pub(crate) name: Option<String>,
    /// Try only the K-th of N parts of the changes, counted from 0.
    #[arg(long, value_name = "K/N", requires = "name")]
    pub(crate) shard: Option<String>,
}

/// Options of `cargo xtask abuse-report`.
#[derive(Args, Debug)]
pub(crate) struct AbuseReportOptions {
    /// Write it elsewhere.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Options of `cargo xtask bare`.
#[derive(Args, Debug)]
pub(crate) struct BareOptions {
    /// Cargo's own arguments; `--target` is added.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_takes_arguments_for_the_emulator_after_two_dashes() {
        let cli = Cli::parse_from(["xtask", "run", "--vcpus", "2", "--", "-d", "int"]);
        let Command::Run(options) = cli.command else {
            panic!("not run");
        };
        assert_eq!(options.vcpus, Some(2));
        assert_eq!(options.cpus, 4);
        assert_eq!(options.qemu_arguments, ["-d", "int"]);
        assert!(Cli::try_parse_from(["xtask", "run", "-d", "int"]).is_err());
        assert!(Cli::try_parse_from(["xtask", "run", "--cpus", "0"]).is_err());
    }

    #[test]
    fn bare_passes_options_of_cargo_on() {
        let cli = Cli::parse_from(["xtask", "bare", "clippy", "-p", "x", "--", "-D", "warnings"]);
        let Command::Bare(options) = cli.command else {
            panic!("not bare");
        };
        assert_eq!(
            options.arguments,
            ["clippy", "-p", "x", "--", "-D", "warnings"]
        );
    }
}
