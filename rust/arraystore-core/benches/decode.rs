//! JPEG decoding beside libjpeg-turbo: whole images, and boxes of random crops, with each set of instructions.
//!
//! All write into a batch of 256 images, in turn, round by round. Results are compared first.
//! `ARRAYSTORE_BENCH_JPEGS=FOLDER cargo bench -p arraystore-core --bench decode [-- [gate] [ROUNDS] [SET]]`, of the sets of
//! instructions only the one that is named so. With `gate`, and a folder of `cropped_256`, it fails if a ratio is more than a
//! tenth below what it was when it was written down here.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench may stop at once; its figures need not be exact"
)]

use std::path::Path;
use std::time::Instant;

use arraystore_core::crop::{Crop, CropBox, Policy, Size, choose};
use arraystore_core::instructions::Instructions;
use arraystore_core::jpeg::{self, Region};
use arraystore_core::output::{Axes, RowWriter, Target};
use arraystore_core::random::RandomKey;
use arraystore_core::resize::{ROW_PADDING_NBYTES, Resize};
use arraystore_jpeg::{Area, Decoder, Frame, Indexer};
use memmap2::MmapMut;

const BATCH: usize = 256;
const OUTPUT: Size = Size {
    height: 224,
    width: 224,
};
const VALUES: usize = 224 * 224 * 3;

/// An image, and what was found out of it beforehand.
struct Sample {
    jpeg: Vec<u8>,
    size: Size,
    seek: Vec<u8>,
}

type Fill = Box<dyn FnMut(&[Sample], &[Crop], &mut [u8])>;

/// One way of filling a batch.
struct Contender {
    name: String,
    fill: Fill,
    us: Vec<f64>,
}

fn contender(name: &str, fill: impl FnMut(&[Sample], &[Crop], &mut [u8]) + 'static) -> Contender {
    Contender {
        name: name.to_owned(),
        fill: Box::new(fill),
        us: Vec::new(),
    }
}

fn area_of(cut: CropBox) -> Area {
    Area {
        top: cut.top as usize,
        left: cut.left as usize,
        height: cut.size.height as usize,
        width: cut.size.width as usize,
    }
}

/// Memory of one image of the batch.
fn places(out: &mut [u8], each: usize) -> impl Iterator<Item = &mut [u8]> {
    out.chunks_exact_mut(each)
}

fn turbo(each: usize) -> Contender {
    let mut decoder = jpeg::Turbo::new().unwrap();
    contender("libjpeg-turbo", move |samples, crops, out| {
        for ((sample, crop), out) in samples.iter().zip(crops).zip(places(out, each)) {
            let nbytes = jpeg::pixel_nbytes(crop.cut.size, 3);
            let out = &mut out[..nbytes];
            if crop.cut.size == sample.size {
                let outcome: Result<_, String> = decoder.decode(&sample.jpeg, |_| Ok(&mut *out));
                outcome.unwrap();
            } else {
                let outcome: Result<_, String> = decoder.decode_box(&sample.jpeg, |_| Ok(crop.cut), |_| Ok(&mut *out));
                outcome.unwrap();
            }
        }
    })
}

fn ours(instructions: Instructions, has_seek: bool, each: usize) -> Contender {
    let mut decoder = Decoder::new(instructions);
    let name = format!("{instructions}{}", if has_seek { "" } else { ", no seek table" });
    contender(&name, move |samples, crops, out| {
        for ((sample, crop), out) in samples.iter().zip(crops).zip(places(out, each)) {
            let frame = Frame::parse(&sample.jpeg).unwrap();
            let seek = has_seek.then_some(&sample.seek[..]);
            let out = &mut out[..jpeg::pixel_nbytes(crop.cut.size, 3)];
            decoder.decode(&frame, seek, area_of(crop.cut), out).unwrap();
        }
    })
}

fn turbo_resized() -> Contender {
    let (mut decoder, mut resize) = (jpeg::Turbo::new().unwrap(), Resize::default());
    contender("libjpeg-turbo and our resize", move |samples, crops, out| {
        for ((sample, crop), out) in samples.iter().zip(crops).zip(places(out, VALUES)) {
            let choose = |_| Ok::<_, String>((crop.cut, ()));
            let (region, cut, ()) = decoder.decode_region(&sample.jpeg, choose).unwrap();
            let mut writer = RowWriter::new(Target::Bytes(out), Axes::ChannelsLast, OUTPUT);
            resize.write(region, cut, crop.flip, &mut writer);
        }
    })
}

