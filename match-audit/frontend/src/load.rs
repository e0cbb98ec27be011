//! Loads a workspace.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use match_audit_sites::{Configuration, Project};
use ra_ap_cfg::{CfgAtom, CfgDiff};
use ra_ap_intern::Symbol;
use ra_ap_load_cargo::{LoadCargoConfig, ProcMacroServerChoice, load_workspace};
use ra_ap_paths::{AbsPathBuf, Utf8PathBuf};
use ra_ap_project_model::{
    CargoConfig, CargoFeatures, CfgOverrides, ProjectManifest, ProjectWorkspace,
    ProjectWorkspaceKind, RustLibSource, TargetKind,
};

/// Which project to load, and how it is configured.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The folder of the workspace, or a path below it.
    pub root: PathBuf,
    /// The standard library's sources: the folder `library` of `rust-src`.
    pub rust_src: PathBuf,
    /// Features, target, cfg.
    pub configuration: Configuration,
    /// Whether build scripts and procedural macros, which are foreign code, may run.
    pub run_foreign_code: bool,
}

/// Looks for the standard library's sources: the option, `RUST_SRC_PATH`, then the sysroot.
///
/// # Errors
///
/// Returns words that say how to get them. Nothing is installed.
pub fn find_rust_src(option: Option<&Path>) -> Result<PathBuf, String> {
    let from_env = std::env::var_os("RUST_SRC_PATH").map(PathBuf::from);
    let sysroot = || {
        let output = Command::new("rustc")
            .args(["--print", "sysroot"])
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(Path::new(text.trim()).join("lib/rustlib/src/rust/library"))
    };
    let candidates = [option.map(Path::to_path_buf), from_env, sysroot()];
    for candidate in candidates.into_iter().flatten() {
        for path in [candidate.clone(), candidate.join("library")] {
            if path.join("core/src/lib.rs").is_file() {
                return Ok(path);
            }
        }
    }
    Err(
        "the sources of the standard library were not found.\nInstall them with `rustup component \
         add rust-src`, or name the folder that contains core/src/lib.rs with --rust-src or in \
         RUST_SRC_PATH."
            .into(),
    )
}

/// Loads the project and lowers all its sites. `progress` is told what is being done.
///
/// # Errors
///
/// Returns the loader's words if the project cannot be loaded.
pub fn load(request: &Request, progress: &(dyn Fn(String) + Sync)) -> Result<Project, String> {
    let absolute = |path: &Path| -> Result<AbsPathBuf, String> {
        let path = std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let path = Utf8PathBuf::from_path_buf(path)
            .map_err(|path| format!("{} is not UTF-8", path.display()))?;
        Ok(AbsPathBuf::assert(path))
    };
    let root = absolute(&request.root)?;
    let config = cargo_config(request, absolute(&request.rust_src)?)?;
    let load_config = LoadCargoConfig {
        load_out_dirs_from_check: request.run_foreign_code,
        with_proc_macro_server: if request.run_foreign_code {
            ProcMacroServerChoice::Sysroot
        } else {
            ProcMacroServerChoice::None
        },
        prefill_caches: false,
        num_worker_threads: 1,
        proc_macro_processes: 1,
    };
    let said = |error| format!("{error:#}");
    let manifest = ProjectManifest::discover_single(&root).map_err(said)?;
    let mut workspace = ProjectWorkspace::load(manifest, &config, progress).map_err(said)?;
    if request.run_foreign_code {
        let built = workspace
            .run_build_scripts(&config, progress)
            .map_err(said)?;
        workspace.set_build_scripts(built);
    }
    let targets = targets(&workspace, &request.configuration)?;
    let (db, vfs, _proc_macros) =
        load_workspace(workspace, &config.extra_env, &load_config).map_err(said)?;
    progress("lowering".into());
    Ok(crate::collect::collect(&db, &vfs, &root, &targets))
}

fn cargo_config(request: &Request, rust_src: AbsPathBuf) -> Result<CargoConfig, String> {
    let configuration = &request.configuration;
    let cfg = configuration.cfg.iter().map(|text| cfg_atom(text));
    Ok(CargoConfig {
        all_targets: configuration.all_targets,
        set_test: configuration.all_targets,
        features: if configuration.all_features {
            CargoFeatures::All
        } else {
            CargoFeatures::Selected {
                features: configuration.features.clone(),
                no_default_features: configuration.no_default_features,
            }
        },
        target: configuration.target.clone(),
        cfg_overrides: CfgOverrides {
            global: CfgDiff::new(cfg.collect::<Result<_, _>>()?, Vec::new()),
            ..CfgOverrides::default()
        },
        sysroot: Some(RustLibSource::Discover),
        // Without it the loader would install the component on its own.
        sysroot_src: Some(rust_src),
        ..CargoConfig::default()
    })
}

/// Reads `name` or `key="value"`, as the compiler's option `--cfg` does.
fn cfg_atom(text: &str) -> Result<CfgAtom, String> {
    let Some((key, value)) = text.split_once('=') else {
        return Ok(CfgAtom::Flag(Symbol::intern(text.trim())));
    };
    let value = value.trim().strip_prefix('"');
    let value = value.and_then(|value| value.strip_suffix('"'));
    let value = value.ok_or_else(|| format!("--cfg {text}: write it as key=\"value\""))?;
    Ok(CfgAtom::KeyValue {
        key: Symbol::intern(key.trim()),
        value: Symbol::intern(value),
    })
}

/// Lists the root files of the targets to look at: those that `cargo build` builds, or all.
fn targets(
    workspace: &ProjectWorkspace,
    configuration: &Configuration,
) -> Result<HashSet<AbsPathBuf>, String> {
    let ProjectWorkspaceKind::Cargo { cargo, error, .. } = &workspace.kind else {
        return Err("this is not a Cargo workspace".into());
    };
    // The loader goes on without the dependencies; nothing said about the code would be right.
    if let Some(error) = error {
        return Err(format!("`cargo metadata` failed: {error:#}"));
    }
    let members = || cargo.packages().filter(|package| cargo[*package].is_member);
    for name in &configuration.package {
        if !members().any(|package| cargo[package].name == *name) {
            return Err(format!("the workspace has no package {name}"));
        }
    }
    let chosen =
        |name: &String| configuration.package.is_empty() || configuration.package.contains(name);
    let mut roots = HashSet::new();
    for package in members().filter(|package| chosen(&cargo[*package].name)) {
        for target in &cargo[package].targets {
            let target = &cargo[*target];
            let wanted = match target.kind {
                TargetKind::Bin
                | TargetKind::Lib { .. }
                | TargetKind::BuildScript
                | TargetKind::Other => true,
                TargetKind::Example | TargetKind::Test | TargetKind::Bench => {
                    configuration.all_targets
                }
            };
            if wanted {
                roots.insert(target.root.clone());
            }
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cfg_is_a_name_or_a_key_with_a_quoted_value() {
        let flag = cfg_atom("loom").unwrap();
        assert!(matches!(flag, CfgAtom::Flag(name) if name.as_str() == "loom"));
        let pair = cfg_atom("board = \"virt\"").unwrap();
        assert!(
            matches!(pair, CfgAtom::KeyValue { key, value } if key.as_str() == "board" && value.as_str() == "virt")
        );
        assert!(cfg_atom("board=virt").is_err());
    }
}
