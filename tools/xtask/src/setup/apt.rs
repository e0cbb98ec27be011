//! Debian's package archive, through the machine's own mirror and private package lists.
//!
//! The system's own lists and sources are read, never written.

use super::lock::{self, CacheLock};
use crate::process;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Names the Debian mirror to use where the machine's own apt configuration has none.
pub(crate) const MIRROR_VARIABLE: &str = "BULKHEAD_DEBIAN_MIRROR";

/// How long fetched package lists are believed.
const LISTS_LIFETIME: Duration = Duration::from_secs(6 * 60 * 60);

const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One source of packages of the machine's apt configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Source {
    /// The archive's address.
    pub(crate) uri: String,
    /// The suites taken from it.
    pub(crate) suites: Vec<String>,
    /// The components of each suite.
    pub(crate) components: Vec<String>,
    /// The `Signed-By` value, where the configuration gives one.
    pub(crate) signed_by: Option<String>,
}

/// Which packages lists hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contents {
    /// Binary packages.
    Binaries,
    /// Binary and source packages.
    BinariesAndSources,
}

/// A version of a package that a suite offers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Offer {
    /// The whole version, epoch included.
    pub(crate) version: String,
}

/// Private package lists of chosen suites, apart from the system's.
#[derive(Debug)]
pub(crate) struct PrivateLists {
    dir: PathBuf,
    architectures: String,
    preferred: Option<String>,
    _lock: CacheLock,
}

/// Reads the machine's own sources of binary packages.
pub(crate) fn machine_sources() -> Vec<Source> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        let mut parts: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        parts.sort();
        files.extend(parts);
    }
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => sources.extend(parse_deb822(&text)),
            Some("list") => sources.extend(parse_one_line(&text)),
            _ => {}
        }
    }
    sources
}

/// Returns the machine's Debian mirror as a source of `suite`.
///
/// The mirror is the one that serves the running release, or what `BULKHEAD_DEBIAN_MIRROR` names
/// on systems that have no Debian mirror of their own.
pub(crate) fn debian_source(suite: &str) -> Result<Source> {
    let host = super::host::detect();
    let own = machine_sources()
        .into_iter()
        .find(|source| host.id == "debian" && source.suites.contains(&host.codename));
    let given = std::env::var(MIRROR_VARIABLE)
        .ok()
        .filter(|uri| !uri.is_empty());
    let (uri, signed_by) = match (given, own) {
        (Some(uri), _) => (uri, None),
        (None, Some(source)) => (source.uri, source.signed_by),
        (None, None) => bail!(
            "this machine's apt configuration names no Debian mirror; set {MIRROR_VARIABLE} to the address of one"
        ),
    };
    Ok(Source {
        uri,
        suites: vec![suite.to_owned()],
        components: vec!["main".to_owned()],
        signed_by: Some(signed_by.unwrap_or_else(|| DEBIAN_KEYRING.to_owned())),
    })
}

impl PrivateLists {
    /// Fetches the lists of `sources` into `CACHE/apt/NAME`, unless they are fresh.
    ///
    /// `architectures` is apt's own list, such as `amd64,arm64`; empty takes the machine's.
    pub(crate) fn open(
        cache: &Path,
        name: &str,
        sources: &[Source],
        architectures: &str,
    ) -> Result<Self> {
        Self::open_with(cache, name, sources, architectures, Contents::Binaries)
    }

