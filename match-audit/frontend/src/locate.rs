//! From syntax back to files, lines and columns.

use std::collections::HashMap;

use match_audit_sites::Location;
use ra_ap_base_db::SourceDatabase;
use ra_ap_ide_db::RootDatabase;
use ra_ap_paths::AbsPathBuf;
use ra_ap_syntax::TextRange;
use ra_ap_vfs::{FileId, Vfs};

/// The texts of the files met so far.
pub(crate) struct Files<'a> {
    db: &'a RootDatabase,
    vfs: &'a Vfs,
    root: AbsPathBuf,
    files: HashMap<FileId, File>,
}

struct File {
    name: String,
    text: String,
    /// The offset at which each line begins.
    lines: Vec<usize>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(db: &'a RootDatabase, vfs: &'a Vfs, root: &AbsPathBuf) -> Self {
        Files {
            db,
            vfs,
            root: root.clone(),
            files: HashMap::new(),
        }
    }

    fn file(&mut self, id: FileId) -> &File {
        self.files.entry(id).or_insert_with(|| {
            let path = self.vfs.file_path(id);
            let name = path
                .as_path()
                .and_then(|path| {
                    path.strip_prefix(&self.root)
                        .map(|path| path.as_str().to_string())
                })
                .unwrap_or_else(|| path.to_string());
            let text = self.db.file_text(id).text(self.db).to_string();
            let lines = std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at + 1))
                .collect();
            File { name, text, lines }
        })
    }

    pub(crate) fn location(&mut self, id: FileId, range: TextRange) -> Location {
        let file = self.file(id);
        let start = usize::from(range.start()).min(file.text.len());
        let end = usize::from(range.end()).min(file.text.len());
        let line = file.lines.partition_point(|at| *at <= start);
        let begin = file.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let characters = |from: usize, to: usize| {
            let text = file.text.get(from..to).unwrap_or_default();
            u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
        };
        let line_end = file.text[start..].find('\n').map_or(end, |at| start + at);
        Location {
            file: file.name.clone(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: characters(begin, start) + 1,
            length: characters(start, end.min(line_end)).max(1),
        }
    }

    /// Returns the reason in `// match-audit: WORD(reason)` on the line where `range` begins, or in
    /// the lines of comment right above it.
    pub(crate) fn comment(&mut self, id: FileId, range: TextRange, word: &str) -> Option<String> {
        let file = self.file(id);
        let start = usize::from(range.start());
        let line = file.lines.partition_point(|at| *at <= start);
        let text_of = |line: usize| -> &str {
            let from = line.checked_sub(1).and_then(|at| file.lines.get(at));
            let Some(&from) = from else { return "" };
            let to = file.lines.get(line).copied().unwrap_or(file.text.len());
            file.text.get(from..to).unwrap_or_default()
        };
        let above = (1..line).rev().map(text_of);
        let above = above.take_while(|text| text.trim_start().starts_with("//"));
        std::iter::once(text_of(line))
            .chain(above)
            .find_map(|text| reason(text, word))
    }
}

fn reason(line: &str, word: &str) -> Option<String> {
    let (_, comment) = line.split_once("//")?;
    let (_, rest) = comment.split_once("match-audit:")?;
    let rest = rest.trim_start().strip_prefix(word)?.strip_prefix('(')?;
    let (reason, _) = rest.rsplit_once(')')?;
    let reason = reason.trim();
    (!reason.is_empty()).then(|| reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn a_reason_is_read_and_must_not_be_empty() {
        let reason = |line| reason(line, "absorb");
        assert_eq!(
            reason("_ => {} // match-audit: absorb(never (ever) here)").as_deref(),
            Some("never (ever) here")
        );
        assert_eq!(reason("_ => {} // match-audit: absorb()"), None);
        assert_eq!(reason("_ => {} // absorb(x)"), None);
        assert_eq!(reason("_ => {} // match-audit: omitted_empty_arm(x)"), None);
    }
}
