//! Pixels are those of libjpeg-turbo, to the bit, with every set of instructions, whole and in boxes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at once")]

mod reference;

use arraystore_jpeg::instructions::Instructions;
use arraystore_jpeg::{Area, Decoder, Frame, Indexer};
use reference::{Encoding, Numbers, SAMPLINGS, cut, decode, encode, noise, picture, seek_table};

/// A decoder for each set of instructions.
fn decoders() -> Vec<(Instructions, Decoder)> {
    Instructions::available()
        .map(|instructions| (instructions, Decoder::new(instructions)))
        .collect()
}

/// Compares the whole image and some boxes, without and with seek tables, with every set of instructions.
fn check(jpeg: &[u8], boxes: usize, numbers: &mut Numbers, name: &str) {
    let (width, height, expected) = decode(jpeg).unwrap();
    let frame = Frame::parse(jpeg).unwrap();
    assert_eq!((frame.width, frame.height), (width, height));
    let mut areas = vec![Area {
        top: 0,
        left: 0,
        height,
        width,
    }];
    for _ in 0..boxes {
        let (box_height, box_width) = (1 + numbers.below(height), 1 + numbers.below(width));
        let (top, left) = (
            numbers.below(height - box_height + 1),
            numbers.below(width - box_width + 1),
        );
        areas.push(Area {
            top,
            left,
            height: box_height,
            width: box_width,
        });
    }
    // One pixel at each corner.
    for (top, left) in [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)] {
        areas.push(Area {
            top,
            left,
            height: 1,
            width: 1,
        });
    }
    let tables = [1, 3].map(|step| seek_table(&mut Indexer::default(), jpeg, step).unwrap());
    for (instructions, mut decoder) in decoders() {
        for &area in &areas {
            let wanted = cut(&expected, width, area);
            for table in std::iter::once(None).chain(tables.iter().map(|table| Some(&table[..]))) {
                let mut found = vec![7; wanted.len()];
                decoder.decode(&frame, table, area, &mut found).unwrap();
                if found != wanted {
                    let at = found
                        .iter()
                        .zip(&wanted)
                        .position(|(found, wanted)| found != wanted)
                        .unwrap();
                    let (row, rest) = (at / (area.width * 3), at % (area.width * 3));
                    panic!(
                        "{name}, {instructions}, {width} x {height}, {area:?}, table {:?}: pixel ({row}, {}) channel {}: \
                         expected {}, found {}",
                        table.map(<[u8]>::len),
                        rest / 3,
                        rest % 3,
                        wanted[at],
                        found[at]
                    );
                }
            }
        }
    }
}

#[test]
fn every_sampling_and_size() {
    let mut numbers = Numbers(1);
    for sampling in SAMPLINGS {
        for width in 1..=40 {
            for height in [1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 40] {
                let pixels = picture(width, height, 30, &mut numbers);
                let encoding = Encoding {
                    sampling,
                    ..Encoding::default()
                };
                let jpeg = encode(&pixels, width, height, encoding);
                check(&jpeg, 2, &mut numbers, &format!("{sampling}"));
            }
        }
    }
}

#[test]
fn every_quality() {
    let mut numbers = Numbers(2);
    for quality in 1..=100 {
        for optimise in [false, true] {
            let sampling = SAMPLINGS[numbers.below(5)];
            let pixels = picture(173, 131, 60, &mut numbers);
            let encoding = Encoding {
                sampling,
                quality,
                optimise,
                ..Encoding::default()
            };
            check(
                &encode(&pixels, 173, 131, encoding),
                6,
                &mut numbers,
                &format!("quality {quality}"),
            );
        }
    }
}

/// Wrong tables would only cost time, or be noticed at the end of a row: here they are compared with those that are known to be
/// right.
#[test]
fn seek_tables_are_those_of_the_format() {
    let mut numbers = Numbers(9);
    let tables = SAMPLINGS.map(|sampling| {
        let encoding = Encoding {
            sampling,
            ..Encoding::default()
        };
        let jpeg = encode(&picture(70, 41, 60, &mut numbers), 70, 41, encoding);
        seek_table(&mut Indexer::default(), &jpeg, 1).unwrap()
    });
    let expected: [&[u8]; 5] = [
        &[1, 136, 20, 91, 40, 48, 191, 20, 24, 5, 19],
        &[
            1, 158, 11, 125, 40, 50, 223, 11, 34, 19, 6, 185, 11, 10, 2, 27, 190, 11, 14, 4, 0, 150, 11, 12, 1, 9,
        ],
        &[
            1, 230, 16, 129, 1, 32, 40, 202, 16, 40, 7, 10, 236, 15, 4, 12, 19, 232, 15, 14, 1, 5, 182, 16, 20, 5, 13,
        ],
        &[1, 148, 23, 91, 32, 48, 185, 22, 22, 2, 19],
        &[1, 233, 8, 135, 1, 245, 7, 48, 146, 9, 7, 232, 8, 26, 238, 7, 16],
    ];
    assert_eq!(tables.each_ref().map(|table| &table[..]), expected);
}

#[test]
fn restart_intervals() {
    let mut numbers = Numbers(3);
    for sampling in SAMPLINGS {
        for restarts in [1, 2, 3, 5, 8, 11, 40, 1000] {
            let pixels = picture(180, 120, 60, &mut numbers);
            let encoding = Encoding {
                sampling,
                restarts,
                ..Encoding::default()
            };
            check(
                &encode(&pixels, 180, 120, encoding),
                6,
                &mut numbers,
                &format!("restarts {restarts}"),
            );
        }
    }
}

#[test]
fn noise_at_the_best_quality() {
    let mut numbers = Numbers(4);
    for sampling in SAMPLINGS {
        for quality in [90, 98, 100] {
            let pixels = noise(150, 90, &mut numbers);
            let encoding = Encoding {
                sampling,
                quality,
                ..Encoding::default()
            };
            check(&encode(&pixels, 150, 90, encoding), 6, &mut numbers, "noise");
            let black_or_white: Vec<u8> = pixels.iter().map(|&value| if value < 128 { 0 } else { 255 }).collect();
            check(
                &encode(&black_or_white, 150, 90, encoding),
                6,
                &mut numbers,
                "black or white",
            );
        }
    }
}

#[test]
fn images_of_several_strips() {
    let mut numbers = Numbers(5);
    for sampling in SAMPLINGS {
        for (width, height) in [(1700, 700), (5000, 40), (40, 5000)] {
            for restarts in [0, 7, 150] {
                let pixels = picture(width, height, 20, &mut numbers);
                let encoding = Encoding {
                    sampling,
                    restarts,
                    ..Encoding::default()
                };
                check(&encode(&pixels, width, height, encoding), 2, &mut numbers, "large");
            }
        }
    }
}
