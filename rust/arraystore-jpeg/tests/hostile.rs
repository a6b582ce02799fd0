//! Whatever the bytes: what is decoded has the pixels of libjpeg-turbo, which then has no complaint, or it is declined;
//! and nothing of a damaged image is left for the next one.
//!
//! `ARRAYSTORE_FUZZ_SECONDS` lets the loops run for that long, with new numbers each time; `ARRAYSTORE_FUZZ_SEED` sets
//! these. `ARRAYSTORE_FUZZ_SETS` names the sets of instructions, as `portable,AVX2`, where some cannot run.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop at once, and says what it has tried"
)]

mod fuzzer;
mod mutation;
mod reference;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fuzzer::{Counts, Fuzzer};
use mutation::LIES;
use reference::Numbers;

/// How long a loop runs, and its first number.
fn plan(seed: u64) -> (Duration, Numbers) {
    let seconds = std::env::var("ARRAYSTORE_FUZZ_SECONDS").map(|seconds| seconds.parse().unwrap());
    let given = std::env::var("ARRAYSTORE_FUZZ_SEED").map(|seed| seed.parse().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let fresh = if seconds.is_ok() { now } else { 0 };
    let mut numbers = Numbers(seed.wrapping_add(given.unwrap_or(fresh).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    numbers.next();
    (Duration::from_secs(seconds.unwrap_or(3)), numbers)
}

/// Runs a loop with new images every few seconds.
fn run(seed: u64, run: impl Fn(&mut Fuzzer, Duration)) -> Counts {
    const ROUND: Duration = Duration::from_secs(10);
    let (duration, mut numbers) = plan(seed);
    let start = Instant::now();
    let mut counts = Counts::default();
    while let Some(left) = duration.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        let mut fuzzer = Fuzzer::new(numbers.clone());
        fuzzer.counts = counts;
        run(&mut fuzzer, left.min(ROUND));
        counts = fuzzer.counts;
        numbers = fuzzer.numbers;
    }
    eprintln!("{counts:?}");
    counts
}

#[test]
fn damaged_images_are_declined_or_decoded_like_libjpeg_turbo() {
    let counts = run(1, Fuzzer::damage);
    assert!(counts.equal > 0 && counts.declined > 0, "{counts:?}");
}

#[test]
fn seek_tables_that_lie_are_noticed() {
    let counts = run(2, Fuzzer::lie);
    for (name, [top, wide, narrow]) in LIES.iter().zip(counts.lies) {
        eprintln!("{name}: wrong of all: from the top {top:?}, wide {wide:?}, narrow {narrow:?}");
    }
}
