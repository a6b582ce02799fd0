//! The markers of a JPEG, walked from its start to its end: how large the image is, and whether its bytes are whole.
//!
//! Entropy-coded data is not decoded, only searched for markers, so a walk runs at several gigabytes a second. It finds every
//! file that was cut short, and every one that is no JPEG; it cannot find a wrong bit within a scan. Written after ITU-T T.81.

mod segments;

use crate::status::Status;
use segments::{Frame, Segments};

/// How the coefficients are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Sequential, Huffman, 8 bits (`SOF0`).
    Baseline,
    /// Sequential, Huffman (`SOF1`).
    Extended,
    /// Progressive, Huffman (`SOF2`).
    Progressive,
    /// Lossless, Huffman (`SOF3`).
    Lossless,
    /// Sequential, arithmetic (`SOF9`).
    Arithmetic,
    /// Progressive, arithmetic (`SOF10`).
    ArithmeticProgressive,
    /// Any other: hierarchical, or lossless arithmetic.
    Other,
}

/// One colour component: samples per sampling unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Component {
    /// Identifier in the file.
    pub id: u8,
    /// Horizontal sampling factor, 1 to 4.
    pub horizontal: u8,
    /// Vertical sampling factor, 1 to 4.
    pub vertical: u8,
}

/// What a frame header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How it is coded.
    pub coding: Coding,
    /// Bits per sample.
    pub precision: u8,
    /// Height in pixels.
    pub height: u16,
    /// Width in pixels.
    pub width: u16,
    /// How many entries of `components` are used: 1 to 4.
    pub component_count: u8,
    /// The colour components.
    pub components: [Component; 4],
    /// Scans in the file; 1 if it is not progressive.
    pub scans: u32,
    /// Bytes behind the end-of-image marker; some cameras write their own data there.
    pub trailing_nbytes: u64,
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// They are something else, or nothing.
    NotAJpeg(String),
    /// They end before the image does.
    Truncated(String),
    /// They contradict the format.
    Corrupt(String),
    /// They are a JPEG of a rare kind.
    Unsupported(String),
}

impl Flaw {
    /// The status of a record with this flaw.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::NotAJpeg(_) => Status::NotAJpeg,
            Self::Truncated(_) => Status::Truncated,
            Self::Corrupt(_) => Status::Corrupt,
            Self::Unsupported(_) => Status::Unsupported,
        }
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::NotAJpeg(text) | Self::Truncated(text) | Self::Corrupt(text) | Self::Unsupported(text) => text,
        }
    }
}

/// What a walk found: a header even of flawed bytes, if they get so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The frame header, if there is a valid one.
    pub header: Option<Header>,
    /// The first flaw.
    pub flaw: Option<Flaw>,
}

/// Walks the markers of a JPEG.
///
/// # Examples
///
/// ```
/// use arraystore_core::jpeg::header::{Flaw, walk};
///
/// let found = walk(b"\x89PNG\r\n\x1a\n");
/// assert_eq!(found.header, None);
/// assert!(matches!(found.flaw, Some(Flaw::NotAJpeg(_))));
/// ```
#[must_use]
pub fn walk(bytes: &[u8]) -> Walk {
    let mut header = None;
    let flaw = walk_into(bytes, &mut header, WalkTo::End).err();
    Walk { header, flaw }
}

/// The frame header that a walk finds, without a look at what follows it.
#[must_use]
pub fn frame_header(bytes: &[u8]) -> Option<Header> {
    let mut header = None;
    // A flaw before the frame header leaves it out, as in a walk.
    let _flaw = walk_into(bytes, &mut header, WalkTo::FrameHeader);
    header
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WalkTo {
    FrameHeader,
    End,
}

fn walk_into(bytes: &[u8], header: &mut Option<Header>, to: WalkTo) -> Result<(), Flaw> {
    let mut segments = Segments::new(bytes)?;
    loop {
        let (marker, at) = segments.next_marker()?;
        match marker {
            // End of image.
            0xD9 => return finish(&segments, header),
            // Start of image: only at the start.
            0xD8 => return Err(Flaw::Corrupt(format!("a second image begins at byte {at}"))),
            // Markers without a segment: TEM and RSTn.
            0x01 | 0xD0..=0xD7 => {}
            // Frame headers. C4, C8 and CC are DHT, JPG and DAC.
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let frame = segments.segment("frame header", at)?;
                if header.is_some() {
                    return Err(Flaw::Corrupt(format!("a second frame header at byte {at}")));
                }
                *header = Some(Frame { marker, content: frame }.parse()?);
                if to == WalkTo::FrameHeader {
                    return Ok(());
                }
            }
            // Start of scan.
            0xDA => {
                let content = segments.segment("scan header", at)?;
                let header = header
                    .as_mut()
                    .ok_or_else(|| Flaw::Corrupt(format!("a scan at byte {at} before any frame header")))?;
                header.scans += 1;
                check_scan(content, at)?;
                if let Some(flaw) = unsupported(header) {
                    return Err(flaw);
                }
                segments.skip_entropy_coded()?;
            }
            // DNL comes behind the first scan, when the frame header gave no height.
            0x02..=0xBF | 0xC4 | 0xC8 | 0xCC | 0xDB..=0xFE => {
                segments.segment("segment", at)?;
            }
            0x00 | 0xFF => return Err(Flaw::Corrupt(format!("no marker at byte {at}"))),
        }
    }
}

fn finish(segments: &Segments<'_>, header: &mut Option<Header>) -> Result<(), Flaw> {
    let header = header
        .as_mut()
        .ok_or_else(|| Flaw::Corrupt("the image ends before any frame header".to_owned()))?;
    if header.scans == 0 {
        return Err(Flaw::Corrupt("the image ends before any scan".to_owned()));
    }
    header.trailing_nbytes = segments.left();
    Ok(())
}

fn check_scan(content: &[u8], at: usize) -> Result<(), Flaw> {
    let components = content.first().copied().unwrap_or(0);
    if !(1..=4).contains(&components) || content.len() != 4 + 2 * usize::from(components) {
        return Err(Flaw::Corrupt(format!(
            "the scan header at byte {at} has {components} components in {} bytes",
            content.len()
        )));
    }
    Ok(())
}

/// Kinds of JPEG that are read by no common decoder, or not as 8-bit RGB.
fn unsupported(header: &Header) -> Option<Flaw> {
    let problem = match header {
        Header { height: 0, .. } => "its height is not in the frame header (DNL)".to_owned(),
        Header { precision, .. } if *precision != 8 => format!("{precision} bits per sample, expected 8"),
        Header {
            coding: Coding::Lossless | Coding::Other,
            ..
        } => "lossless or hierarchical coding".to_owned(),
        _ => return None,
    };
    Some(Flaw::Unsupported(problem))
}

#[cfg(test)]
mod tests;
