//! What the headers of a JPEG say, and whether it is of a kind that is decoded here.
//!
//! Only what leaves no doubt is taken: everything rare or odd is [declined](Declined), for libjpeg-turbo to judge.

use crate::Declined;

/// Larger images are declined: their pixels would take more than 800 MB.
const MOST_PIXELS: u64 = 1 << 28;

/// The largest width and height of libjpeg-turbo.
const MOST_PIXELS_ACROSS: u16 = 65_500;

/// Symbols of a Huffman table.
const MOST_SYMBOLS: usize = 256;

/// How the colour of an image is sampled: shared by how many pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Only luma.
    Gray,
    /// 4:4:4, each pixel has its own.
    S444,
    /// 4:2:2, two pixels side by side.
    S422,
    /// 4:4:0, two pixels one above the other.
    S440,
    /// 4:2:0, squares of four pixels.
    S420,
}

impl Sampling {
    /// Pixels of a sample of colour: across and down.
    #[must_use]
    pub fn pixels(self) -> (usize, usize) {
        match self {
            Self::Gray | Self::S444 => (1, 1),
            Self::S422 => (2, 1),
            Self::S440 => (1, 2),
            Self::S420 => (2, 2),
        }
    }

    /// The component of each block of an MCU.
    #[must_use]
    pub(crate) fn blocks(self) -> &'static [usize] {
        match self {
            Self::Gray => &[0],
            Self::S444 => &[0, 1, 2],
            Self::S422 | Self::S440 => &[0, 0, 1, 2],
            Self::S420 => &[0, 0, 0, 0, 1, 2],
        }
    }

    pub(crate) fn components(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }
}

/// A Huffman table as it stands in the file: how many codes of each length, and their symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HuffmanSpec<'a> {
    pub(crate) counts: &'a [u8; 16],
    pub(crate) symbols: &'a [u8],
}

/// What the headers of a JPEG say.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// How colour is sampled.
    pub sampling: Sampling,
    /// MCUs between two restart markers; 0 for none.
    pub restart_interval: usize,
    /// The file from the first byte behind the header of the scan on.
    pub scan: &'a [u8],
    /// Of each component, in zigzag order.
    pub(crate) quantisation: [&'a [u8; 64]; 3],
    /// DC and AC table of each component.
    pub(crate) huffman: [(HuffmanSpec<'a>, HuffmanSpec<'a>); 3],
}

