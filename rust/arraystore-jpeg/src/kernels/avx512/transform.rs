//! The transform takes coefficients in zigzag order, permutes them to pairs that belong together in a pass, and works on
//! two or four blocks to a vector; two vectors go side by side, since each step waits for the one before it.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_castsi128_pd, _mm_storeh_pd, _mm_storel_epi64, _mm256_loadu_si256, _mm256_setzero_si256,
    _mm256_storeu_si256, _mm512_abs_epi16, _mm512_add_epi16, _mm512_add_epi32, _mm512_castps_si512,
    _mm512_castsi256_si512, _mm512_castsi512_ps, _mm512_cmpgt_epu16_mask, _mm512_extracti32x4_epi32,
    _mm512_inserti64x4, _mm512_loadu_si512, _mm512_madd_epi16, _mm512_max_epu16, _mm512_mullo_epi16,
    _mm512_packs_epi32, _mm512_packus_epi16, _mm512_permutex2var_epi16, _mm512_set1_epi16, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i64x2, _mm512_shuffle_ps, _mm512_srai_epi32,
    _mm512_srli_epi16, _mm512_storeu_si512, _mm512_sub_epi32, _mm512_unpackhi_epi32, _mm512_unpacklo_epi32,
};

use super::super::MOST;
use super::{Bytes, bytes, factors_of};
use crate::entropy::Block;
use crate::pixels::{Job, Jobs};
use crate::quantisation::{INDEX_OF, Quantisation};

/// Words of a vector.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Words([i16; 32]);

/// Order of the columns of a sparse block: the first pass leaves them in pairs for the second.
const SPARSE_COLUMNS: [usize; 4] = [0, 2, 1, 3];

/// Order of the columns of a full block.
const COLUMNS: [usize; 8] = [0, 4, 2, 6, 7, 1, 3, 5];

/// Pairs of rows that a pass takes together.
const PAIRS: [[usize; 2]; 4] = [[0, 4], [2, 6], [7, 1], [3, 5]];

/// What stands at a word of a vector of four sparse blocks: block, row and column; `odd` for rows 1 and 3.
const fn sparse_place(word: usize, odd: usize) -> (usize, usize) {
    let (block, rest) = (word / 8, word % 8);
    (block, (rest % 2 * 2 + odd) * 8 + SPARSE_COLUMNS[rest / 2])
}

/// What stands at a word of half a vector of one full block.
const fn full_place(word: usize, pair: usize) -> usize {
    PAIRS[pair][word % 2] * 8 + COLUMNS[word / 2]
}

/// From the first 16 coefficients of four blocks, of two in each of two vectors, to pairs of rows.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "below 64")]
const SPARSE_PERMUTATION: [Words; 2] = {
    let mut both = [Words([0; 32]); 2];
    let mut odd = 0;
    while odd < 2 {
        let mut word = 0;
        while word < 32 {
            let (block, place) = sparse_place(word, odd);
            // Those that a sparse block does not have are zero: so is the last of the sixteen.
            let index = if INDEX_OF[place] > 9 { 15 } else { INDEX_OF[place] };
            both[odd].0[word] = (block * 16) as i16 + index as i16;
            word += 1;
        }
        odd += 1;
    }
    both
};

/// From the 64 coefficients of a block in two vectors to two pairs of rows in each of two.
const FULL_PERMUTATION: [Words; 2] = {
    let mut both = [Words([0; 32]); 2];
    let mut word = 0;
    while word < 64 {
        both[word / 32].0[word % 32] = INDEX_OF[full_place(word % 16, word / 16)] as i16;
        word += 1;
    }
    both
};

/// Quantisation factors in the orders of the permuted coefficients.
#[derive(Debug, Clone)]
pub(crate) struct Factors {
    sparse: [Words; 2],
    full: [Words; 4],
}

