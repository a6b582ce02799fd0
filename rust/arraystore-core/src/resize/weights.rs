//! The weights of one axis of a resize.
//!
//! Pillow's triangle filter in whole numbers. With `S` source and `T` target positions and `M` the larger of them, the
//! weight of source position `p` for target position `i` is, but for a factor, `2 M - |(2 p + 1) T - (2 i + 1) S|`, where
//! that is positive. Let `(2 i + 1) S - 2 M - T` divided by `2 T` be `q` with a remainder `r`: then `q + 1` is the first
//! such `p`, and the weights from there on depend on `r` alone. So one division is done for an axis, and the rest is
//! arithmetic on many target positions at once, exact until the weights are made to add up to one.

use std::ops::Range;

use crate::instructions::{Instructions, Set};

/// The sum of the weights of a target position, as they are kept.
pub(super) const ONE: i32 = 1 << 15;

/// Valid target positions behind the last, for kernels that read in large steps.
pub(super) const PADDING: usize = 16;

/// Target positions that are computed at once.
const LANES: usize = 8;

/// Added to a number below 2^52, it leaves the nearest integer in the low bits.
const TO_INTEGER: f64 = 4_503_599_627_370_496.0;

/// For each target position, the first source position and the weights from there on, in fixed point.
///
/// All have the same number of weights, none of them for a position outside of the source.
#[derive(Debug, Default)]
pub(super) struct Weights {
    made_for: Option<(u32, u32, bool)>,
    taps: usize,
    /// Of one tap: the target positions and [`PADDING`].
    stride: usize,
    first: Vec<u32>,
    remainders: Vec<f64>,
    /// Those of the first tap of each target position, then those of the second, and so on. One is [`ONE`], or just
    /// less where it is a single weight.
    values: Vec<i16>,
}

/// What the weights of an axis are computed from: `2 M`, `2 T`, and the number of weights of an inner position.
#[derive(Clone, Copy)]
struct Filter {
    reach: i64,
    step: i64,
    source: i64,
    full: i64,
}

impl Weights {
    /// Computes the weights from `source` to `target` positions, in reverse order if `mirrored`; returns whether they
    /// are others than before. Neither length is zero.
    pub(super) fn compute(&mut self, instructions: Instructions, source: u32, target: u32, mirrored: bool) -> bool {
        let wanted = Some((source, target, mirrored));
        if self.made_for == wanted {
            return false;
        }
        self.made_for = wanted;
        let filter = Filter::new(source, target);
        let count = target as usize;
        self.taps = usize::try_from(filter.full.min(filter.source)).unwrap_or(1);
        self.stride = (count + PADDING).next_multiple_of(PADDING);
        self.first.clear();
        self.first.resize(self.stride, 0);
        self.remainders.clear();
        self.remainders.resize(self.stride, 0.0);
        self.values.resize(self.stride * self.taps, 0);
        let inner = self.place(filter, count);
        if mirrored {
            self.first[..count].reverse();
            self.remainders[..count].reverse();
        }
        match instructions.set() {
            // SAFETY: the processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => unsafe { self.weigh_with_avx2(filter) },
            Set::Portable => self.weigh(filter),
        }
        for at in (0..inner.start).chain(inner.end..count) {
            self.border(filter, at as u64, if mirrored { count - 1 - at } else { at });
        }
        let last = self.first[count - 1];
        self.first[count..].fill(last);
        true
    }

    /// First positions and remainders; returns the target positions all of whose weights fall inside the source.
    fn place(&mut self, filter: Filter, count: usize) -> Range<usize> {
        let (quotient, mut remainder) = filter.divided(0);
        let mut position = quotient + 1;
        let (more, rest) = (2 * filter.source / filter.step, 2 * filter.source % filter.step);
        let last = filter.source - filter.full;
        let (mut before, mut up_to_last) = (0, 0);
        for (first, to) in self.first.iter_mut().zip(&mut self.remainders).take(count) {
            before += usize::from(position < 0);
            up_to_last += usize::from(position <= last);
            *first = u32::try_from(position.max(0)).unwrap_or(0);
            #[expect(clippy::cast_precision_loss, reason = "less than 2^33")]
            {
                *to = remainder as f64;
            }
            remainder += rest;
            let carry = i64::from(remainder >= filter.step);
            remainder -= carry * filter.step;
            position += more + carry;
        }
        let begin = before.min(up_to_last);
        begin..up_to_last
    }

