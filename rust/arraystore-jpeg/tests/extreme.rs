//! Coefficients that no encoder makes of pixels: decoded with the pixels of libjpeg-turbo, or declined.
//!
//! These are the pixels of its kernels for vectors, which saturate; its plain C wraps around instead.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at once")]

mod reference;
mod writer;

use arraystore_jpeg::instructions::Instructions;
use arraystore_jpeg::{Area, Decoder, Frame, Indexer};
use reference::{Numbers, cut, decode, seek_table};
use writer::{Coefficients, Writer};

/// Luma factors of all samplings of three components; 0 for gray.
const FACTORS: [u8; 5] = [0, 0x11, 0x21, 0x12, 0x22];

/// Decodes with every set of instructions, whole and in a box with a seek table. Returns how often it was not declined.
fn check(writer: &Writer, name: &str) -> usize {
    let jpeg = writer.jpeg();
    let frame = Frame::parse(&jpeg).unwrap();
    let whole = Area {
        top: 0,
        left: 0,
        height: frame.height,
        width: frame.width,
    };
    let part = Area {
        top: frame.height / 3,
        left: frame.width / 3,
        height: frame.height / 2,
        width: frame.width / 2,
    };
    let expected = decode(&jpeg);
    let table = seek_table(&mut Indexer::default(), &jpeg, 1);
    let mut decoded = 0;
    for instructions in Instructions::available() {
        let mut with_set = Decoder::new(instructions);
        // The wide tables come with the third image that has the same.
        for round in 0..3 {
            for (area, seek) in [(whole, None), (part, None), (part, table.as_deref())] {
                let mut found = vec![0x5a; area.width * area.height * 3];
                if with_set.decode(&frame, seek, area, &mut found).is_err() {
                    continue;
                }
                decoded += 1;
                let (_, width, pixels) = match &expected {
                    Ok((width, height, pixels)) => (height, *width, pixels),
                    Err(problem) => panic!("{name}, {instructions}: libjpeg-turbo says {problem}"),
                };
                let wanted = cut(pixels, width, area);
                let differ = found.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
                assert_eq!(
                    differ, None,
                    "{name}, {instructions}, {area:?}, round {round}: {writer:?}"
                );
            }
        }
    }
    decoded
}

/// A block of one of several kinds, whose coefficients reach `dc` and `ac`.
fn block(kind: usize, dc: i16, ac: i16, numbers: &mut Numbers) -> Coefficients {
    let mut block = [0; 64];
    let sign = |numbers: &mut Numbers| if numbers.below(2) == 0 { 1 } else { -1 };
    block[0] = dc * sign(numbers);
    match kind {
        // Alternating signs.
        0 => (1..64).for_each(|at| block[at] = if at % 2 == 0 { ac } else { -ac }),
        // All of one sign.
        1 => block[1..].fill(ac * sign(numbers)),
        2 => block[1..].fill_with(|| ac * sign(numbers)),
        // Only some: at the first places, at the last one, anywhere.
        3 => block[1..=numbers.below(12)].fill_with(|| ac * sign(numbers)),
        4 => block[63] = ac * sign(numbers),
        5 => (0..numbers.below(6)).for_each(|_| block[1 + numbers.below(63)] = ac * sign(numbers)),
        6 => {}
        // Of any size up to the most.
        _ => block.fill_with(|| {
            let most = usize::from(ac.unsigned_abs());
            i16::try_from(numbers.below(most + 1)).unwrap() * sign(numbers)
        }),
    }
    block
}

const KINDS: usize = 8;

/// Of `-most..most`.
fn value_below(most: i16, numbers: &mut Numbers) -> i16 {
    i16::try_from(numbers.below(2 * usize::from(most.unsigned_abs()))).unwrap() - most
}

