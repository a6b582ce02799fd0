//! Decodes what is damaged, and compares with libjpeg-turbo.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arraystore_jpeg::instructions::Instructions;
use arraystore_jpeg::{Area, Decoder, Frame, Indexer};

use super::mutation::{LIES, lie, mutate, pick};
use super::reference::{Encoding, Numbers, SAMPLINGS, cut, decode, encode, noise, picture, seek_table};

/// Larger images are not decoded as a whole.
const MOST_PIXELS: usize = 1 << 20;

/// An image without damage.
struct Good {
    jpeg: Vec<u8>,
    width: usize,
    pixels: Vec<u8>,
    /// Of steps 1 and 3.
    tables: [Vec<u8>; 2],
}

/// What became of the inputs.
#[derive(Debug, Default)]
pub struct Counts {
    pub inputs: usize,
    /// Not even parsed.
    pub headers_declined: usize,
    pub declined: usize,
    pub equal: usize,
    /// Of each of the [`LIES`], boxes: with all rows from the top on, of whole rows, and narrow ones; decoded, and wrongly.
    pub lies: [[[usize; 2]; 3]; LIES.len()],
}

/// Decoders that see all images, damaged and not, one after another.
pub struct Fuzzer {
    decoders: Vec<(Instructions, Decoder)>,
    indexer: Indexer,
    good: Vec<Good>,
    pub numbers: Numbers,
    pub counts: Counts,
}

pub fn whole(width: usize, height: usize) -> Area {
    Area {
        top: 0,
        left: 0,
        height,
        width,
    }
}

pub fn area_of(width: usize, height: usize, numbers: &mut Numbers) -> Area {
    let (box_height, box_width) = (1 + numbers.below(height), 1 + numbers.below(width));
    Area {
        top: numbers.below(height - box_height + 1),
        left: numbers.below(width - box_width + 1),
        height: box_height,
        width: box_width,
    }
}

/// The sets of instructions to try.
pub fn sets() -> Vec<Instructions> {
    let names = std::env::var("ARRAYSTORE_FUZZ_SETS").ok();
    let is_wanted = |set: &Instructions| {
        let names = names.as_deref();
        names.is_none_or(|names| names.split(',').any(|name| name == set.to_string()))
    };
    Instructions::available().filter(is_wanted).collect()
}

