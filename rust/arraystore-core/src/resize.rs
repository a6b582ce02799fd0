//! Antialiased bilinear resize: Pillow's convolution, to within 1 of 255.
//!
//! A box is resized as an image of its own (what torchvision's `resized_crop(antialias=True)` does): pixels around it do
//! not bleed in. Each source row is resized to the output's width once, kept in a ring of as many rows as one output row
//! needs, and mixed into output rows while it is in the cache. A mirrored output costs nothing: its columns are computed
//! in the other order.
//!
//! Weights are Pillow's (`Resample.c`, triangle filter of support 1, widened when shrinking), rounded to 14 bits so that
//! they add up to one exactly.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
mod weights;

use crate::crop::{CropBox, Size};
use crate::jpeg::{RGBX_CHANNELS, Region};
use weights::Weights;

/// Bits behind the point of a weight.
const WEIGHT_BITS: u32 = 14;

/// Bytes that a kernel may read (never use) behind the last pixel of a source row.
pub const ROW_PADDING_NBYTES: usize = 16;

/// The inner loops of one instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernels {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

/// A resizer and its scratch memory: make one for each thread and keep it.
pub struct Resize {
    kernels: Kernels,
    columns: Weights,
    rows: Weights,
    /// Source rows at the output's width, each at `row % slots`.
    ring: Vec<u8>,
    line: Vec<u8>,
}

impl Default for Resize {
    fn default() -> Self {
        Self::with_kernels(Kernels::detect())
    }
}

