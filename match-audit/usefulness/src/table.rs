//! Types, interned and described once, with their emptiness.

use std::collections::HashMap;
use std::rc::Rc;

use crate::line::Line;
use crate::types::{EnumId, Field, Shape, Types};

/// An interned type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TyId(u32);

/// A field, its type interned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) ty: TyId,
    pub(crate) visible: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct VariantInfo {
    pub(crate) parts: Vec<Part>,
    pub(crate) hidden: bool,
    pub(crate) empty: bool,
}

/// What the algorithm needs of a type.
#[derive(Clone, Debug)]
pub(crate) enum Info {
    /// No constructors at all: `!` or an enum without variants.
    Void,
    Bool,
    Line(Line),
    Struct {
        parts: Vec<Part>,
        empty: bool,
    },
    Enum {
        id: EnumId,
        variants: Vec<VariantInfo>,
        open: bool,
    },
    Union(Vec<Part>),
    Ref(TyId),
    /// A slice, or an array if the length is given.
    Slice {
        element: TyId,
        array: Option<u64>,
        element_empty: bool,
    },
    Float,
    Str,
    Opaque,
}

/// Fields nested deeper than this are taken to have values.
const EMPTINESS_DEPTH: u32 = 64;

/// All types met in one match.
pub(crate) struct Table<'c, C: Types> {
    pub(crate) cx: &'c C,
    ids: HashMap<C::Ty, TyId>,
    types: Vec<C::Ty>,
    shapes: Vec<Option<Rc<Shape<C::Ty>>>>,
    infos: Vec<Option<Rc<Info>>>,
    empty: HashMap<TyId, bool>,
}

impl<'c, C: Types> Table<'c, C> {
    pub(crate) fn new(cx: &'c C) -> Self {
        Table {
            cx,
            ids: HashMap::new(),
            types: Vec::new(),
            shapes: Vec::new(),
            infos: Vec::new(),
            empty: HashMap::new(),
        }
    }

    pub(crate) fn intern(&mut self, ty: &C::Ty) -> TyId {
        if let Some(&id) = self.ids.get(ty) {
            return id;
        }
        let id = TyId(u32::try_from(self.types.len()).unwrap_or(u32::MAX));
        self.ids.insert(ty.clone(), id);
        self.types.push(ty.clone());
        self.shapes.push(None);
        self.infos.push(None);
        id
    }

    /// Returns the caller's handle.
    pub(crate) fn ty(&self, id: TyId) -> &C::Ty {
        &self.types[id.0 as usize]
    }

    fn shape(&mut self, id: TyId) -> Rc<Shape<C::Ty>> {
        let index = id.0 as usize;
        if let Some(shape) = &self.shapes[index] {
            return Rc::clone(shape);
        }
        let shape = Rc::new(self.cx.describe(&self.types[index]));
        self.shapes[index] = Some(Rc::clone(&shape));
        shape
    }

    pub(crate) fn info(&mut self, id: TyId) -> Rc<Info> {
        let index = id.0 as usize;
        if let Some(info) = &self.infos[index] {
            return Rc::clone(info);
        }
        let info = Rc::new(self.resolve(id));
        self.infos[index] = Some(Rc::clone(&info));
        info
    }

    fn resolve(&mut self, id: TyId) -> Info {
        match &*self.shape(id) {
            Shape::Never => Info::Void,
            Shape::Bool => Info::Bool,
            Shape::Char => Info::Line(Line::Char),
            Shape::Int(sign, width) => Info::Line(Line::Int(*sign, *width)),
            Shape::Struct(fields) => Info::Struct {
                parts: self.parts(fields),
                empty: self.is_empty(id),
            },
            Shape::Enum(shape) if shape.variants.is_empty() && !shape.foreign_non_exhaustive => {
                Info::Void
            }
            Shape::Enum(shape) => Info::Enum {
                id: shape.id,
                variants: shape
                    .variants
                    .iter()
                    .map(|v| VariantInfo {
                        parts: self.parts(&v.fields),
                        hidden: v.hidden,
                        empty: self.any_empty(&v.fields, 0),
                    })
                    .collect(),
                open: shape.foreign_non_exhaustive,
            },
            Shape::Union(fields) => Info::Union(self.parts(fields)),
            Shape::Ref(target) => Info::Ref(self.intern(target)),
            Shape::Slice(element) => self.sequence(element, None),
            Shape::Array(element, len) => self.sequence(element, *len),
            Shape::Float => Info::Float,
            Shape::Str => Info::Str,
            Shape::Opaque => Info::Opaque,
        }
    }

    fn sequence(&mut self, element: &C::Ty, array: Option<u64>) -> Info {
        let element = self.intern(element);
        Info::Slice {
            element,
            array,
            element_empty: self.is_empty(element),
        }
    }

    fn parts(&mut self, fields: &[Field<C::Ty>]) -> Vec<Part> {
        fields
            .iter()
            .map(|field| Part {
                ty: self.intern(&field.ty),
                visible: field.visible,
            })
            .collect()
    }

    /// Says whether the module of the match can see that the type has no values.
    pub(crate) fn is_empty(&mut self, id: TyId) -> bool {
        self.is_empty_at(id, 0)
    }

    fn is_empty_at(&mut self, id: TyId, depth: u32) -> bool {
        if let Some(&known) = self.empty.get(&id) {
            return known;
        }
        if depth > EMPTINESS_DEPTH {
            return false;
        }
        // A type that contains itself is not made empty by that.
        self.empty.insert(id, false);
        let empty = match &*self.shape(id) {
            Shape::Never => true,
            Shape::Struct(fields) => self.any_empty(fields, depth),
            Shape::Enum(shape) => {
                !shape.foreign_non_exhaustive
                    && shape
                        .variants
                        .iter()
                        .all(|v| self.any_empty(&v.fields, depth))
            }
            Shape::Array(element, Some(len)) if *len > 0 => {
                let element = self.intern(element);
                self.is_empty_at(element, depth + 1)
            }
            Shape::Bool
            | Shape::Char
            | Shape::Int(..)
            | Shape::Union(_)
            | Shape::Ref(_)
            | Shape::Slice(_)
            | Shape::Array(..)
            | Shape::Float
            | Shape::Str
            | Shape::Opaque => false,
        };
        self.empty.insert(id, empty);
        empty
    }

    fn any_empty(&mut self, fields: &[Field<C::Ty>], depth: u32) -> bool {
        fields.iter().any(|field| {
            let ty = self.intern(&field.ty);
            field.visible && self.is_empty_at(ty, depth + 1)
        })
    }

    /// Says whether a field is to be passed over: it is empty, but nobody here may know.
    pub(crate) fn is_secretly_empty(&mut self, part: Part) -> bool {
        !part.visible && self.is_empty(part.ty)
    }
}