fn ours_resized(instructions: Instructions) -> Contender {
    let (mut decoder, mut resize) = (Decoder::new(instructions), Resize::with_instructions(instructions));
    let mut pixels = Vec::new();
    contender(&format!("{instructions}"), move |samples, crops, out| {
        for ((sample, crop), out) in samples.iter().zip(crops).zip(places(out, VALUES)) {
            let frame = Frame::parse(&sample.jpeg).unwrap();
            let nbytes = jpeg::pixel_nbytes(crop.cut.size, 3);
            if pixels.len() < nbytes + ROW_PADDING_NBYTES {
                pixels.resize(nbytes + ROW_PADDING_NBYTES, 0);
            }
            let area = area_of(crop.cut);
            decoder
                .decode_to_cache(&frame, Some(&sample.seek), area, &mut pixels[..nbytes])
                .unwrap();
            let region = Region {
                pixels: &pixels[..nbytes + ROW_PADDING_NBYTES],
                area: crop.cut,
                channels: 3,
            };
            let mut writer = RowWriter::new(Target::Bytes(out), Axes::ChannelsLast, OUTPUT);
            resize.write(region, crop.cut, crop.flip, &mut writer);
        }
    })
}

/// Ratios to libjpeg-turbo on `cropped_256`, with seek tables, on a Xeon (November 2026).
const RECORDED: [(&str, &str, f64); 8] = [
    ("whole images", "AVX2", 2.26),
    ("whole images", "AVX-512", 2.57),
    ("boxes of RandomCrop 224", "AVX2", 2.76),
    ("boxes of RandomCrop 224", "AVX-512", 3.22),
    ("boxes of RandomResizedCrop", "AVX2", 2.89),
    ("boxes of RandomResizedCrop", "AVX-512", 3.40),
    ("RandomResizedCrop to 224", "AVX2", 2.17),
    ("RandomResizedCrop to 224", "AVX-512", 2.64),
];

/// What is more than a tenth below its recorded ratio.
fn lost(title: &str, ratios: &[(String, f64)]) -> Vec<String> {
    let found = |name: &str| ratios.iter().find(|(found, _)| found == name).map(|(_, ratio)| *ratio);
    let of_title = RECORDED.iter().filter(|(recorded, _, _)| *recorded == title);
    of_title
        .filter_map(|(_, name, recorded)| {
            let ratio = found(name).filter(|ratio| *ratio < 0.9 * recorded)?;
            Some(format!("{title}, {name}: {ratio:.2} x, it was {recorded:.2} x"))
        })
        .collect()
}

/// Memory of a batch, in large pages where there are any, as NumPy asks for its arrays.
fn batch(nbytes: usize) -> MmapMut {
    let memory = MmapMut::map_anon(nbytes).unwrap();
    #[cfg(target_os = "linux")]
    let _ = memory.advise(memmap2::Advice::HugePage);
    memory
}

