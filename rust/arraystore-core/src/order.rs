//! The order of an epoch: permutations of rows that can be entered at any place and need no memory.
//!
//! Everything here is pure: the order is a function of a key, which is made of a seed and an epoch.

use crate::error::{Error, Result};
use crate::random::{Draws, RandomKey};

/// A permutation of `0..len`, chosen by a key.
///
/// A Feistel network over the next power of four, walked until it falls into the range (Black and Rogaway, 2002). Its
/// round function is the mixer of the random numbers.
///
/// # Examples
///
/// ```
/// use arraystore_core::order::Permutation;
///
/// let order = Permutation::new(10, 7);
/// let mut rows: Vec<u64> = (0..10).map(|position| order.at(position)).collect();
/// rows.sort_unstable();
/// assert_eq!(rows, Vec::from_iter(0..10));
/// ```
#[derive(Debug, Clone)]
pub struct Permutation {
    len: u64,
    half_bits: u32,
    round_keys: [u64; ROUNDS],
}

const ROUNDS: usize = 6;

/// Halves of fewer bits would leave out many permutations.
const LEAST_HALF_BITS: u32 = 5;

impl Permutation {
    /// The permutation of a key.
    #[must_use]
    pub fn new(len: u64, key: u64) -> Self {
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        let mut draws = Draws::new(RandomKey {
            seed: key,
            epoch: len,
            row: 0,
        });
        Self {
            len,
            half_bits: bits.div_ceil(2).max(LEAST_HALF_BITS),
            round_keys: std::array::from_fn(|_| draws.bits()),
        }
    }

    /// What stands at `position`, which must be below the length.
    #[must_use]
    pub fn at(&self, position: u64) -> u64 {
        debug_assert!(position < self.len, "{position} of {}", self.len);
        let mut value = position;
        loop {
            value = self.network(value);
            if value < self.len {
                return value;
            }
        }
    }

    fn network(&self, value: u64) -> u64 {
        let mask = u64::MAX >> (u64::BITS - self.half_bits);
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.round_keys {
            (left, right) = (right, (left ^ scramble(right ^ key)) & mask);
        }
        left << self.half_bits | right
    }
}

/// The key of the order of an epoch; the row is one that no record has.
#[must_use]
pub fn order_key(seed: u64, epoch: u64) -> u64 {
    let row = u64::MAX;
    Draws::new(RandomKey { seed, epoch, row }).bits()
}

/// A number in `[0, 1)` for a position of an epoch, to draw its row with.
#[must_use]
pub fn unit_at(seed: u64, epoch: u64, position: u64) -> f64 {
    let seed = order_key(seed, epoch);
    let row = position;
    Draws::new(RandomKey { seed, epoch, row }).unit()
}

/// One round: the upper half of a product with an odd number depends on all bits.
fn scramble(word: u64) -> u64 {
    let product = u128::from(word ^ word >> 29) * 0xd6e8_feb8_6659_fd93_u128;
    #[expect(clippy::cast_possible_truncation, reason = "both halves are meant")]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded ^ folded >> 32
}

/// How an epoch goes through the rows.
#[derive(Debug, Clone)]
pub enum Order {
    /// Any row at any place.
    Full(Permutation),
    /// Blocks of neighbours, mixed within windows of some blocks.
    Window(Windows),
}

/// Blocks of neighbours in a random order, and the rows of each few blocks mixed.
#[derive(Debug, Clone)]
pub struct Windows {
    len: u64,
    block: u64,
    window: u64,
    /// Where the first block begins: blocks are others in each epoch.
    first: u64,
    key: u64,
    blocks: Permutation,
}

impl Windows {
    /// Of `len` places, `blocks` blocks of `block` places to a window.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if a window holds nothing.
    pub fn new(len: u64, key: u64, block: u64, blocks: u64) -> Result<Self> {
        let window = block.checked_mul(blocks).filter(|&window| window > 0);
        let window = window.ok_or_else(|| Error::InvalidRequest(format!("a window of {blocks} blocks of {block}")))?;
        let mut draws = Draws::new(RandomKey {
            seed: key,
            epoch: len,
            row: 1,
        });
        Ok(Self {
            len,
            block,
            window,
            first: if len == 0 { 0 } else { draws.bits() % len },
            key: draws.bits(),
            blocks: Permutation::new(len / block, draws.bits()),
        })
    }

