//! Seek tables: where in the entropy-coded data the rows of MCUs begin.
//!
//! A table has an entry for every `step`-th row of MCUs but the first: how many bits behind the entry before it begins,
//! counted in the file with all that is stuffed into it, and by how much the DC predictors have changed.
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | `step`, 1 to 255 |
//! | for each entry: varint | bits since the entry before (of the first entry: since the first byte behind the scan header) |
//! | for each of its components: zigzag varint | difference of the DC predictor to that of the entry before (first: to 0) |
//!
//! A varint is unsigned LEB128; zigzag maps 0, -1, 1, -2 ... to 0, 1, 2, 3 ...

/// Where a row of MCUs begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The bit, from the first byte behind the scan header on.
    pub(crate) bit: usize,
    /// What its DC coefficients are differences to.
    pub(crate) dc: [i16; 3],
}

/// The table of an image.
#[derive(Debug, Default)]
pub(crate) struct SeekTable {
    /// Rows of MCUs to an entry.
    pub(crate) step: usize,
    /// Of rows 0, `step`, `2 * step` ...
    pub(crate) entries: Vec<Entry>,
}

impl SeekTable {
    /// Reads a table for `rows` rows of MCUs of `components` components; tells whether it is one.
    pub(crate) fn read(&mut self, bytes: &[u8], rows: usize, components: usize, scan_nbytes: usize) -> bool {
        self.entries.clear();
        let Some((&step, mut rest)) = bytes.split_first() else {
            return false;
        };
        self.step = usize::from(step);
        if step == 0 {
            return false;
        }
        let mut entry = Entry::default();
        self.entries.push(entry);
        for _ in 1..rows.div_ceil(self.step) {
            let Some(bits) = varint(&mut rest) else { return false };
            entry.bit = match usize::try_from(bits).ok().and_then(|bits| entry.bit.checked_add(bits)) {
                Some(bit) if bit < scan_nbytes * 8 => bit,
                _ => return false,
            };
            for dc in &mut entry.dc[..components] {
                let Some(change) = varint(&mut rest) else { return false };
                let change = (change >> 1).cast_signed() ^ -(change & 1).cast_signed();
                match i16::try_from(i64::from(*dc).saturating_add(change)) {
                    Ok(changed) => *dc = changed,
                    Err(_) => return false,
                }
            }
            self.entries.push(entry);
        }
        rest.is_empty()
    }

    /// Appends the table as bytes.
    pub(crate) fn write(&self, components: usize, bytes: &mut Vec<u8>) {
        bytes.push(u8::try_from(self.step).unwrap_or(u8::MAX));
        for pair in self.entries.windows(2) {
            put_varint((pair[1].bit - pair[0].bit) as u64, bytes);
            for (before, after) in pair[0].dc.iter().zip(pair[1].dc).take(components) {
                let change = i64::from(after) - i64::from(*before);
                put_varint((change << 1 ^ change >> 63).cast_unsigned(), bytes);
            }
        }
    }
}

fn put_varint(mut value: u64, bytes: &mut Vec<u8>) {
    loop {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
        let low = value as u8 & 0x7f;
        value >>= 7;
        if value == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_written_is_read() {
        let entry = |bit, dc| Entry { bit, dc };
        let entries = vec![
            entry(0, [0; 3]),
            entry(1, [5, -6, 2047]),
            entry(90_000, [-32_768, 32_767, 0]),
        ];
        let table = SeekTable { step: 2, entries };
        let mut bytes = Vec::new();
        table.write(3, &mut bytes);
        let mut found = SeekTable::default();
        assert!(found.read(&bytes, 6, 3, 90_000));
        assert_eq!((found.step, &found.entries), (2, &table.entries));
        for (rows, scan) in [(7, 90_000), (4, 90_000), (6, 11_250)] {
            assert!(!found.read(&bytes, rows, 3, scan), "{rows} rows, {scan} bytes");
        }
        for end in 0..bytes.len() {
            assert!(!found.read(&bytes[..end], 6, 3, 90_000), "cut at {end}");
        }
    }
}