/// Runs all in turn, and prints their times and the ratio of that of the first to each.
fn compare(
    title: &str,
    mut contenders: Vec<Contender>,
    samples: &[Sample],
    crops: &[Crop],
    each: usize,
    rounds: usize,
) -> Vec<(String, f64)> {
    let mut out = batch(BATCH * each);
    let mut expected = vec![0; BATCH * each];
    for (samples, crops) in samples.chunks(BATCH).zip(crops.chunks(BATCH)) {
        for (number, contender) in contenders.iter_mut().enumerate() {
            out.fill(0);
            (contender.fill)(samples, crops, &mut out);
            if number == 0 {
                expected.copy_from_slice(&out);
            }
            assert!(out[..] == expected, "{title}: {} differs", contender.name);
        }
    }
    for _ in 0..rounds {
        for contender in &mut contenders {
            let start = Instant::now();
            for (samples, crops) in samples.chunks(BATCH).zip(crops.chunks(BATCH)) {
                (contender.fill)(samples, crops, &mut out);
            }
            contender
                .us
                .push(start.elapsed().as_secs_f64() * 1e6 / samples.len() as f64);
        }
    }
    println!("{title}");
    let base = contenders[0].us.clone();
    let mut found = Vec::new();
    for contender in contenders {
        let ratios = base.iter().zip(&contender.us).map(|(base, us)| base / us).collect();
        let ratio = median(ratios);
        println!(
            "  {:<44} {:7.1} us  {ratio:6.2} x",
            contender.name,
            median(contender.us)
        );
        found.push((contender.name, ratio));
    }
    found
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// All JPEGs below a folder, by name, at most `most`.
fn read_all(folder: &Path, most: usize) -> Vec<Vec<u8>> {
    let mut folders = vec![folder.to_path_buf()];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jpg") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
        .iter()
        .take(most)
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn crops_of(samples: &[Sample], policy: Policy) -> Vec<Crop> {
    let crop = |(row, sample): (u64, &Sample)| {
        let key = RandomKey { seed: 1, epoch: 0, row };
        choose(key, sample.size, OUTPUT, policy, 0.5)
    };
    (0..).zip(samples).map(crop).collect()
}

fn main() {
    let Ok(folder) = std::env::var("ARRAYSTORE_BENCH_JPEGS") else {
        println!("ARRAYSTORE_BENCH_JPEGS names no folder of JPEGs");
        return;
    };
    let rounds = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(11);
    let mut indexer = Indexer::default();
    let jpegs = read_all(Path::new(&folder), 1536);
    let mut samples: Vec<Sample> = jpegs
        .into_iter()
        .map(|jpeg| {
            let frame = Frame::parse(&jpeg).unwrap();
            let size = Size {
                height: u32::try_from(frame.height).unwrap(),
                width: u32::try_from(frame.width).unwrap(),
            };
            Sample {
                jpeg,
                size,
                seek: Vec::new(),
            }
        })
        .collect();
    let start = Instant::now();
    // Four at a time, as an ingest does.
    for [a, b, c, d] in samples.as_chunks_mut().0 {
        let seeks = [&mut a.seek, &mut b.seek, &mut c.seek, &mut d.seek];
        let outcomes = indexer.seek_tables([&a.jpeg, &b.jpeg, &c.jpeg, &d.jpeg], 1, seeks);
        assert!(outcomes.iter().all(Result::is_ok));
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / samples.len() as f64;
    let seek_nbytes: usize = samples.iter().map(|sample| sample.seek.len()).sum();
    println!(
        "{} images; a seek table has {} bytes and takes {each:.1} us\n",
        samples.len(),
        seek_nbytes / samples.len()
    );
    let only = std::env::args()
        .skip(1)
        .find(|word| Instructions::available().any(|set| set.to_string() == *word));
    let is_wanted = |set: &Instructions| only.as_ref().is_none_or(|only| set.to_string() == *only);
    let sets: Vec<Instructions> = Instructions::available().filter(is_wanted).collect();
    let whole: Vec<Crop> = samples
        .iter()
        .map(|sample| Crop {
            cut: CropBox::whole(sample.size),
            flip: false,
        })
        .collect();
    let largest = samples
        .iter()
        .map(|sample| jpeg::pixel_nbytes(sample.size, 3))
        .max()
        .unwrap();
    let resized = Policy::RandomResized {
        scale: (0.08, 1.0),
        ratio: (0.75, 4.0 / 3.0),
    };
    let works = [
        ("whole images", whole),
        ("boxes of RandomCrop 224", crops_of(&samples, Policy::Random)),
        ("boxes of RandomResizedCrop", crops_of(&samples, resized)),
    ];
    let mut problems = Vec::new();
    for (title, crops) in &works {
        let all = std::iter::once(turbo(largest));
        let all = all.chain(sets.iter().map(|&set| ours(set, true, largest)));
        let all = all.chain(sets.iter().map(|&set| ours(set, false, largest)));
        let ratios = compare(title, all.collect(), &samples, crops, largest, rounds);
        problems.extend(lost(title, &ratios));
    }
    let title = "RandomResizedCrop to 224";
    let all = std::iter::once(turbo_resized()).chain(sets.iter().map(|&set| ours_resized(set)));
    let ratios = compare(title, all.collect(), &samples, &works[2].1, VALUES, rounds);
    problems.extend(lost(title, &ratios));
    if std::env::args().any(|word| word == "gate") && !problems.is_empty() {
        println!("\nslower than it was:\n  {}", problems.join("\n  "));
        std::process::exit(1);
    }
}
