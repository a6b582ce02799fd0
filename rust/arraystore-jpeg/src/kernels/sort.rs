//! Blocks are sorted by how far their coefficients go, and their DC coefficients summed up, in one pass without branches for
//! each component.

use crate::entropy::{Block, Note};
use crate::pixels::{Job, Jobs, SPARSE};

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
struct Ends {
    flat: *mut Job,
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
    unsafe fn push(&mut self, job: Job, note: &Note) {
        let last = usize::from(note.behind.wrapping_sub(2) & 0x7f);
        let (is_flat, is_full) = (last == 0, last > 2 * SPARSE);
        // SAFETY: the caller promises room.
        unsafe {
            self.flat.write(job);
            self.sparse.write(job);
            self.full.write(job);
        }
        self.flat = self.flat.wrapping_add(usize::from(is_flat));
        self.sparse = self.sparse.wrapping_add(usize::from(!is_flat && !is_full));
        self.full = self.full.wrapping_add(usize::from(is_full));
    }

    /// Notes the new lengths.
    fn give_back(self, jobs: &mut Jobs) {
        let length = |end: *mut Job, list: &[Job]| (end.addr() - list.as_ptr().addr()) / size_of::<Job>();
        jobs.counts = [
            length(self.flat, &jobs.flat),
            length(self.sparse, &jobs.sparse),
            length(self.full, &jobs.full),
        ];
    }
}

/// Sorts MCUs of `MCU` blocks, of which the first `LUMA` are of luma. Returns whether all DC coefficients are in range.
///
/// With two lists for colour, Cb goes to the first and Cr to the second; with one, both go there.
pub(crate) fn sort<const MCU: usize, const LUMA: usize>(
    blocks: &mut [Block],
    notes: &[Note],
    places: &Places,
    luma: &mut Jobs,
    chroma: &mut [Jobs],
    before: &mut [i32; 3],
) -> bool {
    let (blocks, notes) = (blocks.as_chunks_mut::<MCU>().0, notes.as_chunks::<MCU>().0);
    let starts = std::array::from_fn(|number| Job::new(places.first + number, places.luma[number]));
    let step = Job::new(MCU, places.luma_step);
    let mut is_in_range = component::<MCU, LUMA>(blocks, notes, 0, (starts, step), luma, &mut before[0]);
    for number in LUMA..MCU {
        let component = number - LUMA;
        let jobs = &mut chroma[if chroma.len() == 1 { 0 } else { component }];
        let starts = [Job::new(places.first + number, places.chroma[component])];
        let step = Job::new(MCU, places.chroma_step);
        is_in_range &=
            self::component::<MCU, 1>(blocks, notes, number, (starts, step), jobs, &mut before[1 + component]);
    }
    is_in_range
}

/// Sorts `COUNT` blocks of each MCU, from that one of its blocks on. Returns whether all their DC coefficients are in range.
#[inline]
fn component<const MCU: usize, const COUNT: usize>(
    blocks: &mut [[Block; MCU]],
    notes: &[[Note; MCU]],
    from: usize,
    (mut starts, step): ([Job; COUNT], Job),
    jobs: &mut Jobs,
    before: &mut i32,
) -> bool {
    jobs.assert_room(blocks.len() * COUNT);
    assert!(from + COUNT <= MCU, "an MCU has fewer blocks");
    let mut ends = Ends::of(jobs);
    let (mut sum, mut beyond) = (*before, 0);
    for (mcu, notes) in blocks.iter_mut().zip(notes) {
        let all = mcu[from..from + COUNT].iter_mut().zip(&notes[from..from + COUNT]);
        for ((block, note), job) in all.zip(&mut starts) {
            sum += i32::from(block.0[0]);
            beyond |= sum + 0x8000;
            #[expect(clippy::cast_possible_truncation, reason = "what is beyond is an error")]
            {
                block.0[0] = sum as i16;
            }
            // SAFETY: there is room, as was asserted.
            unsafe { ends.push(*job, note) }
            *job = job.further(step);
        }
    }
    *before = sum;
    ends.give_back(jobs);
    beyond >> 16 == 0
}
