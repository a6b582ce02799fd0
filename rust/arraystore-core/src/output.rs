//! The last stage of a batch: rows of pixels to their place in the caller's array, mirrored and normalised on the way.

#[cfg(target_arch = "x86_64")]
mod avx2;

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
        match (&mut self.target, axes) {
            (Target::Bytes(out), Axes::ChannelsLast) => write_rgb(line_of(out, size, y), pixels, flip),
            (Target::Bytes(out), Axes::ChannelsFirst) => write_planes(out, size, y, pixels, flip, |_, byte| byte),
            (Target::Floats(out, table), _) => {
                let convert = |channel: usize, byte: u8| table[channel][usize::from(byte)];
                match axes {
                    Axes::ChannelsLast => write_pixels(line_of(out, size, y), pixels, flip, &convert),
                    Axes::ChannelsFirst => write_planes(out, size, y, pixels, flip, convert),
                }
            }
        }
    }
}

fn line_of<T>(out: &mut [T], size: Size, y: usize) -> &mut [T] {
    let values = size.width as usize * 3;
    &mut out[y * values..(y + 1) * values]
}

fn write_rgb(line: &mut [u8], pixels: &[u8], flip: bool) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was just asked.
        return unsafe { avx2::write_rgb(line, pixels, flip) };
    }
    write_pixels(line, pixels, flip, &|_, byte| byte);
}

fn write_pixels<T: Copy>(line: &mut [T], pixels: &[u8], flip: bool, convert: &impl Fn(usize, u8) -> T) {
    let line = line.chunks_exact_mut(3);
    let from = pixels.chunks_exact(RGBX_CHANNELS);
    let write = |(to, from): (&mut [T], &[u8])| {
        if let ([red, green, blue], [r, g, b, _]) = (to, from) {
            (*red, *green, *blue) = (convert(0, *r), convert(1, *g), convert(2, *b));
        }
    };
    if flip {
        line.rev().zip(from).for_each(write);
    } else {
        line.zip(from).for_each(write);
    }
}

fn write_planes<T: Copy>(
    out: &mut [T],
    size: Size,
    y: usize,
    pixels: &[u8],
    flip: bool,
    convert: impl Fn(usize, u8) -> T,
) {
    let width = size.width as usize;
    for (channel, plane) in out.chunks_exact_mut(width * size.height as usize).enumerate().take(3) {
        let line = plane[y * width..(y + 1) * width].iter_mut();
        let values = pixels
            .chunks_exact(RGBX_CHANNELS)
            .map(|pixel| convert(channel, pixel[channel]));
        if flip {
            line.rev().zip(values).for_each(|(to, value)| *to = value);
        } else {
            line.zip(values).for_each(|(to, value)| *to = value);
        }
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
    fn the_fast_row_is_that_of_plain_rust() {
        for width in 0..20_u8 {
            let pixels: Vec<u8> = (0..width * 4).collect();
            for flip in [false, true] {
                let (mut fast, mut plain) = (vec![0; usize::from(width) * 3], vec![0; usize::from(width) * 3]);
                write_rgb(&mut fast, &pixels, flip);
                write_pixels(&mut plain, &pixels, flip, &|_, byte| byte);
                assert_eq!(fast, plain, "{width} pixels, flip {flip}");
            }
        }
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
