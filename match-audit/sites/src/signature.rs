//! What a site looks at, written down so that two runs can be compared.

use std::collections::HashMap;
use std::fmt::Write as _;

use match_audit_usefulness::{Arm, Pat, PatKind, Shape};

use crate::project::{Project, Site, TypeId};

/// Writes the patterns of a site with the enums that they look into. Two runs that agree on it
/// agree on what the site's arms take.
pub(crate) fn signature(project: &Project, site: &Site) -> String {
    let mut writer = Writer {
        project,
        text: format!("{:?};", site.matched.validity),
        opaque: HashMap::new(),
    };
    for (Arm { pat, guard }, info) in site.matched.arms.iter().zip(&site.arms) {
        writer.pattern(Some(site.matched.scrutinee), pat);
        let _ = write!(writer.text, "{guard:?}{};", info.text);
    }
    writer.text
}

struct Writer<'p> {
    project: &'p Project,
    text: String,
    /// Constants that cannot be looked into, by their order: their numbers differ between runs.
    opaque: HashMap<u64, usize>,
}

impl Writer<'_> {
    fn shape(&self, ty: Option<TypeId>) -> Option<&Shape<TypeId>> {
        let info = self.project.types.get(ty?.0 as usize)?;
        Some(&info.shape)
    }

    fn pattern(&mut self, ty: Option<TypeId>, pat: &Pat<TypeId>) {
        let project = self.project;
        let shape = ty.and_then(|ty| project.types.get(ty.0 as usize));
        let shape = shape.map(|info| &info.shape);
        match &pat.kind {
            PatKind::Wild => self.text.push('_'),
            PatKind::Bind(mode, sub) => {
                let _ = write!(self.text, "{mode:?}@");
                if let Some(sub) = sub {
                    self.pattern(ty, sub);
                }
            }
            PatKind::Never => self.text.push('!'),
            PatKind::Bool(value) => {
                let _ = write!(self.text, "{value}");
            }
            PatKind::Range(range) => {
                let _ = write!(self.text, "{shape:?}{range:?}");
            }
            PatKind::Float(lo, hi) => {
                let _ = write!(self.text, "{lo}..={hi}");
            }
            PatKind::Str(text) => {
                let _ = write!(self.text, "{text:?}");
            }
            PatKind::Struct(fields) => {
                let types = match shape {
                    Some(Shape::Struct(types)) => types.as_slice(),
                    _ => &[],
                };
                self.fields(fields, |index| types.get(index).map(|field| field.ty));
            }
            PatKind::Variant(index, fields) => {
                let variants = match shape {
                    Some(Shape::Enum(shape)) => {
                        if let Some(info) = project.enum_info(shape.id) {
                            let _ = write!(self.text, "{}{:?}", info.path, info.variants);
                        }
                        shape.variants.as_slice()
                    }
                    _ => &[],
                };
                let _ = write!(self.text, "::{index}");
                let types = variants.get(*index).map_or(&[][..], |v| &v.fields);
                self.fields(fields, |index| types.get(index).map(|field| field.ty));
            }
            PatKind::Union(index, sub) => {
                let _ = write!(self.text, ".{index}");
                let ty = match shape {
                    Some(Shape::Union(types)) => types.get(*index).map(|field| field.ty),
                    _ => None,
                };
                self.pattern(ty, sub);
            }
            PatKind::Ref(sub) => {
                self.text.push('&');
                let target = match self.shape(ty) {
                    Some(Shape::Ref(target)) => Some(*target),
                    _ => None,
                };
                self.pattern(target, sub);
            }
            PatKind::Deref(target, sub) => {
                self.text.push('*');
                self.pattern(Some(*target), sub);
            }
            PatKind::Slice {
                prefix,
                rest,
                suffix,
            } => {
                let element = match shape {
                    Some(Shape::Slice(element) | Shape::Array(element, _)) => Some(*element),
                    _ => None,
                };
                self.text.push('[');
                self.list(element, prefix);
                let _ = write!(self.text, "{rest}");
                self.list(element, suffix);
                self.text.push(']');
            }
            PatKind::Or(alternatives) => {
                self.text.push('|');
                self.list(ty, alternatives);
            }
            PatKind::Opaque(number) => {
                let next = self.opaque.len();
                let order = *self.opaque.entry(*number).or_insert(next);
                let _ = write!(self.text, "const {order}");
            }
        }
    }

    fn list(&mut self, ty: Option<TypeId>, pats: &[Pat<TypeId>]) {
        for pat in pats {
            self.pattern(ty, pat);
            self.text.push(',');
        }
    }

    fn fields(
        &mut self,
        fields: &[(usize, Pat<TypeId>)],
        type_of: impl Fn(usize) -> Option<TypeId>,
    ) {
        self.text.push('(');
        for (index, pat) in fields {
            let _ = write!(self.text, "{index}:");
            self.pattern(type_of(*index), pat);
            self.text.push(',');
        }
        self.text.push(')');
    }
}
