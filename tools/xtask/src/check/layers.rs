//! Who may depend on whom. The direction is the design's; this file is its data.

use super::Findings;
use crate::paths;
use cargo_metadata::{DependencyKind, Metadata};
use std::fmt;

/// The layers of `crates/`, lowest first. A crate may depend on every lower layer.
const LAYERS: [&[&str]; 4] = [
    &["addr"],
    &[
        "trap",
        "smccc",
        "stage2",
        "vgic",
        "vswitch",
        "vtimer",
        "ffa",
        "manifest",
        "device-model",
        "device-model-derive",
        "event-log",
        "fdt",
        "archive",
        "board",
        "guest-image",
        "guest-dtb",
        "id-registers",
        "virtio",
    ],
    &["devices", "memory-owner"],
    &["core"],
];

/// Dependencies inside a layer that are meant.
const BESIDE: [(&str, &str); 9] = [
    // The flattened trees that each of them reads or writes.
    ("board", "fdt"),
    ("guest-dtb", "fdt"),
    ("manifest", "fdt"),
    // The manifest names files of an archive and places what they hold.
    ("manifest", "archive"),
    ("manifest", "guest-image"),
    ("device-model", "device-model-derive"),
    // A trapped access names a register by what `trap` decodes.
    ("id-registers", "trap"),
    ("vgic", "trap"),
    // A transport is a device, and a queue is reached through a back end.
    ("virtio", "device-model"),
];

/// The hardware seam: traits that `arch` implements.
const MACHINE: &str = "machine";
/// What the seam itself is made of.
const MACHINE_NEEDS: [&str; 2] = ["addr", "trap"];
/// The crates below `core` that call hardware through the seam.
const MACHINE_USERS: [&str; 5] = ["stage2", "vgic", "vtimer", "memory-owner", "core"];
/// The scripted machine of tests.
const FAKES: &str = "machine-fakes";

/// Where a package stands in the tree.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Place {
    /// `crates/NAME`
    Crate(String),
    /// `arch/NAME`
    Arch(String),
    /// `roles/NAME`
    Role(String),
    /// `images/NAME`
    Image(String),
    /// `payloads/NAME`
    Payload(String),
    /// `tools/NAME`
    Tool(String),
    /// `tests`
    Tests,
    /// `fuzz/targets`
    Fuzz,
}

impl Place {
    fn of_folder(folder: &str) -> Option<Self> {
        let (first, rest) = folder.split_once('/').unwrap_or((folder, ""));
        let name = rest.to_owned();
        match first {
            "crates" => Some(Place::Crate(name)),
            "arch" => Some(Place::Arch(name)),
            "roles" => Some(Place::Role(name)),
            "images" => Some(Place::Image(name)),
            "payloads" => Some(Place::Payload(name)),
            "tools" => Some(Place::Tool(name)),
            "tests" => Some(Place::Tests),
            "fuzz" => Some(Place::Fuzz),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Crate(name) => write!(f, "crates/{name}"),
            Place::Arch(name) => write!(f, "arch/{name}"),
            Place::Role(name) => write!(f, "roles/{name}"),
            Place::Image(name) => write!(f, "images/{name}"),
            Place::Payload(name) => write!(f, "payloads/{name}"),
            Place::Tool(name) => write!(f, "tools/{name}"),
            Place::Tests => write!(f, "tests"),
            Place::Fuzz => write!(f, "fuzz/targets"),
        }
    }
}

/// Whether a dependency reaches the product or only its tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Use {
    Product,
    Tests,
}

/// Checks every dependency between packages of the workspace.
pub(crate) fn check(metadata: &Metadata) -> Findings {
    let mut findings = Findings::default();
    let root = paths::workspace_root();
    let folder_of = |path: &std::path::Path| {
        let relative = path.strip_prefix(&root).ok()?;
        Some(relative.to_string_lossy().into_owned())
    };
    let mut edges = 0;
    for package in metadata.workspace_packages() {
        let Some(from) = package
            .manifest_path
            .parent()
            .and_then(|folder| folder_of(folder.as_std_path()))
        else {
            continue;
        };
        let Some(from) = Place::of_folder(&from) else {
            findings
                .violations
                .push(format!("{from} is in no layer that the design knows"));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(path) = &dependency.path else {
                continue;
            };
            let Some(to) = folder_of(path.as_std_path()).and_then(|it| Place::of_folder(&it))
            else {
                findings
                    .violations
                    .push(format!("{from} depends on {path}, outside the workspace"));
                continue;
            };
            let kind = match dependency.kind {
                DependencyKind::Development => Use::Tests,
                _ => Use::Product,
            };
            edges += 1;
            if let Err(reason) = judge(&from, &to, kind) {
                findings
                    .violations
                    .push(format!("{from} depends on {to}: {reason}"));
            }
        }
    }
    findings
        .notes
        .push(format!("{edges} dependencies between our packages"));
    findings
}