impl Factors {
    pub(crate) fn new(zigzag: &[i16; 64]) -> Self {
        let factor = |place: usize| zigzag[usize::from(INDEX_OF[place])];
        Self {
            sparse: [0, 1].map(|odd| Words(std::array::from_fn(|word| factor(sparse_place(word, odd).1)))),
            full: [0, 1, 2, 3].map(|pair| Words(std::array::from_fn(|word| factor(full_place(word % 16, pair))))),
        }
    }
}

/// Two vectors that go side by side.
type Two = [__m512i; 2];

/// Sorted blocks into a plane. Returns whether all coefficients are in range.
pub(in super::super) fn transform(
    jobs: &Jobs,
    blocks: &mut [Block],
    plane: &mut [u8],
    stride: usize,
    quantisation: &Quantisation,
) -> bool {
    // SAFETY: this module is used only where the processor has its instructions.
    unsafe { transform_all(jobs, blocks, plane, stride, &quantisation.avx512) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn transform_all(jobs: &Jobs, blocks: &mut [Block], plane: &mut [u8], stride: usize, factors: &Factors) -> bool {
    let mut most = _mm512_setzero_si512();
    for jobs in jobs.sparse().chunks(8) {
        most = _mm512_max_epu16(most, sparse(filled_up(jobs), blocks, plane, stride, factors));
    }
    for jobs in jobs.full().chunks(4) {
        most = _mm512_max_epu16(most, full(filled_up(jobs), blocks, plane, stride, factors));
    }
    _mm512_cmpgt_epu16_mask(most, _mm512_set1_epi16(MOST)) == 0
}

/// As many jobs as a kernel takes. At the end the last one is done several times at once: all are read before any is zeroed.
#[inline]
fn filled_up<const COUNT: usize>(jobs: &[Job]) -> [Job; COUNT] {
    if let Some(jobs) = jobs.first_chunk() {
        return *jobs;
    }
    let mut filled = [jobs[jobs.len() - 1]; COUNT];
    filled[..jobs.len()].copy_from_slice(jobs);
    filled
}

/// One of the two vectors of each column. (Here and below, a closure would lack the instructions of its function.)
macro_rules! one_of {
    ($columns:ident, $which:literal) => {
        [
            $columns[0][$which],
            $columns[1][$which],
            $columns[2][$which],
            $columns[3][$which],
            $columns[4][$which],
            $columns[5][$which],
            $columns[6][$which],
            $columns[7][$which],
        ]
    };
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words(words: &Words) -> __m512i {
    // SAFETY: 64 bytes.
    unsafe { _mm512_loadu_si512(words.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn products(pairs: Two, factors: (i32, i32)) -> Two {
    let factors = factors_of(factors.0, factors.1);
    [
        _mm512_madd_epi16(pairs[0], factors),
        _mm512_madd_epi16(pairs[1], factors),
    ]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn add_products(sums: Two, pairs: Two, factors: (i32, i32)) -> Two {
    let factors = factors_of(factors.0, factors.1);
    [
        super::add_products_of(sums[0], pairs[0], factors),
        super::add_products_of(sums[1], pairs[1], factors),
    ]
}

/// Sum and difference, without the bits behind the point.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn butterfly<const SHIFT: u32>(a: Two, b: Two) -> (Two, Two) {
    (
        [
            _mm512_srai_epi32::<SHIFT>(_mm512_add_epi32(a[0], b[0])),
            _mm512_srai_epi32::<SHIFT>(_mm512_add_epi32(a[1], b[1])),
        ],
        [
            _mm512_srai_epi32::<SHIFT>(_mm512_sub_epi32(a[0], b[0])),
            _mm512_srai_epi32::<SHIFT>(_mm512_sub_epi32(a[1], b[1])),
        ],
    )
}

/// A pass over inputs of which only the first four are not zero: pairs of 0 and 2, and of 1 and 3.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sparse_pass<const SHIFT: u32>(even: Two, odd: Two, round: __m512i) -> [Two; 8] {
    let round = [round, round];
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
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn full_pass<const SHIFT: u32>(p04: Two, p26: Two, p71: Two, p35: Two, round: __m512i) -> [Two; 8] {
    let round = [round, round];
    let (sum, difference) = (
        add_products(round, p04, (8192, 8192)),
        add_products(round, p04, (8192, -8192)),
    );
    // Sums of 16 bits, as libjpeg-turbo has them: 7 and 3, 1 and 5.
    let z = [_mm512_add_epi16(p71[0], p35[0]), _mm512_add_epi16(p71[1], p35[1])];
    let (z3, z4) = (products(z, (-6436, 9633)), products(z, (9633, 6437)));
    let (e0, o3) = (
        add_products(sum, p26, (10_703, 4433)),
        add_products(z4, p71, (-7373, 4926)),
    );
    let (r0, r7) = butterfly::<SHIFT>(e0, o3);
    let (e1, o2) = (
        add_products(difference, p26, (4433, -10_704)),
        add_products(z3, p35, (4177, -20_995)),
    );
    let (r1, r6) = butterfly::<SHIFT>(e1, o2);
    let (e2, o1) = (
        add_products(difference, p26, (-4433, 10_704)),
        add_products(z4, p35, (-20_995, -4176)),
    );
    let (r2, r5) = butterfly::<SHIFT>(e2, o1);
    let (e3, o0) = (
        add_products(sum, p26, (-10_703, -4433)),
        add_products(z3, p71, (-4927, -7373)),
    );
    let (r3, r4) = butterfly::<SHIFT>(e3, o0);
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pack(a: Two, b: Two) -> Two {
    [_mm512_packs_epi32(a[0], b[0]), _mm512_packs_epi32(a[1], b[1])]
}

/// The first pairs of four rows, and the second ones, in each lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pairs_of_columns(rows01: Two, rows23: Two) -> (Two, Two) {
    macro_rules! choose {
        ($which:literal, $number:literal) => {{
            let (a, b) = (
                _mm512_castsi512_ps(rows01[$number]),
                _mm512_castsi512_ps(rows23[$number]),
            );
            _mm512_castps_si512(_mm512_shuffle_ps::<$which>(a, b))
        }};
    }
    (
        [choose!(0x88, 0), choose!(0x88, 1)],
        [choose!(0xdd, 0), choose!(0xdd, 1)],
    )
}

/// Eight columns of four rows in each lane, as bytes: rows 0 and 1, and rows 2 and 3.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rows_of(columns: &[__m512i; 8]) -> (__m512i, __m512i) {
    /// The 4 x 4 bytes of each lane, turned over.
    const TRANSPOSE: Bytes = {
        let mut places = [0; 64];
        let mut at = 0;
        while at < 64 {
            #[expect(clippy::cast_possible_truncation, reason = "below 16")]
            {
                places[at] = (at % 4 * 4 + at % 16 / 4) as u8;
            }
            at += 1;
        }
        Bytes(places)
    };
    let [c0, c1, c2, c3, c4, c5, c6, c7] = *columns;
    let left = _mm512_packus_epi16(_mm512_packs_epi32(c0, c1), _mm512_packs_epi32(c2, c3));
    let right = _mm512_packus_epi16(_mm512_packs_epi32(c4, c5), _mm512_packs_epi32(c6, c7));
    let left = _mm512_shuffle_epi8(left, bytes(&TRANSPOSE));
    let right = _mm512_shuffle_epi8(right, bytes(&TRANSPOSE));
    (_mm512_unpacklo_epi32(left, right), _mm512_unpackhi_epi32(left, right))
}

/// Rounds to 11 bits less.
const ROUND_FIRST: i32 = 1 << 10;
/// Rounds to 18 bits less, and makes samples of 0 to 255 of what is around zero.
const ROUND_SECOND: i32 = (1 << 17) + (128 << 18);

/// Writes four rows of eight samples, two to a vector of 16 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn write_rows(plane: &mut [u8], at: usize, stride: usize, rows: [__m128i; 2]) {
    let place_of_rows = &mut plane[at..at + 3 * stride + 8];
    let to = place_of_rows.as_mut_ptr();
    // SAFETY: rows 0 to 3 of eight bytes lie in there.
    unsafe {
        _mm_storel_epi64(to.cast(), rows[0]);
        _mm_storeh_pd(to.add(stride).cast(), _mm_castsi128_pd(rows[0]));
        _mm_storel_epi64(to.add(2 * stride).cast(), rows[1]);
        _mm_storeh_pd(to.add(3 * stride).cast(), _mm_castsi128_pd(rows[1]));
    }
}

/// Eight blocks of at most ten coefficients. Returns the sizes of what must be in range.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn sparse(jobs: [Job; 8], blocks: &mut [Block], plane: &mut [u8], stride: usize, factors: &Factors) -> __m512i {
    macro_rules! two {
        ($number:literal) => {{
            let first = &blocks[jobs[$number].block()].0;
            let second = &blocks[jobs[$number + 1].block()].0;
            // SAFETY: the first 32 bytes of two blocks.
            let (first, second) = unsafe {
                (
                    _mm256_loadu_si256(first.as_ptr().cast()),
                    _mm256_loadu_si256(second.as_ptr().cast()),
                )
            };
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
        }};
    }
    let (a, b) = ([two!(0), two!(4)], [two!(2), two!(6)]);
    for job in jobs {
        let block = &mut blocks[job.block()].0;
        // SAFETY: the first 32 bytes of a block; the others are zero.
        unsafe { _mm256_storeu_si256(block.as_mut_ptr().cast(), _mm256_setzero_si256()) }
    }
    macro_rules! rows {
        ($odd:literal) => {{
            let (order, factor) = (words(&SPARSE_PERMUTATION[$odd]), words(&factors.sparse[$odd]));
            [
                _mm512_mullo_epi16(_mm512_permutex2var_epi16(a[0], order, b[0]), factor),
                _mm512_mullo_epi16(_mm512_permutex2var_epi16(a[1], order, b[1]), factor),
            ]
        }};
    }
    let (even, odd) = (rows!(0), rows!(1));
    let most = _mm512_max_epu16(_mm512_abs_epi16(even[0]), _mm512_abs_epi16(even[1]));
    let rows = sparse_pass::<11>(even, odd, _mm512_set1_epi32(ROUND_FIRST));
    let (even_top, odd_top) = pairs_of_columns(pack(rows[0], rows[1]), pack(rows[2], rows[3]));
    let (even_low, odd_low) = pairs_of_columns(pack(rows[4], rows[5]), pack(rows[6], rows[7]));
    let round = _mm512_set1_epi32(ROUND_SECOND);
    // Columns of the first four blocks, then of the last four: of each rows 0 to 3 and rows 4 to 7.
    macro_rules! write {
        ($group:literal) => {
            let even = [even_top[$group], even_low[$group]];
            let odd = [odd_top[$group], odd_low[$group]];
            let columns = sparse_pass::<18>(even, odd, round);
            let (top, low) = (rows_of(&one_of!(columns, 0)), rows_of(&one_of!(columns, 1)));
            write!($group, top, 0);
            write!($group, low, 4);
        };
        ($group:literal, $rows:ident, $first:literal) => {
            write!($group, $rows, $first, 0);
            write!($group, $rows, $first, 1);
            write!($group, $rows, $first, 2);
            write!($group, $rows, $first, 3);
        };
        ($group:literal, $rows:ident, $first:literal, $lane:literal) => {
            let at = jobs[$group * 4 + $lane].at() + $first * stride;
            write_rows(
                plane,
                at,
                stride,
                [
                    _mm512_extracti32x4_epi32::<$lane>($rows.0),
                    _mm512_extracti32x4_epi32::<$lane>($rows.1),
                ],
            );
        };
    }
    write!(0);
    write!(1);
    most
}

/// Four blocks of any coefficients. Returns the sizes of what must be in range.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn full(jobs: [Job; 4], blocks: &mut [Block], plane: &mut [u8], stride: usize, factors: &Factors) -> __m512i {
    macro_rules! load {
        ($number:literal) => {{
            let block = &blocks[jobs[$number].block()].0;
            // SAFETY: the two halves of a block.
            unsafe {
                [
                    _mm512_loadu_si512(block.as_ptr().cast()),
                    _mm512_loadu_si512(block[32..].as_ptr().cast()),
                ]
            }
        }};
    }
    let loaded: [[__m512i; 2]; 4] = [load!(0), load!(1), load!(2), load!(3)];
    for job in jobs {
        let block = &mut blocks[job.block()].0;
        // SAFETY: the two halves of a block.
        unsafe {
            _mm512_storeu_si512(block.as_mut_ptr().cast(), _mm512_setzero_si512());
            _mm512_storeu_si512(block[32..].as_mut_ptr().cast(), _mm512_setzero_si512());
        }
    }
    // Of each block two pairs of rows.
    macro_rules! permuted {
        ($which:literal, $number:literal) => {
            _mm512_permutex2var_epi16(
                loaded[$number][0],
                words(&FULL_PERMUTATION[$which]),
                loaded[$number][1],
            )
        };
    }
    let even = [permuted!(0, 0), permuted!(0, 1), permuted!(0, 2), permuted!(0, 3)];
    let odd = [permuted!(1, 0), permuted!(1, 1), permuted!(1, 2), permuted!(1, 3)];
    // The same halves of two blocks each.
    macro_rules! pairs {
        ($rows:ident, $halves:literal, $pair:literal) => {{
            let factor = words(&factors.full[$pair]);
            [
                _mm512_mullo_epi16(_mm512_shuffle_i64x2::<$halves>($rows[0], $rows[1]), factor),
                _mm512_mullo_epi16(_mm512_shuffle_i64x2::<$halves>($rows[2], $rows[3]), factor),
            ]
        }};
    }
    let p04 = pairs!(even, 0x44, 0);
    let first_most = _mm512_max_epu16(_mm512_abs_epi16(p04[0]), _mm512_abs_epi16(p04[1]));
    let rows = full_pass::<11>(
        p04,
        pairs!(even, 0xee, 1),
        pairs!(odd, 0x44, 2),
        pairs!(odd, 0xee, 3),
        _mm512_set1_epi32(ROUND_FIRST),
    );
    // In each lane pairs of columns of four rows: even and odd columns by turns.
    let (top, top_second) = pairs_of_columns(pack(rows[0], rows[1]), pack(rows[2], rows[3]));
    let (low, low_second) = pairs_of_columns(pack(rows[4], rows[5]), pack(rows[6], rows[7]));
    macro_rules! lanes {
        ($which:literal, $top:ident, $low:ident) => {
            [
                _mm512_shuffle_i64x2::<$which>($top[0], $low[0]),
                _mm512_shuffle_i64x2::<$which>($top[1], $low[1]),
            ]
        };
    }
    let p04 = lanes!(0x88, top, low);
    let second_most = _mm512_max_epu16(_mm512_abs_epi16(p04[0]), _mm512_abs_epi16(p04[1]));
    let columns = full_pass::<18>(
        p04,
        lanes!(0x88, top_second, low_second),
        lanes!(0xdd, top, low),
        lanes!(0xdd, top_second, low_second),
        _mm512_set1_epi32(ROUND_SECOND),
    );
    // In each lane rows 0 to 3 of two blocks, then their rows 4 to 7.
    macro_rules! write {
        ($group:literal) => {
            let rows = rows_of(&one_of!(columns, $group));
            write!($group, rows, 0, 0, 0);
            write!($group, rows, 1, 1, 0);
            write!($group, rows, 2, 0, 4);
            write!($group, rows, 3, 1, 4);
        };
        ($group:literal, $rows:ident, $lane:literal, $block:literal, $first:literal) => {
            let at = jobs[$group * 2 + $block].at() + $first * stride;
            write_rows(
                plane,
                at,
                stride,
                [
                    _mm512_extracti32x4_epi32::<$lane>($rows.0),
                    _mm512_extracti32x4_epi32::<$lane>($rows.1),
                ],
            );
        };
    }
    write!(0);
    write!(1);
    _mm512_max_epu16(first_most, _mm512_srli_epi16::<1>(second_most))
}
