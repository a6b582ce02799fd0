//! Codes of a categorical column, in as few bytes as the number of categories takes.
//!
//! A table of millions of rows has a dozen of these columns, most with fewer than a hundred categories.

/// One code for each row, -1 where the cell is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes(Width);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Width {
    Byte(Vec<i8>),
    Word(Vec<i16>),
    Double(Vec<i32>),
}

impl Codes {
    /// Keeps codes below `count`.
    #[must_use]
    pub(super) fn new(codes: Vec<i32>, count: usize) -> Self {
        Self(if i8::try_from(count).is_ok() {
            Width::Byte(narrowed(&codes))
        } else if i16::try_from(count).is_ok() {
            Width::Word(narrowed(&codes))
        } else {
            Width::Double(codes)
        })
    }

    /// The codes as numbers of one width.
    #[must_use]
    pub fn to_vec(&self) -> Vec<i32> {
        match &self.0 {
            Width::Byte(codes) => codes.iter().copied().map(i32::from).collect(),
            Width::Word(codes) => codes.iter().copied().map(i32::from).collect(),
            Width::Double(codes) => codes.clone(),
        }
    }
}

fn narrowed<T: TryFrom<i32> + From<i8>>(codes: &[i32]) -> Vec<T> {
    // None is too large, since each is below the number of categories.
    codes
        .iter()
        .map(|&code| T::try_from(code).unwrap_or_else(|_| T::from(-1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_whatever_their_width() {
        for count in [0, 1, 127, 128, 32_767, 32_768, 70_000] {
            let codes: Vec<i32> = (-1..count).collect();
            let kept = Codes::new(codes.clone(), usize::try_from(count).unwrap());
            assert_eq!(kept.to_vec(), codes);
        }
    }
}
