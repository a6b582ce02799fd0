//! Marker segments: lengths checked before they are believed.

use memchr::memchr;

use super::{Coding, Component, Flaw, Header};

/// Reads markers and segments one after another.
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    /// Starts behind the start-of-image marker.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Flaw> {
        if bytes.starts_with(b"\xFF\xD8") {
            return Ok(Self { bytes, at: 2 });
        }
        let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Err(Flaw::NotAJpeg(format!(
            "expected it to begin with ff d8, found {}{}",
            if start.is_empty() {
                "nothing".to_owned()
            } else {
                start.join(" ")
            },
            other_format(bytes)
        )))
    }

    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    fn truncated(&self, what: &str) -> Flaw {
        Flaw::Truncated(format!("{} bytes end within {what}", self.bytes.len()))
    }

    /// The next marker, without its 0xFF, and where it stands.
    pub(super) fn next_marker(&mut self) -> Result<(u8, usize), Flaw> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        match rest.first() {
            None => return Err(self.truncated("the image: there is no end marker")),
            Some(0xFF) => {}
            Some(other) => {
                return Err(Flaw::Corrupt(format!(
                    "expected a marker at byte {start}, found {other:02x}"
                )));
            }
        }
        // Any number of 0xFF may stand before a marker.
        let fill = rest.iter().take_while(|&&byte| byte == 0xFF).count();
        let Some(&marker) = rest.get(fill) else {
            return Err(self.truncated("the image: there is no end marker"));
        };
        self.at = start + fill + 1;
        Ok((marker, start))
    }

    /// The content of the segment whose length stands here.
    pub(super) fn segment(&mut self, what: &str, marker_at: usize) -> Result<&'a [u8], Flaw> {
        let Some(length) = self.bytes.get(self.at..self.at + 2) else {
            return Err(self.truncated(&format!("the {what} at byte {marker_at}")));
        };
        let nbytes = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if nbytes < 2 {
            return Err(Flaw::Corrupt(format!(
                "the {what} at byte {marker_at} has length {nbytes}, expected at least 2"
            )));
        }
        let Some(content) = self.bytes.get(self.at + 2..self.at + nbytes) else {
            return Err(self.truncated(&format!("the {what} at byte {marker_at}, of {nbytes} bytes")));
        };
        self.at += nbytes;
        Ok(content)
    }

    /// Goes to the marker that ends a scan.
    pub(super) fn skip_entropy_coded(&mut self) -> Result<(), Flaw> {
        let mut at = self.at;
        while let Some(found) = self.bytes.get(at..).and_then(|rest| memchr(0xFF, rest)) {
            at += found;
            match self.bytes.get(at + 1) {
                // A data byte 0xFF, or a restart.
                Some(0x00 | 0xD0..=0xD7) => at += 2,
                // Fill: the next 0xFF may begin a marker.
                Some(0xFF) => at += 1,
                Some(_) => {
                    self.at = at;
                    return Ok(());
                }
                None => break,
            }
        }
        Err(self.truncated("a scan: there is no end marker"))
    }
}

fn other_format(bytes: &[u8]) -> &'static str {
    let known: [(&[u8], &str); 8] = [
        (b"\x89PNG", " (PNG)"),
        (b"GIF8", " (GIF)"),
        (b"II*\0", " (TIFF)"),
        (b"MM\0*", " (TIFF)"),
        (b"RIFF", " (RIFF, such as WebP)"),
        (b"BM", " (BMP)"),
        (b"PK\x03\x04", " (zip)"),
        (b"<", " (text, such as an HTML error page)"),
    ];
    known
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic))
        .map_or("", |(_, name)| name)
}

/// A frame header, not yet understood.
pub(super) struct Frame<'a> {
    pub(super) marker: u8,
    pub(super) content: &'a [u8],
}

impl Frame<'_> {
    pub(super) fn parse(&self) -> Result<Header, Flaw> {
        let &[precision, high, low, wide, narrow, component_count, ref rest @ ..] = self.content else {
            return Err(Flaw::Corrupt(format!(
                "a frame header of {} bytes, expected at least 6",
                self.content.len()
            )));
        };
        let (height, width) = (u16::from_be_bytes([high, low]), u16::from_be_bytes([wide, narrow]));
        if rest.len() != 3 * usize::from(component_count) || component_count == 0 {
            return Err(Flaw::Corrupt(format!(
                "a frame header with {component_count} components in {} bytes",
                rest.len()
            )));
        }
        if component_count > 4 {
            return Err(Flaw::Unsupported(format!(
                "{component_count} components, expected at most 4"
            )));
        }
        if width == 0 {
            return Err(Flaw::Corrupt("its width is 0".to_owned()));
        }
        let mut components = [Component::default(); 4];
        for (component, content) in components.iter_mut().zip(rest.chunks_exact(3)) {
            let (horizontal, vertical) = (content[1] >> 4, content[1] & 15);
            if !(1..=4).contains(&horizontal) || !(1..=4).contains(&vertical) {
                return Err(Flaw::Corrupt(format!(
                    "sampling factors {horizontal}x{vertical}, expected 1 to 4"
                )));
            }
            *component = Component {
                id: content[0],
                horizontal,
                vertical,
            };
        }
        Ok(Header {
            coding: coding(self.marker),
            precision,
            height,
            width,
            component_count,
            components,
            scans: 0,
            trailing_nbytes: 0,
        })
    }
}

fn coding(marker: u8) -> Coding {
    match marker {
        0xC0 => Coding::Baseline,
        0xC1 => Coding::Extended,
        0xC2 => Coding::Progressive,
        0xC3 => Coding::Lossless,
        0xC9 => Coding::Arithmetic,
        0xCA => Coding::ArithmeticProgressive,
        _ => Coding::Other,
    }
}
