//! Entropy-coded data without the zero bytes that are stuffed behind each `FF`.

/// Zero bytes behind each piece, so that a reader may look ahead of its end.
pub(crate) const PADDING_NBYTES: usize = 64;

/// The marker at the end of an image.
pub(crate) const EOI: u8 = 0xd9;

/// Why a piece ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its bytes did.
    Bytes,
    /// A marker: its number, and where the bytes behind it begin.
    Marker(u8, usize),
}

/// Appends `data` to `out` without stuffing, up to the first marker.
pub(crate) fn unstuff(data: &[u8], out: &mut Vec<u8>) -> End {
    let mut start = 0;
    loop {
        let Some(found) = memchr::memchr(0xff, &data[start..]) else {
            out.extend_from_slice(&data[start..]);
            return End::Bytes;
        };
        let at = start + found;
        match data.get(at + 1) {
            Some(0) => {
                out.extend_from_slice(&data[start..=at]);
                start = at + 2;
            }
            None => {
                out.extend_from_slice(&data[start..=at]);
                return End::Bytes;
            }
            Some(_) => {
                out.extend_from_slice(&data[start..at]);
                // Any number of fill bytes may stand before the number of a marker.
                let fill = data[at..].iter().take_while(|&&byte| byte == 0xff).count();
                let Some(&marker) = data.get(at + fill) else {
                    return End::Bytes;
                };
                return End::Marker(marker, at + fill + 1);
            }
        }
    }
}

/// Ends a piece: zero bytes to look ahead into.
pub(crate) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len() + PADDING_NBYTES, 0);
}
