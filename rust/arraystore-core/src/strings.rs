//! Many strings in one block of memory: UTF-8 bytes and where each string begins.
//!
//! Five million keys are two allocations instead of five million. The text is valid UTF-8 and each boundary lies between
//! characters, always.

use crate::error::{Error, Result};

/// An array of strings, immutable but for appending.
///
/// # Examples
///
/// ```
/// use arraystore_core::strings::Strings;
///
/// let names: Strings = ["larva", "", "imago"].into_iter().collect();
/// assert_eq!(names.len(), 3);
/// assert_eq!(names.get(2), Some("imago"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strings {
    data: String,
    /// Begins with 0; string `i` is `data[offsets[i]..offsets[i + 1]]`.
    offsets: Vec<u64>,
}

impl Default for Strings {
    fn default() -> Self {
        Self {
            data: String::new(),
            offsets: vec![0],
        }
    }
}

impl<'a> FromIterator<&'a str> for Strings {
    fn from_iter<I: IntoIterator<Item = &'a str>>(values: I) -> Self {
        let mut strings = Self::default();
        for value in values {
            strings.push(value);
        }
        strings
    }
}

impl Strings {
    /// Joins bytes and their boundaries: one more offset than strings, the first 0 and the last the number of bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the bytes are not UTF-8 or the offsets are no boundaries of them.
    pub fn new(data: Vec<u8>, offsets: Vec<u64>) -> Result<Self> {
        let invalid = |problem: String| Error::InvalidRequest(format!("strings: {problem}"));
        let data = String::from_utf8(data).map_err(|error| invalid(error.utf8_error().to_string()))?;
        if offsets.first() != Some(&0) || offsets.last() != Some(&(data.len() as u64)) {
            return Err(invalid(format!(
                "expected offsets from 0 to {} (the number of bytes), found {:?} to {:?}",
                data.len(),
                offsets.first(),
                offsets.last()
            )));
        }
        for (index, pair) in offsets.windows(2).enumerate() {
            let end = usize::try_from(pair[1]).ok();
            if pair[0] > pair[1] || !end.is_some_and(|end| data.is_char_boundary(end)) {
                return Err(invalid(format!(
                    "string {index} is [{}, {}), which is no range of characters",
                    pair[0], pair[1]
                )));
            }
        }
        Ok(Self { data, offsets })
    }

    /// Number of strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no strings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// String `index`, or `None` if there is no such string.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        let start = usize::try_from(*self.offsets.get(index)?).ok()?;
        let end = usize::try_from(*self.offsets.get(index + 1)?).ok()?;
        self.data.get(start..end)
    }

    /// Appends a string.
    pub fn push(&mut self, value: &str) {
        self.data.push_str(value);
        self.offsets.push(self.data.len() as u64);
    }

    /// Makes room for more strings.
    pub fn reserve(&mut self, strings: usize, nbytes: usize) {
        self.offsets.reserve(strings);
        self.data.reserve(nbytes);
    }

    /// Drops all strings from `len` on.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.offsets.truncate(len + 1);
            let end = self.offsets.last().copied().unwrap_or(0);
            self.data.truncate(usize::try_from(end).unwrap_or(0));
        }
    }

    /// Gives back memory that was reserved and not used.
    pub fn shrink_to_fit(&mut self) {
        self.data.shrink_to_fit();
        self.offsets.shrink_to_fit();
    }

    /// All strings in order.
    #[must_use = "an iterator does nothing by itself"]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// The strings of `indices`, in that order.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`] naming the first index that does not exist.
    pub fn take(&self, indices: &[u64]) -> Result<Self> {
        let mut taken = Self::default();
        taken.offsets.reserve(indices.len());
        for &index in indices {
            let value = usize::try_from(index).ok().and_then(|index| self.get(index));
            taken.push(value.ok_or_else(|| Error::RowOutOfRange {
                row: i64::try_from(index).unwrap_or(i64::MAX),
                len: self.len() as u64,
            })?);
        }
        Ok(taken)
    }

    /// The UTF-8 bytes of all strings, one after another.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.data.as_bytes()
    }

    /// Where each string begins in [`Strings::data`], and where the last one ends.
    #[must_use]
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_survive_the_way_through_bytes_and_offsets() {
        let strings: Strings = ["Ä", "", "bee"].into_iter().collect();
        let again = Strings::new(strings.data().to_vec(), strings.offsets().to_vec()).unwrap();
        assert_eq!(again, strings);
        assert_eq!(again.iter().collect::<Vec<_>>(), ["Ä", "", "bee"]);
        assert_eq!(again.get(3), None);
    }

    #[test]
    fn offsets_that_are_no_boundaries_are_refused() {
        for offsets in [vec![], vec![1, 2], vec![0, 1, 2], vec![0, 3, 2], vec![0, u64::MAX, 2]] {
            assert!(
                Strings::new("Ä".as_bytes().to_vec(), offsets.clone()).is_err(),
                "{offsets:?}"
            );
        }
        assert!(Strings::new(vec![0xFF], vec![0, 1]).is_err());
    }

    #[test]
    fn take_follows_the_order_asked_and_names_a_wrong_index() {
        let strings: Strings = ["a", "b"].into_iter().collect();
        assert_eq!(
            strings.take(&[1, 0, 1]).unwrap().iter().collect::<Vec<_>>(),
            ["b", "a", "b"]
        );
        let error = strings.take(&[0, 2]).unwrap_err().to_string();
        assert!(error.contains("row 2") && error.contains("2 records"));
    }

    #[test]
    fn truncate_drops_the_text_too() {
        let mut strings: Strings = ["a", "bc", "d"].into_iter().collect();
        strings.truncate(1);
        strings.push("x");
        assert_eq!(strings.iter().collect::<Vec<_>>(), ["a", "x"]);
        assert_eq!(strings.data(), b"ax");
    }
}
