//! Quantisation tables in the orders that the kernels want.

use crate::kernels;

/// Zigzag order: the place in the block, row by row, of each coefficient.
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// The zigzag index of each place in a block.
#[cfg(target_arch = "x86_64")]
pub(crate) const INDEX_OF: [u8; 64] = {
    let mut index_of = [0; 64];
    let mut index = 0;
    while index < 64 {
        #[expect(clippy::cast_possible_truncation, reason = "below 64")]
        {
            index_of[ZIGZAG[index] as usize] = index as u8;
        }
        index += 1;
    }
    index_of
};

/// A quantisation table.
#[derive(Debug, Clone)]
pub(crate) struct Quantisation {
    /// As in the file.
    key: [u8; 64],
    /// In zigzag order.
    pub(crate) zigzag: [i16; 64],
    /// As the kernels for AVX2 take them.
    #[cfg(target_arch = "x86_64")]
    pub(crate) avx2: kernels::avx2::Factors,
    /// As the kernels for AVX-512 take them.
    #[cfg(target_arch = "x86_64")]
    pub(crate) avx512: kernels::avx512::Factors,
}

impl Quantisation {
    fn new(key: &[u8; 64]) -> Self {
        let zigzag = key.map(i16::from);
        Self {
            key: *key,
            zigzag,
            #[cfg(target_arch = "x86_64")]
            avx2: kernels::avx2::Factors::new(&zigzag),
            #[cfg(target_arch = "x86_64")]
            avx512: kernels::avx512::Factors::new(&zigzag),
        }
    }
}

/// The tables that were used last.
#[derive(Debug, Default)]
pub(crate) struct QuantisationCache {
    kept: Vec<Quantisation>,
}

/// As many tables are kept: those of the components of a few packages.
const MOST_KEPT: usize = 8;

impl QuantisationCache {
    /// Makes tables for three components, and tells where they are.
    pub(crate) fn find(&mut self, keys: [&[u8; 64]; 3]) -> [usize; 3] {
        let mut places = [0; 3];
        if self.kept.len() + keys.len() > MOST_KEPT && keys.iter().any(|key| self.place_of(key).is_none()) {
            self.kept.clear();
        }
        for (place, key) in places.iter_mut().zip(keys) {
            *place = self.place_of(key).unwrap_or_else(|| {
                self.kept.push(Quantisation::new(key));
                self.kept.len() - 1
            });
        }
        places
    }

    pub(crate) fn get(&self, place: usize) -> &Quantisation {
        &self.kept[place]
    }

    fn place_of(&self, key: &[u8; 64]) -> Option<usize> {
        self.kept.iter().position(|kept| kept.key == *key)
    }
}
