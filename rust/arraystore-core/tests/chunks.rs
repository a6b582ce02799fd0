//! A chunk is its image in the upper left corner and the fill value around it, whatever part of it is asked for.

#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

use arraystore_core::chunks::{Chunk, Failure, decode, image_size};
use arraystore_core::crop::{CropBox, Size};
use arraystore_core::jpeg::{Decoder, pixel_nbytes};
use arraystore_core::random::{Draws, RandomKey};

const IMAGE: Size = Size { height: 61, width: 83 };
const CHUNK: Size = Size { height: 70, width: 90 };
const FILL: u8 = 7;

fn jpeg(progressive: bool) -> Vec<u8> {
    let pixels: Vec<u8> = (0..pixel_nbytes(IMAGE, 3))
        .map(|index| u8::try_from(index * index / 29 % 256).unwrap())
        .collect();
    let image = turbojpeg::Image {
        pixels: &pixels[..],
        width: IMAGE.width as usize,
        pitch: IMAGE.width as usize * 3,
        height: IMAGE.height as usize,
        format: turbojpeg::PixelFormat::RGB,
    };
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_subsamp(turbojpeg::Subsamp::Sub2x2).unwrap();
    compressor.set_progressive(progressive).unwrap();
    compressor.compress_to_vec(image).unwrap()
}

/// The whole chunk, made of the whole image a pixel at a time.
fn padded(jpeg: &[u8]) -> Vec<u8> {
    let made: Result<_, String> = Decoder::new()
        .unwrap()
        .decode(jpeg, |size| Ok(vec![0; pixel_nbytes(size, 3)]));
    let (size, pixels) = made.unwrap();
    assert_eq!(size, IMAGE);
    let mut chunk = Vec::new();
    for y in 0..CHUNK.height {
        for x in 0..CHUNK.width {
            let at = ((y * IMAGE.width + x) * 3) as usize;
            let inside = y < IMAGE.height && x < IMAGE.width;
            chunk.extend_from_slice(if inside { &pixels[at..at + 3] } else { &[FILL; 3] });
        }
    }
    chunk
}

fn part(chunk: &[u8], cut: CropBox) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in cut.top..cut.top + cut.size.height {
        let start = ((y * CHUNK.width + cut.left) * 3) as usize;
        pixels.extend_from_slice(&chunk[start..start + cut.size.width as usize * 3]);
    }
    pixels
}

#[test]
fn any_part_of_a_chunk_is_that_of_the_padded_image() {
    let mut draws = Draws::new(RandomKey {
        seed: 11,
        epoch: 0,
        row: 0,
    });
    for progressive in [false, true] {
        let jpeg = jpeg(progressive);
        let whole = padded(&jpeg);
        let mut cuts: Vec<CropBox> = (0..200).map(|_| some_box(&mut draws)).collect();
        cuts.push(CropBox::whole(CHUNK));
        cuts.push(CropBox::whole(IMAGE));
        let chunks: Vec<_> = cuts.iter().map(|&cut| Chunk { jpeg: &jpeg, cut }).collect();
        let images = decode(&chunks, CHUNK, FILL, 3).unwrap().ok().unwrap();
        for (cut, image) in cuts.iter().zip(&images) {
            assert_eq!(image.size, cut.size);
            assert_eq!(image.memory.as_ref(), part(&whole, *cut), "{cut:?}");
        }
    }
}

fn some_box(draws: &mut Draws) -> CropBox {
    let (height, width) = (1 + draws.up_to(CHUNK.height - 1), 1 + draws.up_to(CHUNK.width - 1));
    CropBox {
        top: draws.up_to(CHUNK.height - height),
        left: draws.up_to(CHUNK.width - width),
        size: Size { height, width },
    }
}

fn failed(chunks: &[Chunk<'_>], size: Size) -> (usize, Failure) {
    decode(chunks, size, 0, 2).unwrap().err().unwrap()
}

#[test]
fn the_first_chunk_that_fails_is_told() {
    let good = jpeg(false);
    let bad = &good[..good.len() / 2];
    let cut = CropBox::whole(IMAGE);
    let chunks = [&good[..], bad, b"", &good[..]].map(|jpeg| Chunk { jpeg, cut });
    let (index, failure) = failed(&chunks, IMAGE);
    assert_eq!(index, 1);
    assert!(matches!(failure, Failure::Undecodable(_)));
}

#[test]
fn an_image_larger_than_its_chunk_is_told_with_its_size() {
    let jpeg = jpeg(false);
    let size = Size { height: 61, width: 82 };
    let cut = CropBox {
        top: 0,
        left: 0,
        size: Size { height: 1, width: 1 },
    };
    assert_eq!(
        failed(&[Chunk { jpeg: &jpeg, cut }], size),
        (0, Failure::TooLarge(IMAGE))
    );
    assert_eq!(image_size(&jpeg), Ok(IMAGE));
    assert!(image_size(&jpeg[..30]).is_err());
}

#[test]
fn a_box_outside_its_chunk_is_refused() {
    let jpeg = jpeg(false);
    let nothing = CropBox {
        size: Size { height: 0, width: 1 },
        ..CropBox::whole(IMAGE)
    };
    for cut in [CropBox::whole(CHUNK), nothing] {
        let outcome = decode(&[Chunk { jpeg: &jpeg, cut }], IMAGE, 0, 1);
        assert_eq!(outcome.err().unwrap().code(), "invalid-request");
    }
}
