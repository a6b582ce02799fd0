//! The last stage: where values go, and its kernels against each other.

use super::*;
use crate::random::{Draws, RandomKey};

const SIZE: Size = Size { height: 2, width: 2 };
const PIXELS: [u8; 16] = [1, 2, 3, 99, 4, 5, 6, 99, 7, 8, 9, 99, 10, 11, 12, 99];

fn draws(seed: u64) -> Draws {
    Draws::new(RandomKey { seed, epoch: 0, row: 0 })
}

fn written(instructions: Instructions, axes: Axes, flip: bool) -> Vec<u8> {
    let mut out = vec![0; 12];
    let mut writer = RowWriter::new(Target::Bytes(&mut out), axes, SIZE);
    for (y, row) in PIXELS.chunks(8).enumerate() {
        writer.copy(instructions, y, row, 4, flip, &mut [0; 6]);
    }
    out
}

#[test]
fn channels_and_columns_go_where_they_belong() {
    for instructions in Instructions::available() {
        let written = |axes, flip| written(instructions, axes, flip);
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
}

#[test]
fn the_fast_loops_are_those_of_plain_rust() {
    let mut draws = draws(1);
    for width in (0..140).chain([224, 500]) {
        for channels in [3, 4] {
            let pixels: Vec<u8> = (0..width * channels).map(|_| draws.bits().to_le_bytes()[0]).collect();
            for instructions in Instructions::available() {
                for flip in [false, true] {
                    let (mut fast, mut plain) = (vec![0; width * 3], vec![0; width * 3]);
                    Kernels(instructions).pack(&pixels, channels, flip, &mut fast);
                    portable::pack(&pixels, channels, flip, &mut plain);
                    assert_eq!(fast, plain, "{instructions:?}: {width} x {channels}, flip {flip}");
                }
                if channels == 3 {
                    let (mut fast, mut plain) = (vec![0; width * 3], vec![0; width * 3]);
                    let size = Size {
                        height: 1,
                        width: u32::try_from(width).unwrap(),
                    };
                    Kernels(instructions).split(&pixels, planes_of(&mut fast, size, 0));
                    portable::split(&pixels, planes_of(&mut plain, size, 0));
                    assert_eq!(fast, plain, "{instructions:?}: {width}");
                }
            }
        }
    }
}

/// Every byte in every channel, at every place of a vector.
fn all_bytes() -> Vec<u8> {
    (0..=255_u8).flat_map(|byte| [byte; 3]).collect()
}

#[test]
fn floats_are_the_values_of_the_table_to_the_bit() {
    let mut draws = draws(2);
    let pixels = all_bytes();
    let mut along_a_line = 0;
    for round in 0..300 {
        let mut three = |low, high| std::array::from_fn(|_| draws.between(low, high));
        let (mean, std) = match round {
            0 => ([0.0; 3], [1.0; 3]),
            1 => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            2 => ([0.5; 3], [0.5; 3]),
            3 => ([128.0 / 255.0; 3], [1e-30, 1e30, -1.0]),
            4 => ([f64::NAN, 0.0, f64::INFINITY], [1.0, 0.0, 1.0]),
            _ => (three(0.0, 1.0), three(0.01, 2.0)),
        };
        let table = normalise_table(mean, std);
        along_a_line += usize::from(table.lines(Channels::InTurn).is_some());
        for instructions in Instructions::available() {
            let mut out = vec![0.0; pixels.len()];
            Kernels(instructions).normalise(&pixels, &mut out, &table, Channels::InTurn);
            for (at, found) in out.iter().enumerate() {
                let byte = pixels[at];
                let exact = (f64::from(byte) / 255.0 - mean[at % 3]) / std[at % 3];
                #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest float")]
                let expected = exact as f32;
                let value = table.value(at % 3, byte);
                assert!(
                    found.to_bits() == value.to_bits(),
                    "{instructions:?}: {byte}, {mean:?}, {std:?}"
                );
                assert!(value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan()));
            }
        }
    }
    assert!(along_a_line > 280, "{along_a_line} of 300 tables are lines");
}

#[test]
fn floats_are_the_bytes_normalised_whatever_the_axes_and_the_width() {
    let mut draws = draws(3);
    let table = normalise_table([0.1, 0.5, 0.9], [0.2, 0.5, 2.0]);
    for width in [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 130] {
        let size = Size { height: 2, width };
        let values = 2 * width as usize * 3;
        let pixels: Vec<u8> = (0..values).map(|_| draws.bits().to_le_bytes()[0]).collect();
        for axes in [Axes::ChannelsLast, Axes::ChannelsFirst] {
            for instructions in Instructions::available() {
                let (mut bytes, mut floats) = (vec![0; values], vec![0.0; values]);
                for (y, row) in pixels.chunks(values / 2).enumerate() {
                    RowWriter::new(Target::Bytes(&mut bytes), axes, size).write(instructions, y, row);
                    RowWriter::new(Target::Floats(&mut floats, &table), axes, size).write(instructions, y, row);
                }
                for (at, (&byte, &float)) in bytes.iter().zip(&floats).enumerate() {
                    let channel = match axes {
                        Axes::ChannelsLast => at % 3,
                        Axes::ChannelsFirst => at / (values / 3),
                    };
                    assert!(
                        float.to_bits() == table.value(channel, byte).to_bits(),
                        "{axes:?} {width} {at}"
                    );
                }
            }
        }
    }
}
