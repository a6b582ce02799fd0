//! The resize against the convolution in floating point, and its kernels against each other.

use super::*;
use crate::crop::Size;
use crate::output::{Axes, Target};
use crate::random::{Draws, RandomKey};

/// For each target position, the source positions that matter and their weights, with Pillow's formulas.
fn axis(source: u32, target: u32) -> Vec<Vec<(usize, f64)>> {
    let scale = f64::from(source) / f64::from(target);
    let support = scale.max(1.0);
    (0..target)
        .map(|at| {
            let centre = (f64::from(at) + 0.5) * scale;
            let weight = |tap: u32| (1.0 - ((f64::from(tap) + 0.5 - centre) / support).abs()).max(0.0);
            let taps: Vec<(usize, f64)> = (0..source)
                .map(|tap| (tap as usize, weight(tap)))
                .filter(|(_, weight)| *weight > 0.0)
                .collect();
            let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.into_iter().map(|(tap, weight)| (tap, weight / sum)).collect()
        })
        .collect()
}

/// The convolution in floating point.
fn reference(pixels: &[u8], channels: usize, from: Size, to: Size) -> Vec<f64> {
    let (rows, columns) = (axis(from.height, to.height), axis(from.width, to.width));
    let mut out = Vec::new();
    for row in &rows {
        for column in &columns {
            for channel in 0..3 {
                let mut sum = 0.0;
                for &(y, vertical) in row {
                    for &(x, horizontal) in column {
                        let at = (y * from.width as usize + x) * channels + channel;
                        sum += vertical * horizontal * f64::from(pixels[at]);
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

/// A resizer for each set of instructions, the portable one first.
fn resizers() -> Vec<Resize> {
    Instructions::available().map(Resize::with_instructions).collect()
}

fn resized(resize: &mut Resize, pixels: &[u8], channels: usize, from: Size, to: Size, flip: bool) -> Vec<u8> {
    let region = Region {
        pixels,
        area: CropBox::whole(from),
        channels,
    };
    cut_and_resized(resize, region, CropBox::whole(from), to, flip)
}

fn cut_and_resized(resize: &mut Resize, region: Region<'_>, cut: CropBox, to: Size, flip: bool) -> Vec<u8> {
    let mut out = vec![0; (to.height * to.width * 3) as usize];
    let mut writer = RowWriter::new(Target::Bytes(&mut out), Axes::ChannelsLast, to);
    resize.write(region, cut, flip, &mut writer);
    out
}

fn noise(size: Size, channels: usize, draws: &mut Draws) -> Vec<u8> {
    let nbytes = size.height as usize * size.width as usize * channels;
    let mut pixels: Vec<u8> = (0..nbytes).map(|_| draws.bits().to_le_bytes()[0]).collect();
    pixels.resize(nbytes + ROW_PADDING_NBYTES, 255);
    pixels
}

fn draws(seed: u64) -> Draws {
    Draws::new(RandomKey { seed, epoch: 0, row: 0 })
}

fn size(height: u32, width: u32) -> Size {
    Size { height, width }
}

/// Pairs of sizes: small ones, those of training, and extremes.
fn cases(draws: &mut Draws) -> Vec<(Size, Size)> {
    let mut side = |most: u32| 1 + draws.up_to(most - 1);
    let mut cases: Vec<(Size, Size)> = (0..80)
        .map(|_| (size(side(60), side(60)), size(side(50), side(50))))
        .collect();
    cases.extend((0..4).map(|_| (size(side(256), side(341)), size(side(96), side(224)))));
    cases.extend([
        (size(300, 200), size(3, 5)),
        (size(1, 1), size(40, 33)),
        (size(3, 8), size(120, 320)),
        (size(300, 7), size(3, 7)),
        (size(7, 300), size(7, 3)),
        (size(200, 200), size(2, 2)),
        // On both sides of the number of weights that are summed in 16 bits.
        (size(64, 64), size(2, 2)),
        (size(65, 65), size(2, 2)),
        (size(2, 30_000), size(1, 1)),
        (size(12_600, 2), size(2, 2)),
        // Windows of sixteen bytes hold the pixels of two weights, of one, and too few.
        (size(4, 60), size(4, 50)),
        (size(4, 75), size(4, 50)),
        (size(4, 82), size(4, 50)),
        (size(4, 90), size(4, 50)),
        (size(5, 64), size(4, 63)),
        (size(5, 64), size(4, 65)),
    ]);
    cases
}

#[test]
fn every_kernel_is_within_one_of_the_convolution_in_floating_point() {
    let mut draws = draws(9);
    let mut resizers = resizers();
    for (from, to) in cases(&mut draws) {
        for channels in [3, 4] {
            let pixels = noise(from, channels, &mut draws);
            let exact = reference(&pixels, channels, from, to);
            for flip in [false, true] {
                let portable = resized(&mut resizers[0], &pixels, channels, from, to, flip);
                for resize in &mut resizers[1..] {
                    assert!(
                        resized(resize, &pixels, channels, from, to, flip) == portable,
                        "{:?} differs from portable: {from} to {to}, {channels} channels, flip {flip}",
                        resize.instructions
                    );
                }
                if flip {
                    continue;
                }
                for (value, exact) in portable.iter().zip(&exact) {
                    assert!(
                        (f64::from(*value) - exact).abs() < 1.1,
                        "{from} to {to}: {value} for {exact}"
                    );
                }
            }
        }
    }
}

#[test]
fn values_of_usual_sizes_are_those_of_the_convolution_rounded() {
    let mut draws = draws(12);
    for (from, to) in [
        (size(90, 70), size(60, 64)),
        (size(40, 50), size(60, 64)),
        (size(33, 90), size(64, 32)),
    ] {
        let pixels = noise(from, 3, &mut draws);
        let found = resized(&mut Resize::default(), &pixels, 3, from, to, false);
        for (value, exact) in found.iter().zip(reference(&pixels, 3, from, to)) {
            assert!(
                (f64::from(*value) - exact).abs() < 0.52,
                "{from} to {to}: {value} for {exact}"
            );
        }
    }
}

#[test]
fn a_flip_mirrors_the_columns() {
    let mut draws = draws(10);
    let (from, to) = (size(20, 31), size(9, 14));
    let pixels = noise(from, 4, &mut draws);
    for resize in &mut resizers() {
        let straight = resized(resize, &pixels, 4, from, to, false);
        let mut mirrored = resized(resize, &pixels, 4, from, to, true);
        for row in mirrored.chunks_exact_mut(14 * 3) {
            let turned: Vec<u8> = row.chunks_exact(3).rev().flatten().copied().collect();
            row.copy_from_slice(&turned);
        }
        assert!(straight == mirrored);
    }
}

#[test]
fn one_colour_stays_that_colour() {
    for (from, to) in [
        (size(37, 91), size(64, 50)),
        (size(640, 600), size(10, 10)),
        (size(700, 700), size(10, 10)),
        (size(5, 5), size(40, 41)),
    ] {
        for colour in [0, 1, 127, 254, 255] {
            let pixels = vec![colour; (from.height * from.width * 3) as usize + ROW_PADDING_NBYTES];
            for resize in &mut resizers() {
                let out = resized(resize, &pixels, 3, from, to, false);
                assert!(out.iter().all(|&value| value == colour), "{from} to {to}, {colour}");
            }
        }
    }
}

#[test]
fn a_box_is_resized_as_an_image_of_its_own() {
    let mut draws = draws(11);
    let from = size(47, 61);
    for channels in [3, 4] {
        let pixels = noise(from, channels, &mut draws);
        // The region begins at (3, 5) of its image.
        let area = CropBox {
            top: 3,
            left: 5,
            size: from,
        };
        let region = Region {
            pixels: &pixels,
            area,
            channels,
        };
        for _ in 0..40 {
            let cut = size(1 + draws.up_to(46), 1 + draws.up_to(60));
            let (top, left) = (draws.up_to(47 - cut.height), draws.up_to(61 - cut.width));
            let wanted = CropBox {
                top: area.top + top,
                left: area.left + left,
                size: cut,
            };
            let mut alone: Vec<u8> = region.rows(wanted).flatten().copied().collect();
            alone.resize(alone.len() + ROW_PADDING_NBYTES, 0);
            // Now and then the size of the box itself.
            let to = if draws.up_to(3) == 0 { cut } else { size(16, 23) };
            let flip = draws.up_to(1) == 1;
            for resize in &mut resizers() {
                let found = cut_and_resized(resize, region, wanted, to, flip);
                assert!(
                    found == resized(resize, &alone, channels, cut, to, flip),
                    "{wanted:?} to {to}"
                );
            }
        }
    }
}

#[test]
fn a_resizer_does_not_remember_the_last_image() {
    let mut draws = draws(13);
    let cases = cases(&mut draws);
    for mut used in resizers() {
        for &(from, to) in cases.iter().take(30) {
            let channels = if draws.up_to(1) == 0 { 3 } else { 4 };
            let pixels = noise(from, channels, &mut draws);
            let mut fresh = Resize::with_instructions(used.instructions);
            let expected = resized(&mut fresh, &pixels, channels, from, to, false);
            assert!(resized(&mut used, &pixels, channels, from, to, false) == expected);
        }
    }
}

#[test]
fn weights_add_up_to_one_and_follow_pillow() {
    Instructions::available().for_each(check_weights);
}

fn check_weights(instructions: Instructions) {
    let lengths = [1, 2, 3, 5, 7, 64, 100, 223, 224, 225, 341, 1000, 65_500];
    let mut weights = Weights::default();
    for source in lengths {
        for target in lengths {
            if source.max(target) > 341 && source.min(target) > 7 {
                continue;
            }
            for mirrored in [false, true] {
                weights.compute(instructions, source, target, mirrored);
                let mut exact = axis(source, target);
                if mirrored {
                    exact.reverse();
                }
                for (at, exact) in exact.iter().enumerate() {
                    let (first, found) = weights.at(at);
                    let found: Vec<i16> = found.collect();
                    assert!(first + found.len() <= source as usize);
                    let sum: i32 = found.iter().copied().map(i32::from).sum();
                    assert!(
                        sum == 1 << 15
                            || (sum == (1 << 15) - 1 && found.iter().filter(|&&weight| weight > 0).count() == 1)
                    );
                    for &(position, exact) in exact {
                        let tap = position.checked_sub(first);
                        let found = tap.and_then(|tap| found.get(tap)).map_or(0, |&weight| weight);
                        assert!(
                            (f64::from(found) - exact * 32768.0).abs() <= 1.01,
                            "{source} to {target}, {at}"
                        );
                    }
                }
            }
        }
    }
}
