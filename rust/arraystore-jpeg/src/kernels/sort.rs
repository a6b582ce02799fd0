//! Blocks are sorted by how far their coefficients go, and their DC coefficients summed up, in one pass without branches.

use crate::entropy::{Block, Note};
use crate::pixels::{Flat, Job, Jobs, SPARSE};

/// Where the blocks of a row of MCUs go.
pub(crate) struct Places {
    /// Number of the first block.
    pub(crate) first: usize,
    /// Where in the plane the samples of the blocks of luma of the first MCU go.
    pub(crate) luma: [usize; 4],
    /// And those of Cb and Cr.
    pub(crate) chroma: [usize; 2],
    /// How far those of the next MCU are.
    pub(crate) luma_step: usize,
    pub(crate) chroma_step: usize,
}

/// The ends of the lists of a component.
#[derive(Clone, Copy)]
struct Ends {
    flat: *mut Flat,
    sparse: *mut Job,
    full: *mut Job,
}

impl Ends {
    fn of(jobs: &mut Jobs) -> Self {
        let [flat, sparse, full] = jobs.counts;
        Self {
            flat: jobs.flat[flat..].as_mut_ptr(),
            sparse: jobs.sparse[sparse..].as_mut_ptr(),
            full: jobs.full[full..].as_mut_ptr(),
        }
    }

    /// Adds a block to its list: it is written to all, and counted in one.
    ///
    /// # Safety
    ///
    /// There must be room in all lists.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fewer than 2^32 blocks and samples in a row of MCUs"
    )]
    unsafe fn push(&mut self, block: usize, at: usize, dc: i32, last: u8) {
        let last = usize::from(last & 0x7f) / 2;
        let (is_flat, is_full) = (last == 0, last > SPARSE);
        let job = Job {
            block: block as u32,
            at: at as u32,
        };
        // SAFETY: the caller promises room.
        unsafe {
            self.flat.write(Flat { dc, at: at as u32 });
            self.sparse.write(job);
            self.full.write(job);
        }
        self.flat = self.flat.wrapping_add(usize::from(is_flat));
        self.sparse = self.sparse.wrapping_add(usize::from(!is_flat && !is_full));
        self.full = self.full.wrapping_add(usize::from(is_full));
    }

    /// Notes the new lengths.
    fn give_back(self, jobs: &mut Jobs) {
        let length = |end: usize, begin: usize, each: usize| (end - begin) / each;
        jobs.counts = [
            length(self.flat.addr(), jobs.flat.as_ptr().addr(), size_of::<Flat>()),
            length(self.sparse.addr(), jobs.sparse.as_ptr().addr(), size_of::<Job>()),
            length(self.full.addr(), jobs.full.as_ptr().addr(), size_of::<Job>()),
        ];
    }
}

/// Sorts MCUs of `LUMA` blocks of luma and `CHROMA` of colour. Returns whether all DC coefficients are in range.
///
/// With two lists for colour, Cb goes to the first and Cr to the second; with one, both go there.
pub(crate) fn sort<const LUMA: usize, const CHROMA: usize>(
    blocks: &mut [Block],
    notes: &[Note],
    places: &Places,
    luma: &mut Jobs,
    chroma: &mut [Jobs],
    before: &mut [i32; 3],
) -> bool {
    let count = blocks.len() / (LUMA + CHROMA);
    luma.assert_room(count * LUMA);
    for jobs in chroma.iter() {
        jobs.assert_room(count * CHROMA);
    }
    let mut luma_ends = Ends::of(luma);
    let is_one_list = chroma.len() == 1;
    let mut chroma_ends = [const { None }; 2];
    for (ends, jobs) in chroma_ends.iter_mut().zip(chroma.iter_mut()) {
        *ends = Some(Ends::of(jobs));
    }
    let [mut y, mut cb, mut cr] = *before;
    let mut beyond = 0;
    let mut number = places.first;
    let mut luma_at = places.luma;
    let mut chroma_at = places.chroma;
    let mcus = blocks
        .chunks_exact_mut(LUMA + CHROMA)
        .zip(notes.chunks_exact(LUMA + CHROMA));
    let mut sum = |block: &mut Block, before: &mut i32| {
        *before += i32::from(block.0[0]);
        beyond |= *before + 0x8000;
        #[expect(clippy::cast_possible_truncation, reason = "what is beyond is an error")]
        {
            block.0[0] = *before as i16;
        }
        *before
    };
    for (mcu, notes) in mcus {
        for luma in 0..LUMA {
            let dc = sum(&mut mcu[luma], &mut y);
            // SAFETY: there is room, as was asserted.
            unsafe { luma_ends.push(number + luma, luma_at[luma], dc, notes[luma].last) }
            luma_at[luma] += places.luma_step;
        }
        if CHROMA == 2
            && let [Some(first), second] = &mut chroma_ends
        {
            let dc = sum(&mut mcu[LUMA], &mut cb);
            // SAFETY: as above.
            unsafe { first.push(number + LUMA, chroma_at[0], dc, notes[LUMA].last) }
            let dc = sum(&mut mcu[LUMA + 1], &mut cr);
            let ends = match second {
                Some(second) if !is_one_list => second,
                _ => first,
            };
            // SAFETY: as above.
            unsafe { ends.push(number + LUMA + 1, chroma_at[1], dc, notes[LUMA + 1].last) }
            chroma_at[0] += places.chroma_step;
            chroma_at[1] += places.chroma_step;
        }
        number += LUMA + CHROMA;
    }
    *before = [y, cb, cr];
    luma_ends.give_back(luma);
    for (ends, jobs) in chroma_ends.into_iter().flatten().zip(chroma) {
        ends.give_back(jobs);
    }
    beyond >> 16 == 0
}
