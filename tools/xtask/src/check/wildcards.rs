//! Finds wildcard arms on our own enums: a new variant passes them without anybody looking.
//!
//! A wildcard arm is fine if a comment beside it answers the question "if a variant is added,
//! should this site be revisited?"; it is told by the word `variant`.

use super::sources::SourceFile;
use super::{Findings, is_test_file};
use anyhow::{Result, anyhow};
use std::collections::BTreeSet;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Where our enums are defined and matched.
pub(crate) const FOLDERS: &[&str] = &["crates", "arch", "roles", "images"];

/// The wildcard arms on our own enums.
#[derive(Debug, Default)]
pub(crate) struct Wildcards {
    places: Vec<Place>,
    enums: usize,
}

#[derive(Debug)]
struct Place {
    at: String,
    explained: bool,
}

impl Wildcards {
    /// Returns how many have no comment that answers for them.
    pub(crate) fn unexplained(&self) -> usize {
        self.places.iter().filter(|place| !place.explained).count()
    }

    /// Says what was found.
    pub(crate) fn describe(&self) -> Findings {
        let explained = self.places.len().saturating_sub(self.unexplained());
        Findings {
            notes: vec![format!(
                "{} wildcard arms on {} enums of ours with a comment, {} without",
                explained,
                self.enums,
                self.unexplained()
            )],
            details: self
                .places
                .iter()
                .map(|place| {
                    let how = if place.explained {
                        "explained"
                    } else {
                        "unexplained"
                    };
                    format!("{} ({how})", place.at)
                })
                .collect(),
            violations: Vec::new(),
        }
    }
}

/// Finds the wildcard arms of files whose neighbors name an enum that is defined in these files.
pub(crate) fn find(files: &[SourceFile]) -> Result<Wildcards> {
    let mut parsed = Vec::new();
    for file in files {
        let tree = syn::parse_file(&file.text).map_err(|error| {
            let line = error.span().start().line;
            anyhow!("{}:{line}: {error}", file.path)
        })?;
        parsed.push((file, tree));
    }
    let mut enums = EnumNames::default();
    for (_, tree) in &parsed {
        enums.visit_file(tree);
    }
    let mut found = Wildcards {
        places: Vec::new(),
        enums: enums.0.len(),
    };
    for (file, tree) in &parsed {
        if is_test_file(file) {
            continue;
        }
        let mut matches = Matches {
            enums: &enums.0,
            self_type: None,
            lines: file.text.lines().collect(),
            path: &file.path,
            places: &mut found.places,
        };
        matches.visit_file(tree);
    }
    Ok(found)
}

#[derive(Default)]
struct EnumNames(BTreeSet<String>);

impl<'ast> Visit<'ast> for EnumNames {
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.0.insert(item.ident.to_string());
    }
}

struct Matches<'a> {
    enums: &'a BTreeSet<String>,
    self_type: Option<String>,
    lines: Vec<&'a str>,
    path: &'a str,
    places: &'a mut Vec<Place>,
}

impl<'ast> Visit<'ast> for Matches<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test_only(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let outer = self.self_type.take();
        if let syn::Type::Path(path) = &*item.self_ty {
            self.self_type = path.path.segments.last().map(|it| it.ident.to_string());
        }
        visit::visit_item_impl(self, item);
        self.self_type = outer;
    }

    fn visit_expr_match(&mut self, item: &'ast syn::ExprMatch) {
        let names_ours = item.arms.iter().any(|arm| self.names_our_enum(&arm.pat));
        for arm in &item.arms {
            if names_ours && arm.guard.is_none() && is_wildcard(&arm.pat) {
                let line = arm.pat.span().start().line;
                self.places.push(Place {
                    at: format!("{}:{line}", self.path),
                    explained: self.is_explained(line),
                });
            }
        }
        visit::visit_expr_match(self, item);
    }
}

