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

use arraystore_jpeg::instructions::Instructions;
use arraystore_jpeg::{Area, Decoder, Frame, Indexer};
use fuzzer::{Counts, Fuzzer};
use mutation::{LIES, segments};
use reference::{Encoding, Numbers, SAMPLINGS, cut, decode, encode, noise, seek_table};

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

/// An image with some bytes of its frame changed.
fn with_frame(jpeg: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = jpeg.to_vec();
    let is_frame = |start: &usize| jpeg[start + 1] == 0xc0;
    let start = segments(jpeg).iter().map(|range| range.start).find(is_frame).unwrap();
    changed[start + 4 + at..][..bytes.len()].copy_from_slice(bytes);
    changed
}

#[test]
fn headers_that_libjpeg_turbo_refuses_are_declined() {
    let pixels = noise(16, 16, &mut Numbers(3));
    let [colour, .., gray] = SAMPLINGS.map(|sampling| {
        let encoding = Encoding {
            sampling,
            ..Encoding::default()
        };
        encode(&pixels, 16, 16, encoding)
    });
    let mut refused: Vec<Vec<u8>> = [0, 0x10, 0x01, 0x51, 0x15]
        .map(|factors| with_frame(&gray, 7, &[factors]))
        .to_vec();
    refused.push(with_frame(&colour, 1, &65_501_u16.to_be_bytes()));
    refused.push(with_frame(&colour, 3, &65_535_u16.to_be_bytes()));
    // A table of 300 symbols that no component uses.
    let mut large = [
        &[
            0xff, 0xc4, 1, 0x3f, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 150, 150,
        ][..],
        &[0; 300],
    ]
    .concat();
    large.extend_from_slice(&colour[2..]);
    refused.push([&colour[..2], &large].concat());
    for jpeg in refused {
        assert!(decode(&jpeg).is_err());
        assert!(Frame::parse(&jpeg).is_err());
    }
    // One component has one block to an MCU whatever its factors.
    assert!(decode(&with_frame(&gray, 7, &[0x42])).is_ok());
    assert!(Frame::parse(&with_frame(&gray, 7, &[0x42])).is_ok());
}

#[test]
fn a_frame_without_content_is_declined() {
    let jpeg = encode(&noise(16, 16, &mut Numbers(1)), 16, 16, Encoding::default());
    let twice = [&jpeg[..2], &[0xff, 0xc0, 0, 2], &jpeg[2..]].concat();
    assert!(decode(&twice).is_err());
    assert!(Frame::parse(&twice).is_err());
}

/// Each was once decoded otherwise than by libjpeg-turbo, or not refused as it does.
#[test]
fn seeds_are_declined_or_decoded_like_libjpeg_turbo() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let jpeg = std::fs::read(&path).unwrap();
        seeds += 1;
        let Ok(frame) = Frame::parse(&jpeg) else { continue };
        let table = seek_table(&mut Indexer::default(), &jpeg, 1);
        for instructions in Instructions::available() {
            let mut decoder = Decoder::new(instructions);
            for top in 0..frame.height {
                let area = Area {
                    top,
                    left: 0,
                    height: frame.height - top,
                    width: frame.width - top % 2 * 7,
                };
                for seek in [None, table.as_deref()] {
                    let mut found = vec![0; area.height * area.width * 3];
                    if decoder.decode(&frame, seek, area, &mut found).is_ok() {
                        let (width, _, pixels) = decode(&jpeg).unwrap();
                        assert!(
                            found == cut(&pixels, width, area),
                            "{}, {instructions}, {area:?}",
                            path.display()
                        );
                    }
                }
            }
        }
    }
    assert!(seeds >= 3, "{seeds} seeds in {folder}");
}
