//! Patches in TIFF files: one page, one sample of each pixel, as little-endian samples in C order.
//!
//! A file is held against what is expected of it before anything is decoded, so that no header makes us allocate what it
//! claims. Strips and tiles, both byte orders, and what is not compressed or by Deflate, LZW, `PackBits` or Zstandard is
//! read.

use std::fmt::{self, Display, Formatter};
use std::io::{Cursor, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tiff::decoder::{Decoder, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use crate::crop::Size;
use crate::status::Status;

/// Beyond its samples, a file may have this many bytes: descriptions, an unused block, a colour profile.
const MOST_OTHER_NBYTES: u64 = 16 << 20;

/// Values of the tag `SampleFormat`.
const UINT: u16 = 1;
const INT: u16 = 2;
const FLOAT: u16 = 3;

/// The type of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// `uint16`.
    U16,
    /// `float32`.
    F32,
}

impl Sample {
    /// The type that NumPy calls so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::U16, Self::F32].into_iter().find(|sample| sample.name() == name)
    }

    /// What NumPy calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::U16 => "uint16",
            Self::F32 => "float32",
        }
    }

    /// Size in bytes.
    #[must_use]
    pub fn nbytes(self) -> usize {
        match self {
            Self::U16 => 2,
            Self::F32 => 4,
        }
    }
}

/// What all patches of a field have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchForm {
    /// Type of the samples.
    pub sample: Sample,
    /// Height and width.
    pub size: Size,
}

impl PatchForm {
    /// Bytes of the samples.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        u64::from(self.size.height) * u64::from(self.size.width) * self.sample.nbytes() as u64
    }

    /// Bytes of a file that is worth to be read.
    #[must_use]
    pub fn most_file_nbytes(&self) -> u64 {
        self.nbytes().saturating_mul(4).saturating_add(MOST_OTHER_NBYTES)
    }
}

impl Display for PatchForm {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.sample.name(), self.size)
    }
}

/// Why a file gives no patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// What is stored of it.
    pub status: Status,
    /// What is said of it.
    pub text: String,
}

fn unsupported(text: String) -> Flaw {
    Flaw {
        status: Status::Unsupported,
        text,
    }
}

impl From<TiffError> for Flaw {
    fn from(error: TiffError) -> Self {
        let (status, text) = match error {
            TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
                (Status::Truncated, "the TIFF ends too early".to_owned())
            }
            TiffError::UnsupportedError(error) => {
                (Status::Unsupported, format!("the TIFF is of another kind: {error}"))
            }
            TiffError::LimitsExceeded => (
                Status::Unsupported,
                "a strip, a tile or a tag of the TIFF is far larger than the patch".to_owned(),
            ),
            error => (Status::Corrupt, format!("not a TIFF that can be read: {error}")),
        };
        Self { status, text }
    }
}

/// What the header of a file says of its patch.
///
/// # Errors
///
/// Why it is no patch of a type that is read.
pub fn form_of(file: &[u8]) -> Result<PatchForm, Flaw> {
    guarded(|| look(&mut open(file)?))
}

/// Decodes a file into `out`, which has the bytes that `form` says.
///
/// # Errors
///
/// Why there is no such patch in it; `out` then holds anything.
pub fn decode(file: &[u8], form: &PatchForm, out: &mut [u8]) -> Result<(), Flaw> {
    guarded(|| {
        let mut decoder = open(file)?;
        let found = look(&mut decoder)?;
        if found != *form {
            return Err(unsupported(format!("expected a patch of {form}, found {found}")));
        }
        let mut limits = Limits::default();
        limits.intermediate_buffer_size = usize::try_from(form.most_file_nbytes()).unwrap_or(usize::MAX);
        decoder.with_limits(limits).read_image_bytes(out)?;
        if cfg!(target_endian = "big") {
            out.chunks_exact_mut(form.sample.nbytes()).for_each(<[u8]>::reverse);
        }
        Ok(())
    })
}

/// A panic of the decoder is a flaw of the file, which nobody else has to suffer for.
fn guarded<T>(work: impl FnOnce() -> Result<T, Flaw>) -> Result<T, Flaw> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Flaw {
            status: Status::Corrupt,
            text: "not a TIFF that can be read: the decoder stumbled over it".to_owned(),
        })
    })
}

fn open(file: &[u8]) -> Result<Decoder<Cursor<&[u8]>>, Flaw> {
    Ok(Decoder::new(Cursor::new(file))?)
}

fn look(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<PatchForm, Flaw> {
    let (width, height) = decoder.dimensions()?;
    let size = Size { height, width };
    let color = decoder.colortype()?;
    if decoder.more_images() {
        return Err(unsupported(format!(
            "expected one page, found several (the first {size})"
        )));
    }
    let ColorType::Gray(bits) = color else {
        return Err(unsupported(format!(
            "expected one sample for each pixel, found {color:?} {size}"
        )));
    };
    let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?;
    let sample = match (formats.as_deref().unwrap_or(&[UINT]), bits) {
        ([UINT], 16) => Sample::U16,
        ([FLOAT], 32) => Sample::F32,
        (format, _) => {
            let found = match format {
                [UINT] => "unsigned integers",
                [INT] => "signed integers",
                [FLOAT] => "floats",
                _ => "others",
            };
            return Err(unsupported(format!(
                "expected samples of uint16 or float32, found {found} of {bits} bits, {size}"
            )));
        }
    };
    // 0 is WhiteIsZero: its samples would be given inverted.
    if decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)? == Some(0) {
        return Err(unsupported(format!(
            "expected samples that grow with brightness, found the contrary (MinIsWhite), {size}"
        )));
    }
    Ok(PatchForm { sample, size })
}

#[cfg(test)]
mod tests;
