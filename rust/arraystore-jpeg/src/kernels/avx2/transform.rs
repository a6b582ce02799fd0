//! The transform takes coefficients in zigzag order and shuffles them to pairs that belong together in a pass: a full block
//! fills a vector with each pair of rows, a sparse one half a vector.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_castsi128_pd, _mm_loadu_si128, _mm_storeh_pd, _mm_storel_epi64, _mm256_abs_epi16,
    _mm256_add_epi16, _mm256_add_epi32, _mm256_broadcastsi128_si256, _mm256_castps_si256, _mm256_castsi128_si256,
    _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_load_si256,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_max_epu16, _mm256_mullo_epi16, _mm256_or_si256, _mm256_packs_epi32,
    _mm256_packus_epi16, _mm256_permute2x128_si256, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_shuffle_ps, _mm256_srai_epi32, _mm256_srli_epi16, _mm256_store_si256, _mm256_sub_epi32,
    _mm256_subs_epu16, _mm256_testz_si256, _mm256_unpackhi_epi32, _mm256_unpacklo_epi32,
};

use super::super::MOST;
use super::{Bytes, NONE, bytes, factors_of};
use crate::entropy::Block;
use crate::pixels::{Job, Jobs, SPARSE};
use crate::quantisation::{INDEX_OF, Quantisation};

/// Words of a vector.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Words([i16; 16]);

/// Order of the columns of a sparse block: the first pass leaves them in pairs for the second.
const SPARSE_COLUMNS: [usize; 4] = [0, 2, 1, 3];

/// Order of the columns of a full block, in the two lanes of a vector: so, the first pass leaves the pairs of [`PAIRS`].
const COLUMNS: [[usize; 4]; 2] = [[0, 4, 3, 5], [2, 6, 7, 1]];

/// Pairs of rows that a pass takes together.
const PAIRS: [[usize; 2]; 4] = [[0, 4], [2, 6], [7, 1], [3, 5]];

/// Where in a block a word of a lane of a sparse block stands; `odd` for rows 1 and 3.
const fn sparse_place(word: usize, odd: usize) -> usize {
    (word % 2 * 2 + odd) * 8 + SPARSE_COLUMNS[word / 2]
}

/// Where in a block a word of a vector of a full block stands.
const fn full_place(word: usize, pair: usize) -> usize {
    PAIRS[pair][word % 2] * 8 + COLUMNS[word / 8][word % 8 / 2]
}

/// Which coefficients are loaded to the lanes of a vector: eight to each, from these indices on.
type Window = [usize; 2];

/// All in both lanes.
const fn twice(start: usize) -> Window {
    [start, start]
}

/// Sixteen in order.
const fn once(start: usize) -> Window {
    [start, start + 8]
}

/// Windows that have all coefficients of each pair of rows; no fewer would do.
const WINDOWS: [&[Window]; 4] = [
    &[twice(0), once(10), twice(27), once(39)],
    &[once(0), twice(17), once(25), twice(41), once(47), twice(56)],
    &[twice(2), twice(13), twice(26), twice(35), twice(48), twice(56)],
    &[once(3), twice(20), once(24), twice(38), once(45)],
];

/// Takes what a lane wants from a window.
#[expect(clippy::cast_possible_truncation, reason = "below 16")]
const fn shuffle(wanted: [u8; 8], start: usize) -> [u8; 16] {
    let mut places = [NONE; 16];
    let mut word = 0;
    while word < 8 {
        let index = wanted[word] as usize;
        if index >= start && index < start + 8 {
            places[2 * word] = 2 * (index - start) as u8;
            places[2 * word + 1] = 2 * (index - start) as u8 + 1;
        }
        word += 1;
    }
    places
}

/// From coefficient `start` and the seven behind it to pairs of rows of a sparse block.
const fn sparse_shuffle(odd: usize, start: usize) -> Bytes {
    let mut wanted = [0; 8];
    let mut word = 0;
    while word < 8 {
        let index = INDEX_OF[sparse_place(word, odd)];
        // Those that a sparse block does not have are in no window.
        wanted[word] = if index as usize > SPARSE { u8::MAX } else { index };
        word += 1;
    }
    Bytes::repeated(shuffle(wanted, start))
}

/// From a window to a pair of rows of a full block.
const fn full_shuffle(pair: usize, number: usize) -> Bytes {
    let mut wanted = [[0; 8]; 2];
    let mut word = 0;
    while word < 16 {
        wanted[word / 8][word % 8] = INDEX_OF[full_place(word, pair)];
        word += 1;
    }
    let window = WINDOWS[pair][number];
    Bytes::of_lanes([shuffle(wanted[0], window[0]), shuffle(wanted[1], window[1])])
}

