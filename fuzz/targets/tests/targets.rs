//! Every target with its seeds, its committed corpus and a fixed sequence of mutated inputs.

use fuzz_targets::{TARGETS, Target, mutate, target};
use std::fs;
use std::path::{Path, PathBuf};

/// How many times as many inputs a long run tries.
const LONG: u32 = 20;

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                try_all(target(stringify!($name)).expect("a target of this name"));
            }
        )*

        #[test]
        fn every_target_has_a_test() {
            let tested = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|target| target.name).eq(tested));
        }
    };
}

targets!(
    archive,
    board,
    device_snapshot,
    fdt,
    guest_image,
    hpet_stream,
    manifest,
    pack_toml,
    pl011_stream,
    pl031_stream,
    pl061_stream,
    psci_stream,
    pvpanic_stream,
    trap_decode,
    vgic_stream,
    virtio_balloon_stream,
    virtio_blk_stream,
    virtio_console_stream,
    virtio_rng_stream,
    vswitch_stream,
);

fn try_all(target: &Target) {
    let mut seeds = (target.seeds)();
    assert!(!seeds.is_empty());
    for (name, bytes) in corpus(target.name) {
        println!("{}", name.display());
        (target.run)(&bytes);
        seeds.push(bytes);
    }
    seeds.iter().for_each(|seed| (target.run)(seed));
    let long = std::env::var_os("BULKHEAD_LONG").is_some();
    let runs = target.runs * if long { LONG } else { 1 };
    let mut random = mutate::Random::new(target.name);
    for number in 0..runs {
        let input = mutate::input(&mut random, &seeds);
        let guard = Report {
            target,
            number,
            input: &input,
        };
        (target.run)(&input);
        core::mem::forget(guard);
    }
}

/// Says which input failed, and keeps it where `cargo xtask fuzz` keeps its own.
struct Report<'a> {
    target: &'a Target,
    number: u32,
    input: &'a [u8],
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let folder = root().join("target/fuzz-artifacts").join(self.target.name);
        let path = folder.join(format!("stable-{}", self.number));
        let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, self.input));
        let name = self.target.name;
        match kept {
            Ok(()) => eprintln!("input {} of {name}: {}", self.number, path.display()),
            Err(error) => eprintln!("input {} of {name}: {:?}: {error}", self.number, self.input),
        }
    }
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(root().join("fuzz/corpus").join(name)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: PathBuf| fs::read(&path).ok().map(|bytes| (path, bytes));
    paths.into_iter().filter_map(read).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
