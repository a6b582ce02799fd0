//! Boxes of random resized crops of 341x256 pixels to 224x224, for each set of instructions, beside `fast_image_resize`.
//!
//! All write into a batch of 256 images, in turn, round by round. The source is one picture, in the second-level cache as
//! that of a decoder is. Results are compared first. `cargo bench -p arraystore-core --bench resize [-- ROUNDS]`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench may stop at once; its figures need not be exact"
)]

use std::time::Instant;

use arraystore_core::crop::{Crop, CropBox, Policy, Size, choose};
use arraystore_core::instructions::Instructions;
use arraystore_core::jpeg::{Region, pixel_nbytes};
use arraystore_core::output::{Axes, NormaliseTable, RowWriter, Target, normalise_table};
use arraystore_core::random::{Draws, RandomKey};
use arraystore_core::resize::{ROW_PADDING_NBYTES, Resize};
use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

const BATCH: usize = 256;
const IMAGE: Size = Size {
    height: 256,
    width: 341,
};
const OUTPUT: Size = Size {
    height: 224,
    width: 224,
};
const VALUES: usize = 224 * 224 * 3;

type Fill = Box<dyn FnMut(&[Crop])>;

/// One way of filling a batch from boxes.
struct Contender {
    name: String,
    fill: Fill,
    ns: Vec<f64>,
}

fn picture(channels: usize) -> Vec<u8> {
    let mut draws = key(0, 0);
    let mut pixels: Vec<u8> = (0..pixel_nbytes(IMAGE, channels))
        .map(|_| draws.bits().to_le_bytes()[0])
        .collect();
    pixels.resize(pixels.len() + ROW_PADDING_NBYTES, 0);
    pixels
}

fn key(epoch: u64, row: u64) -> Draws {
    Draws::new(RandomKey { seed: 1, epoch, row })
}

fn boxes(policy: Policy, flip: f64) -> Vec<Crop> {
    let key = |row| RandomKey { seed: 1, epoch: 0, row };
    (0..BATCH as u64)
        .map(|row| choose(key(row), IMAGE, OUTPUT, policy, flip))
        .collect()
}

fn region(pixels: &[u8], channels: usize) -> Region<'_> {
    Region {
        pixels,
        area: CropBox::whole(IMAGE),
        channels,
    }
}

fn ours_bytes(name: &str, instructions: Instructions, channels: usize, axes: Axes) -> Contender {
    let (mut resize, pixels) = (Resize::with_instructions(instructions), picture(channels));
    let mut batch = vec![0; BATCH * VALUES];
    contender(name, move |crops| {
        for (crop, out) in crops.iter().zip(batch.chunks_exact_mut(VALUES)) {
            let mut writer = RowWriter::new(Target::Bytes(out), axes, OUTPUT);
            resize.write(region(&pixels, channels), crop.cut, crop.flip, &mut writer);
        }
    })
}

