//! A decoded box is, to the bit, that box cut from the full decode, whatever the subsampling, size and place.

#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

use arraystore_core::crop::{CropBox, Size};
use arraystore_core::jpeg::{Decoder, pixel_nbytes};
use arraystore_core::random::{Draws, RandomKey};

/// A picture with smooth shades, edges and noise, so that every part of the decoder has work.
fn picture(size: Size, draws: &mut Draws) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(pixel_nbytes(size, 3));
    for y in 0..size.height {
        for x in 0..size.width {
            let noise = draws.up_to(40);
            let edge = if (x / 7 + y / 5) % 2 == 0 { 90 } else { 0 };
            for shade in [x * 3 + edge, y * 2 + noise, (x + y) * 2 + edge] {
                pixels.push(u8::try_from(shade % 256).unwrap());
            }
        }
    }
    pixels
}

fn encode(size: Size, subsampling: turbojpeg::Subsamp, progressive: bool, draws: &mut Draws) -> Vec<u8> {
    let pixels = picture(size, draws);
    let image = turbojpeg::Image {
        pixels: &pixels[..],
        width: size.width as usize,
        pitch: size.width as usize * 3,
        height: size.height as usize,
        format: turbojpeg::PixelFormat::RGB,
    };
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_quality(75).unwrap();
    compressor.set_subsamp(subsampling).unwrap();
    if progressive {
        compressor.set_progressive(true).unwrap();
    }
    compressor.compress_to_vec(image).unwrap()
}

fn cut(whole: &[u8], image: Size, wanted: CropBox) -> Vec<u8> {
    let stride = image.width as usize * 3;
    let left = wanted.left as usize * 3;
    whole
        .chunks_exact(stride)
        .skip(wanted.top as usize)
        .take(wanted.size.height as usize)
        .flat_map(|row| &row[left..left + wanted.size.width as usize * 3])
        .copied()
        .collect()
}

fn some_box(image: Size, draws: &mut Draws) -> CropBox {
    let (height, width) = (1 + draws.up_to(image.height - 1), 1 + draws.up_to(image.width - 1));
    CropBox {
        top: draws.up_to(image.height - height),
        left: draws.up_to(image.width - width),
        size: Size { height, width },
    }
}

/// Boxes one pixel high, wide or both at each edge and corner.
fn thin_boxes(image: Size) -> Vec<CropBox> {
    let mut boxes = Vec::new();
    for height in [1, image.height] {
        for width in [1, image.width] {
            for top in [0, image.height - height] {
                for left in [0, image.width - width] {
                    boxes.push(CropBox {
                        top,
                        left,
                        size: Size { height, width },
                    });
                }
            }
        }
    }
    boxes
}

#[test]
fn a_box_equals_the_cut_of_the_full_decode() {
    use turbojpeg::Subsamp::{Gray, None, Sub1x2, Sub2x1, Sub2x2, Sub4x1};
    let mut draws = Draws::new(RandomKey {
        seed: 1,
        epoch: 0,
        row: 0,
    });
    let mut decoder = Decoder::new().unwrap();
    for subsampling in [Sub2x2, Sub2x1, Sub1x2, None, Gray, Sub4x1] {
        for (height, width) in [(1, 1), (7, 9), (16, 16), (17, 33), (64, 40), (131, 255), (256, 341)] {
            for progressive in [false, true] {
                let image = Size { height, width };
                let jpeg = encode(image, subsampling, progressive, &mut draws);
                let allocate = |size| Ok::<_, String>(vec![0; pixel_nbytes(size, 3)]);
                let (size, whole) = decoder.decode(&jpeg, allocate).unwrap();
                assert_eq!(size, image);
                let mut boxes = thin_boxes(image);
                boxes.extend((0..25).map(|_| some_box(image, &mut draws)));
                for wanted in boxes {
                    let (size, part) = decoder.decode_box(&jpeg, |_| Ok(wanted), allocate).unwrap();
                    assert_eq!(size, wanted.size);
                    assert!(
                        part == cut(&whole, image, wanted),
                        "{subsampling:?} {image} progressive={progressive} {wanted:?}"
                    );
                }
            }
        }
    }
}

fn decoded(decoder: &mut Decoder, jpeg: &[u8]) -> Option<Vec<u8>> {
    decoder
        .decode(jpeg, |size| Ok::<_, String>(vec![0; pixel_nbytes(size, 3)]))
        .ok()
        .map(|(_, pixels)| pixels)
}