    /// As [`PrivateLists::open`], with a choice of what the lists hold.
    pub(crate) fn open_with(
        cache: &Path,
        name: &str,
        sources: &[Source],
        architectures: &str,
        contents: Contents,
    ) -> Result<Self> {
        for program in ["apt-get", "apt-cache", "dpkg"] {
            ensure!(
                crate::paths::find_program(program).is_some(),
                "{program} is missing, so packages of Debian can't be fetched"
            );
        }
        let dir = cache.join("apt").join(name);
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create {}", dir.display()))?;
        let lists = PrivateLists {
            // apt itself refuses to share its lists.
            _lock: lock::acquire(&dir, "lists")?,
            dir,
            architectures: architectures.to_owned(),
            preferred: None,
        };
        for part in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(lists.dir.join(part))
                .with_context(|| format!("cannot create {}", lists.dir.display()))?;
        }
        let text: String = sources.iter().map(|it| it.to_deb822(contents)).collect();
        let list = lists.source_list();
        let stamp = lists.dir.join("updated");
        let unchanged = std::fs::read_to_string(&list).is_ok_and(|old| old == text);
        if unchanged && is_fresh(&stamp) {
            return Ok(lists);
        }
        std::fs::write(&list, text).with_context(|| format!("cannot write {}", list.display()))?;
        eprintln!("fetching the package lists of {name}");
        process::capture(lists.apt("apt-get").args(["--quiet", "update"]))?;
        std::fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(lists)
    }

    /// Prefers the packages of one of the suites, which matters for backports.
    pub(crate) fn prefer(mut self, suite: &str) -> Self {
        self.preferred = Some(suite.to_owned());
        self
    }

    /// Returns every version of a package that the lists offer, newest first.
    pub(crate) fn offers(&self, package: &str) -> Result<Vec<Offer>> {
        let text = process::capture(self.apt("apt-cache").args(["madison", package]))?;
        Ok(parse_madison(&text))
    }

    /// Returns one field of the newest version of a package, such as `Depends`.
    pub(crate) fn field(&self, package: &str, field: &str) -> Result<String> {
        let text =
            process::capture(
                self.apt("apt-cache")
                    .args(["show", "--no-all-versions", package]),
            )?;
        let prefix = format!("{field}: ");
        text.lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .map(|value| value.trim().to_owned())
            .with_context(|| format!("the package {package} has no field {field}"))
    }

    /// Downloads a package (`NAME`, `NAME:ARCH` or with `=VERSION`) and returns its file.
    pub(crate) fn download(&self, package: &str, into: &Path) -> Result<PathBuf> {
        let dir = into.join(format!("download-{}", std::process::id()));
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create {}", dir.display()))?;
        let mut command = self.apt("apt-get");
        command
            .args(["--quiet", "download", package])
            .current_dir(&dir);
        process::capture(&mut command)
            .with_context(|| format!("cannot fetch the package {package}"))?;
        let file = file_in(&dir, |name| name.ends_with(".deb"))
            .with_context(|| format!("apt-get left no package file for {package}"))?;
        let name = file.file_name().context("a package file without a name")?;
        let kept = into.join(name);
        std::fs::rename(&file, &kept)?;
        std::fs::remove_dir_all(&dir)?;
        Ok(kept)
    }

    /// Returns every version of a source package that the lists offer.
    pub(crate) fn source_offers(&self, package: &str) -> Result<Vec<Offer>> {
        let text = process::capture(self.apt("apt-cache").args(["madison", package]))?;
        Ok(parse_madison_sources(&text))
    }

    /// Downloads the upstream archive of a source package into a folder of its own and returns it.
    /// Debian's description and changes are left: an archive may have dropped them by now.
    pub(crate) fn download_upstream(
        &self,
        package: &str,
        version: &str,
        into: &Path,
    ) -> Result<PathBuf> {
        let mut command = self.apt("apt-get");
        command
            .args(["--quiet", "source", "--download-only", "--tar-only"])
            .arg(format!("{package}={version}"))
            .current_dir(into);
        process::capture(&mut command)
            .with_context(|| format!("cannot fetch the source package {package} {version}"))?;
        file_in(into, |name| name.contains(".orig.tar."))
            .with_context(|| format!("apt-get left no archive for {package} {version}"))
    }

    /// Returns apt-get's options that select these lists, for a command run as root.
    pub(crate) fn options(&self) -> Vec<String> {
        let option = |name: &str, value: &Path| format!("-o{name}={}", value.display());
        let mut options = vec![
            option("Dir::Etc::sourcelist", &self.source_list()),
            "-oDir::Etc::sourceparts=-".to_owned(),
            option("Dir::State::lists", &self.dir.join("lists")),
            option("Dir::Cache", &self.dir.join("cache")),
        ];
        if nix::unistd::geteuid().is_root() {
            // apt's own user can't reach a cache below root's home; signatures are checked anyway.
            options.push("-oAPT::Sandbox::User=root".to_owned());
        }
        if let Some(suite) = &self.preferred {
            options.push(format!("-oAPT::Default-Release={suite}"));
        }
        if !self.architectures.is_empty() {
            options.push(format!("-oAPT::Architectures={}", self.architectures));
        }
        options
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(self.options()).env("LC_ALL", "C");
        command
    }

    fn source_list(&self) -> PathBuf {
        self.dir.join("list.sources")
    }
}

impl Source {
    fn to_deb822(&self, contents: Contents) -> String {
        let types = match contents {
            Contents::Binaries => "deb",
            Contents::BinariesAndSources => "deb deb-src",
        };
        let signed = self
            .signed_by
            .as_ref()
            .map(|value| format!("Signed-By: {value}\n"))
            .unwrap_or_default();
        format!(
            "Types: {types}\nURIs: {}\nSuites: {}\nComponents: {}\n{signed}\n",
            self.uri,
            self.suites.join(" "),
            self.components.join(" ")
        )
    }
}

/// Unpacks a package file into a directory.
pub(crate) fn unpack(package: &Path, into: &Path) -> Result<()> {
    std::fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;
    process::capture(Command::new("dpkg").arg("-x").arg(package).arg(into))?;
    Ok(())
}

/// Returns the machine's architecture in Debian's words.
pub(crate) fn machine_architecture() -> Result<String> {
    let text = process::capture(Command::new("dpkg").arg("--print-architecture"))?;
    Ok(text.trim().to_owned())
}

/// Returns the newer of two versions, by Debian's order.
pub(crate) fn newer(one: Offer, other: Offer) -> Result<Offer> {
    let status = Command::new("dpkg")
        .args(["--compare-versions", &one.version, "ge", &other.version])
        .status()
        .context("cannot start dpkg")?;
    Ok(if status.success() { one } else { other })
}

