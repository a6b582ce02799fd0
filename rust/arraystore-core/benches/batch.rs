//! Batches of 256 images on one thread: full decode and random crops, beside libjpeg-turbo called directly.
//!
//! Reads the JPEGs below the folder `ARRAYSTORE_BENCH_JPEGS` (the first 1,024 by path); without it, makes 256 of its own.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench may stop at once; its picture need not be exact"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arraystore_core::checksum;
use arraystore_core::crop::{Policy, Size};
use arraystore_core::field::{Field, FieldBytes, FieldParts, Ragged, ReadOptions};
use arraystore_core::images::{Boxes, CropOptions, Output};
use arraystore_core::output::Axes;
use arraystore_core::pieces::{Column, Pieces};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BATCH: usize = 256;
const OUTPUT: Size = Size {
    height: 224,
    width: 224,
};

fn images() -> Vec<Vec<u8>> {
    let Some(folder) = std::env::var_os("ARRAYSTORE_BENCH_JPEGS") else {
        return (0..BATCH).map(made_image).collect();
    };
    let mut paths: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(|entry| Some(entry.ok()?.into_path()))
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "jpg"))
        .collect();
    paths.sort();
    paths
        .iter()
        .take(4 * BATCH)
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn made_image(seed: usize) -> Vec<u8> {
    let (height, width) = (256, 256 + seed % 100);
    let shade = |x: usize, y: usize| {
        let wave = ((x * 7 + seed) as f32 / 90.0).sin() + ((y * 5) as f32 / 70.0).cos();
        (128.0 + 55.0 * wave) as u8 ^ (u8::from((x / 9 + y / 11 + seed).is_multiple_of(5)) * 24)
    };
    let pixels: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| [shade(x, y), shade(y, x), shade(x + y, y)]))
        .collect();
    let image = turbojpeg::Image {
        pixels: &pixels[..],
        width,
        pitch: width * 3,
        height,
        format: turbojpeg::PixelFormat::RGB,
    };
    turbojpeg::compress(image, 75, turbojpeg::Subsamp::Sub2x2)
        .unwrap()
        .to_vec()
}

/// A field on disk as ingest would write it: plain bytes and little-endian columns.
fn field(folder: &Path, images: &[Vec<u8>]) -> Field {
    let write = |name: &str, bytes: Vec<u8>| {
        let path = folder.join(name);
        let nbytes = bytes.len() as u64;
        std::fs::write(&path, bytes).unwrap();
        Pieces::new(vec![(path, 0)], nbytes, nbytes).unwrap()
    };
    let len = images.len() as u64;
    let mut offset = 0_u64;
    let offsets = images.iter().flat_map(|image| {
        offset += image.len() as u64;
        (offset - image.len() as u64).to_le_bytes()
    });
    let lengths = images
        .iter()
        .flat_map(|image| u32::try_from(image.len()).unwrap().to_le_bytes());
    let checksums = images.iter().flat_map(|image| checksum::crc32c(image).to_le_bytes());
    let parts = FieldParts {
        bytes: FieldBytes::Here(Ragged {
            data: write("data", images.concat()),
            offset: Column::new(write("offset", offsets.collect()), len, "offset").unwrap(),
            crc32c: Some(Column::new(write("crc32c", checksums.collect()), len, "crc32c").unwrap()),
        }),
        nbytes: Column::new(write("nbytes", lengths.collect()), len, "nbytes").unwrap(),
        height: None,
        width: None,
        status: None,
        keys: None,
        seek: None,
    };
    Field::new("image".to_owned(), len, parts)
}

/// libjpeg-turbo called directly, into memory that is used again.
struct Direct {
    decompressor: turbojpeg::Decompressor,
    batch: Vec<Vec<u8>>,
}

impl Direct {
    fn new() -> Self {
        Self {
            decompressor: turbojpeg::Decompressor::new().unwrap(),
            batch: vec![Vec::new(); BATCH],
        }
    }

    fn decode(&mut self, images: &[Vec<u8>], rows: &[u64]) {
        for (&row, pixels) in rows.iter().zip(&mut self.batch) {
            let jpeg = &images[usize::try_from(row).unwrap()];
            let header = self.decompressor.read_header(jpeg).unwrap();
            pixels.resize(header.width * header.height * 3, 0);
            let image = turbojpeg::Image {
                pixels: &mut pixels[..],
                width: header.width,
                pitch: header.width * 3,
                height: header.height,
                format: turbojpeg::PixelFormat::RGB,
            };
            self.decompressor.decompress(jpeg, image).unwrap();
        }
    }
}

/// Prints the speed of `Field::decode` as a share of libjpeg-turbo's, measured in turn so that a drift meets both alike.
fn print_ratio(field: &Field, images: &[Vec<u8>], rows: &[u64]) {
    const ROUNDS: usize = 31;
    let mut direct = Direct::new();
    let mut last = Vec::new();
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            direct.decode(images, rows);
            let theirs = begun.elapsed();
            let begun = Instant::now();
            last = field
                .decode(
                    rows,
                    ReadOptions {
                        verify: true,
                        threads: 1,
                    },
                )
                .unwrap();
            theirs.as_secs_f64() / begun.elapsed().as_secs_f64()
        })
        .collect();
    for (ours, theirs) in last.iter().zip(&direct.batch) {
        assert!(ours.memory.as_ref() == &theirs[..], "pixels differ");
    }
    ratios.sort_by(f64::total_cmp);
    let [low, median, high] = [ROUNDS / 10, ROUNDS / 2, ROUNDS * 9 / 10].map(|at| ratios[at]);
    println!("decode: {median:.3} of libjpeg-turbo's speed ({low:.3} to {high:.3}, 80 % of {ROUNDS} rounds)");
}

fn bench(criterion: &mut Criterion) {
    let images = images();
    let folder = tempfile::tempdir().unwrap();
    let field = field(folder.path(), &images);
    let rows: Vec<u64> = (0..BATCH as u64).map(|row| row * 7919 % images.len() as u64).collect();
    let mut group = criterion.benchmark_group("batch");
    group
        .throughput(Throughput::Elements(BATCH as u64))
        .sample_size(20)
        .measurement_time(Duration::from_secs(6));

    print_ratio(&field, &images, &rows);
    let mut direct = Direct::new();
    group.bench_function("decode/libjpeg-turbo", |bencher| {
        bencher.iter(|| direct.decode(&images, &rows));
    });
    for (name, verify) in [("decode/arraystore", true), ("decode/arraystore-unverified", false)] {
        let mut last = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| last = field.decode(&rows, ReadOptions { verify, threads: 1 }).unwrap());
        });
    }
    let policies = [
        (
            "random-resized",
            Policy::RandomResized {
                scale: (0.08, 1.0),
                ratio: (0.75, 4.0 / 3.0),
            },
        ),
        ("random", Policy::Random),
    ];
    let mut out = vec![0; BATCH * 224 * 224 * 3];
    for (name, policy) in policies {
        let mut epoch = 0;
        group.bench_function(format!("crops/{name}"), |bencher| {
            bencher.iter(|| {
                epoch += 1;
                let boxes = Boxes::Drawn {
                    policy,
                    seed: 0,
                    epoch,
                    flip: 0.5,
                };
                let crops = CropOptions {
                    size: OUTPUT,
                    axes: Axes::ChannelsLast,
                };
                let options = ReadOptions {
                    verify: true,
                    threads: 1,
                };
                field
                    .crops(&rows, &boxes, Output::Bytes(&mut out), crops, options)
                    .unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
