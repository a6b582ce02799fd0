//! Sixteen samples (five pixels and a third) at a time. The source pixels that half of them depend on lie within sixteen
//! bytes, where a row is not much shortened: one load for each half, of which a shuffle for each tap takes what is needed.

use std::arch::x86_64::{
    __m256i, _mm_add_epi16, _mm_loadu_si64, _mm_loadu_si128, _mm_mullo_epi16, _mm_set1_epi32, _mm_shuffle_epi8,
    _mm_storeu_si128, _mm_sub_epi32, _mm256_add_epi16, _mm256_castsi128_si256, _mm256_inserti128_si256,
    _mm256_mulhrs_epi16, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_storeu_si256, _mm256_xor_si256,
};

use super::super::weights::Weights;
use super::super::{CHANNELS, ROWS_AT_ONCE, Strip};
use super::{Vector, load};

/// Samples of half a vector, which has a window of its own.
const HALF: usize = 8;

/// Samples that are resized at a time.
const SAMPLES: usize = 2 * HALF;

/// Bytes of a window.
const WINDOW_NBYTES: usize = 16;

/// No byte: it becomes zero.
const NONE: u8 = 0x80;

/// Pixels that the samples of a half belong to, at most.
const MOST_PIXELS: usize = 4;

/// The weights of the columns, as the loop below wants them.
#[derive(Debug, Default)]
pub(super) struct Table {
    channels: usize,
    taps: usize,
    /// How many taps a window serves.
    shared: usize,
    /// For each group of samples, the first source byte of each half.
    begins: Vec<[u32; 2]>,
    /// For each group, which byte of its window the first tap of each sample is, in the high byte; [`NONE`] in the other.
    positions: Vec<Vector>,
    /// For each group, the weights of each tap.
    vectors: Vec<Vector>,
    /// Bytes of a source row that may be read.
    reach: usize,
}

/// For a half that begins at a channel.
struct Phase {
    /// Pixel of its last sample, counted from that of the first.
    last: usize,
    /// Takes the lowest bytes of four double words to the high bytes of the samples of their pixels.
    places: [u8; WINDOW_NBYTES],
    /// Takes four words to the samples of their pixels.
    weights: [u8; WINDOW_NBYTES],
    /// Channels of the samples in the high byte; in the other [`NONE`].
    channels: [u8; WINDOW_NBYTES],
}

#[expect(clippy::cast_possible_truncation, reason = "less than 16")]
const fn phase(begin: usize) -> Phase {
    let (mut places, mut weights, mut channels) = ([NONE; WINDOW_NBYTES], [NONE; WINDOW_NBYTES], [NONE; WINDOW_NBYTES]);
    let mut at = 0;
    while at < HALF {
        let (pixel, channel) = (((begin + at) / CHANNELS) as u8, ((begin + at) % CHANNELS) as u8);
        places[2 * at + 1] = 4 * pixel;
        weights[2 * at] = 2 * pixel;
        weights[2 * at + 1] = 2 * pixel + 1;
        channels[2 * at + 1] = channel;
        at += 1;
    }
    let last = (begin + HALF - 1) / CHANNELS;
    assert!(last < MOST_PIXELS);
    Phase {
        last,
        places,
        weights,
        channels,
    }
}

static PHASES: [Phase; CHANNELS] = [phase(0), phase(1), phase(2)];

/// First pixel and phase of a half.
fn half_at(number: usize) -> (usize, &'static Phase) {
    (number * HALF / CHANNELS, &PHASES[number * HALF % CHANNELS])
}

impl Table {
    /// From the weights of `target` columns; returns whether the pixels are near enough to each other for it.
    #[target_feature(enable = "avx2")]
    pub(super) fn fill(&mut self, weights: &Weights, target: usize, channels: usize) -> bool {
        let groups = (target * CHANNELS).div_ceil(SAMPLES);
        let first = weights.first();
        let mut farthest = 0;
        self.begins.clear();
        self.begins.extend((0..groups).map(|group| {
            [0, 1].map(|half| {
                let (pixel, phase) = half_at(2 * group + half);
                // In the other order where the image is mirrored.
                let (a, b) = (first[pixel], first[pixel + phase.last]);
                farthest = farthest.max(a.abs_diff(b));
                a.min(b)
            })
        }));
        let farthest = farthest as usize * channels + CHANNELS - 1;
        if farthest >= WINDOW_NBYTES {
            return false;
        }
        self.channels = channels;
        self.taps = weights.taps();
        self.shared = if farthest + channels < WINDOW_NBYTES { 2 } else { 1 };
        let scale = _mm_set1_epi32(if channels == CHANNELS { 3 } else { 4 });
        self.positions.resize(groups, Vector::default());
        self.vectors.resize(groups * self.taps, Vector::default());
        let mut last = 0;
        for (group, (begins, positions)) in self.begins.iter_mut().zip(&mut self.positions).enumerate() {
            let (halves, _) = positions.0.as_chunks_mut::<HALF>();
            for (half, (begin, positions)) in begins.iter_mut().zip(halves).enumerate() {
                let (pixel, phase) = half_at(2 * group + half);
                let nearby: &[u32] = &first[pixel..pixel + MOST_PIXELS];
                // SAFETY: four double words, and the 16 bytes of tables and of half a vector.
                unsafe {
                    let nearby = _mm_loadu_si128(nearby.as_ptr().cast());
                    let behind = _mm_mullo_epi16(_mm_sub_epi32(nearby, _mm_set1_epi32(begin.cast_signed())), scale);
                    let places = _mm_shuffle_epi8(behind, _mm_loadu_si128(phase.places.as_ptr().cast()));
                    let places = _mm_add_epi16(places, _mm_loadu_si128(phase.channels.as_ptr().cast()));
                    _mm_storeu_si128(positions.as_mut_ptr().cast(), places);
                }
                *begin *= u32::from(channels.to_le_bytes()[0]);
                last = last.max(*begin);
            }
        }
        // Whether each tap has a window of its own or shares one.
        self.reach = last as usize + (self.taps - 1) * channels + WINDOW_NBYTES;
        for tap in 0..self.taps {
            let values = weights.tap(tap);
            for (group, vector) in self.vectors[tap..].iter_mut().step_by(self.taps).enumerate() {
                let (halves, _) = vector.0.as_chunks_mut::<HALF>();
                for (half, weights) in halves.iter_mut().enumerate() {
                    let (pixel, phase) = half_at(2 * group + half);
                    let nearby: &[i16] = &values[pixel..pixel + MOST_PIXELS];
                    // SAFETY: four words, and the 16 bytes of a table and of half a vector.
                    unsafe {
                        let nearby = _mm_loadu_si64(nearby.as_ptr().cast());
                        let spread = _mm_shuffle_epi8(nearby, _mm_loadu_si128(phase.weights.as_ptr().cast()));
                        _mm_storeu_si128(weights.as_mut_ptr().cast(), spread);
                    }
                }
            }
        }
        true
    }