    /// [`Weights::weigh`], compiled for vectors of 32 bytes.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn weigh_with_avx2(&mut self, filter: Filter) {
        self.weigh(filter);
    }

    /// The weights of all target positions, as if the source had no end.
    #[expect(clippy::inline_always, reason = "it must have the instructions of its caller")]
    #[inline(always)]
    fn weigh(&mut self, filter: Filter) {
        #[expect(clippy::cast_precision_loss, reason = "less than 2^34")]
        let (reach, step) = (filter.reach as f64, filter.step as f64);
        let weight = |remainder: f64, tap: f64| (reach - (reach - step + remainder - step * tap).abs()).max(0.0);
        let (blocks, _) = self.remainders.as_chunks::<LANES>();
        for (block, remainders) in blocks.iter().enumerate() {
            let mut sums = [0.0; LANES];
            let mut tap = 0.0;
            for _ in 0..self.taps {
                for (sum, &remainder) in sums.iter_mut().zip(remainders) {
                    *sum += weight(remainder, tap);
                }
                tap += 1.0;
            }
            let to_one = sums.map(|sum| f64::from(ONE) / sum);
            let (mut sums, mut ends) = ([0.0; LANES], [0; LANES]);
            let mut tap = 0.0;
            for values in self.values.chunks_exact_mut(self.stride) {
                let values = &mut values.as_chunks_mut::<LANES>().0[block];
                // A loop for each step, so that each becomes a few vector instructions.
                for (sum, &remainder) in sums.iter_mut().zip(remainders) {
                    *sum += weight(remainder, tap);
                }
                let mut next = [0; LANES];
                for ((next, sum), to_one) in next.iter_mut().zip(sums).zip(to_one) {
                    *next = to_integer(sum * to_one);
                }
                for ((value, next), end) in values.iter_mut().zip(next).zip(ends) {
                    *value = weight_between(end, next);
                }
                ends = next;
                tap += 1.0;
            }
        }
    }

    /// The weights of target position `at`, to be kept at `to`, without those outside of the source. Those that there are
    /// room for begin further left where they would reach behind its end.
    fn border(&mut self, filter: Filter, at: u64, to: usize) {
        let (quotient, remainder) = filter.divided(at.cast_signed());
        let all = quotient + 1..quotient + 1 + filter.full;
        let inside = all.start.max(0)..all.end.min(filter.source);
        #[expect(clippy::cast_precision_loss, reason = "less than 2^34")]
        let weight = |position: i64| {
            let middle = filter.reach - filter.step + remainder - filter.step * (position - all.start);
            (filter.reach - middle.abs()).max(0) as f64
        };
        let to_one = f64::from(ONE) / inside.clone().map(weight).sum::<f64>();
        let first = inside.start.min(filter.source - filter.full.min(filter.source));
        self.first[to] = u32::try_from(first).unwrap_or(0);
        let (mut sum, mut end) = (0.0, 0);
        for (position, values) in (first..).zip(self.values.chunks_exact_mut(self.stride)) {
            if inside.contains(&position) {
                sum += weight(position);
            }
            let next = to_integer(sum * to_one);
            values[to] = weight_between(end, next);
            end = next;
        }
    }

    /// Most weights of a target position.
    pub(super) fn taps(&self) -> usize {
        self.taps
    }

    /// The first source position of each target position, and [`PADDING`] times that of the last.
    pub(super) fn first(&self) -> &[u32] {
        &self.first
    }

    /// Weight number `tap` of each target position, and some without meaning: as many as of [`Weights::first`].
    pub(super) fn tap(&self, tap: usize) -> &[i16] {
        &self.values[tap * self.stride..(tap + 1) * self.stride]
    }

    /// The first source position of one target position, and its weights: at least one, and none outside of the source.
    pub(super) fn at(&self, at: usize) -> (usize, impl ExactSizeIterator<Item = i16> + Clone) {
        let first = self.first[at] as usize;
        let weight = move |tap: usize| self.values[tap * self.stride + at];
        let behind = (1..self.taps).rev().take_while(|&tap| weight(tap) == 0).count();
        (first, (0..self.taps - behind).map(weight))
    }
}

impl Filter {
    fn new(source: u32, target: u32) -> Self {
        let (source, target) = (i64::from(source), i64::from(target));
        let (reach, step) = (2 * source.max(target), 2 * target);
        Self {
            reach,
            step,
            source,
            // Positive weights are less than `reach` from the centre, and `step` from one to the next.
            full: (2 * reach - 1 + step - 1) / step,
        }
    }

    /// Quotient and remainder of a target position.
    fn divided(self, at: i64) -> (i64, i64) {
        let dividend = (2 * at + 1) * self.source - self.reach - self.step / 2;
        (dividend.div_euclid(self.step), dividend.rem_euclid(self.step))
    }
}

/// The nearest integer.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are the integer")]
fn to_integer(value: f64) -> i32 {
    (value + TO_INTEGER).to_bits() as i32
}

/// A weight from the rounded sums of those before it and of those up to it. So the weights add up to one exactly, and no
/// rounding error grows with their number.
#[expect(clippy::cast_possible_truncation, reason = "limited to what fits")]
fn weight_between(before: i32, up_to: i32) -> i16 {
    (up_to - before).min(ONE - 1) as i16
}
