//! Keys to rows: an index of XXH3-64 hashes, sorted, each with the row of its key.
//!
//! The hashes are uniform, so [`find`] guesses the place of a hash and is right after three or four looks in five million.
//! It asks for hashes one by one, so the index may lie in memory or in a mapped file.

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::strings::Strings;

/// Guesses before [`find`] falls back to halving, which ends whatever the data.
const MAX_GUESSES: u32 = 12;

/// The hash of a key: XXH3-64 with seed 0 of its UTF-8 bytes.
#[must_use]
pub fn hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// Hashes in ascending order, and the row of each.
#[derive(Debug, Default)]
pub struct Index {
    /// Sorted; equal hashes are sorted by row.
    pub hash: Vec<u64>,
    /// Row of the key with that hash.
    pub row: Vec<u32>,
    /// Pairs of rows whose keys are the same string: the first such row, and each later one.
    pub duplicates: Vec<u32>,
}

/// Hash and row of every key, sorted.
fn sorted_hashes(keys: &Strings) -> Result<Vec<(u64, u32)>> {
    if u32::try_from(keys.len()).is_err() {
        return Err(Error::InvalidRequest(format!(
            "{} keys: an index holds at most {}",
            keys.len(),
            u32::MAX
        )));
    }
    let mut hashes: Vec<_> = keys.iter().map(hash).zip(0u32..).collect();
    hashes.sort_unstable();
    Ok(hashes)
}

fn key(keys: &Strings, row: u32) -> &str {
    keys.get(row as usize).unwrap_or_default()
}

/// Builds the index of `keys`.
///
/// # Errors
///
/// [`Error::InvalidRequest`] if there are 2^32 keys or more.
pub fn index(keys: &Strings) -> Result<Index> {
    let hashes = sorted_hashes(keys)?;
    let mut duplicates = Vec::new();
    for run in hashes.chunk_by(|one, other| one.0 == other.0) {
        if run.len() > 1 {
            // Sorted by key, so that a million equal keys cost no million squared comparisons.
            let mut rows: Vec<u32> = run.iter().map(|&(_, row)| row).collect();
            rows.sort_by(|&one, &other| (key(keys, one), one).cmp(&(key(keys, other), other)));
            for same in rows.chunk_by(|&one, &other| key(keys, one) == key(keys, other)) {
                duplicates.extend(same[1..].iter().flat_map(|&later| [same[0], later]));
            }
        }
    }
    let (hash, row) = hashes.into_iter().unzip();
    Ok(Index { hash, row, duplicates })
}

/// The row in `keys` of each of `wanted`, or -1; of equal keys, the first row.
///
/// # Errors
///
/// [`Error::InvalidRequest`] if either has 2^32 keys or more.
pub fn match_rows(keys: &Strings, wanted: &Strings) -> Result<Vec<i64>> {
    let known = sorted_hashes(keys)?;
    let mut rows = vec![-1; wanted.len()];
    let mut start = 0;
    // Both are sorted, so the search in `known` only goes forward.
    for (hash, asked) in sorted_hashes(wanted)? {
        while known.get(start).is_some_and(|&(known, _)| known < hash) {
            start += 1;
        }
        let same = known[start..].iter().take_while(|&&(known, _)| known == hash);
        let found = same
            .map(|&(_, row)| row)
            .find(|&row| key(keys, row) == key(wanted, asked));
        if let Some(row) = found {
            rows[asked as usize] = i64::from(row);
        }
    }
    Ok(rows)
}

/// Position in a sorted column of `len` hashes of the entry with this hash that `is_match` accepts.
///
/// Costs at most `MAX_GUESSES` + 64 looks, plus one for each equal hash, even if the column is not sorted; then
/// an entry may be missed, but never a wrong one be returned that `is_match` would refuse.
///
/// # Errors
///
/// Those of `hash_at` and `is_match`.
///
/// # Examples
///
/// ```
/// let hashes = [3, 5, 5, 9];
/// let found = arraystore_core::keys::find(4, 5, |at| Ok(hashes[at as usize]), |at| Ok(at == 2))?;
/// assert_eq!(found, Some(2));
/// # Ok::<(), arraystore_core::Error>(())
/// ```
pub fn find(
    len: u64,
    hash: u64,
    mut hash_at: impl FnMut(u64) -> Result<u64>,
    mut is_match: impl FnMut(u64) -> Result<bool>,
) -> Result<Option<u64>> {
    let first = lower_bound(len, hash, &mut hash_at)?;
    let mut at = first;
    while at < len && hash_at(at)? == hash {
        if is_match(at)? {
            return Ok(Some(at));
        }
        at += 1;
    }
    Ok(None)
}

