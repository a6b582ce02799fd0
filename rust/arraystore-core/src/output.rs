//! The last stage of a batch: rows of pixels to their place in the caller's array, mirrored and normalised on the way.

use crate::crop::Size;

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

/// Writes all rows of an image of `size`; `channels` is 3, or 4 with a fourth byte to be ignored.
pub fn write_rows<'r>(
    target: Target<'_>,
    axes: Axes,
    size: Size,
    rows: impl Iterator<Item = &'r [u8]>,
    channels: usize,
    flip: bool,
) {
    match target {
        Target::Bytes(out) => write_as(out, axes, size, rows, channels, flip, |_, byte| byte),
        Target::Floats(out, table) => write_as(out, axes, size, rows, channels, flip, |channel, byte| {
            table[channel][usize::from(byte)]
        }),
    }
}

fn write_as<'r, T: Copy>(
    out: &mut [T],
    axes: Axes,
    size: Size,
    rows: impl Iterator<Item = &'r [u8]>,
    channels: usize,
    flip: bool,
    convert: impl Fn(usize, u8) -> T,
) {
    let width = size.width as usize;
    match axes {
        Axes::ChannelsLast => {
            for (line, row) in out.chunks_exact_mut(width * 3).zip(rows) {
                let pixels = line.chunks_exact_mut(3);
                let from = row.chunks_exact(channels);
                if flip {
                    pixels
                        .rev()
                        .zip(from)
                        .for_each(|(to, from)| copy_pixel(to, from, &convert));
                } else {
                    pixels.zip(from).for_each(|(to, from)| copy_pixel(to, from, &convert));
                }
            }
        }
        Axes::ChannelsFirst => {
            let (red, rest) = out.split_at_mut(width * size.height as usize);
            let (green, blue) = rest.split_at_mut(width * size.height as usize);
            let lines = red
                .chunks_exact_mut(width)
                .zip(green.chunks_exact_mut(width))
                .zip(blue.chunks_exact_mut(width));
            for (((red, green), blue), row) in lines.zip(rows) {
                for (channel, line) in [red, green, blue].into_iter().enumerate() {
                    let from = row.chunks_exact(channels).map(|pixel| convert(channel, pixel[channel]));
                    if flip {
                        line.iter_mut().rev().zip(from).for_each(|(to, value)| *to = value);
                    } else {
                        line.iter_mut().zip(from).for_each(|(to, value)| *to = value);
                    }
                }
            }
        }
    }
}

fn copy_pixel<T: Copy>(to: &mut [T], from: &[u8], convert: &impl Fn(usize, u8) -> T) {
    if let ([red, green, blue], [r, g, b, ..]) = (to, from) {
        (*red, *green, *blue) = (convert(0, *r), convert(1, *g), convert(2, *b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { height: 2, width: 2 };
    const PIXELS: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    fn written(axes: Axes, flip: bool) -> Vec<u8> {
        let mut out = vec![0; 12];
        write_rows(Target::Bytes(&mut out), axes, SIZE, PIXELS.chunks(6), 3, flip);
        out
    }

    #[test]
    fn channels_and_columns_go_where_they_belong() {
        assert_eq!(written(Axes::ChannelsLast, false), PIXELS);
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
        let rows = std::iter::once(&[255, 255, 0, 99][..]);
        write_rows(
            Target::Floats(&mut out, &table),
            Axes::ChannelsFirst,
            size,
            rows,
            4,
            false,
        );
        assert!(
            out.iter()
                .zip([1.0, 1.0, -0.5])
                .all(|(found, expected)| (found - expected).abs() < 1e-6)
        );
    }
}
