//! The weights of one axis of a resize.

use super::WEIGHT_BITS;

/// For each output position, the first source position and the weights from there on, in fixed point.
///
/// All positions have the same number of taps, an even one; those that are not needed weigh nothing. They reach at most
/// one position behind the last of the source, and that one weighs nothing.
#[derive(Debug, Default)]
pub(super) struct Weights {
    first: Vec<u32>,
    values: Vec<i16>,
    taps: usize,
    source: usize,
    exact: Vec<f64>,
    vectors: Vec<WeightVector>,
}

/// A pair of weights for each of two output pixels, repeated for the four channels of each: 16 words of 16 bits.
pub(super) type WeightVector = [i64; 4];

impl Weights {
    /// Computes the weights from `source` to `target` positions, in reverse order if `mirrored`.
    pub(super) fn compute(&mut self, source: u32, target: u32, mirrored: bool) {
        let scale = f64::from(source) / f64::from(target);
        let support = scale.max(1.0);
        self.source = source as usize;
        let span = |at: u32| {
            let centre = (f64::from(at) + 0.5) * scale;
            let first = as_index(centre - support + 0.5);
            let last = as_index(centre + support + 0.5).min(source as usize);
            (centre, first, last)
        };
        let most = (0..target)
            .map(span)
            .map(|(_, first, last)| last - first)
            .max()
            .unwrap_or(1);
        self.taps = most.next_multiple_of(2);
        self.first.clear();
        self.values.clear();
        self.vectors.clear();
        for at in 0..target {
            let (centre, first, last) = span(if mirrored { target - 1 - at } else { at });
            self.push(first, last, centre, support);
        }
    }

    /// Lays the weights out for kernels that compute four output positions at once, the first and third together, then the
    /// second and fourth: for each four, `taps / 2` vectors for the one and as many for the other.
    pub(super) fn make_vectors(&mut self) {
        let words = |weights: &[i16]| {
            let pair = u64::from(weights[0].cast_unsigned()) | (u64::from(weights[1].cast_unsigned()) << 16);
            (pair | (pair << 32)).cast_signed()
        };
        for four in self.values.chunks_exact(self.taps * 4) {
            for (left, right) in [(0, 2), (1, 3)] {
                let [left, right] = [left, right].map(|at| &four[at * self.taps..(at + 1) * self.taps]);
                let pairs = left.chunks_exact(2).map(words).zip(right.chunks_exact(2).map(words));
                self.vectors
                    .extend(pairs.map(|(left, right)| [left, left, right, right]));
            }
        }
    }

    /// What [`Weights::make_vectors`] made.
    pub(super) fn vectors(&self) -> &[WeightVector] {
        &self.vectors
    }

    fn push(&mut self, first: usize, last: usize, centre: f64, support: f64) {
        self.exact.clear();
        #[expect(clippy::cast_precision_loss, reason = "a position fits exactly")]
        let weight = |tap: usize| (1.0 - ((tap as f64 + 0.5 - centre) / support).abs()).max(0.0);
        self.exact.extend((first..last).map(weight));
        let to_one = f64::from(1_i32 << WEIGHT_BITS) / self.exact.iter().sum::<f64>();
        // Moved left where the taps would reach behind the end.
        let moved = first.min(self.source.saturating_sub(self.taps));
        let begin = self.values.len();
        self.values.resize(begin + first - moved, 0);
        // Each weight ends where the rounded sum of all before it and itself ends: so they add up to one exactly, and no
        // rounding error grows with the number of taps.
        let (mut sum, mut rounded_sum) = (0.0, 0);
        for &weight in &self.exact {
            sum += weight * to_one;
            #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1 << 14")]
            let next = (sum + 0.5) as i16;
            self.values.push(next - rounded_sum);
            rounded_sum = next;
        }
        self.values.resize(begin + self.taps, 0);
        self.first.push(u32::try_from(moved).unwrap_or(0));
    }

    /// Taps of each output position.
    pub(super) fn taps(&self) -> usize {
        self.taps
    }

    /// The first source position of output `at`, and the weights of those that exist.
    pub(super) fn at(&self, at: usize) -> (usize, &[i16]) {
        let first = self.first[at] as usize;
        let count = self.taps.min(self.source - first);
        (first, &self.values[at * self.taps..][..count])
    }

    /// The first source position of each output position, and all weights: `taps` for each.
    pub(super) fn parts(&self) -> (&[u32], &[i16]) {
        (&self.first, &self.values)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float casts saturate at zero"
)]
fn as_index(value: f64) -> usize {
    value as usize
}