/// Tables seen so far, by their destinations.
#[derive(Default)]
struct Tables<'a> {
    quantisation: [Option<&'a [u8; 64]>; 4],
    dc: [Option<HuffmanSpec<'a>>; 4],
    ac: [Option<HuffmanSpec<'a>>; 4],
    restart_interval: usize,
    is_jfif: bool,
    adobe_transform: Option<u8>,
}

impl<'a> Frame<'a> {
    /// Reads the headers up to the first scan.
    ///
    /// # Errors
    ///
    /// [`Declined`] if it is anything but a sequential JPEG of 8 bits a sample with one scan of Y, or of Y, Cb and Cr, that
    /// brings all its tables.
    pub fn parse(jpeg: &'a [u8]) -> Result<Self, Declined> {
        const NOT_PLAIN: Declined = Declined::Kind("it is not a plain sequential JPEG");
        let mut tables = Tables::default();
        let mut frame: &[u8] = &[];
        let mut rest = jpeg.strip_prefix(&[0xff, 0xd8]).ok_or(NOT_PLAIN)?;
        while let [0xff, marker, high, low, body @ ..] = rest {
            let nbytes = usize::from(u16::from_be_bytes([*high, *low]));
            let nbytes = nbytes.checked_sub(2).ok_or(NOT_PLAIN)?;
            let (segment, after) = body.split_at_checked(nbytes).ok_or(NOT_PLAIN)?;
            match marker {
                // Baseline and extended sequential frames.
                0xc0 | 0xc1 if frame.is_empty() && !segment.is_empty() => frame = segment,
                0xc4 => tables.huffman(segment).ok_or(NOT_PLAIN)?,
                0xdb => tables.quantisation(segment).ok_or(NOT_PLAIN)?,
                0xda => return Self::of_scan(frame, segment, &tables, after),
                0xdd => {
                    let interval: [u8; 2] = segment.try_into().map_err(|_| NOT_PLAIN)?;
                    tables.restart_interval = usize::from(u16::from_be_bytes(interval));
                }
                // JFIF says that it is Y, Cb and Cr; of its revisions libjpeg-turbo knows the first.
                0xe0 if segment.starts_with(b"JFIF\0") && segment.len() >= 14 => {
                    if segment.get(5) != Some(&1) {
                        return Err(NOT_PLAIN);
                    }
                    tables.is_jfif = true;
                }
                0xee if segment.starts_with(b"Adobe") && segment.len() >= 12 => {
                    tables.adobe_transform = segment.get(11).copied();
                }
                0xe0..=0xef | 0xfe => {}
                _ => return Err(NOT_PLAIN),
            }
            rest = after;
        }
        Err(NOT_PLAIN)
    }

    /// From a frame (`P Y Y X X n` and `n` times `id sampling table`) and its scan (`n`, `n` times `id tables`, and three
    /// bytes for the progressive).
    fn of_scan(frame: &[u8], scan: &[u8], tables: &Tables<'a>, data: &'a [u8]) -> Result<Self, Declined> {
        const ODD: Declined = Declined::Kind("its frame or scan is of a rare kind");
        let [precision, height @ .., _] = frame.get(..6).ok_or(ODD)? else {
            return Err(ODD);
        };
        let &[high, low, left, right] = height else {
            return Err(ODD);
        };
        let (height, width) = (u16::from_be_bytes([high, low]), u16::from_be_bytes([left, right]));
        let components = &frame[6..];
        let count = usize::from(frame[5]);
        if *precision != 8
            || height == 0
            || width == 0
            || height.max(width) > MOST_PIXELS_ACROSS
            || u64::from(height) * u64::from(width) > MOST_PIXELS
            || !matches!(count, 1 | 3)
            || components.len() != count * 3
            || scan.len() != 1 + count * 2 + 3
            || usize::from(scan[0]) != count
            || scan[1 + count * 2..] != [0, 63, 0]
        {
            return Err(ODD);
        }
        let ids = [0, 3, 6].map(|at| components.get(at).copied().unwrap_or(0));
        let sampling = match components {
            // One component has one block to an MCU, whatever its factors.
            [_, factors, _]
                if [factors >> 4, factors & 15]
                    .iter()
                    .all(|factor| (1..=4).contains(factor)) =>
            {
                Sampling::Gray
            }
            [_, luma, _, _, 0x11, _, _, 0x11, _] => match luma {
                0x11 => Sampling::S444,
                0x21 => Sampling::S422,
                0x12 => Sampling::S440,
                0x22 => Sampling::S420,
                _ => return Err(ODD),
            },
            _ => return Err(ODD),
        };
        if count == 3 && !tables.is_ycc(ids) {
            return Err(ODD);
        }
        let mut quantisation = [&[0; 64]; 3];
        for (to, component) in quantisation.iter_mut().zip(components.chunks_exact(3)) {
            *to = tables
                .quantisation
                .get(usize::from(component[2]))
                .copied()
                .flatten()
                .ok_or(ODD)?;
        }
        let none = HuffmanSpec {
            counts: &[0; 16],
            symbols: &[],
        };
        let mut huffman = [(none, none); 3];
        for (number, (to, selector)) in huffman
            .iter_mut()
            .zip(scan[1..].chunks_exact(2))
            .take(count)
            .enumerate()
        {
            // The scan names its components in the order of the frame.
            if selector[0] != ids[number] {
                return Err(ODD);
            }
            let dc = tables.dc.get(usize::from(selector[1] >> 4)).copied().flatten();
            let ac = tables.ac.get(usize::from(selector[1] & 15)).copied().flatten();
            *to = (dc.ok_or(ODD)?, ac.ok_or(ODD)?);
        }
        Ok(Self {
            width: usize::from(width),
            height: usize::from(height),
            sampling,
            restart_interval: tables.restart_interval,
            scan: data,
            quantisation,
            huffman,
        })
    }

    /// MCUs across and down.
    #[must_use]
    pub fn mcus(&self) -> (usize, usize) {
        let (across, down) = self.sampling.pixels();
        (self.width.div_ceil(8 * across), self.height.div_ceil(8 * down))
    }
}

impl<'a> Tables<'a> {
    /// Whether three components are Y, Cb and Cr, by the rule of libjpeg (`default_decompress_parms`).
    fn is_ycc(&self, ids: [u8; 3]) -> bool {
        match (self.is_jfif, self.adobe_transform) {
            (true, _) | (false, Some(1)) => true,
            (false, Some(_)) => false,
            (false, None) => ids == [1, 2, 3],
        }
    }

    fn quantisation(&mut self, mut segment: &'a [u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            // The high half is the precision; tables of 16 bits are rare.
            let (table, rest) = rest.split_first_chunk()?;
            *self.quantisation.get_mut(usize::from(head))? = Some(table);
            segment = rest;
        }
        Some(())
    }

    fn huffman(&mut self, mut segment: &'a [u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk()?;
            let symbols = counts.iter().map(|&count| usize::from(count)).sum();
            if symbols > MOST_SYMBOLS {
                return None;
            }
            let (symbols, rest) = rest.split_at_checked(symbols)?;
            let tables = match head >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *tables.get_mut(usize::from(head & 15))? = Some(HuffmanSpec { counts, symbols });
            segment = rest;
        }
        Some(())
    }
}
