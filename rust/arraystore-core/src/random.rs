//! Counter-based random numbers: a pure function of `(seed, epoch, row)` and of which draw it is.
//!
//! No generator is shared, so the numbers of a record are the same in any batch, thread, process or machine. The mixer is
//! the finaliser of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014), applied once for each word of the key.

/// What the random numbers of a record depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomKey {
    /// The user's seed.
    pub seed: u64,
    /// How often the data have been gone through.
    pub epoch: u64,
    /// Row of the record in the store.
    pub row: u64,
}

/// The random numbers of one record, in the order in which they are drawn.
#[derive(Debug, Clone)]
pub struct Draws {
    state: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Draws {
    /// The stream of one record.
    #[must_use]
    pub fn new(key: RandomKey) -> Self {
        let absorb = |state: u64, word: u64| mix(state.wrapping_add(GOLDEN) ^ mix(word.wrapping_add(GOLDEN)));
        Self {
            state: absorb(absorb(absorb(0, key.seed), key.epoch), key.row),
        }
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// The next number, uniform in `[0, 1)`, with 53 random bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// The next number, uniform in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// The next integer, uniform in `0..=most` to within 2^-32.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the high word of the product is at most `most`"
    )]
    pub fn up_to(&mut self, most: u32) -> u32 {
        ((u128::from(self.bits()) * (u128::from(most) + 1)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: RandomKey = RandomKey {
        seed: 7,
        epoch: 3,
        row: 42,
    };

    #[test]
    fn the_stream_never_changes_between_releases() {
        let mut draws = Draws::new(KEY);
        let first: Vec<u64> = (0..3).map(|_| draws.bits()).collect();
        assert_eq!(first, PINNED);
    }

    /// Computed by a program of ten lines in another language from the formula in the module's first lines.
    const PINNED: [u64; 3] = [
        11_767_387_719_767_599_212,
        18_113_497_429_296_854_189,
        11_057_286_832_278_564_734,
    ];

    #[test]
    fn each_word_of_the_key_matters() {
        let first = |key| Draws::new(key).bits();
        let all = [
            first(KEY),
            first(RandomKey { seed: 8, ..KEY }),
            first(RandomKey { epoch: 4, ..KEY }),
            first(RandomKey { row: 43, ..KEY }),
            first(RandomKey {
                seed: 3,
                epoch: 7,
                row: 42,
            }),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one));
        }
    }

    #[test]
    fn integers_reach_both_ends_and_units_are_uniform() {
        let mut seen = [0_u32; 4];
        let mut sum = 0.0;
        for row in 0..10_000 {
            let mut draws = Draws::new(RandomKey { seed: 0, epoch: 0, row });
            seen[draws.up_to(3) as usize] += 1;
            sum += draws.unit();
        }
        assert!(seen.iter().all(|count| (2300..2700).contains(count)), "{seen:?}");
        assert!((sum / 10_000.0 - 0.5).abs() < 0.01);
        assert_eq!(Draws::new(KEY).up_to(0), 0);
    }
}
