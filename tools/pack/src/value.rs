//! Values of a TOML document that know the line they stand on.

use crate::error::{PackError, SourcePlace};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where the user has written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: SourcePlace,
}

/// A TOML file.
pub(crate) struct Document<'t> {
    pub(crate) file: &'t str,
    pub(crate) text: &'t str,
}

/// A key of a table, its value, and where both stand.
pub(crate) struct Item<'d> {
    pub(crate) key: &'d str,
    pub(crate) value: &'d DeValue<'d>,
    pub(crate) place: SourcePlace,
    /// The value as the user has written it, shortened.
    written: String,
}

impl<'t> Document<'t> {
    /// Parses the text.
    pub(crate) fn parse(&self) -> Result<Spanned<DeTable<'t>>, PackError> {
        DeTable::parse(self.text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let message = error.message().trim().replace('\n', "; ");
            self.place(start)
                .error(format!("not valid TOML: {message}"))
        })
    }

    /// Returns the line of the byte at `offset`.
    pub(crate) fn place(&self, offset: usize) -> SourcePlace {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let newlines = before.iter().filter(|byte| **byte == b'\n').count();
        SourcePlace::Line {
            file: self.file.to_owned(),
            line: newlines.saturating_add(1),
        }
    }

    /// Returns the items of a table in the order of the file.
    pub(crate) fn items<'d>(&self, table: &'d DeTable<'d>) -> Vec<Item<'d>> {
        let mut items: Vec<_> = table.iter().collect();
        items.sort_by_key(|(key, _)| key.span().start);
        items
            .into_iter()
            .map(|(key, value)| self.item(key.get_ref(), key.span().start, value))
            .collect()
    }

    /// Makes an item of an element of a list.
    pub(crate) fn element<'d>(&self, key: &'d str, value: &'d Spanned<DeValue<'d>>) -> Item<'d> {
        self.item(key, value.span().start, value)
    }

    fn item<'d>(&self, key: &'d str, start: usize, value: &'d Spanned<DeValue<'d>>) -> Item<'d> {
        const LONGEST: usize = 60;
        let written = self.text.get(value.span()).unwrap_or_default();
        let line = written.lines().next().unwrap_or_default();
        let mut shortened: String = line.chars().take(LONGEST).collect();
        if shortened != written {
            shortened.push_str("...");
        }
        Item {
            key,
            value: value.get_ref(),
            place: self.place(start),
            written: shortened,
        }
    }
}

impl<'d> Item<'d> {
    /// Says what is wrong with the value.
    pub(crate) fn error(&self, problem: &str) -> PackError {
        let Self { key, written, .. } = self;
        self.place.error(format!("{key} = {written}: {problem}"))
    }

    pub(crate) fn located<T>(&self, value: T) -> Located<T> {
        Located {
            value,
            place: self.place.clone(),
        }
    }

    pub(crate) fn string(&self) -> Result<Located<String>, PackError> {
        match self.value.as_str() {
            Some(text) => Ok(self.located(text.to_owned())),
            None => Err(self.error("must be a text in quotes")),
        }
    }

    /// Returns the number if it is one that fits in 64 bits without a sign.
    pub(crate) fn number(&self) -> Option<u64> {
        let integer = self.value.as_integer()?;
        u64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    pub(crate) fn u16(&self, problem: &str) -> Result<Located<u16>, PackError> {
        let number = self.number().and_then(|number| u16::try_from(number).ok());
        match number {
            Some(number) => Ok(self.located(number)),
            None => Err(self.error(problem)),
        }
    }

    /// Returns the elements of a list.
    pub(crate) fn list(
        &self,
        document: &Document<'_>,
        problem: &str,
    ) -> Result<Vec<Item<'d>>, PackError> {
        let Some(list) = self.value.as_array() else {
            return Err(self.error(problem));
        };
        let item = |value| document.element(self.key, value);
        Ok(list.iter().map(item).collect())
    }
}
