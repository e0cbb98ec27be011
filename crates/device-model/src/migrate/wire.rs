//! How numbers become bytes.

use super::RestoreError;
use alloc::vec::Vec;
use arrayvec::ArrayVec;

/// Collects bytes, up to a limit.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    limit: usize,
    /// How many bytes were asked for altogether.
    wanted: usize,
}

impl Writer {
    /// Makes an empty one that takes at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            wanted: 0,
        }
    }

    /// Appends `bytes`, if they still fit.
    pub fn put(&mut self, bytes: &[u8]) {
        self.wanted = self.wanted.saturating_add(bytes.len());
        if self.wanted <= self.limit {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Returns how many bytes were asked for so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.wanted
    }

    /// Tells whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.wanted == 0
    }

    /// Returns what was written.
    ///
    /// # Errors
    /// [`RestoreError::TooLong`] if it did not fit.
    pub fn finish(self) -> Result<Vec<u8>, RestoreError> {
        if self.wanted > self.limit {
            return Err(RestoreError::TooLong {
                bytes: self.wanted,
                limit: self.limit,
            });
        }
        Ok(self.bytes)
    }
}

/// Takes bytes from the front of an input that nobody has checked.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins with the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes `count` bytes.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`] if there are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], RestoreError> {
        let Some((head, tail)) = self.rest.split_at_checked(count) else {
            return Err(RestoreError::Truncated {
                missing: count.saturating_sub(self.rest.len()),
            });
        };
        self.rest = tail;
        Ok(head)
    }

    /// Takes `N` bytes.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let Some((head, tail)) = self.rest.split_first_chunk() else {
            return Err(RestoreError::Truncated {
                missing: N.saturating_sub(self.rest.len()),
            });
        };
        self.rest = tail;
        Ok(*head)
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`RestoreError::Trailing`] otherwise.
    pub fn finish(&self) -> Result<(), RestoreError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(RestoreError::Trailing { bytes }),
        }
    }

    /// Returns how many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }
}

/// A plain value with exactly one encoding.
pub trait Wire: Sized {
    /// Appends it.
    fn write(&self, out: &mut Writer);

    /// Takes it.
    ///
    /// # Errors
    /// [`RestoreError`] if it is not there.
    fn read(input: &mut Reader<'_>) -> Result<Self, RestoreError>;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(
            impl Wire for $number {
                fn write(&self, out: &mut Writer) {
                    out.put(&self.to_le_bytes());
                }

                fn read(input: &mut Reader<'_>) -> Result<Self, RestoreError> {
                    Ok(Self::from_le_bytes(input.array()?))
                }
            }
        )*
    };
}

numbers!(u8, u16, u32, u64);

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Writer) {
        match self {
            None => out.put(&[0]),
            Some(value) => {
                out.put(&[1]);
                value.write(out);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, RestoreError> {
        match input.array()? {
            [0] => Ok(None),
            [1] => T::read(input).map(Some),
            [found] => Err(RestoreError::Count {
                found: usize::from(found),
                limit: 1,
            }),
        }
    }
}

impl<T: Wire, const N: usize> Wire for [T; N] {
    fn write(&self, out: &mut Writer) {
        self.iter().for_each(|element| element.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, RestoreError> {
        let mut elements = ArrayVec::<T, N>::new();
        while !elements.is_full() {
            elements.push(T::read(input)?);
        }
        let found = elements.len();
        elements
            .into_inner()
            .map_err(|_| RestoreError::Count { found, limit: N })
    }
}

impl<T: Wire, const N: usize> Wire for ArrayVec<T, N> {
    fn write(&self, out: &mut Writer) {
        write_count(self.len(), out);
        self.iter().for_each(|element| element.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, RestoreError> {
        let count = read_count(input, N)?;
        let mut elements = Self::new();
        for _ in 0..count {
            elements.push(T::read(input)?);
        }
        Ok(elements)
    }
}

/// A vector's elements are read one by one, so its memory is in proportion to the input.
impl<T: Wire> Wire for Vec<T> {
    fn write(&self, out: &mut Writer) {
        write_count(self.len(), out);
        self.iter().for_each(|element| element.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, RestoreError> {
        // Each element takes at least a byte.
        let limit = input.remaining().saturating_sub(size_of::<u32>());
        let count = read_count(input, limit)?;
        let mut elements = Self::new();
        for _ in 0..count {
            elements.push(T::read(input)?);
        }
        Ok(elements)
    }
}

fn write_count(count: usize, out: &mut Writer) {
    // No collection of a device is that long; if it were, it could not be read again.
    u32::try_from(count).unwrap_or(u32::MAX).write(out);
}

fn read_count(input: &mut Reader<'_>, limit: usize) -> Result<usize, RestoreError> {
    let found = usize::try_from(u32::read(input)?).unwrap_or(usize::MAX);
    if found > limit {
        return Err(RestoreError::Count { found, limit });
    }
    Ok(found)
}
