//! What is known of a record's bytes: sound, or why not. Stored as one byte a record.

/// The status of a record. Numbers and names are part of the format: they may be added, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Status {
    /// The bytes passed the check that was asked for.
    #[default]
    Sound = 0,
    /// No source has this record.
    Missing = 1,
    /// The source has it, with no bytes.
    Empty = 2,
    /// The bytes are something else than a JPEG.
    NotAJpeg = 3,
    /// The bytes end too early.
    Truncated = 4,
    /// The bytes contradict the format.
    Corrupt = 5,
    /// A JPEG of a kind that is not decoded.
    Unsupported = 6,
    /// The source could not be read; no bytes are kept.
    Unreadable = 7,
    /// The archive's own checksum disagrees; the bytes are kept as they were found.
    SourceCorrupt = 8,
}

impl Status {
    /// All of them, by number.
    pub const ALL: [Self; 9] = [
        Self::Sound,
        Self::Missing,
        Self::Empty,
        Self::NotAJpeg,
        Self::Truncated,
        Self::Corrupt,
        Self::Unsupported,
        Self::Unreadable,
        Self::SourceCorrupt,
    ];

    /// The status with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Missing => "missing",
            Self::Empty => "empty",
            Self::NotAJpeg => "not-a-jpeg",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Unreadable => "unreadable",
            Self::SourceCorrupt => "source-corrupt",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_statuses_agree() {
        for (number, status) in (0u8..).zip(Status::ALL) {
            assert_eq!(status as u8, number);
            assert_eq!(Status::from_number(number), Some(status));
        }
        assert_eq!(Status::from_number(9), None);
    }
}
