//! Memory to the cache before it is written.
//!
//! A batch is much larger than the caches. A store to a line that is not there must first read it; asked for some rows
//! before, it is there in time.

/// Bytes of a line of the cache.
#[cfg(target_arch = "x86_64")]
const LINE_NBYTES: usize = 64;

/// Asks for the lines that hold `values`; nothing else.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn prefetch<T>(values: &[T]) {
    use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
    let bytes = values.as_ptr().cast::<i8>();
    for at in (0..size_of_val(values)).step_by(LINE_NBYTES) {
        // SAFETY: `at` is within the slice; and a prefetch has no effect that a program could see.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(bytes.add(at)) };
    }
}

/// Nothing, where there is no stable way to ask.
#[cfg(not(target_arch = "x86_64"))]
pub fn prefetch<T>(_: &[T]) {}