/// An image of 5 x 4 MCUs.
fn writer(factors: u8, quantisation: [u8; 64], restarts: u16, mut block: impl FnMut() -> Coefficients) -> Writer {
    let per_mcu = match factors {
        0 => 1,
        factors => usize::from(factors >> 4) * usize::from(factors & 15) + 2,
    };
    let columns = 5;
    let blocks = (0..columns * 4 * per_mcu).map(|_| block()).collect();
    Writer {
        factors,
        columns,
        restarts,
        quantisation,
        blocks,
    }
}

#[test]
fn coefficients_at_their_limits() {
    let mut numbers = Numbers(1);
    let mut decoded = 0;
    for factors in FACTORS {
        for factor in [1, 2, 8, 16, 64, 255] {
            for (dc, ac) in [
                (1024, 1023),
                (2047, 1023),
                (1016, 127),
                (1024 / i16::from(factor), 1023 / i16::from(factor)),
            ] {
                for kind in 0..=KINDS {
                    let name = format!("sampling {factors:x}, factor {factor}, DC {dc}, AC {ac}, kind {kind}");
                    let writer = writer(factors, [factor; 64], 0, || {
                        let kind = if kind == KINDS { numbers.below(KINDS) } else { kind };
                        block(kind, dc, ac, &mut numbers)
                    });
                    decoded += check(&writer, &name);
                }
            }
        }
    }
    assert!(decoded > 500, "only {decoded} were not declined");
}

#[test]
fn coefficients_of_any_size() {
    let mut numbers = Numbers(2);
    let mut decoded = 0;
    for round in 0..400 {
        let factors = FACTORS[numbers.below(5)];
        let most = 1 << numbers.below(9);
        let mut quantisation = [0; 64];
        quantisation.fill_with(|| u8::try_from(numbers.below(most)).unwrap());
        let (dc, ac) = (1 << numbers.below(15), (1 << (1 + numbers.below(14))) - 1);
        let restarts = [0, 0, 1, 3, 7][numbers.below(5)];
        let writer = writer(factors, quantisation, restarts, || {
            let kind = numbers.below(KINDS);
            block(kind, dc, ac, &mut numbers)
        });
        decoded += check(
            &writer,
            &format!("round {round}, DC {dc}, AC {ac}, factors below {most}"),
        );
    }
    assert!(decoded > 500, "only {decoded} were not declined");
}

/// Only rows and columns 0 and 4 of the transform are asked for their sizes: all others may reach what vectors of 16 bits
/// hold, and wrap around or saturate.
#[test]
fn sums_around_the_limits_of_vectors() {
    let mut numbers = Numbers(3);
    let mut decoded = 0;
    for round in 0..3000 {
        let factors = FACTORS[numbers.below(5)];
        let (most, spread) = (1 << (6 + numbers.below(9)), 1 + numbers.below(64));
        let mut images = writer(factors, [1; 64], 0, || {
            let mut block = [0; 64];
            block[0] = value_below(4096, &mut numbers);
            for _ in 0..=round % 20 {
                block[1 + numbers.below(spread).min(62)] = value_below(most, &mut numbers);
            }
            block
        });
        let per_mcu = images.blocks.len() / 20;
        images.columns = 1;
        images.blocks.truncate(per_mcu);
        decoded += check(&images, &format!("round {round}"));
    }
    assert!(decoded > 500, "only {decoded} were not declined");
}

#[test]
fn sums_at_the_limits_of_32_bits() {
    let mut block = [0; 64];
    for dc in [4095, 3990, 3900, 1024] {
        let most = 2 * dc + 1;
        for (at, value) in [
            (0, dc),
            (1, -2),
            (5, most),
            (6, most),
            (14, -dc),
            (15, -most),
            (27, -most),
            (28, 1),
        ] {
            block[at] = value;
        }
        let mut one = writer(0, [1; 64], 0, || block);
        one.columns = 1;
        one.blocks.truncate(1);
        let decoded = check(&one, &format!("DC {dc}"));
        assert!(dc > 1024 || decoded > 0, "DC {dc} was declined");
    }
}
