//! What the fuzzers run: each target is an ordinary function of some bytes that panics when the code
//! under test does something wrong.
//!
//! The same functions run in two ways: this package's own tests try the committed corpus and a fixed
//! sequence of mutated inputs, with the stable compiler, in seconds; `cargo xtask fuzz` lets
//! libFuzzer look for inputs that reach new code, for as long as one likes.

pub mod archive;
pub mod board;
pub mod devices;
pub mod fdt;
pub mod guest_image;
pub mod input;
pub mod manifest;
pub mod mutate;
pub mod pack_toml;
pub mod psci_stream;
pub mod trap_decode;
pub mod vgic_stream;
pub mod virtio;
pub mod vswitch_stream;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its module, its corpus and its libFuzzer program.
    pub name: &'static str,
    /// Runs one input; panics if the code under test is wrong.
    pub run: fn(&[u8]),
    /// Makes inputs to begin with, valid ones where there is such a thing.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many mutated inputs the package's own test tries: a few seconds' worth.
    pub runs: u32,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "archive",
        run: archive::run,
        seeds: archive::seeds,
        runs: 40_000,
    },
    Target {
        name: "board",
        run: board::run,
        seeds: board::seeds,
        runs: 30_000,
    },
    Target {
        name: "device_snapshot",
        run: devices::run_snapshot,
        seeds: devices::snapshot_seeds,
        runs: 10_000,
    },
    Target {
        name: "fdt",
        run: fdt::run,
        seeds: fdt::seeds,
        runs: 30_000,
    },
    Target {
        name: "guest_image",
        run: guest_image::run,
        seeds: guest_image::seeds,
        runs: 400_000,
    },
    Target {
        name: "hpet_stream",
        run: devices::run_hpet,
        seeds: devices::stream_seeds,
        runs: 4_000,
    },
    Target {
        name: "manifest",
        run: manifest::run,
        seeds: manifest::seeds,
        runs: 40_000,
    },
    Target {
        name: "pack_toml",
        run: pack_toml::run,
        seeds: pack_toml::seeds,
        runs: 40_000,
    },
    Target {
        name: "pl011_stream",
        run: devices::run_pl011,
        seeds: devices::stream_seeds,
        runs: 10_000,
    },
    Target {
        name: "pl031_stream",
        run: devices::run_pl031,
        seeds: devices::stream_seeds,
        runs: 10_000,
    },
    Target {
        name: "pl061_stream",
        run: devices::run_pl061,
        seeds: devices::stream_seeds,
        runs: 10_000,
    },
    Target {
        name: "psci_stream",
        run: psci_stream::run,
        seeds: psci_stream::seeds,
        runs: 2_000,
    },
    Target {
        name: "pvpanic_stream",
        run: devices::run_pvpanic,
        seeds: devices::stream_seeds,
        runs: 10_000,
    },
    Target {
        name: "trap_decode",
        run: trap_decode::run,
        seeds: trap_decode::seeds,
        runs: 500_000,
    },
    Target {
        name: "vgic_stream",
        run: vgic_stream::run,
        seeds: vgic_stream::seeds,
        runs: 6_000,
    },
    Target {
        name: "virtio_balloon_stream",
        run: virtio::run_balloon,
        seeds: virtio::seeds,
        runs: 1_000,
    },
    Target {
        name: "virtio_blk_stream",
        run: virtio::run_blk,
        seeds: virtio::seeds,
        runs: 1_000,
    },
    Target {
        name: "virtio_console_stream",
        run: virtio::run_console,
        seeds: virtio::seeds,
        runs: 1_000,
    },
    Target {
        name: "virtio_rng_stream",
        run: virtio::run_rng,
        seeds: virtio::seeds,
        runs: 1_000,
    },
    Target {
        name: "vswitch_stream",
        run: vswitch_stream::run,
        seeds: vswitch_stream::seeds,
        runs: 60_000,
    },
];

/// Finds a target by its name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