/// Quantisation factors in the orders of the shuffled coefficients.
#[derive(Debug, Clone)]
pub(crate) struct Factors {
    sparse: [Words; 2],
    full: [Words; 4],
}

impl Factors {
    pub(crate) fn new(zigzag: &[i16; 64]) -> Self {
        let factor = |place: usize| zigzag[usize::from(INDEX_OF[place])];
        Self {
            sparse: [0, 1].map(|odd| Words(std::array::from_fn(|word| factor(sparse_place(word % 8, odd))))),
            full: [0, 1, 2, 3].map(|pair| Words(std::array::from_fn(|word| factor(full_place(word, pair))))),
        }
    }
}

/// Sorted blocks into a plane. Returns whether all coefficients are in range.
pub(in super::super) fn transform(
    jobs: &Jobs,
    blocks: &mut [Block],
    plane: &mut [u8],
    stride: usize,
    quantisation: &Quantisation,
) -> bool {
    // SAFETY: this module is used only where the processor has its instructions.
    unsafe { transform_all(jobs, blocks, plane, stride, &quantisation.avx2) }
}

#[target_feature(enable = "avx2")]
fn transform_all(jobs: &Jobs, blocks: &mut [Block], plane: &mut [u8], stride: usize, factors: &Factors) -> bool {
    let mut most = _mm256_setzero_si256();
    let (two, last) = jobs.sparse().as_chunks();
    for &jobs in two {
        most = _mm256_max_epu16(most, sparse(jobs, blocks, plane, stride, factors));
    }
    if let &[last] = last {
        // Twice at once: both are read before any is zeroed.
        most = _mm256_max_epu16(most, sparse([last, last], blocks, plane, stride, factors));
    }
    for &job in jobs.full() {
        most = _mm256_max_epu16(most, full(job, blocks, plane, stride, factors));
    }
    let beyond = _mm256_subs_epu16(most, _mm256_set1_epi16(MOST));
    _mm256_testz_si256(beyond, beyond) == 1
}