#[test]
fn an_image_decodes_the_same_whatever_came_before_it() {
    let mut draws = Draws::new(RandomKey {
        seed: 2,
        epoch: 0,
        row: 0,
    });
    let mut used = Decoder::new().unwrap();
    let image = Size { height: 40, width: 56 };
    let good = encode(image, turbojpeg::Subsamp::Sub2x2, false, &mut draws);
    let pixels = decoded(&mut used, &good);
    assert!(pixels.is_some());
    for round in 0..1500 {
        let mut broken = good.clone();
        for _ in 0..=draws.up_to(3) {
            let at = draws.up_to(u32::try_from(broken.len() - 1).unwrap()) as usize;
            broken[at] = u8::try_from(draws.up_to(255)).unwrap();
        }
        if round % 2 == 0 {
            broken.truncate(1 + draws.up_to(u32::try_from(broken.len() - 1).unwrap()) as usize);
        }
        let fresh = decoded(&mut Decoder::new().unwrap(), &broken);
        assert!(decoded(&mut used, &broken) == fresh, "round {round}: the broken image");
        assert!(
            decoded(&mut used, &good) == pixels,
            "round {round}: the good image after it"
        );
        let allocate = |size| Ok::<_, String>(vec![0; pixel_nbytes(size, 3)]);
        let _ = used.decode_box(&broken, |size| Ok(some_box(size, &mut draws)), allocate);
    }
}

#[test]
fn an_image_without_tables_does_not_borrow_those_of_the_last() {
    let mut draws = Draws::new(RandomKey {
        seed: 4,
        epoch: 0,
        row: 0,
    });
    let image = Size { height: 16, width: 16 };
    let jpeg = encode(image, turbojpeg::Subsamp::None, false, &mut draws);
    let table = jpeg.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
    let nbytes = usize::from(u16::from_be_bytes([jpeg[table + 2], jpeg[table + 3]]));
    let abbreviated = [&jpeg[..table], &jpeg[table + 2 + nbytes..]].concat();
    let mut decoder = Decoder::new().unwrap();
    assert!(decoded(&mut decoder, &jpeg).is_some());
    assert!(decoded(&mut decoder, &abbreviated).is_none());
}

#[test]
fn an_early_end_is_a_problem() {
    let mut draws = Draws::new(RandomKey {
        seed: 5,
        epoch: 0,
        row: 0,
    });
    let image = Size { height: 40, width: 56 };
    let jpeg = encode(image, turbojpeg::Subsamp::Sub2x2, false, &mut draws);
    for nbytes in [0, 1, 2, 100, jpeg.len() / 2, jpeg.len() - 2] {
        assert!(
            decoded(&mut Decoder::new().unwrap(), &jpeg[..nbytes]).is_none(),
            "{nbytes}"
        );
    }
    let with_trailer = [&jpeg[..], &[0x9a, 0xb6, 0, 0xff, 0xd8, 0xff]].concat();
    assert!(decoded(&mut Decoder::new().unwrap(), &with_trailer).is_some());
}

#[test]
fn a_header_that_claims_absurdly_many_pixels_is_refused_before_memory_is_taken() {
    let mut draws = Draws::new(RandomKey {
        seed: 3,
        epoch: 0,
        row: 0,
    });
    let image = Size { height: 8, width: 8 };
    let mut jpeg = encode(image, turbojpeg::Subsamp::None, false, &mut draws);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xfd, 0xe8, 0xfd, 0xe8]);
    let outcome = Decoder::new().unwrap().decode(&jpeg, |_| -> Result<Vec<u8>, String> {
        panic!("memory was asked for");
    });
    assert!(outcome.unwrap_err().contains("65000x65000"));
}

/// The pixels of a box of each decode must agree; returns whether the image decodes at all.
fn boxes_agree(jpeg: &[u8], draws: &mut Draws) -> bool {
    let mut decoder = Decoder::new().unwrap();
    let allocate = |size| Ok::<_, String>(vec![0; pixel_nbytes(size, 3)]);
    let Ok((image, whole)) = decoder.decode(jpeg, allocate) else {
        return false;
    };
    for _ in 0..40 {
        let wanted = some_box(image, draws);
        let (_, part) = decoder.decode_box(jpeg, |_| Ok(wanted), allocate).unwrap();
        assert!(part == cut(&whole, image, wanted), "{image} {wanted:?}");
    }
    true
}

#[test]
fn boxes_of_an_unfinished_progressive_image_are_those_of_the_whole() {
    let mut draws = Draws::new(RandomKey {
        seed: 6,
        epoch: 0,
        row: 0,
    });
    let image = Size {
        height: 120,
        width: 150,
    };
    let jpeg = encode(image, turbojpeg::Subsamp::Sub2x2, true, &mut draws);
    let scans: Vec<usize> = (0..jpeg.len() - 1)
        .filter(|&at| jpeg[at..at + 2] == [0xff, 0xda])
        .collect();
    assert!(scans.len() > 3);
    for &end in &scans[1..] {
        // Tables of the next scan may stand before it: the end marker takes their place.
        let unfinished = [&jpeg[..end], &[0xff, 0xd9]].concat();
        assert!(boxes_agree(&unfinished, &mut draws), "{end}");
    }
}

