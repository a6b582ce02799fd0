//! Whether a JPEG brings every table that it uses.
//!
//! Abbreviated streams (ISO/IEC 10918-1, B.5) and Motion JPEG frames rely on tables from elsewhere; a decoder that is used
//! for many images must not lend them those of the last one.

/// Tables seen so far: a bit for each of the four quantisation, DC and AC destinations.
#[derive(Default)]
struct Seen {
    quantisation: u8,
    dc: u8,
    ac: u8,
}

/// True if the first scan of a sequential JPEG holds all its components and follows all tables that it uses.
///
/// False for everything else, also for what is no JPEG: it only costs time to be wrong that way.
pub(super) fn brings_all_its_own(jpeg: &[u8]) -> bool {
    let mut seen = Seen::default();
    let mut frame: &[u8] = &[];
    let mut rest = jpeg.strip_prefix(&[0xff, 0xd8]).unwrap_or_default();
    while let [0xff, marker, high, low, body @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(2);
        let Some((segment, after)) = body.split_at_checked(length) else {
            return false;
        };
        match marker {
            0xc0 | 0xc1 => frame = segment,
            0xc4 => seen.huffman(segment),
            0xdb => seen.quantisation(segment),
            0xda => return seen.cover(frame, segment),
            0xe0..=0xef | 0xdd | 0xfe => {}
            _ => return false,
        }
        rest = after;
    }
    false
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

    /// Whether the tables cover a frame (`P Y Y X X n` and `n` times `id sampling table`) and its scan (`n` and `n` times
    /// `id tables`).
    fn cover(&self, frame: &[u8], scan: &[u8]) -> bool {
        let (Some((_, components)), Some((&count, selectors))) = (frame.split_at_checked(6), scan.split_first()) else {
            return false;
        };
        let count = usize::from(count);
        components.len() == count * 3
            && components
                .chunks_exact(3)
                .all(|component| self.quantisation >> (component[2] & 3) & 1 == 1)
            && selectors.len() >= count * 2
            && selectors
                .chunks_exact(2)
                .take(count)
                .all(|selector| self.dc >> (selector[1] >> 4 & 3) & 1 == 1 && self.ac >> (selector[1] & 3) & 1 == 1)
    }
}
