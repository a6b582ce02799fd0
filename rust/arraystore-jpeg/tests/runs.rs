//! Seek tables of images with very short codes for long runs: each has the pixels that it has without one.

#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

mod reference;

use arraystore_jpeg::{Area, Decoder, Frame, Indexer};
use reference::{Numbers, cut, decode, seek_table};

/// Blocks across and down.
const COLUMNS: usize = 4;
const ROWS: usize = 3;

fn segment(jpeg: &mut Vec<u8>, marker: u8, body: &[u8]) {
    jpeg.extend([0xff, marker]);
    jpeg.extend(u16::try_from(body.len() + 2).unwrap().to_be_bytes());
    jpeg.extend(body);
}

/// Headers of a gray image. DC: 0 is size 0, 10 size 3, 110 size 4. AC: 0 is sixteen zeros, 10 the end of the block, 110 a
/// value of 2 bits, 1110 one of 8 bits.
fn headers() -> Vec<u8> {
    let size = |blocks: usize| u8::try_from(8 * blocks).unwrap();
    let mut jpeg = vec![0xff, 0xd8];
    segment(&mut jpeg, 0xdb, &[&[0][..], &[8; 64]].concat());
    segment(&mut jpeg, 0xc0, &[8, 0, size(ROWS), 0, size(COLUMNS), 1, 1, 0x11, 0]);
    segment(&mut jpeg, 0xc4, &[&[0, 1, 1, 1][..], &[0; 13], &[0, 3, 4]].concat());
    segment(
        &mut jpeg,
        0xc4,
        &[&[0x10, 1, 1, 1, 1][..], &[0; 12], &[0xf0, 0, 2, 8]].concat(),
    );
    segment(&mut jpeg, 0xda, &[1, 1, 0, 0, 63, 0]);
    jpeg
}

/// Appends a code, and as many random bits of its value.
fn put(bits: &mut Vec<bool>, code: &str, size: usize, numbers: &mut Numbers) {
    bits.extend(code.bytes().map(|bit| bit == b'1'));
    bits.extend((0..size).map(|_| numbers.below(2) == 1));
}

fn image(headers: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bits = Vec::new();
    for _ in 0..COLUMNS * ROWS {
        let (code, size) = [("0", 0), ("10", 3), ("110", 4)][numbers.below(3)];
        put(&mut bits, code, size, numbers);
        let mut next = 1;
        while next < 64 {
            let (code, size, passed) = match numbers.below(6) {
                0..=2 => ("0", 0, 16),
                3 => ("10", 0, 64),
                4 => ("110", 2, 1),
                _ => ("1110", 8, 1),
            };
            put(&mut bits, code, size, numbers);
            next += passed;
        }
    }
    let mut jpeg = headers.to_vec();
    for byte in bits.chunks(8) {
        let byte = (0..8).fold(0, |sum, at| sum << 1 | u8::from(byte.get(at).copied().unwrap_or(true)));
        jpeg.push(byte);
        if byte == 0xff {
            jpeg.push(0);
        }
    }
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

#[test]
fn boxes_are_the_same_with_and_without_a_table() {
    let (headers, mut numbers) = (headers(), Numbers(7));
    let (mut decoder, mut indexer) = (Decoder::default(), Indexer::default());
    let mut count = 0;
    for _ in 0..40_000 {
        let jpeg = image(&headers, &mut numbers);
        let frame = Frame::parse(&jpeg).unwrap();
        let Some(seek) = seek_table(&mut indexer, &jpeg, 1) else {
            continue;
        };
        count += 1;
        let left = [0, 16][numbers.below(2)];
        let area = Area {
            top: 8,
            left,
            height: 16,
            width: 16,
        };
        let [mut without, mut with_table] = [vec![0; 16 * 16 * 3], vec![0; 16 * 16 * 3]];
        let is_decoded = decoder.decode(&frame, None, area, &mut without).is_ok();
        assert!(!is_decoded || decoder.decode(&frame, Some(&seek), area, &mut with_table).is_ok());
        if is_decoded {
            assert_eq!(with_table, without);
        }
        if is_decoded && count % 16 == 0 {
            let (width, _, pixels) = decode(&jpeg).unwrap();
            assert_eq!(with_table, cut(&pixels, width, area));
        }
    }
    assert!(count > 30_000, "only {count} have a table");
}
