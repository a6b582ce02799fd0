//! The last stage of a batch: rows of pixels to their place in the caller's array, mirrored and normalised on the way.

use crate::crop::Size;
use crate::jpeg::RGBX_CHANNELS;

/// Turns a byte into a normalised float: one value for each channel and byte, as `(byte / 255 - mean) / std`.
pub type NormaliseTable = [[f32; 256]; 3];

/// Makes the table that normalises by mean and standard deviation of each channel (R, G, B), in units of 0..1.
#[must_use]
pub fn normalise_table(mean: [f64; 3], std: [f64; 3]) -> Box<NormaliseTable> {
    let mut table = Box::new([[0.0; 256]; 3]);
    for (channel, values) in table.iter_mut().enumerate() {
        for (byte, value) in (0_u8..=255).zip(values) {
            let normalised = (f64::from(byte) / 255.0 - mean[channel]) / std[channel];
            #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest float")]
            {
                *value = normalised as f32;
            }
        }
    }
    table
}

/// The caller's memory for one image.
pub enum Target<'a> {
    /// Bytes as they are.
    Bytes(&'a mut [u8]),
    /// Normalised floats.
    Floats(&'a mut [f32], &'a NormaliseTable),
}

/// Order of the axes of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// `(height, width, 3)`.
    ChannelsLast,
    /// `(3, height, width)`.
    ChannelsFirst,
}

/// Writes the rows of one image, one at a time.
pub struct RowWriter<'a> {
    target: Target<'a>,
    axes: Axes,
    size: Size,
}

impl<'a> RowWriter<'a> {
    /// For an image of `size`, whose `target` has as many values.
    #[must_use]
    pub fn new(target: Target<'a>, axes: Axes, size: Size) -> Self {
        Self { target, axes, size }
    }

    /// Writes row `y` of RGBX pixels, mirrored if `flip`.
    pub fn write(&mut self, y: usize, pixels: &[u8], flip: bool) {
        let (axes, size) = (self.axes, self.size);
        match &mut self.target {
            Target::Bytes(out) => write_row(out, axes, size, y, pixels, flip, |_, byte| byte),
            Target::Floats(out, table) => {
                write_row(out, axes, size, y, pixels, flip, |channel, byte| {
                    table[channel][usize::from(byte)]
                });
            }
        }
    }
}

fn write_row<T: Copy>(
    out: &mut [T],
    axes: Axes,
    size: Size,
    y: usize,
    pixels: &[u8],
    flip: bool,
    convert: impl Fn(usize, u8) -> T,
) {
    let width = size.width as usize;
    let from = pixels.chunks_exact(RGBX_CHANNELS);
    match axes {
        Axes::ChannelsLast => {
            let line = out[y * width * 3..(y + 1) * width * 3].chunks_exact_mut(3);
            if flip {
                line.rev()
                    .zip(from)
                    .for_each(|(to, from)| write_pixel(to, from, &convert));
            } else {
                line.zip(from).for_each(|(to, from)| write_pixel(to, from, &convert));
            }
        }
        Axes::ChannelsFirst => {
            let plane = width * size.height as usize;
            for (channel, plane) in out.chunks_exact_mut(plane).enumerate().take(3) {
                let line = plane[y * width..(y + 1) * width].iter_mut();
                let from = from.clone().map(|pixel| convert(channel, pixel[channel]));
                if flip {
                    line.rev().zip(from).for_each(|(to, value)| *to = value);
                } else {
                    line.zip(from).for_each(|(to, value)| *to = value);
                }
            }
        }
    }
}

fn write_pixel<T: Copy>(to: &mut [T], from: &[u8], convert: &impl Fn(usize, u8) -> T) {
    if let ([red, green, blue], [r, g, b, _]) = (to, from) {
        (*red, *green, *blue) = (convert(0, *r), convert(1, *g), convert(2, *b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { height: 2, width: 2 };
    const PIXELS: [u8; 16] = [1, 2, 3, 99, 4, 5, 6, 99, 7, 8, 9, 99, 10, 11, 12, 99];

    fn written(axes: Axes, flip: bool) -> Vec<u8> {
        let mut out = vec![0; 12];
        let mut writer = RowWriter::new(Target::Bytes(&mut out), axes, SIZE);
        for (y, row) in PIXELS.chunks(8).enumerate() {
            writer.write(y, row, flip);
        }
        out
    }

    #[test]
    fn channels_and_columns_go_where_they_belong() {
        assert_eq!(
            written(Axes::ChannelsLast, false),
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        );
        assert_eq!(
            written(Axes::ChannelsLast, true),
            [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]
        );
        assert_eq!(
            written(Axes::ChannelsFirst, false),
            [1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12]
        );
        assert_eq!(
            written(Axes::ChannelsFirst, true),
            [4, 1, 10, 7, 5, 2, 11, 8, 6, 3, 12, 9]
        );
    }

    #[test]
    fn floats_are_normalised_by_channel() {
        let table = normalise_table([0.0, 0.5, 1.0], [1.0, 0.5, 2.0]);
        let mut out = [0.0; 3];
        let size = Size { height: 1, width: 1 };
        let mut writer = RowWriter::new(Target::Floats(&mut out, &table), Axes::ChannelsFirst, size);
        writer.write(0, &[255, 255, 0, 99], false);
        assert!(
            out.iter()
                .zip([1.0, 1.0, -0.5])
                .all(|(found, expected)| (found - expected).abs() < 1e-6)
        );
    }
}