/// Decides whether one package may depend on another.
fn judge(from: &Place, to: &Place, kind: Use) -> Result<(), &'static str> {
    match (from, to) {
        (Place::Crate(from), Place::Crate(to)) => judge_crates(from, to, kind),
        (Place::Crate(_), Place::Arch(name)) if name == "lock" => Ok(()),
        (Place::Crate(_), _) => Err("pure logic depends on pure logic only"),
        (Place::Arch(_), Place::Crate(to)) => {
            if to == "core" || to == "devices" {
                Err("arch acts, it decides nothing")
            } else {
                only_tests_use_fakes(to, kind)
            }
        }
        (Place::Arch(_), Place::Arch(_)) => Ok(()),
        (Place::Arch(_), _) => Err("arch depends on crates only"),
        (Place::Role(_), Place::Crate(to)) => only_tests_use_fakes(to, kind),
        (Place::Role(_), Place::Arch(name)) if name == "lock" => Ok(()),
        (Place::Role(_), Place::Arch(_)) => Err("a role sees hardware through `machine` only"),
        (Place::Role(_), _) => Err("roles depend on crates only"),
        (Place::Image(_), Place::Crate(to)) => only_tests_use_fakes(to, kind),
        (Place::Image(_), Place::Arch(_) | Place::Role(_)) => Ok(()),
        (Place::Image(_), _) => Err("an image wires role and arch, nothing else"),
        (Place::Payload(_), Place::Crate(to)) => only_tests_use_fakes(to, kind),
        (Place::Payload(_), Place::Payload(_)) => Ok(()),
        (Place::Payload(_), _) => Err("a payload runs under us and shares crates only"),
        (Place::Tool(_) | Place::Tests, Place::Crate(to)) => only_tests_use_fakes(to, kind),
        (Place::Tool(_) | Place::Tests, Place::Tool(_)) => Ok(()),
        (Place::Tool(_) | Place::Tests, _) => Err("host code depends on crates and tools only"),
        // They are tests of all of these, on the fake machine.
        (Place::Fuzz, Place::Crate(_) | Place::Role(_) | Place::Tool(_)) => Ok(()),
        (Place::Fuzz, _) => Err("what is fuzzed runs on the host"),
    }
}

fn judge_crates(from: &str, to: &str, kind: Use) -> Result<(), &'static str> {
    only_tests_use_fakes(to, kind)?;
    if kind == Use::Tests {
        // A test may compare with what stands beside, but never with what stands above.
        return match (layer(from), layer(to)) {
            (Some(from), Some(to)) if to > from => Err("even a test does not look up a layer"),
            _ => Ok(()),
        };
    }
    if from == MACHINE {
        return if MACHINE_NEEDS.contains(&to) {
            Ok(())
        } else {
            Err("the hardware seam depends on addr and trap only")
        };
    }
    if from == FAKES {
        return Ok(());
    }
    if to == MACHINE {
        return if MACHINE_USERS.contains(&from) {
            Ok(())
        } else {
            Err("this crate decides without hardware")
        };
    }
    let (Some(low), Some(high)) = (layer(to), layer(from)) else {
        return Err("a crate is in no layer that the design knows");
    };
    if low < high || BESIDE.contains(&(from, to)) {
        Ok(())
    } else if low == high {
        Err("they are in one layer, and the check's list does not allow it")
    } else {
        Err("that is a higher layer")
    }
}

fn only_tests_use_fakes(to: &str, kind: Use) -> Result<(), &'static str> {
    if to == FAKES && kind == Use::Product {
        return Err("fakes are for tests only");
    }
    Ok(())
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(from: &str, to: &str) -> Result<(), &'static str> {
        judge(&place(from), &place(to), Use::Product)
    }

    fn place(folder: &str) -> Place {
        Place::of_folder(folder).unwrap()
    }

    #[test]
    fn the_design_s_direction_is_allowed() {
        for (from, to) in [
            ("crates/trap", "crates/addr"),
            ("crates/devices", "crates/device-model"),
            ("crates/core", "crates/vgic"),
            ("crates/core", "crates/machine"),
            ("crates/stage2", "crates/machine"),
            ("crates/machine", "crates/trap"),
            ("crates/manifest", "crates/archive"),
            ("roles/hypervisor", "crates/core"),
            ("arch/aarch64", "crates/machine"),
            ("images/hypervisor", "arch/aarch64"),
            ("images/hypervisor", "roles/hypervisor"),
            ("tools/pack", "crates/manifest"),
            ("tests", "tools/pack"),
        ] {
            assert_eq!(product(from, to), Ok(()), "{from} -> {to}");
        }
    }

    #[test]
    fn planted_violations_are_found() {
        for (from, to) in [
            ("crates/addr", "crates/trap"),
            ("crates/vgic", "crates/core"),
            ("crates/vgic", "crates/stage2"),
            ("crates/machine", "crates/vgic"),
            ("crates/device-model", "crates/machine"),
            ("crates/core", "crates/machine-fakes"),
            ("crates/core", "arch/aarch64"),
            ("crates/core", "crates/unheard-of"),
            ("roles/hypervisor", "arch/aarch64"),
            ("roles/hypervisor", "crates/machine-fakes"),
            ("roles/hypervisor", "roles/spmc"),
            ("arch/aarch64", "crates/core"),
            ("arch/aarch64", "roles/hypervisor"),
            ("images/hypervisor", "images/spmc"),
            ("tools/xtask", "arch/aarch64"),
        ] {
            assert!(product(from, to).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn tests_use_fakes_and_neighbors_but_nothing_above() {
        let tests = |from: &str, to: &str| judge(&place(from), &place(to), Use::Tests);
        assert_eq!(tests("crates/core", "crates/machine-fakes"), Ok(()));
        assert_eq!(tests("crates/guest-dtb", "crates/board"), Ok(()));
        assert!(tests("crates/trap", "crates/core").is_err());
        assert!(tests("roles/hypervisor", "arch/aarch64").is_err());
    }

    #[test]
    fn every_crate_of_the_tree_has_a_layer() {
        let crates = paths::workspace_root().join("crates");
        for entry in std::fs::read_dir(crates).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = layer(&name).is_some() || name == MACHINE || name == FAKES;
            assert!(known, "crates/{name} has no layer");
        }
    }
}
