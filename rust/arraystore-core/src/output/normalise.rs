//! How bytes become normalised floats.

use crate::jpeg::RGB_CHANNELS;

/// Turns a byte into a normalised float: one value for each channel and byte, as `(byte / 255 - mean) / std`.
#[derive(Debug, Clone)]
pub struct NormaliseTable {
    values: [[f32; 256]; RGB_CHANNELS],
    /// Of three vectors in which the channels take turns, then of a vector of each channel alone.
    lines: Option<[Line; 2 * RGB_CHANNELS]>,
}

/// Which channels bytes are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channels {
    /// R, G, B, R and so on.
    InTurn,
    /// All of one.
    One(usize),
}

/// Eight bytes times their factors plus their offsets, in two parts: the coarse one is exact in single precision, so that the
/// sum of both is rounded once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) coarse_factors: [f32; LANES],
    pub(super) coarse_offsets: [f32; LANES],
    pub(super) fine_factors: [f32; LANES],
    pub(super) fine_offsets: [f32; LANES],
}

/// Bytes that a kernel normalises at a time.
pub(super) const LANES: usize = 8;

/// A line of one channel: factor and offset of the coarse part, and those of the fine part.
type Parts = [f32; 4];

/// Makes the table that normalises by mean and standard deviation of each channel (R, G, B), in units of 0..1.
#[must_use]
pub fn normalise_table(mean: [f64; 3], std: [f64; 3]) -> Box<NormaliseTable> {
    let mut values = [[0.0; 256]; RGB_CHANNELS];
    let mut parts = [None; RGB_CHANNELS];
    for (channel, values) in values.iter_mut().enumerate() {
        let (mean, std) = (mean[channel], std[channel]);
        for (byte, value) in (0_u8..=255).zip(values.iter_mut()) {
            *value = single((f64::from(byte) / 255.0 - mean) / std);
        }
        parts[channel] = parts_of(1.0 / (255.0 * std), -mean / std, values);
    }
    let lines = match parts {
        [Some(red), Some(green), Some(blue)] => {
            let parts = [red, green, blue];
            let line = |channels: Channels, begin: usize| {
                let part = |number: usize| std::array::from_fn(|lane| parts[channels.at(begin + lane)][number]);
                Line {
                    coarse_factors: part(0),
                    coarse_offsets: part(1),
                    fine_factors: part(2),
                    fine_offsets: part(3),
                }
            };
            Some(std::array::from_fn(|at| match at.checked_sub(RGB_CHANNELS) {
                None => line(Channels::InTurn, at * LANES),
                Some(channel) => line(Channels::One(channel), 0),
            }))
        }
        _ => None,
    };
    Box::new(NormaliseTable { values, lines })
}

/// Parts of a line that goes through all `values` to the bit, if there are any.
///
/// The coarse factor and offset are multiples of a step so large that no value takes more than the 24 bits of a float.
fn parts_of(factor: f64, offset: f64, values: &[f32; 256]) -> Option<Parts> {
    let most = [factor, offset, offset + 255.0 * factor]
        .map(f64::abs)
        .into_iter()
        .fold(255.0 * factor.abs(), f64::max);
    if !(f64::from(f32::MIN_POSITIVE)..f64::from(f32::MAX)).contains(&most) {
        return None;
    }
    (18..=23).rev().find_map(|bits| {
        let step = (most.log2().floor() - f64::from(bits)).exp2();
        let coarse = |value: f64| single((value / step).round() * step);
        let fine = |value: f64| single(value - f64::from(coarse(value)));
        let parts = [coarse(factor), coarse(offset), fine(factor), fine(offset)];
        let is_equal = |(byte, value): (u8, &f32)| along(parts, f32::from(byte)).to_bits() == value.to_bits();
        (0..=255).zip(values).all(is_equal).then_some(parts)
    })
}

/// A byte along a line, as the kernels compute it.
fn along([coarse_factor, coarse_offset, fine_factor, fine_offset]: Parts, byte: f32) -> f32 {
    byte.mul_add(coarse_factor, coarse_offset) + byte.mul_add(fine_factor, fine_offset)
}

impl NormaliseTable {
    /// The value of a byte of a channel.
    #[must_use]
    pub fn value(&self, channel: usize, byte: u8) -> f32 {
        self.values[channel][usize::from(byte)]
    }

    /// The values of all bytes of a channel.
    pub(super) fn values(&self, channel: usize) -> &[f32; 256] {
        &self.values[channel]
    }

    /// Lines through all values of some channels, if there are any: of three vectors in turn, or of one.
    pub(super) fn lines(&self, channels: Channels) -> Option<&[Line]> {
        let lines = self.lines.as_ref()?;
        Some(match channels {
            Channels::InTurn => &lines[..RGB_CHANNELS],
            Channels::One(channel) => &lines[RGB_CHANNELS + channel..][..1],
        })
    }
}

impl Channels {
    /// Channel of the byte at a position.
    pub(super) fn at(self, at: usize) -> usize {
        match self {
            Self::InTurn => at % RGB_CHANNELS,
            Self::One(channel) => channel,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest float")]
fn single(value: f64) -> f32 {
    value as f32
}