/// Keeps an input that was decoded wrongly, and stops.
fn fail(parts: &[(&str, &[u8])], message: &str) -> ! {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let mut paths: Vec<PathBuf> = Vec::new();
    for (suffix, bytes) in parts {
        let path = std::env::temp_dir().join(format!("arraystore-jpeg-{nanoseconds}.{suffix}"));
        std::fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    panic!("{message}: see {paths:?}");
}

impl Fuzzer {
    pub fn new(mut numbers: Numbers) -> Self {
        let mut indexer = Indexer::default();
        let decoders: Vec<_> = sets().into_iter().map(|set| (set, Decoder::new(set))).collect();
        let mut good = Vec::new();
        for sampling in SAMPLINGS {
            for restarts in [0, 0, 0, 1, 5] {
                // Some are decoded in several strips.
                let most = if numbers.below(12) == 0 { 700 } else { 120 };
                let (width, height) = (1 + numbers.below(most), 1 + numbers.below(most));
                let pixels = match numbers.below(4) {
                    0 => noise(width, height, &mut numbers),
                    kind => picture(width, height, kind * 25, &mut numbers),
                };
                let encoding = Encoding {
                    sampling,
                    restarts,
                    quality: i32::try_from(30 + numbers.below(71)).unwrap(),
                    optimise: numbers.below(2) == 0,
                    progressive: false,
                };
                let jpeg = encode(&pixels, width, height, encoding);
                let tables = [1, 3].map(|step| seek_table(&mut indexer, &jpeg, step).unwrap());
                let (_, _, pixels) = decode(&jpeg).unwrap();
                good.push(Good {
                    jpeg,
                    width,
                    pixels,
                    tables,
                });
            }
        }
        Self {
            decoders,
            indexer,
            good,
            numbers,
            counts: Counts::default(),
        }
    }

    /// Decodes a damaged image: whole, in boxes, and with its own seek table and one that is not its own.
    pub fn damaged(&mut self, jpeg: &[u8], table: &[u8]) {
        let Self {
            decoders,
            indexer,
            good,
            numbers,
            counts,
        } = self;
        counts.inputs += 1;
        let Ok(frame) = Frame::parse(jpeg) else {
            counts.headers_declined += 1;
            return;
        };
        let (width, height) = (frame.width, frame.height);
        let is_large = width * height > MOST_PIXELS;
        let areas = if is_large {
            [0, 0].map(|_| Area {
                top: numbers.below(height),
                left: numbers.below(width),
                height: 1,
                width: 1,
            })
        } else {
            [whole(width, height), area_of(width, height, numbers)]
        };
        let mut expected = None;
        let which = numbers.below(2);
        let step = [1, 3][which];
        let own = seek_table(indexer, jpeg, step);
        let beside = pick(good, numbers).unwrap();
        let [mut first, mut second, mut third] = [Vec::new(), Vec::new(), Vec::new()];
        let together = indexer.seek_tables(
            [&beside.jpeg, jpeg, &beside.jpeg],
            step,
            [&mut first, &mut second, &mut third],
        );
        let is_own = together[1].is_ok() == own.is_some() && *own.as_deref().unwrap_or_default() == *second;
        if !is_own || first != beside.tables[which] || third != first {
            fail(&[("jpg", jpeg)], "seek tables that are made together are others");
        }
        for (instructions, decoder) in decoders {
            for area in areas {
                let mut found = vec![0xa5; area.width * area.height * 3];
                // Another's table: nothing is promised but that all ends well.
                let _ = decoder.decode(&frame, Some(table), area, &mut found);
                for seek in [None, own.as_deref()] {
                    found.fill(0x5a);
                    if decoder.decode(&frame, seek, area, &mut found).is_err() {
                        counts.declined += 1;
                        continue;
                    }
                    let expected = expected.get_or_insert_with(|| decode(jpeg));
                    match expected {
                        Err(problem) => fail(
                            &[("jpg", jpeg)],
                            &format!("{instructions}, {area:?}: decoded, but libjpeg-turbo says {problem}"),
                        ),
                        Ok((_, _, pixels)) if cut(pixels, width, area) != found => fail(
                            &[("jpg", jpeg)],
                            &format!(
                                "{instructions}, {area:?}, seek table: {}: pixels differ",
                                seek.is_some()
                            ),
                        ),
                        Ok(_) => counts.equal += 1,
                    }
                }
            }
        }
    }

    /// Decodes an image without damage: nothing may be left of those before.
    pub fn undamaged(&mut self) {
        let good = pick(&self.good, &mut self.numbers).unwrap();
        let frame = Frame::parse(&good.jpeg).unwrap();
        let area = area_of(frame.width, frame.height, &mut self.numbers);
        let table = &good.tables[self.numbers.below(2)][..];
        for (instructions, decoder) in &mut self.decoders {
            for (area, seek) in [(whole(frame.width, frame.height), None), (area, Some(table))] {
                let mut found = vec![0x5a; area.width * area.height * 3];
                decoder.decode(&frame, seek, area, &mut found).unwrap();
                if found != cut(&good.pixels, good.width, area) {
                    let message = format!("{instructions}, {area:?}: a good image is decoded wrongly after a bad one");
                    fail(&[("jpg", &good.jpeg)], &message);
                }
            }
        }
    }

    /// Decodes boxes of an image without damage with a seek table that is not true.
    fn lied_to(&mut self) {
        let Self {
            decoders,
            good,
            numbers,
            counts,
            ..
        } = self;
        counts.inputs += 1;
        let seekable: Vec<&Good> = good.iter().filter(|good| !good.tables[0].is_empty()).collect();
        let good = pick(&seekable, numbers).unwrap();
        let frame = Frame::parse(&good.jpeg).unwrap();
        let components = if frame.sampling == arraystore_jpeg::Sampling::Gray {
            1
        } else {
            3
        };
        let table = &good.tables[numbers.below(2)];
        let other = &pick(&seekable, numbers).unwrap().tables[numbers.below(2)];
        let kind = numbers.below(LIES.len());
        let lie = lie(kind, table, other, components, numbers);
        for area in [
            whole(frame.width, frame.height),
            area_of(frame.width, frame.height, numbers),
        ] {
            let wanted = cut(&good.pixels, good.width, area);
            for (instructions, decoder) in &mut *decoders {
                let mut found = vec![0x5a; wanted.len()];
                decoder.decode(&frame, Some(&lie), area, &mut found).unwrap();
                let is_wide = area.left + area.width == frame.width || lie.first() != Some(&1);
                let width = match area.top {
                    0 if is_wide && area.height == frame.height => 0,
                    _ if is_wide => 1,
                    _ => 2,
                };
                let count = &mut counts.lies[kind][width];
                count[0] += 1;
                if found != wanted {
                    count[1] += 1;
                    if width == 0 {
                        let message = format!("{instructions}: a seek table that lies has changed the pixels");
                        fail(&[("jpg", &good.jpeg), ("seek", &lie)], &message);
                    }
                }
            }
        }
    }

    /// Damages images, one after another, for some time.
    pub fn damage(&mut self, duration: Duration) {
        let start = Instant::now();
        while start.elapsed() < duration {
            let good = pick(&self.good, &mut self.numbers).unwrap();
            let other = pick(&self.good, &mut self.numbers).unwrap();
            let damaged = mutate(&good.jpeg, &other.jpeg, &mut self.numbers);
            let table = good.tables[self.numbers.below(2)].clone();
            self.damaged(&damaged, &table);
            self.undamaged();
        }
    }

    /// Damages seek tables for some time.
    pub fn lie(&mut self, duration: Duration) {
        let start = Instant::now();
        while start.elapsed() < duration {
            self.lied_to();
            self.undamaged();
        }
    }
}
