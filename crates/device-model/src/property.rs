//! Properties: what a machine description says of a device, as its `Config`.

use core::fmt;

/// What a machine description says of one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// The value of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(u64),
    /// A word.
    Text(&'a str),
}

/// What a property may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Flag,
    /// A number in this range, both ends included.
    Number {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A property that a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyInfo {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
}

/// A configuration that is made of properties; derived.
pub trait Properties: Default {
    /// All properties.
    const PROPERTIES: &'static [PropertyInfo];

    /// Makes a configuration; what is not named has its default.
    ///
    /// # Errors
    /// [`PropertyError`] on the first property that is unknown, named twice, or not what it may be.
    fn from_properties<'a>(properties: &[Property<'a>]) -> Result<Self, PropertyError<'a>> {
        let mut config = Self::default();
        for (index, property) in properties.iter().enumerate() {
            if properties
                .iter()
                .take(index)
                .any(|earlier| earlier.name == property.name)
            {
                return Err(PropertyError::new(property, Problem::Twice));
            }
            config
                .set(property)
                .map_err(|problem| PropertyError::new(property, problem))?;
        }
        Ok(config)
    }

    /// Sets one property.
    ///
    /// # Errors
    /// [`Problem`] if there is none of this name, or it can't have this value.
    fn set(&mut self, property: &Property<'_>) -> Result<(), Problem>;
}

/// A type of properties; derived for enums of words.
pub trait PropertyValue: Sized {
    /// What it may be.
    const KIND: Kind;

    /// Converts a value; `None` if it can't be that.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

impl PropertyValue for bool {
    const KIND: Kind = Kind::Flag;

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Flag(flag) => Some(flag),
            Value::Number(_) | Value::Text(_) => None,
        }
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(
            impl PropertyValue for $number {
                const KIND: Kind = Kind::Number {
                    min: 0,
                    // Widening.
                    max: <$number>::MAX as u64,
                };

                fn from_value(value: Value<'_>) -> Option<Self> {
                    match value {
                        Value::Number(number) => number.try_into().ok(),
                        Value::Flag(_) | Value::Text(_) => None,
                    }
                }
            }
        )*
    };
}

numbers!(u8, u16, u32, u64);

/// What is wrong with a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The device has none of this name.
    Unknown {
        /// Which it has.
        known: &'static [PropertyInfo],
    },
    /// It is named twice.
    Twice,
    /// It can't have this value.
    Value {
        /// What it may be.
        expected: Kind,
    },
}

/// A wrong property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyError<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
    /// What is wrong with it.
    pub problem: Problem,
}

impl<'a> PropertyError<'a> {
    const fn new(property: &Property<'a>, problem: Problem) -> Self {
        Self {
            name: property.name,
            value: property.value,
            problem,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Choice(words) => {
                f.write_str("one of")?;
                words.iter().try_for_each(|word| write!(f, " {word}"))
            }
        }
    }
}

impl fmt::Display for PropertyError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match self.problem {
            Problem::Unknown { known: [] } => {
                write!(f, "unknown property {name:?}: there are none")
            }
            Problem::Unknown { known } => {
                write!(f, "unknown property {name:?}: there are")?;
                known
                    .iter()
                    .try_for_each(|info| write!(f, " {}", info.name))
            }
            Problem::Twice => write!(f, "property {name:?} is named twice"),
            Problem::Value { expected } => {
                write!(f, "property {name:?} is {}, not {expected}", self.value)
            }
        }
    }
}

impl core::error::Error for PropertyError<'_> {}
