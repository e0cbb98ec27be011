//! The command line: what can be asked of `cargo xtask`, and with which words.

use crate::guests::initramfs::ExtraFile;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;

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
    /// Installs what building and running needs and this machine lacks, after saying what it will do.
    Setup(SetupOptions),
    /// Builds a bare-metal image: an ELF with symbols and the raw binary that the emulator boots.
    BuildImage(BuildImageOptions),
    /// Fetches the guests' kernel and programs and builds their root file system.
    Guests(GuestsOptions),
    /// Runs cargo for the bare-metal target, with its sysroot: `cargo xtask bare build -p bulkhead-arch`.
    Bare(BareOptions),
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