/// The first position whose hash is not below `hash`.
fn lower_bound(len: u64, hash: u64, hash_at: &mut impl FnMut(u64) -> Result<u64>) -> Result<u64> {
    // The answer is in [low, high]; the hash before `low` is `below` or more, the one at `high` is `above` or less.
    let (mut low, mut high) = (0, len);
    let (mut below, mut above) = (0, u64::MAX);
    let mut guesses = 0;
    while low < high {
        let at = if guesses < MAX_GUESSES {
            guess(low, high, hash, below, above)
        } else {
            low + (high - low) / 2
        };
        guesses += 1;
        let found = hash_at(at)?;
        if found < hash {
            (low, below) = (at + 1, found);
        } else {
            (high, above) = (at, found);
            if found == hash {
                // Nearly always the only one with this hash: look left instead of guessing on.
                if at == low || hash_at(at - 1)? < hash {
                    return Ok(at);
                }
            }
        }
    }
    Ok(low)
}

/// Where `hash` would be in `[low, high)` if the hashes in between were evenly spread.
fn guess(low: u64, high: u64, hash: u64, below: u64, above: u64) -> u64 {
    let part = u128::from(hash.saturating_sub(below));
    let whole = u128::from(above.saturating_sub(below)).max(1);
    let steps = part * u128::from(high - low) / whole;
    low + u64::try_from(steps).unwrap_or(u64::MAX).min(high - low - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbered(count: usize) -> Strings {
        let keys: Vec<String> = (0..count).map(|i| format!("KEY{i}-20")).collect();
        keys.iter().map(String::as_str).collect()
    }

    fn look_up(index: &Index, keys: &Strings, wanted: &str) -> (Option<u64>, u32) {
        let mut looks = 0;
        let position = find(
            index.hash.len() as u64,
            hash(wanted),
            |at| {
                looks += 1;
                Ok(index.hash[usize::try_from(at).unwrap()])
            },
            |at| Ok(key(keys, index.row[usize::try_from(at).unwrap()]) == wanted),
        );
        (position.unwrap(), looks)
    }

    #[test]
    fn every_key_is_found_in_few_looks_and_no_other() {
        let keys = numbered(20_000);
        let index = index(&keys).unwrap();
        let mut all = 0;
        for (row, key) in keys.iter().enumerate() {
            let (position, looks) = look_up(&index, &keys, key);
            assert_eq!(index.row[usize::try_from(position.unwrap()).unwrap()] as usize, row);
            assert!(looks < MAX_GUESSES + 64);
            all += looks;
        }
        assert!(all < 7 * 20_000, "{all} looks for 20,000 keys");
        assert_eq!(look_up(&index, &keys, "absent").0, None);
    }

    #[test]
    fn equal_keys_are_pairs_of_the_first_row_and_each_later_one() {
        let keys: Strings = ["b", "a", "b", "c", "b"].into_iter().collect();
        assert_eq!(index(&keys).unwrap().duplicates, [0, 2, 0, 4]);
    }

    #[test]
    fn a_million_equal_keys_take_no_time() {
        let keys: Strings = std::iter::repeat_n("same", 1_000_000).collect();
        assert_eq!(index(&keys).unwrap().duplicates.len(), 2 * 999_999);
    }

    #[test]
    fn match_gives_the_first_row_of_a_key_or_minus_one() {
        let keys: Strings = ["b", "a", "b"].into_iter().collect();
        let wanted: Strings = ["x", "b", "a", "", "b"].into_iter().collect();
        assert_eq!(match_rows(&keys, &wanted).unwrap(), [-1, 0, 1, -1, 0]);
    }

    proptest! {
        #[test]
        fn find_agrees_with_a_scan_of_sorted_hashes(mut hashes in prop::collection::vec(0u64..40, 0..60), wanted in 0u64..40) {
            hashes.sort_unstable();
            let at = |at: u64| hashes[usize::try_from(at).unwrap()];
            let found = find(hashes.len() as u64, wanted, |place| Ok(at(place)), |_| Ok(true)).unwrap();
            let scanned = hashes.iter().position(|&hash| hash == wanted).map(|at| at as u64);
            prop_assert_eq!(found, scanned);
        }

        #[test]
        fn find_ends_on_unsorted_hashes(hashes in prop::collection::vec(any::<u64>(), 0..60), wanted in any::<u64>()) {
            let mut looks = 0;
            let found = find(
                hashes.len() as u64,
                wanted,
                |at| { looks += 1; Ok(hashes[usize::try_from(at).unwrap()]) },
                |_| Ok(true),
            ).unwrap();
            prop_assert!(looks < 200);
            prop_assert!(found.is_none_or(|at| hashes[usize::try_from(at).unwrap()] == wanted));
        }
    }
}
