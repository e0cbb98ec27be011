//! Loads a workspace.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use match_audit_sites::Project;
use ra_ap_load_cargo::{LoadCargoConfig, ProcMacroServerChoice, load_workspace};
use ra_ap_paths::{AbsPathBuf, Utf8PathBuf};
use ra_ap_project_model::{
    CargoConfig, CargoFeatures, ProjectManifest, ProjectWorkspace, ProjectWorkspaceKind,
    RustLibSource, TargetKind,
};

/// Which project to load, and how it is configured.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The folder of the workspace, or a path below it.
    pub root: PathBuf,
    /// The standard library's sources: the folder `library` of `rust-src`.
    pub rust_src: PathBuf,
    /// The features to turn on.
    pub features: Features,
    /// The target triple, if not the host's.
    pub target: Option<String>,
    /// Whether tests, examples and benchmarks are looked at too.
    pub all_targets: bool,
    /// Whether build scripts and procedural macros, which are foreign code, may run.
    pub run_foreign_code: bool,
}

/// The features to turn on.
#[derive(Clone, Debug)]
pub enum Features {
    /// All of them.
    All,
    /// Those listed, and the default ones unless they are excluded.
    Selected {
        /// The features.
        list: Vec<String>,
        /// Whether `default` is left out.
        no_default: bool,
    },
}

impl Default for Features {
    fn default() -> Self {
        Features::Selected {
            list: Vec::new(),
            no_default: false,
        }
    }
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
    let config = CargoConfig {
        all_targets: request.all_targets,
        set_test: request.all_targets,
        features: match &request.features {
            Features::All => CargoFeatures::All,
            Features::Selected { list, no_default } => CargoFeatures::Selected {
                features: list.clone(),
                no_default_features: *no_default,
            },
        },
        target: request.target.clone(),
        sysroot: Some(RustLibSource::Discover),
        // Without it the loader would install the component on its own.
        sysroot_src: Some(absolute(&request.rust_src)?),
        ..CargoConfig::default()
    };
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
    let targets = targets(&workspace, request.all_targets)?;
    let (db, vfs, _proc_macros) =
        load_workspace(workspace, &config.extra_env, &load_config).map_err(said)?;
    progress("lowering".into());
    Ok(crate::collect::collect(&db, &vfs, &root, &targets))
}

/// Lists the root files of the targets to look at: those that `cargo build` builds, or all.
fn targets(workspace: &ProjectWorkspace, all_targets: bool) -> Result<HashSet<AbsPathBuf>, String> {
    let ProjectWorkspaceKind::Cargo { cargo, error, .. } = &workspace.kind else {
        return Err("this is not a Cargo workspace".into());
    };
    // The loader goes on without the dependencies; nothing said about the code would be right.
    if let Some(error) = error {
        return Err(format!("`cargo metadata` failed: {error:#}"));
    }
    let mut roots = HashSet::new();
    for package in cargo.packages().filter(|package| cargo[*package].is_member) {
        for target in &cargo[package].targets {
            let target = &cargo[*target];
            let wanted = match target.kind {
                TargetKind::Bin
                | TargetKind::Lib { .. }
                | TargetKind::BuildScript
                | TargetKind::Other => true,
                TargetKind::Example | TargetKind::Test | TargetKind::Bench => all_targets,
            };
            if wanted {
                roots.insert(target.root.clone());
            }
        }
    }
    Ok(roots)
}