/// Returns a file in a folder whose name is wanted.
fn file_in(folder: &Path, wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries
        .flatten()
        .find(|entry| wanted(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
}

fn is_fresh(stamp: &Path) -> bool {
    let modified = std::fs::metadata(stamp).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| {
        SystemTime::now()
            .duration_since(time)
            .is_ok_and(|age| age < LISTS_LIFETIME)
    })
}

/// Parses deb822 sources (sources.list(5)): stanzas of `Key: value` with continuation lines.
fn parse_deb822(text: &str) -> Vec<Source> {
    let without_comments: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    without_comments
        .split(|line| line.trim().is_empty())
        .flat_map(parse_stanza)
        .collect()
}

fn parse_stanza(lines: &[&str]) -> Vec<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            fields.push((key.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    let get = |key: &str| {
        fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.clone())
    };
    let words = |key: &str| -> Vec<String> {
        get(key)
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    if !words("types").iter().any(|kind| kind == "deb") || get("enabled").as_deref() == Some("no") {
        return Vec::new();
    }
    words("uris")
        .into_iter()
        .map(|uri| Source {
            uri,
            suites: words("suites"),
            components: words("components"),
            signed_by: get("signed-by"),
        })
        .collect()
}

/// Parses one-line sources: `deb [signed-by=FILE] URI SUITE COMPONENT…`.
fn parse_one_line(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next()?.trim();
            let rest = line.strip_prefix("deb")?;
            let rest = rest.starts_with([' ', '\t']).then(|| rest.trim())?;
            let (options, rest) = match rest.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => ("", rest),
            };
            let signed_by = options
                .split_whitespace()
                .find_map(|option| option.strip_prefix("signed-by="))
                .map(str::to_owned);
            let mut words = rest.split_whitespace().map(str::to_owned);
            Some(Source {
                uri: words.next()?,
                suites: vec![words.next()?],
                components: words.collect(),
                signed_by,
            })
        })
        .collect()
}

/// Parses the binary packages of `apt-cache madison`: `package | version | source`.
fn parse_madison(text: &str) -> Vec<Offer> {
    parse_madison_where(text, |source| !source.ends_with("Sources"))
}

/// Parses the source packages of `apt-cache madison`.
fn parse_madison_sources(text: &str) -> Vec<Offer> {
    parse_madison_where(text, |source| source.ends_with("Sources"))
}

fn parse_madison_where(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<Offer> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.split('|').map(str::trim);
            let version = columns.nth(1)?.to_owned();
            let source = columns.next()?;
            wanted(source).then_some(Offer { version })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb\n# a comment\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\nTypes: deb-src\nURIs: http://mirror/source\nSuites: bookworm\n\nTypes: deb\nEnabled: no\nURIs: http://off\nSuites: bookworm\n";

    #[test]
    fn deb822_sources_are_read_without_source_packages_and_disabled_stanzas() {
        let sources = parse_deb822(DEB822);
        assert_eq!(sources.len(), 1);
        assert_eq!(sources[0].uri, "http://mirror/debian");
        assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
        assert_eq!(sources[0].signed_by.as_deref(), Some("/k.gpg"));
    }

    #[test]
    fn one_line_sources_are_read_with_their_options() {
        let text = "# deb http://no x y\ndeb [arch=amd64 signed-by=/k.gpg] http://m trixie main contrib # c\ndeb-src http://m trixie main\n";
        let sources = parse_one_line(text);
        assert_eq!(sources.len(), 1);
        assert_eq!(sources[0].uri, "http://m");
        assert_eq!(sources[0].suites, ["trixie"]);
        assert_eq!(sources[0].components, ["main", "contrib"]);
        assert_eq!(sources[0].signed_by.as_deref(), Some("/k.gpg"));
    }

    #[test]
    fn a_written_source_reads_back_the_same() {
        let source = Source {
            uri: "http://m".to_owned(),
            suites: vec!["a".to_owned(), "b".to_owned()],
            components: vec!["main".to_owned()],
            signed_by: Some("/k.gpg".to_owned()),
        };
        assert_eq!(
            parse_deb822(&source.to_deb822(Contents::Binaries)),
            [source]
        );
    }

    #[test]
    fn offers_are_versions_of_binary_packages() {
        let text = " rust-src | 1.96.1+dfsg1-2 | http://m s/main amd64 Packages\n rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://m s/main amd64 Packages\n rust | 1.95.0 | http://m s/main Sources\n";
        let versions: Vec<_> = parse_madison(text).into_iter().map(|o| o.version).collect();
        assert_eq!(versions, ["1.96.1+dfsg1-2", "1.95.0+dfsg1-2~bpo13+1"]);
        let sources = parse_madison_sources(text);
        assert_eq!(sources.len(), 1);
        assert_eq!(sources[0].version, "1.95.0");
    }
}
