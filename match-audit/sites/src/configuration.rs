//! How a project is configured for one run: features, target, cfg.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One configuration, in cargo's words. A table `[[run]]` of `match-audit.toml` has these keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Configuration {
    /// The packages whose sites are looked at; all of the workspace if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub package: Vec<String>,
    /// The features to turn on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Whether all features are turned on.
    #[serde(skip_serializing_if = "is_off")]
    pub all_features: bool,
    /// Whether the default features are left out.
    #[serde(skip_serializing_if = "is_off")]
    pub no_default_features: bool,
    /// The target triple, if not the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// More cfg options, as `name` or `key="value"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cfg: Vec<String>,
    /// Whether tests, examples and benchmarks are looked at too.
    #[serde(skip_serializing_if = "is_off")]
    pub all_targets: bool,
}

/// Serde wants a function of a reference.
fn is_off(flag: &bool) -> bool {
    !flag
}

impl fmt::Display for Configuration {
    /// Writes the options that ask for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let valued = [
            ("--package", &self.package),
            ("--features", &self.features),
            ("--cfg", &self.cfg),
        ];
        let mut words: Vec<String> = valued
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| format!("{name} {value}")))
            .collect();
        words.extend(
            self.target
                .iter()
                .map(|target| format!("--target {target}")),
        );
        let flags = [
            ("--all-features", self.all_features),
            ("--no-default-features", self.no_default_features),
            ("--all-targets", self.all_targets),
        ];
        let on = flags.iter().filter(|(_, on)| *on);
        words.extend(on.map(|(name, _)| (*name).to_string()));
        if words.is_empty() {
            words.push("default options".into());
        }
        f.write_str(&words.join(" "))
    }
}