fn ours_floats(name: &str, instructions: Instructions, axes: Axes) -> Contender {
    let table: Box<NormaliseTable> = normalise_table([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let (mut resize, pixels) = (Resize::with_instructions(instructions), picture(4));
    let mut batch = vec![0.0; BATCH * VALUES];
    contender(name, move |crops| {
        for (crop, out) in crops.iter().zip(batch.chunks_exact_mut(VALUES)) {
            let mut writer = RowWriter::new(Target::Floats(out, &table), axes, OUTPUT);
            resize.write(region(&pixels, 4), crop.cut, crop.flip, &mut writer);
        }
    })
}

fn theirs(name: &str, pixel_type: PixelType) -> Contender {
    let channels = if pixel_type == PixelType::U8x3 { 3 } else { 4 };
    let mut own = Resizer::new();
    let pixels = picture(channels);
    let mut batch = vec![0; BATCH * VALUES / 3 * channels];
    contender(name, move |crops| {
        for (crop, out) in crops.iter().zip(batch.chunks_exact_mut(VALUES / 3 * channels)) {
            resize_theirs(&mut own, &pixels, pixel_type, crop.cut, out);
        }
    })
}

fn resize_theirs(resizer: &mut Resizer, pixels: &[u8], pixel_type: PixelType, cut: CropBox, out: &mut [u8]) {
    let pixels = &pixels[..pixels.len() - ROW_PADDING_NBYTES];
    let source = ImageRef::new(IMAGE.width, IMAGE.height, pixels, pixel_type).unwrap();
    let mut target = Image::from_slice_u8(OUTPUT.width, OUTPUT.height, out, pixel_type).unwrap();
    let (size, options) = (cut.size, ResizeOptions::new());
    // A view, not the option `crop`: with that one, pixels around the box bleed in.
    let source = CroppedImage::new(&source, cut.left, cut.top, size.width, size.height).unwrap();
    let options = options
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .use_alpha(false);
    resizer.resize(&source, &mut target, &options).unwrap();
}

fn copy() -> Contender {
    let (source, mut batch) = (vec![1; VALUES], vec![0; BATCH * VALUES]);
    contender("writing the batch and nothing else", move |_| {
        for out in batch.chunks_exact_mut(VALUES) {
            out.copy_from_slice(std::hint::black_box(&source));
        }
    })
}

fn contender(name: &str, fill: impl FnMut(&[Crop]) + 'static) -> Contender {
    Contender {
        name: name.to_owned(),
        fill: Box::new(fill),
        ns: Vec::new(),
    }
}

/// Every set of instructions gives the same bytes, which are those of the convolution in floating point, rounded, but for
/// 1/50. The other side's may be further off: how far is printed.
fn check(crops: &[Crop]) {
    let pixels = picture(3);
    let (mut other, mut theirs) = (Resizer::new(), vec![0; VALUES]);
    let mut resizes: Vec<Resize> = Instructions::available().map(Resize::with_instructions).collect();
    let mut farthest = [0.0_f64; 2];
    for crop in crops {
        resize_theirs(&mut other, &pixels, PixelType::U8x3, crop.cut, &mut theirs);
        let mut results = resizes.iter_mut().map(|resize| {
            let mut out = vec![0; VALUES];
            let mut writer = RowWriter::new(Target::Bytes(&mut out), Axes::ChannelsLast, OUTPUT);
            resize.write(region(&pixels, 3), crop.cut, false, &mut writer);
            out
        });
        let portable = results.next().unwrap();
        assert!(results.all(|result| result == portable), "{crop:?}");
        let exact = convolution(&pixels, crop.cut);
        for (farthest, found) in farthest.iter_mut().zip([&portable, &theirs]) {
            let far = exact
                .iter()
                .zip(found)
                .map(|(exact, found)| (exact - f64::from(*found)).abs());
            *farthest = far.fold(*farthest, f64::max);
        }
    }
    let [ours, theirs] = farthest;
    assert!(ours < 0.52, "{ours}");
    println!("furthest from the convolution in floating point: ours {ours:.2}, fast_image_resize {theirs:.2}\n");
}

/// Pillow's convolution in floating point.
fn convolution(pixels: &[u8], cut: CropBox) -> Vec<f64> {
    let axis = |source: u32, target: u32| -> Vec<Vec<(usize, f64)>> {
        let scale = f64::from(source) / f64::from(target);
        let weights = |at: u32| {
            let centre = (f64::from(at) + 0.5) * scale;
            let weight = |tap: u32| 1.0 - ((f64::from(tap) + 0.5 - centre) / scale.max(1.0)).abs();
            let taps = (0..source).map(|tap| (tap as usize, weight(tap)));
            let taps: Vec<(usize, f64)> = taps.filter(|(_, weight)| *weight > 0.0).collect();
            let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.into_iter().map(|(tap, weight)| (tap, weight / sum)).collect()
        };
        (0..target).map(weights).collect()
    };
    let (rows, columns) = (axis(cut.size.height, OUTPUT.height), axis(cut.size.width, OUTPUT.width));
    let narrow: Vec<Vec<f64>> = region(pixels, 3)
        .rows(cut)
        .map(|row| {
            let sample = |taps: &Vec<(usize, f64)>, channel: usize| {
                let parts = taps
                    .iter()
                    .map(|(tap, weight)| weight * f64::from(row[tap * 3 + channel]));
                parts.sum::<f64>()
            };
            let pixel = |taps| [0, 1, 2].map(|channel| sample(taps, channel));
            columns.iter().flat_map(pixel).collect()
        })
        .collect();
    let value = |taps: &[(usize, f64)], at: usize| taps.iter().map(|(tap, weight)| weight * narrow[*tap][at]).sum();
    rows.iter()
        .flat_map(|taps| (0..224 * 3).map(move |at| (taps, at)))
        .map(|(taps, at)| value(taps, at))
        .collect()
}

/// Runs all in turn, and prints their times and the ratio of that of the first to each.
fn compare(title: &str, mut contenders: Vec<Contender>, crops: &[Crop], rounds: usize) {
    for round in 0..=rounds {
        for contender in &mut contenders {
            let start = Instant::now();
            (contender.fill)(crops);
            if round > 0 {
                contender.ns.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
            }
        }
    }
    println!("{title}");
    let base = contenders[0].ns.clone();
    for contender in contenders {
        let ratios = base.iter().zip(&contender.ns).map(|(base, ns)| base / ns).collect();
        let us = median(contender.ns) / 1000.0;
        println!("  {:<44} {us:7.1} us  {:6.2} x", contender.name, median(ratios));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let rounds = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(21);
    let policy = Policy::RandomResized {
        scale: (0.08, 1.0),
        ratio: (0.75, 4.0 / 3.0),
    };
    let crops = boxes(policy, 0.5);
    check(&crops[..32]);
    let sets: Vec<Instructions> = Instructions::available().collect();
    let mut contenders = vec![
        theirs("fast_image_resize, U8x3", PixelType::U8x3),
        theirs("fast_image_resize, U8x4", PixelType::U8x4),
    ];
    for (channels, from) in [(4, "RGBX"), (3, "RGB")] {
        for &set in &sets {
            let name = format!("{set}, {from} to bytes");
            contenders.push(ours_bytes(&name, set, channels, Axes::ChannelsLast));
        }
    }
    contenders.push(copy());
    compare("resize", contenders, &crops, rounds);

    for (axes, order) in [(Axes::ChannelsLast, "NHWC"), (Axes::ChannelsFirst, "NCHW")] {
        for (title, crops) in [("resize", crops.clone()), ("copy", boxes(Policy::Random, 0.5))] {
            let bytes = sets
                .iter()
                .map(|&set| ours_bytes(&format!("{set}, uint8"), set, 4, axes));
            let floats = sets
                .iter()
                .map(|&set| ours_floats(&format!("{set}, float32"), set, axes));
            compare(
                &format!("{title} to {order}"),
                bytes.chain(floats).collect(),
                &crops,
                rounds,
            );
        }
    }
}
