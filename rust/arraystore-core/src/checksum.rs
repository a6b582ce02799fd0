//! Checksums of bytes, by the widest instructions that the processor has.

use std::sync::atomic::{Ordering, compiler_fence};

use crc_fast::{CrcAlgorithm, Digest};

/// Bytes whose checksum is computed before they are copied from the innermost cache.
const BLOCK_NBYTES: usize = 8 << 10;

/// The most bytes that are copied in blocks. One large copy can write past the caches, which many small ones cannot.
const MOST_IN_BLOCKS: usize = 256 << 10;

const LINE_NBYTES: usize = 64;
const PAGE_NBYTES: usize = 4096;

/// The CRC-32C of some bytes.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The CRC-32C of some bytes that follow others, whose CRC-32C is `initial`; that of no bytes is 0.
#[must_use]
pub fn crc32c_append(initial: u32, bytes: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!initial));
    digest.update(bytes);
    let [a, b, c, d, ..] = digest.finalize().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Copies bytes into `out`, which is as long, and returns the CRC-32C of them.
///
/// # Panics
///
/// If the lengths differ.
#[must_use]
pub fn copy_crc32c(bytes: &[u8], out: &mut [u8]) -> u32 {
    assert_eq!(bytes.len(), out.len());
    // The checksum of a block would meet the stores of the block before it, if that was copied from its end to its start.
    if bytes.len() > MOST_IN_BLOCKS || follows_closely(bytes, out) {
        let checksum = crc32c(bytes);
        copy(bytes, out);
        return checksum;
    }
    let mut checksum = 0;
    for (bytes, out) in bytes.chunks(BLOCK_NBYTES).zip(out.chunks_mut(BLOCK_NBYTES)) {
        checksum = crc32c_append(checksum, bytes);
        out.copy_from_slice(bytes);
    }
    checksum
}

/// Copies bytes into `out`, which is as long.
///
/// A processor compares a load with the stores before it by twelve bits of their addresses. If `out` begins less than a line after
/// its source, counted within a page, each load waits for the store before it, and `memcpy` is seven times slower (Zen 4). That
/// is where large arrays of NumPy begin, 16 bytes into a page. From the end to the start no load meets such a store.
///
/// # Panics
///
/// If the lengths differ.
pub fn copy(bytes: &[u8], out: &mut [u8]) {
    if !follows_closely(bytes, out) {
        out.copy_from_slice(bytes);
        return;
    }
    assert_eq!(bytes.len(), out.len());
    let (from_start, from) = bytes.as_rchunks::<LINE_NBYTES>();
    let (to_start, to) = out.as_rchunks_mut::<LINE_NBYTES>();
    for (to, from) in to.iter_mut().zip(from).rev() {
        *to = *from;
        // Without it the compiler sees that this is a `memcpy`, and calls that.
        compiler_fence(Ordering::SeqCst);
    }
    to_start.copy_from_slice(from_start);
}

/// Whether each load of a copy from start to end would meet the store before it, for long enough to matter.
fn follows_closely(bytes: &[u8], out: &[u8]) -> bool {
    let after = out.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr()) % PAGE_NBYTES;
    (1..LINE_NBYTES).contains(&after) && bytes.len() >= PAGE_NBYTES
}

/// The CRC-32 of zip and gzip.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iso_hdlc(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One bit after another, as the definition says.
    fn by_definition(polynomial: u32, bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |state, &byte| {
            (0..8).fold(state ^ u32::from(byte), |state, _| {
                (state >> 1) ^ if state & 1 == 1 { polynomial } else { 0 }
            })
        })
    }

    const CRC32C: u32 = 0x82F6_3B78;
    const CRC32: u32 = 0xEDB8_8320;

    #[test]
    fn known_values_are_found() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        // RFC 3720, appendix B.4.
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        let values = [
            (vec![0; 32], 0x8A91_36AA),
            (vec![0xFF; 32], 0x62A8_AB43),
            (rising, 0x46DD_794E),
            (falling, 0x113F_DB5C),
        ];
        for (bytes, value) in values {
            assert_eq!(crc32c(&bytes), value, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_beyond_the_blocks_are_copied_too() {
        let bytes: Vec<u8> = (0..MOST_IN_BLOCKS + 9).map(|i| (i % 251).to_le_bytes()[0]).collect();
        for nbytes in [MOST_IN_BLOCKS, MOST_IN_BLOCKS + 1, MOST_IN_BLOCKS + 9] {
            let mut out = vec![0; nbytes];
            assert_eq!(copy_crc32c(&bytes[..nbytes], &mut out), by_definition(CRC32C, &out));
            assert_eq!(out, bytes[..nbytes]);
        }
    }

    #[test]
    fn bytes_are_copied_from_any_place_to_any_other() {
        let bytes: Vec<u8> = (0..20_000_u32).map(|i| (i % 251).to_le_bytes()[0]).collect();
        let mut place = vec![0; 3 * PAGE_NBYTES];
        for after in 0..80 {
            for nbytes in [PAGE_NBYTES - 1, PAGE_NBYTES, PAGE_NBYTES + 77] {
                // Of the places in two pages, one lies `after` bytes behind the source, counted within a page.
                let source = &bytes[after * 3..][..nbytes];
                let begin = (source.as_ptr().addr() + after).wrapping_sub(place.as_ptr().addr()) % PAGE_NBYTES;
                place.fill(0xFF);
                copy(source, &mut place[begin..begin + nbytes]);
                assert_eq!(&place[begin..begin + nbytes], source, "{after} {nbytes}");
                assert!(
                    place[..begin]
                        .iter()
                        .chain(&place[begin + nbytes..])
                        .all(|&byte| byte == 0xFF)
                );
            }
        }
    }

    #[test]
    fn every_length_at_every_alignment_is_as_defined() {
        let bytes: Vec<u8> = (0..70_000_u32)
            .map(|i| (i.wrapping_mul(i) / 251).to_le_bytes()[0])
            .collect();
        let lengths = (0..700).chain([1_023, 4_096, 7_307, 8_191, 8_192, 8_193, 65_536, 65_537, 69_900]);
        for (number, nbytes) in lengths.enumerate() {
            let bytes = &bytes[number % 67..][..nbytes];
            let expected = by_definition(CRC32C, bytes);
            assert_eq!(crc32c(bytes), expected, "{nbytes}");
            assert_eq!(crc32(bytes), by_definition(CRC32, bytes), "{nbytes}");
            let mut out = vec![0; nbytes];
            assert_eq!(copy_crc32c(bytes, &mut out), expected, "{nbytes}");
            assert_eq!(out, bytes, "{nbytes}");
            let (first, rest) = bytes.split_at(nbytes / 3);
            assert_eq!(crc32c_append(crc32c(first), rest), expected, "{nbytes}");
        }
    }
}