#[inline]
#[target_feature(enable = "avx2")]
fn words(words: &Words) -> __m256i {
    // SAFETY: 32 bytes, aligned so.
    unsafe { _mm256_load_si256(words.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn products(pairs: __m256i, factors: (i32, i32)) -> __m256i {
    _mm256_madd_epi16(pairs, factors_of(factors.0, factors.1))
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_products(sums: __m256i, pairs: __m256i, factors: (i32, i32)) -> __m256i {
    _mm256_add_epi32(sums, products(pairs, factors))
}

/// Sum and difference, without the bits behind the point.
#[inline]
#[target_feature(enable = "avx2")]
fn butterfly<const SHIFT: i32>(a: __m256i, b: __m256i) -> (__m256i, __m256i) {
    (
        _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(a, b)),
        _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(a, b)),
    )
}

/// A pass over inputs of which only the first four are not zero: pairs of 0 and 2, and of 1 and 3.
#[inline]
#[target_feature(enable = "avx2")]
fn sparse_pass<const SHIFT: i32>(even: __m256i, odd: __m256i, round: __m256i) -> [__m256i; 8] {
    let (e0, o3) = (add_products(round, even, (8192, 10_703)), products(odd, (11_363, 9633)));
    let (r0, r7) = butterfly::<SHIFT>(e0, o3);
    let (e1, o2) = (add_products(round, even, (8192, 4433)), products(odd, (9633, -2259)));
    let (r1, r6) = butterfly::<SHIFT>(e1, o2);
    let (e2, o1) = (add_products(round, even, (8192, -4433)), products(odd, (6437, -11_362)));
    let (r2, r5) = butterfly::<SHIFT>(e2, o1);
    let (e3, o0) = (add_products(round, even, (8192, -10_703)), products(odd, (2260, -6436)));
    let (r3, r4) = butterfly::<SHIFT>(e3, o0);
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

/// A pass over pairs of inputs 0 and 4, 2 and 6, 7 and 1, 3 and 5.
#[inline]
#[target_feature(enable = "avx2")]
fn full_pass<const SHIFT: i32>(pairs: [__m256i; 4], round: __m256i) -> [__m256i; 8] {
    let [p04, p26, p71, p35] = pairs;
    let (sum, difference) = (
        add_products(round, p04, (8192, 8192)),
        add_products(round, p04, (8192, -8192)),
    );
    let (high, low) = (products(p26, (10_703, 4433)), products(p26, (4433, -10_704)));
    // Sums of 16 bits, as libjpeg-turbo has them: 7 and 3, 1 and 5.
    let z = _mm256_add_epi16(p71, p35);
    let (z3, z4) = (products(z, (-6436, 9633)), products(z, (9633, 6437)));
    let (r0, r7) = butterfly::<SHIFT>(_mm256_add_epi32(sum, high), add_products(z4, p71, (-7373, 4926)));
    let (r1, r6) = butterfly::<SHIFT>(
        _mm256_add_epi32(difference, low),
        add_products(z3, p35, (4177, -20_995)),
    );
    let (r2, r5) = butterfly::<SHIFT>(
        _mm256_sub_epi32(difference, low),
        add_products(z4, p35, (-20_995, -4176)),
    );
    let (r3, r4) = butterfly::<SHIFT>(_mm256_sub_epi32(sum, high), add_products(z3, p71, (-4927, -7373)));
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

/// From columns of eight rows to pairs of columns: the first and the second pairs of each lane, of rows 0 to 3 and of rows 4
/// to 7.
#[inline]
#[target_feature(enable = "avx2")]
fn pairs_of_columns(rows: [__m256i; 8]) -> [[__m256i; 2]; 2] {
    macro_rules! choose {
        ($which:literal, $first:literal) => {{
            let a = _mm256_castsi256_ps(_mm256_packs_epi32(rows[$first], rows[$first + 1]));
            let b = _mm256_castsi256_ps(_mm256_packs_epi32(rows[$first + 2], rows[$first + 3]));
            _mm256_castps_si256(_mm256_shuffle_ps::<$which>(a, b))
        }};
    }
    [
        [choose!(0x88, 0), choose!(0x88, 4)],
        [choose!(0xdd, 0), choose!(0xdd, 4)],
    ]
}

/// Eight columns of four rows in each lane, as bytes: rows 0 and 1, and rows 2 and 3.
#[inline]
#[target_feature(enable = "avx2")]
fn rows_of(columns: [__m256i; 8]) -> [__m256i; 2] {
    /// The 4 x 4 bytes of each lane, turned over.
    const TRANSPOSE: Bytes = Bytes::repeated([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]);
    macro_rules! half {
        ($first:literal) => {{
            let words = _mm256_packus_epi16(
                _mm256_packs_epi32(columns[$first], columns[$first + 1]),
                _mm256_packs_epi32(columns[$first + 2], columns[$first + 3]),
            );
            _mm256_shuffle_epi8(words, bytes(&TRANSPOSE))
        }};
    }
    let (left, right) = (half!(0), half!(4));
    [_mm256_unpacklo_epi32(left, right), _mm256_unpackhi_epi32(left, right)]
}

/// Rounds to 11 bits less.
const ROUND_FIRST: i32 = 1 << 10;
/// Rounds to 18 bits less, and makes samples of 0 to 255 of what is around zero.
const ROUND_SECOND: i32 = (1 << 17) + (128 << 18);

/// Writes eight rows of eight samples, two to a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn write_rows(plane: &mut [u8], at: usize, stride: usize, rows: [__m128i; 4]) {
    let eight = &mut plane[at..at + 7 * stride + 8];
    for (number, two) in rows.into_iter().enumerate() {
        // SAFETY: rows 0 to 7 of eight bytes lie in `eight`.
        unsafe {
            let to = eight.as_mut_ptr().add(2 * number * stride);
            _mm_storel_epi64(to.cast(), two);
            _mm_storeh_pd(to.add(stride).cast(), _mm_castsi128_pd(two));
        }
    }
}

/// Two blocks of at most ten coefficients. Returns the sizes of what must be in range.
#[inline]
#[target_feature(enable = "avx2")]
fn sparse(jobs: [Job; 2], blocks: &mut [Block], plane: &mut [u8], stride: usize, factors: &Factors) -> __m256i {
    /// Where windows of eight begin that have all ten.
    const STARTS: [usize; 2] = [0, 2];
    const SHUFFLES: [Bytes; 3] = [
        sparse_shuffle(0, STARTS[0]),
        sparse_shuffle(0, STARTS[1]),
        sparse_shuffle(1, STARTS[1]),
    ];
    macro_rules! window {
        ($start:expr) => {{
            let [first, second] = jobs.map(|job| blocks[job.block()].0[$start..$start + 8].as_ptr());
            // SAFETY: eight coefficients of 16 bits of each.
            let (first, second) = unsafe { (_mm_loadu_si128(first.cast()), _mm_loadu_si128(second.cast())) };
            _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(first), second)
        }};
    }
    let (low, high) = (window!(STARTS[0]), window!(STARTS[1]));
    for job in jobs {
        let block = &mut blocks[job.block()].0;
        // SAFETY: the first 32 bytes of a block, aligned so; the others are zero.
        unsafe { _mm256_store_si256(block.as_mut_ptr().cast(), _mm256_setzero_si256()) }
    }
    let even = _mm256_or_si256(
        _mm256_shuffle_epi8(low, bytes(&SHUFFLES[0])),
        _mm256_shuffle_epi8(high, bytes(&SHUFFLES[1])),
    );
    // Coefficients of rows 1 and 3 are all in the second window.
    let odd = _mm256_shuffle_epi8(high, bytes(&SHUFFLES[2]));
    let even = _mm256_mullo_epi16(even, words(&factors.sparse[0]));
    let odd = _mm256_mullo_epi16(odd, words(&factors.sparse[1]));
    let rows = sparse_pass::<11>(even, odd, _mm256_set1_epi32(ROUND_FIRST));
    let [even_columns, odd_columns] = pairs_of_columns(rows);
    let round = _mm256_set1_epi32(ROUND_SECOND);
    // In each lane rows 0 to 3 of one block, then its rows 4 to 7.
    let top = rows_of(sparse_pass::<18>(even_columns[0], odd_columns[0], round));
    let low = rows_of(sparse_pass::<18>(even_columns[1], odd_columns[1], round));
    macro_rules! write {
        ($lane:literal) => {
            let rows = [
                _mm256_extracti128_si256::<$lane>(top[0]),
                _mm256_extracti128_si256::<$lane>(top[1]),
                _mm256_extracti128_si256::<$lane>(low[0]),
                _mm256_extracti128_si256::<$lane>(low[1]),
            ];
            write_rows(plane, jobs[$lane].at(), stride, rows);
        };
    }
    write!(0);
    write!(1);
    _mm256_abs_epi16(even)
}

/// What a pair of rows has of a window.
#[inline]
#[target_feature(enable = "avx2")]
fn part<const PAIR: usize, const NUMBER: usize>(block: &Block) -> __m256i {
    let [start, second] = const { WINDOWS[PAIR][NUMBER] };
    let shuffle = bytes(const { &full_shuffle(PAIR, NUMBER) });
    let loaded = if start == second {
        // SAFETY: eight coefficients of 16 bits.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(block.0[start..start + 8].as_ptr().cast()) })
    } else {
        // SAFETY: sixteen coefficients of 16 bits.
        unsafe { _mm256_loadu_si256(block.0[start..start + 16].as_ptr().cast()) }
    };
    _mm256_shuffle_epi8(loaded, shuffle)
}

/// A block of any coefficients. Returns the sizes of what must be in range.
#[inline]
#[target_feature(enable = "avx2")]
fn full(job: Job, blocks: &mut [Block], plane: &mut [u8], stride: usize, factors: &Factors) -> __m256i {
    let block = &mut blocks[job.block()];
    macro_rules! pair {
        ($pair:literal: $first:literal $($number:literal)*) => {{
            let mut all = part::<$pair, $first>(block);
            $(all = _mm256_or_si256(all, part::<$pair, $number>(block));)*
            _mm256_mullo_epi16(all, words(&factors.full[$pair]))
        }};
    }
    let pairs = [
        pair!(0: 0 1 2 3),
        pair!(1: 0 1 2 3 4 5),
        pair!(2: 0 1 2 3 4 5),
        pair!(3: 0 1 2 3 4),
    ];
    for quarter in block.0.as_chunks_mut::<16>().0 {
        // SAFETY: a quarter of a block, which is aligned.
        unsafe { _mm256_store_si256(quarter.as_mut_ptr().cast(), _mm256_setzero_si256()) }
    }
    let first_most = _mm256_abs_epi16(pairs[0]);
    let rows = full_pass::<11>(pairs, _mm256_set1_epi32(ROUND_FIRST));
    let [first, second] = pairs_of_columns(rows);
    // Rows 0 to 3 in the first lane, 4 to 7 in the other one.
    macro_rules! lane {
        ($two:ident, $which:literal) => {
            _mm256_permute2x128_si256::<$which>($two[0], $two[1])
        };
    }
    let p04 = lane!(first, 0x20);
    let second_most = _mm256_srli_epi16::<1>(_mm256_abs_epi16(p04));
    let pairs = [p04, lane!(first, 0x31), lane!(second, 0x31), lane!(second, 0x20)];
    let rows = rows_of(full_pass::<18>(pairs, _mm256_set1_epi32(ROUND_SECOND)));
    let rows = [
        _mm256_castsi256_si128(rows[0]),
        _mm256_castsi256_si128(rows[1]),
        _mm256_extracti128_si256::<1>(rows[0]),
        _mm256_extracti128_si256::<1>(rows[1]),
    ];
    write_rows(plane, job.at(), stride, rows);
    _mm256_max_epu16(first_most, second_most)
}
