//! Seek tables of any bytes, for an image without damage: the whole of it has the pixels that it has without one.

#![no_main]

#[path = "../../arraystore-jpeg/tests/reference/mod.rs"]
mod reference;

use std::sync::LazyLock;

use arraystore_jpeg::{Area, Decoder, Frame};
use reference::{Encoding, Numbers, cut, decode, encode, picture};

const WIDTH: usize = 90;
const HEIGHT: usize = 150;

/// The image and its pixels.
static IMAGE: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let pixels = picture(WIDTH, HEIGHT, 40, &mut Numbers(1));
    let jpeg = encode(&pixels, WIDTH, HEIGHT, Encoding::default());
    let (_, _, pixels) = decode(&jpeg).unwrap();
    (jpeg, pixels)
});

libfuzzer_sys::fuzz_target!(|table: &[u8]| {
    let (jpeg, pixels) = &*IMAGE;
    let frame = Frame::parse(jpeg).unwrap();
    let mut decoder = Decoder::default();
    let area = |height: usize, width: usize| Area {
        top: 0,
        left: 0,
        height,
        width,
    };
    // Of a narrow box nothing is known at the ends of rows: only that it is decoded.
    for (area, is_whole) in [(area(HEIGHT, WIDTH), true), (area(HEIGHT / 2, WIDTH / 2), false)] {
        let mut found = vec![0; area.width * area.height * 3];
        decoder.decode(&frame, Some(table), area, &mut found).unwrap();
        assert!(!is_whole || cut(pixels, WIDTH, area) == found, "pixels differ");
    }
});