    /// What stands at `position`, which must be below the length.
    #[must_use]
    pub fn at(&self, position: u64) -> u64 {
        let number = position / self.window;
        let begin = number * self.window;
        let within = Permutation::new(self.window.min(self.len - begin), self.key.wrapping_add(number));
        self.place(begin + within.at(position - begin))
    }

    /// The rows before windows are mixed: whole blocks, and what is left of the last behind them.
    fn place(&self, position: u64) -> u64 {
        let number = position / self.block;
        let whole = self.len / self.block;
        let block = if number < whole { self.blocks.at(number) } else { number };
        let place = block * self.block + position % self.block + self.first;
        if place < self.len { place } else { place - self.len }
    }
}

impl Order {
    /// What stands at each of some positions.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`] for a position behind the last.
    pub fn take(&self, positions: impl Iterator<Item = u64>) -> Result<Vec<i64>> {
        let len = match self {
            Self::Full(order) => order.len,
            Self::Window(order) => order.len,
        };
        positions
            .map(|position| {
                if position >= len {
                    return Err(Error::RowOutOfRange {
                        row: position.cast_signed(),
                        len,
                    });
                }
                let row = match self {
                    Self::Full(order) => order.at(position),
                    Self::Window(order) => order.at(position),
                };
                Ok(row.cast_signed())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_permutation(mut rows: Vec<i64>, len: u64) -> bool {
        rows.sort_unstable();
        rows.into_iter().eq(0..len.cast_signed())
    }

    proptest! {
        #[test]
        fn each_row_comes_once(len in 1_u64..5000, key: u64, block in 1_u64..40, blocks in 1_u64..9) {
            prop_assert!(is_permutation(Order::Full(Permutation::new(len, key)).take(0..len).unwrap(), len));
            let windows = Windows::new(len, key, block, blocks).unwrap();
            prop_assert!(is_permutation(Order::Window(windows).take(0..len).unwrap(), len));
        }

        #[test]
        fn a_window_holds_a_few_runs_of_neighbours(key: u64, len in 4000_u64..9000) {
            let windows = Windows::new(len, key, 50, 8).unwrap();
            let mut rows = Order::Window(windows).take(0..400).unwrap();
            rows.sort_unstable();
            let runs = 1 + rows.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
            // One more if a run goes over the end of the rows.
            prop_assert!(runs <= 9, "{runs} runs");
        }
    }

    /// Of five million rows, the mean distance of neighbours is a third; of a permutation of few, each comes as often.
    #[test]
    fn a_full_shuffle_is_uniform() {
        let len = 5_150_850;
        let order = Permutation::new(len, 3);
        let rows: Vec<u64> = (0..100_000).map(|position| order.at(position)).collect();
        #[expect(clippy::cast_precision_loss, reason = "a mean")]
        let mean = rows
            .windows(2)
            .map(|pair| pair[0].abs_diff(pair[1]) as f64)
            .sum::<f64>()
            / 99_999.0
            / len as f64;
        assert!((mean - 1.0 / 3.0).abs() < 0.005, "{mean}");
        let mut tenths = [0_u32; 10];
        for row in &rows {
            tenths[usize::try_from(row * 10 / len).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (9_600..10_400).contains(count)), "{tenths:?}");
    }

    #[test]
    fn all_permutations_of_four_come_equally_often() {
        let mut counts = std::collections::HashMap::new();
        for key in 0..24_000 {
            let order = Permutation::new(4, key);
            *counts
                .entry([0, 1, 2, 3].map(|position| order.at(position)))
                .or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        // The standard deviation is 31.
        assert!(counts.values().all(|count| (840..1160).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_order_never_changes_between_releases() {
        let full = Order::Full(Permutation::new(1000, 42)).take(0..6).unwrap();
        let window = Order::Window(Windows::new(1000, 42, 10, 5).unwrap())
            .take(0..6)
            .unwrap();
        assert_eq!((full, window), (PINNED_FULL.to_vec(), PINNED_WINDOW.to_vec()));
    }

    const PINNED_FULL: [i64; 6] = [926, 51, 576, 163, 531, 263];
    const PINNED_WINDOW: [i64; 6] = [153, 367, 486, 154, 839, 836];
}
