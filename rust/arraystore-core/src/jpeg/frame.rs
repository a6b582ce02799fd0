//! What the markers up to the first scan say of how a JPEG may be decoded.
//!
//! Two things hang on it. A decoder that is used for many images must not lend one the tables of the last, as an
//! abbreviated stream (ISO/IEC 10918-1, B.5) or a Motion JPEG frame would have it. And only of a sequential image whose
//! scan holds all components can a part be decoded by itself: libjpeg-turbo smooths the blocks of an unfinished
//! progressive image with those around them, further than any margin.

/// A sequential JPEG whose first scan holds all components and follows all the tables that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Height of an MCU in pixels.
    pub(super) mcu_height: u32,
    /// Width of an MCU in pixels.
    pub(super) mcu_width: u32,
    /// Whether restart markers may stand in the scan.
    pub(super) has_restarts: bool,
}

/// Tables seen so far: a bit for each of the four quantisation, DC and AC destinations.
#[derive(Default)]
struct Seen {
    quantisation: u8,
    dc: u8,
    ac: u8,
    has_restarts: bool,
}

impl Frame {
    /// The frame of a plain JPEG; `None` for everything else, also for what is no JPEG.
    ///
    /// It only costs time to take a plain one for something else.
    pub(super) fn of_plain(jpeg: &[u8]) -> Option<Self> {
        let mut seen = Seen::default();
        let mut frame: &[u8] = &[];
        let mut rest = jpeg.strip_prefix(&[0xff, 0xd8])?;
        while let [0xff, marker, high, low, body @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(2);
            let (segment, after) = body.split_at_checked(length)?;
            match marker {
                0xc0 | 0xc1 => frame = segment,
                0xc4 => seen.huffman(segment),
                0xdb => seen.quantisation(segment),
                0xda => return Self::of_scan(frame, segment, &seen),
                0xdd => seen.has_restarts = true,
                0xe0..=0xef | 0xfe => {}
                _ => return None,
            }
            rest = after;
        }
        None
    }

    /// From a frame (`P Y Y X X n` and `n` times `id sampling table`) and its scan (`n` and `n` times `id tables`).
    fn of_scan(frame: &[u8], scan: &[u8], seen: &Seen) -> Option<Self> {
        let (_, components) = frame.split_at_checked(6)?;
        let (&count, selectors) = scan.split_first()?;
        let count = usize::from(count);
        let selectors = selectors.get(..count * 2)?;
        let has = |tables: u8, table: u8| tables >> (table & 3) & 1 == 1;
        let complete = components.len() == count * 3
            && components
                .chunks_exact(3)
                .all(|component| has(seen.quantisation, component[2]))
            && selectors
                .chunks_exact(2)
                .all(|selector| has(seen.dc, selector[1] >> 4) && has(seen.ac, selector[1]));
        let most = |shift: u8| {
            components
                .chunks_exact(3)
                .map(|component| component[1] >> shift & 15)
                .max()
        };
        let (across, down) = (u32::from(most(4)?), u32::from(most(0)?));
        (complete && across > 0 && down > 0).then_some(Self {
            mcu_height: down * 8,
            mcu_width: across * 8,
            has_restarts: seen.has_restarts,
        })
    }
}

impl Seen {
    fn quantisation(&mut self, mut segment: &[u8]) {
        while let Some((&head, table)) = segment.split_first() {
            self.quantisation |= 1 << (head & 3);
            segment = table.get(if head >> 4 == 0 { 64 } else { 128 }..).unwrap_or_default();
        }
    }

    fn huffman(&mut self, mut segment: &[u8]) {
        while let Some((&head, table)) = segment.split_first() {
            let Some((counts, values)) = table.split_at_checked(16) else {
                return;
            };
            *(if head >> 4 == 0 { &mut self.dc } else { &mut self.ac }) |= 1 << (head & 3);
            let values_nbytes = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
            segment = values.get(values_nbytes..).unwrap_or_default();
        }
    }
}
