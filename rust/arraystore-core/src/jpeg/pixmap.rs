//! Pixels that are no JPEG: a binary PPM (RGB) or PGM (gray) of one exact form, so that every image library reads them.
//!
//! `P6\n{width} {height}\n255\n` and three bytes a pixel, or `P5` and one. A source that keeps decoded pixels thus becomes
//! records of the same kind as all others, and loses nothing. Written after the Netpbm manual.

use super::header::Flaw;
use super::{Problem, pixel_nbytes};
use crate::crop::{CropBox, Size};

/// The bytes before the pixels, of 3 channels or 1.
#[must_use]
pub fn header(size: Size, channels: usize) -> String {
    let magic = if channels == 3 { "P6" } else { "P5" };
    format!("{magic}\n{} {}\n255\n", size.width, size.height)
}

/// Whether bytes begin as such a file does.
#[must_use]
pub fn is_pixmap(bytes: &[u8]) -> bool {
    bytes.starts_with(b"P6\n") || bytes.starts_with(b"P5\n")
}

/// A whole image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pixmap<'a> {
    /// Height and width.
    pub size: Size,
    /// 3 or 1.
    pub channels: usize,
    /// One row after the other.
    pub pixels: &'a [u8],
}

impl<'a> Pixmap<'a> {
    /// Reads the header, and compares what follows it with the size that it tells.
    ///
    /// # Errors
    ///
    /// [`Flaw::NotAJpeg`] if the header is not of the one form; [`Flaw::Truncated`] or [`Flaw::Corrupt`] if there are fewer
    /// or more bytes than pixels.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let other = || Flaw::NotAJpeg("expected 'P6' or 'P5', width, height and 255 of a plain PPM or PGM".to_owned());
        let channels = match bytes.get(..3) {
            Some(b"P6\n") => 3,
            Some(b"P5\n") => 1,
            _ => return Err(other()),
        };
        let (width, rest) = length(&bytes[3..], b' ').ok_or_else(other)?;
        let (height, rest) = length(rest, b'\n').ok_or_else(other)?;
        let pixels = rest.strip_prefix(b"255\n").ok_or_else(other)?;
        let size = Size { height, width };
        let expected = pixel_nbytes(size, channels);
        match pixels.len() {
            found if found < expected => Err(Flaw::Truncated(format!("{found} of {expected} bytes of pixels"))),
            found if found > expected => Err(Flaw::Corrupt(format!("{found} bytes for {expected} of pixels"))),
            _ => Ok(Self { size, channels, pixels }),
        }
    }

    /// Copies a box into `out`, as 3 or 4 channels; gray becomes RGB. `wanted` must lie inside, and fill `out`.
    ///
    /// # Errors
    ///
    /// A problem if it does not.
    pub fn copy(&self, wanted: CropBox, channels: usize, out: &mut [u8]) -> Result<(), Problem> {
        if !wanted.fits(self.size) || out.len() != pixel_nbytes(wanted.size, channels) {
            return Err(format!("{wanted:?} is outside the image"));
        }
        let stride = self.size.width as usize * self.channels;
        let left = wanted.left as usize * self.channels;
        let nbytes = wanted.size.width as usize * self.channels;
        let rows = self.pixels.chunks_exact(stride).skip(wanted.top as usize);
        for (to, from) in out.chunks_exact_mut(wanted.size.width as usize * channels).zip(rows) {
            let from = &from[left..left + nbytes];
            match (self.channels, channels) {
                (3, 3) => to.copy_from_slice(from),
                (3, _) => {
                    for (pixel, rgb) in to.chunks_exact_mut(channels).zip(from.chunks_exact(3)) {
                        pixel[..3].copy_from_slice(rgb);
                    }
                }
                _ => {
                    for (pixel, &gray) in to.chunks_exact_mut(channels).zip(from) {
                        pixel[..3].fill(gray);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A length of 1 to 65,535 as a program writes it, and what follows its end.
fn length(bytes: &[u8], end: u8) -> Option<(u32, &[u8])> {
    let digits = bytes.iter().take(6).position(|&byte| byte == end)?;
    let (number, rest) = (&bytes[..digits], &bytes[digits + 1..]);
    if !number.iter().all(u8::is_ascii_digit) || number.first() == Some(&b'0') {
        return None;
    }
    let value: u16 = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some((value.into(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { height: 2, width: 3 };

    fn made(channels: usize) -> Vec<u8> {
        let pixels = (0..).take(pixel_nbytes(SIZE, channels));
        header(SIZE, channels).into_bytes().into_iter().chain(pixels).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        for channels in [1, 3] {
            let bytes = made(channels);
            let found = Pixmap::parse(&bytes).unwrap();
            assert_eq!((found.size, found.channels), (SIZE, channels));
            let mut out = vec![0; 18];
            found.copy(CropBox::whole(SIZE), 3, &mut out).unwrap();
            let expected: Vec<u8> = if channels == 3 {
                (0..18).collect()
            } else {
                (0..6).flat_map(|gray| [gray; 3]).collect()
            };
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_box_is_that_of_the_whole() {
        let bytes = made(3);
        let wanted = CropBox {
            top: 1,
            left: 1,
            size: Size { height: 1, width: 2 },
        };
        let mut out = vec![9; 8];
        Pixmap::parse(&bytes).unwrap().copy(wanted, 4, &mut out).unwrap();
        assert_eq!(out, [12, 13, 14, 9, 15, 16, 17, 9]);
    }

    #[test]
    fn other_headers_are_no_pixmap() {
        for bytes in [
            &b"P6\n3 2\n255"[..],
            b"P6\n0 2\n255\n",
            b"P6\n3 02\n255\n",
            b"P6\n+3 2\n255\n",
            b"P6\n3 2\n65535\n",
            b"P6\n# gimp\n3 2\n255\n",
            b"P6\n65536 65536\n255\n",
            b"P6\n99999999999999999999 1\n255\n",
            b"P3\n3 2\n255\n",
            b"P6\n",
            b"",
        ] {
            assert!(matches!(Pixmap::parse(bytes), Err(Flaw::NotAJpeg(_))), "{bytes:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_its_pixels_are_flaws() {
        let mut bytes = made(3);
        bytes.push(0);
        assert!(matches!(Pixmap::parse(&bytes), Err(Flaw::Corrupt(_))));
        bytes.truncate(bytes.len() - 2);
        assert!(matches!(Pixmap::parse(&bytes), Err(Flaw::Truncated(_))));
    }
}