impl Matches<'_> {
    fn names_our_enum(&self, pattern: &syn::Pat) -> bool {
        match pattern {
            syn::Pat::Path(it) => self.is_variant(&it.path),
            syn::Pat::TupleStruct(it) => {
                self.is_variant(&it.path) || it.elems.iter().any(|it| self.names_our_enum(it))
            }
            syn::Pat::Struct(it) => self.is_variant(&it.path),
            syn::Pat::Tuple(it) => it.elems.iter().any(|it| self.names_our_enum(it)),
            syn::Pat::Or(it) => it.cases.iter().any(|it| self.names_our_enum(it)),
            syn::Pat::Reference(it) => self.names_our_enum(&it.pat),
            syn::Pat::Paren(it) => self.names_our_enum(&it.pat),
            syn::Pat::Ident(it) => it
                .subpat
                .as_ref()
                .is_some_and(|(_, pattern)| self.names_our_enum(pattern)),
            // Literals, ranges and the like name no variant.
            _ => false,
        }
    }

    /// `Enum::Variant`, or `Self::Variant` in an impl of the enum.
    fn is_variant(&self, path: &syn::Path) -> bool {
        let Some(owner) = path.segments.iter().rev().nth(1) else {
            return false;
        };
        let owner = owner.ident.to_string();
        let owner = match (&self.self_type, owner.as_str()) {
            (Some(name), "Self") => name.clone(),
            _ => owner,
        };
        self.enums.contains(&owner)
    }

    /// A comment on the arm's line, or in the lines of comment right above it, or right below it
    /// where the arm's body is a block.
    fn is_explained(&self, line: usize) -> bool {
        let text = |line: usize| self.lines.get(line.wrapping_sub(1)).copied().unwrap_or("");
        let comment = |text: &str| {
            text.find("//")
                .and_then(|start| text.get(start..))
                .map(str::to_lowercase)
        };
        let answers = |text: &str| comment(text).is_some_and(|it| it.contains("variant"));
        if answers(text(line)) {
            return true;
        }
        let mut above = line.wrapping_sub(1);
        while text(above).trim_start().starts_with("//") {
            if answers(text(above)) {
                return true;
            }
            above = above.wrapping_sub(1);
        }
        let mut below = line.wrapping_add(1);
        while text(below).trim_start().starts_with("//") {
            if answers(text(below)) {
                return true;
            }
            below = below.wrapping_add(1);
        }
        false
    }
}

/// `_`, or a name that takes everything.
fn is_wildcard(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Wild(_) => true,
        syn::Pat::Ident(it) => {
            let name = it.ident.to_string();
            it.subpat.is_none() && name.starts_with(|c: char| c.is_lowercase() || c == '_')
        }
        // Everything else looks at the value.
        _ => false,
    }
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.to_string().contains("test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(body: &str) -> (usize, usize) {
        let text =
            format!("enum Ours {{ A, B }}\nimpl Ours {{ fn f(self, n: u8) {{\n{body}\n}} }}");
        let found = find(&[SourceFile {
            path: "crates/x/src/lib.rs".to_owned(),
            text,
        }])
        .unwrap();
        (found.places.len(), found.unexplained())
    }

    #[test]
    fn a_wildcard_on_our_enum_is_found_by_any_spelling() {
        assert_eq!(count("match self { Ours::A => {}\n_ => {} }"), (1, 1));
        assert_eq!(count("match self { Self::A => {}\nother => {} }"), (1, 1));
        assert_eq!(
            count("match (self, n) { (Ours::A, 1) => {}\n_ => {} }"),
            (1, 1)
        );
        assert_eq!(
            count("match &self { &(Ours::A | Ours::B) => {}\n_ => {} }"),
            (1, 1)
        );
    }

    #[test]
    fn foreign_values_and_guards_are_not_meant() {
        assert_eq!(count("match n { 1 => {}\n_ => {} }"), (0, 0));
        assert_eq!(count("match x { Some(1) => {}\n_ => {} }"), (0, 0));
        assert_eq!(count("match x { Theirs::A => {}\n_ => {} }"), (0, 0));
        assert_eq!(
            count("match self { Ours::A => {}\n_ if n > 1 => {}\nOurs::B => {} }"),
            (0, 0)
        );
    }

    #[test]
    fn a_comment_about_variants_explains_it() {
        assert_eq!(
            count("match self { Ours::A => {}\n// A new variant is no concern here.\n_ => {} }"),
            (1, 0)
        );
        assert_eq!(
            count("match self { Ours::A => {}\n_ => {} // a new variant: revisit\n }"),
            (1, 0)
        );
        assert_eq!(
            count("match self { Ours::A => {}\n// anything else\n_ => {} }"),
            (1, 1)
        );
    }

    #[test]
    fn tests_may_use_wildcards() {
        let text = "enum Ours { A, B }\n#[cfg(test)] mod tests { fn f(x: Ours) { match x { Ours::A => {}\n_ => {} } } }";
        let file = |path: &str, text: &str| SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert!(
            find(&[file("crates/x/src/lib.rs", text)])
                .unwrap()
                .places
                .is_empty()
        );
        let test = "fn f(x: Ours) { match x { Ours::A => {}\n_ => {} } }";
        let files = [
            file("crates/x/src/lib.rs", text),
            file("crates/x/src/tests.rs", test),
        ];
        assert!(find(&files).unwrap().places.is_empty());
    }
}
