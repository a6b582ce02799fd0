//! How bytes become normalised floats.

use crate::jpeg::RGB_CHANNELS;

/// Turns a byte into a normalised float: one value for each channel and byte, as `(byte / 255 - mean) / std`.
#[derive(Debug, Clone)]
pub struct NormaliseTable {
    values: [[f32; 256]; RGB_CHANNELS],
    /// Of all channels in turn, then of each alone.
    lines: Option<[Lines; 1 + RGB_CHANNELS]>,
}

/// Which channels bytes are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channels {
    /// R, G, B, R and so on.
    InTurn,
    /// All of one.
    One(usize),
}

/// A byte times a factor plus an offset, rounded once to double precision and once to single: for 24 bytes in a row, after
/// which the channels begin anew.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    pub(super) factors: [[f64; LANES]; RGB_CHANNELS],
    pub(super) offsets: [[f64; LANES]; RGB_CHANNELS],
}

/// Bytes that a kernel normalises at a time.
pub(super) const LANES: usize = 8;

/// Makes the table that normalises by mean and standard deviation of each channel (R, G, B), in units of 0..1.
#[must_use]
pub fn normalise_table(mean: [f64; 3], std: [f64; 3]) -> Box<NormaliseTable> {
    let mut values = [[0.0; 256]; RGB_CHANNELS];
    let factors = std.map(|std| 1.0 / (255.0 * std));
    let offsets = [0, 1, 2].map(|channel| -mean[channel] / std[channel]);
    let mut is_equal = true;
    for (channel, values) in values.iter_mut().enumerate() {
        for (byte, value) in (0_u8..=255).map(f64::from).zip(values) {
            *value = single((byte / 255.0 - mean[channel]) / std[channel]);
            is_equal &= value.to_bits() == single(byte.mul_add(factors[channel], offsets[channel])).to_bits();
        }
    }
    let lines = [Channels::InTurn, Channels::One(0), Channels::One(1), Channels::One(2)].map(|channels| {
        let spread = |values: [f64; RGB_CHANNELS]| {
            let value = |at| values[channels.at(at)];
            std::array::from_fn(|part| std::array::from_fn(|lane| value(part * LANES + lane)))
        };
        Lines {
            factors: spread(factors),
            offsets: spread(offsets),
        }
    });
    Box::new(NormaliseTable {
        values,
        lines: is_equal.then_some(lines),
    })
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

    /// What goes through all values of some channels, if they lie on lines.
    pub(super) fn lines(&self, channels: Channels) -> Option<&Lines> {
        let at = match channels {
            Channels::InTurn => 0,
            Channels::One(channel) => 1 + channel,
        };
        self.lines.as_ref().map(|lines| &lines[at])
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