impl Kernels {
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Portable
    }

    /// One source row to the output's width.
    fn resize_row(self, source: &[u8], columns: &Weights, out: &mut [u8]) {
        match self {
            Self::Portable => portable::resize_row(source, columns, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `detect` found AVX2, and nothing else makes this variant outside the tests, which check too.
            Self::Avx2 => unsafe { avx2::resize_row(source, columns, out) },
        }
    }

    /// Several rows of the output's width to one, each with its weight.
    fn mix_rows(self, rows: &[&[u8]], weights: &[i16], out: &mut [u8]) {
        match self {
            Self::Portable => portable::mix_rows(rows, weights, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx2 => unsafe { avx2::mix_rows(rows, weights, out) },
        }
    }
}

impl Resize {
    fn with_kernels(kernels: Kernels) -> Self {
        Self {
            kernels,
            columns: Weights::default(),
            rows: Weights::default(),
            ring: Vec::new(),
            line: Vec::new(),
        }
    }

    /// Resizes the `wanted` box of a region of RGBX pixels to `size`, mirrored left to right if `flip`, and passes each
    /// row of RGBX pixels to `write_row` with its number.
    ///
    /// `region.pixels` must be followed by [`ROW_PADDING_NBYTES`] bytes in the same slice; `wanted` must lie inside.
    pub fn resize(
        &mut self,
        region: Region<'_>,
        wanted: CropBox,
        size: Size,
        flip: bool,
        mut write_row: impl FnMut(usize, &[u8]),
    ) {
        self.columns.compute(wanted.size.width, size.width, flip);
        self.columns.make_vectors();
        self.rows.compute(wanted.size.height, size.height, false);
        let line_nbytes = size.width as usize * RGBX_CHANNELS;
        let slots = self.rows.taps();
        self.ring.resize(slots * line_nbytes, 0);
        self.line.resize(line_nbytes, 0);
        let stride = region.area.size.width as usize * RGBX_CHANNELS;
        let start = (wanted.top - region.area.top) as usize * stride
            + (wanted.left - region.area.left) as usize * RGBX_CHANNELS;
        let mut ready = 0;
        for y in 0..size.height as usize {
            let (first, weights) = self.rows.at(y);
            while ready < first + weights.len() {
                // Rows that no output row needs are not resized.
                if ready >= first {
                    let slot = ready % slots * line_nbytes;
                    let source = &region.pixels[start + ready * stride..];
                    self.kernels
                        .resize_row(source, &self.columns, &mut self.ring[slot..slot + line_nbytes]);
                }
                ready += 1;
            }
            let mut mixed: [&[u8]; MOST_ROWS] = [&[]; MOST_ROWS];
            let (near, far) = (weights.len().min(MOST_ROWS), weights.len());
            if far > MOST_ROWS {
                portable::mix_ring(&self.ring, slots, first, weights, &mut self.line);
            } else {
                for (tap, row) in mixed[..near].iter_mut().enumerate() {
                    let slot = (first + tap) % slots * line_nbytes;
                    *row = &self.ring[slot..slot + line_nbytes];
                }
                self.kernels.mix_rows(&mixed[..near], weights, &mut self.line);
            }
            write_row(y, &self.line);
        }
    }
}

/// Rows that the fast kernels mix at once: enough to shrink by 7.
const MOST_ROWS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draws, RandomKey};

    /// The convolution in floating point, with Pillow's formulas.
    fn reference(pixels: &[u8], from: Size, to: Size) -> Vec<f64> {
        let axis = |source: u32, target: u32| -> Vec<Vec<(usize, f64)>> {
            let scale = f64::from(source) / f64::from(target);
            let support = scale.max(1.0);
            (0..target)
                .map(|at| {
                    let centre = (f64::from(at) + 0.5) * scale;
                    let taps: Vec<(usize, f64)> = (0..source)
                        .map(|tap| {
                            (
                                tap as usize,
                                (1.0 - ((f64::from(tap) + 0.5 - centre) / support).abs()).max(0.0),
                            )
                        })
                        .filter(|(_, weight)| *weight > 0.0)
                        .collect();
                    let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
                    taps.into_iter().map(|(tap, weight)| (tap, weight / sum)).collect()
                })
                .collect()
        };
        let (rows, columns) = (axis(from.height, to.height), axis(from.width, to.width));
        let mut out = Vec::new();
        for row in &rows {
            for column in &columns {
                for channel in 0..3 {
                    let mut sum = 0.0;
                    for &(y, vertical) in row {
                        for &(x, horizontal) in column {
                            let at = (y * from.width as usize + x) * 4 + channel;
                            sum += vertical * horizontal * f64::from(pixels[at]);
                        }
                    }
                    out.push(sum);
                }
            }
        }
        out
    }

    fn resized(kernels: Kernels, pixels: &[u8], from: Size, to: Size, flip: bool) -> Vec<u8> {
        let mut out = vec![0; (to.height * to.width * 4) as usize];
        let stride = to.width as usize * 4;
        let region = Region {
            pixels,
            area: CropBox::whole(from),
            channels: 4,
        };
        Resize::with_kernels(kernels).resize(region, CropBox::whole(from), to, flip, |y, row| {
            out[y * stride..(y + 1) * stride].copy_from_slice(row);
        });
        out
    }

    fn noise(size: Size, draws: &mut Draws) -> Vec<u8> {
        let nbytes = (size.height * size.width * 4) as usize;
        let mut pixels: Vec<u8> = (0..nbytes).map(|_| draws.bits().to_le_bytes()[0]).collect();
        pixels.resize(nbytes + ROW_PADDING_NBYTES, 255);
        pixels
    }

    #[test]
    fn every_kernel_is_within_one_of_the_convolution_in_floating_point() {
        let mut draws = Draws::new(RandomKey {
            seed: 9,
            epoch: 0,
            row: 0,
        });
        let mut side = |most| 1 + draws.up_to(most);
        let mut cases: Vec<(Size, Size)> = (0..60)
            .map(|_| {
                let from = Size {
                    height: side(60),
                    width: side(60),
                };
                (
                    from,
                    Size {
                        height: side(50),
                        width: side(50),
                    },
                )
            })
            .collect();
        cases.push((
            Size {
                height: 300,
                width: 200,
            },
            Size { height: 3, width: 5 },
        ));
        cases.push((Size { height: 1, width: 1 }, Size { height: 40, width: 33 }));
        cases.push((
            Size {
                height: 2,
                width: 30_000,
            },
            Size { height: 1, width: 1 },
        ));
        cases.push((
            Size {
                height: 12_600,
                width: 2,
            },
            Size { height: 2, width: 2 },
        ));
        for (from, to) in cases {
            let pixels = noise(from, &mut draws);
            let exact = reference(&pixels, from, to);
            let portable = resized(Kernels::Portable, &pixels, from, to, false);
            let values = portable.chunks_exact(4).flat_map(|pixel| &pixel[..3]);
            for (value, exact) in values.zip(exact) {
                assert!(
                    (f64::from(*value) - exact).abs() < 1.1,
                    "{from} to {to}: {value} for {exact}"
                );
            }
            let detected = Kernels::detect();
            for flip in [false, true] {
                assert!(
                    resized(detected, &pixels, from, to, flip) == resized(Kernels::Portable, &pixels, from, to, flip),
                    "{detected:?} differs from portable: {from} to {to}, flip {flip}"
                );
            }
        }
    }

    #[test]
    fn a_flip_mirrors_the_columns() {
        let mut draws = Draws::new(RandomKey {
            seed: 10,
            epoch: 0,
            row: 0,
        });
        let (from, to) = (Size { height: 20, width: 31 }, Size { height: 9, width: 14 });
        let pixels = noise(from, &mut draws);
        let straight = resized(Kernels::detect(), &pixels, from, to, false);
        let mut mirrored = resized(Kernels::detect(), &pixels, from, to, true);
        for row in mirrored.chunks_exact_mut(14 * 4) {
            let turned: Vec<u8> = row.chunks_exact(4).rev().flatten().copied().collect();
            row.copy_from_slice(&turned);
        }
        assert!(straight == mirrored);
    }

    #[test]
    fn one_colour_stays_that_colour() {
        for colour in [0, 1, 127, 254, 255] {
            let from = Size { height: 37, width: 91 };
            let pixels = vec![colour; 37 * 91 * 4 + ROW_PADDING_NBYTES];
            let out = resized(Kernels::detect(), &pixels, from, Size { height: 64, width: 50 }, false);
            assert!(out.iter().all(|&value| value == colour));
        }
    }
}