    /// Some rows to the width that the table is for.
    #[target_feature(enable = "avx2")]
    pub(super) fn resize_rows(&self, source: Strip<'_>, out: &mut [i16], out_stride: usize) {
        if source.rows == ROWS_AT_ONCE {
            return self.resize_some::<ROWS_AT_ONCE>(source, out, out_stride);
        }
        for (row, out) in out.chunks_exact_mut(out_stride).enumerate().take(source.rows) {
            self.resize_some::<1>(source.row(row), out, out_stride);
        }
    }

    #[target_feature(enable = "avx2")]
    fn resize_some<const ROWS: usize>(&self, source: Strip<'_>, out: &mut [i16], out_stride: usize) {
        match (self.taps, self.shared) {
            (2, 2) => self.resize_with::<ROWS, 2, 2>(source, out, out_stride),
            (3, 2) => self.resize_with::<ROWS, 3, 2>(source, out, out_stride),
            (3, 1) => self.resize_with::<ROWS, 3, 1>(source, out, out_stride),
            (4, 1) => self.resize_with::<ROWS, 4, 1>(source, out, out_stride),
            _ => self.resize_with::<ROWS, 0, 1>(source, out, out_stride),
        }
    }

    /// `ROWS` rows; `TAPS` is the number of taps, or 0 for any, `SHARED` of which take from one window.
    #[target_feature(enable = "avx2")]
    fn resize_with<const ROWS: usize, const TAPS: usize, const SHARED: usize>(
        &self,
        source: Strip<'_>,
        out: &mut [i16],
        out_stride: usize,
    ) {
        let taps = if TAPS == 0 { self.taps } else { TAPS };
        let groups = self.begins.len();
        assert!(taps == self.taps && SHARED <= self.shared);
        assert!(self.positions.len() == groups && self.vectors.len() == groups * taps);
        let pixels = &source.pixels[..(ROWS - 1) * source.stride + self.reach];
        assert!(out_stride >= groups * SAMPLES && out.len() >= ROWS * out_stride);
        let middle = _mm256_set1_epi8(i8::MIN);
        let step = i16::try_from(self.channels).unwrap_or(0) << 8;
        let step = _mm256_set1_epi16(step);
        let groups = self.begins.iter().zip(&self.positions);
        for (at, ((begins, positions), vectors)) in groups.zip(self.vectors.chunks_exact(taps)).enumerate() {
            let mut sums = [_mm256_setzero_si256(); ROWS];
            let first = load(positions);
            for tap in (0..taps).step_by(SHARED) {
                let mut windows = [_mm256_setzero_si256(); ROWS];
                for (row, window) in windows.iter_mut().enumerate() {
                    let offset = row * source.stride + tap * self.channels;
                    // SAFETY: `reach` was computed from these positions and `taps`; the last row has so many bytes.
                    *window = _mm256_xor_si256(unsafe { load_windows(pixels, begins, offset) }, middle);
                }
                let mut positions = first;
                for vector in &vectors[tap..(tap + SHARED).min(taps)] {
                    let weights = load(vector);
                    for (sum, &window) in sums.iter_mut().zip(&windows) {
                        let values = _mm256_shuffle_epi8(window, positions);
                        *sum = _mm256_add_epi16(*sum, _mm256_mulhrs_epi16(values, weights));
                    }
                    positions = _mm256_add_epi16(positions, step);
                }
            }
            for (row, &sum) in sums.iter().enumerate() {
                // SAFETY: a row of `out` has room for all groups.
                unsafe {
                    let to = out.as_mut_ptr().add(row * out_stride + at * SAMPLES);
                    _mm256_storeu_si256(to.cast(), sum);
                }
            }
        }
    }
}

/// The windows of both halves, `offset` behind their begins.
///
/// # Safety
///
/// `source` has [`WINDOW_NBYTES`] bytes at each of them.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load_windows(source: &[u8], begins: &[u32; 2], offset: usize) -> __m256i {
    let at = |begin: u32| {
        debug_assert!(begin as usize + offset + WINDOW_NBYTES <= source.len());
        // SAFETY: as the caller promises.
        unsafe { _mm_loadu_si128(source.as_ptr().add(begin as usize + offset).cast()) }
    };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(at(begins[0])), at(begins[1]))
}
