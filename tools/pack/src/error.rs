//! Errors as the user sees them.

use std::fmt;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackError {
    /// Where it is.
    pub place: SourcePlace,
    /// What it is, and what would be right.
    pub message: String,
}

/// Where something that the user has said stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourcePlace {
    /// A file as a whole.
    File {
        /// Its name.
        file: String,
    },
    /// A line of a file.
    Line {
        /// Its name.
        file: String,
        /// The number of the line, counted from 1.
        line: usize,
    },
    /// An option that overrides the file.
    Override {
        /// The key that it overrides.
        key: &'static str,
    },
}

impl SourcePlace {
    pub(crate) fn error(&self, message: impl Into<String>) -> PackError {
        PackError {
            place: self.clone(),
            message: message.into(),
        }
    }
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => f.write_str(file),
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::Override { key } => write!(f, "--{key}"),
        }
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for PackError {}
