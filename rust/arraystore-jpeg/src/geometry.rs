//! Where the parts of an image lie: MCUs, blocks, and what of them a box of pixels needs.

use std::ops::Range;

use crate::frame::{Frame, Sampling};

/// A box of pixels: rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// How many rows.
    pub height: usize,
    /// How many columns.
    pub width: usize,
}

/// The layout of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) sampling: Sampling,
    /// Pixels of a sample of colour.
    pub(crate) across: usize,
    pub(crate) down: usize,
    /// MCUs.
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// The component of each block of an MCU.
    pub(crate) components: &'static [usize],
}

impl Geometry {
    pub(crate) fn of(frame: &Frame<'_>) -> Self {
        let (across, down) = frame.sampling.pixels();
        let (columns, rows) = frame.mcus();
        Self {
            width: frame.width,
            height: frame.height,
            sampling: frame.sampling,
            across,
            down,
            columns,
            rows,
            components: frame.sampling.blocks(),
        }
    }

    /// Samples of colour across and down.
    pub(crate) fn chroma(&self) -> (usize, usize) {
        (self.width.div_ceil(self.across), self.height.div_ceil(self.down))
    }

    /// Rows and columns of MCUs that a box needs: those that it touches, and those of the samples of colour beside it that
    /// are mixed in.
    pub(crate) fn mcus_of(&self, area: Area) -> (Range<usize>, Range<usize>) {
        let (chroma_columns, chroma_rows) = self.chroma();
        let rows = span(area.top, area.height, self.down, chroma_rows);
        let columns = span(area.left, area.width, self.across, chroma_columns);
        (rows, columns)
    }

    /// How many of the blocks of an MCU belong to luma.
    pub(crate) fn luma_blocks(&self) -> usize {
        self.across * self.down
    }
}

/// MCUs of the pixels `start..start + length`, of which each `factor` share one of `samples` samples of colour.
///
/// Of two pixels that share a sample, the first is mixed with the sample before, the second with the one behind.
fn span(start: usize, length: usize, factor: usize, samples: usize) -> Range<usize> {
    let end = start + length - 1;
    let (first, last) = if factor == 1 {
        (start, end)
    } else {
        (start.div_ceil(2).saturating_sub(1), end.div_ceil(2).min(samples - 1))
    };
    first / 8..last / 8 + 1
}