#[test]
fn sampling_factors_with_a_common_divisor_are_understood() {
    let mut draws = Draws::new(RandomKey {
        seed: 7,
        epoch: 0,
        row: 0,
    });
    let image = Size { height: 90, width: 200 };
    let jpeg = encode(image, turbojpeg::Subsamp::Gray, false, &mut draws);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    // A single component: its factors change nothing but what they are called.
    for factors in [0x11, 0x21, 0x22, 0x41] {
        let mut renamed = jpeg.clone();
        renamed[frame + 11] = factors;
        assert!(boxes_agree(&renamed, &mut draws), "{factors:#x}");
    }
}

/// A JPEG of 64x64 whose components have any sampling factors: shades of gray that wander from block to block.
fn with_factors(factors: [u8; 3], draws: &mut Draws) -> Vec<u8> {
    let image = Size { height: 64, width: 64 };
    let mut jpeg = encode(image, turbojpeg::Subsamp::None, false, draws);
    let find = |jpeg: &[u8], marker| jpeg.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
    let (frame, scan) = (find(&jpeg, 0xc0), find(&jpeg, 0xda));
    jpeg.truncate(scan + 2 + usize::from(u16::from_be_bytes([jpeg[scan + 2], jpeg[scan + 3]])));
    for (component, &both) in factors.iter().enumerate() {
        jpeg[frame + 11 + 3 * component] = both;
    }
    let sides = factors.map(|both| (u32::from(both >> 4), u32::from(both & 15)));
    let most = |of: fn((u32, u32)) -> u32| sides.iter().map(|&each| of(each)).max().unwrap();
    let count = 64_u32.div_ceil(8 * most(|(across, _)| across)) * 64_u32.div_ceil(8 * most(|(_, down)| down));
    let mut bits = String::new();
    for _ in 0..count {
        for (component, (across, down)) in sides.into_iter().enumerate() {
            for _ in 0..across * down {
                // In the tables of the standard: a step of one up or down, and the end of the block.
                let (step, end) = if component == 0 { ("010", "1010") } else { ("01", "00") };
                bits.extend([step, if draws.up_to(1) == 0 { "0" } else { "1" }, end]);
            }
        }
    }
    bits.extend(std::iter::repeat_n('1', bits.len().next_multiple_of(8) - bits.len()));
    for byte in bits.as_bytes().chunks(8) {
        let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
        jpeg.push(byte);
        if byte == 0xff {
            jpeg.push(0);
        }
    }
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

#[test]
fn boxes_of_sampling_factors_without_a_name_are_those_of_the_whole() {
    let mut draws = Draws::new(RandomKey {
        seed: 9,
        epoch: 0,
        row: 0,
    });
    for factors in [
        [0x11, 0x11, 0x11],
        [0x22, 0x11, 0x11],
        [0x31, 0x11, 0x11],
        [0x42, 0x11, 0x11],
        [0x24, 0x11, 0x11],
        [0x41, 0x21, 0x21],
        [0x21, 0x22, 0x22],
        [0x11, 0x11, 0x12],
    ] {
        assert!(
            boxes_agree(&with_factors(factors, &mut draws), &mut draws),
            "{factors:x?}"
        );
    }
}

#[test]
fn harmless_warnings_are_passed_over_and_others_are_not() {
    let mut draws = Draws::new(RandomKey {
        seed: 8,
        epoch: 0,
        row: 0,
    });
    let image = Size { height: 40, width: 56 };
    let jpeg = encode(image, turbojpeg::Subsamp::Sub2x2, false, &mut draws);
    let pixels = decoded(&mut Decoder::new().unwrap(), &jpeg);
    let (body, end) = jpeg.split_at(jpeg.len() - 2);
    let stray = [body, &[0, 0], end].concat();
    let mut revision = jpeg.clone();
    let jfif = jpeg.windows(4).position(|four| four == *b"JFIF").unwrap();
    revision[jfif + 5] = 2;
    for harmless in [&stray, &revision] {
        let mut decoder = Decoder::new().unwrap();
        let problem = decoder
            .decode(harmless, |size| Ok::<_, String>(vec![0; pixel_nbytes(size, 3)]))
            .err();
        assert_eq!(problem, None);
        assert!(decoded(&mut decoder, harmless) == pixels);
        assert!(decoded(&mut decoder, &jpeg[..jpeg.len() / 2]).is_none(), "strict again");
    }
    // The same warning does not hide an early end.
    assert!(decoded(&mut Decoder::new().unwrap(), &revision[..jpeg.len() / 2]).is_none());
}
