//! What a walk finds, on files written byte by byte.

use super::*;
use proptest::prelude::*;

const FRAME: &[u8] = b"\xFF\xC0\0\x11\x08\x01\0\x01\x55\x03\x01\x22\0\x02\x11\x01\x03\x11\x01";
const SCAN: &[u8] = b"\xFF\xDA\0\x0C\x03\x01\0\x02\x11\x03\x11\0\x3F\0";
const DATA: &[u8] = b"\x12\x34\xFF\0\x56\xFF\xD0\x78\xFF\xFF\xD1\x9A";

fn sound() -> Vec<u8> {
    [
        b"\xFF\xD8\xFF\xE0\0\x04ab\xFF\xFF\xDB\0\x03q",
        FRAME,
        SCAN,
        DATA,
        b"\xFF\xD9",
    ]
    .concat()
}

fn flaw(bytes: &[u8]) -> Flaw {
    walk(bytes).flaw.unwrap()
}

#[test]
fn a_sound_file_gives_its_header() {
    let found = walk(&sound());
    assert_eq!(found.flaw, None);
    let header = found.header.unwrap();
    assert_eq!((header.height, header.width, header.precision), (256, 341, 8));
    assert_eq!(
        (header.coding, header.component_count, header.scans),
        (Coding::Baseline, 3, 1)
    );
    assert_eq!((header.components[0].horizontal, header.components[2].vertical), (2, 1));
}

#[test]
fn bytes_of_the_vendor_behind_the_end_are_counted() {
    let found = walk(&[sound(), vec![0x9A; 2148]].concat());
    assert_eq!((found.flaw, found.header.unwrap().trailing_nbytes), (None, 2148));
}

#[test]
fn every_file_cut_short_is_truncated_and_keeps_its_size_if_it_got_so_far() {
    let whole = sound();
    let size_known_from = whole.windows(4).position(|four| four == b"\xFF\xDA\0\x0C").unwrap();
    for nbytes in 2..whole.len() {
        let found = walk(&whole[..nbytes]);
        assert!(matches!(found.flaw, Some(Flaw::Truncated(_))), "{nbytes}: {found:?}");
        assert_eq!(found.header.is_some(), nbytes >= size_known_from, "{nbytes}");
    }
}

#[test]
fn a_file_filled_up_with_zeros_is_truncated() {
    let mut bytes = sound();
    let end = bytes.len() - 2;
    bytes.truncate(end);
    bytes.extend_from_slice(&[0; 100]);
    assert_eq!(flaw(&bytes).status(), Status::Truncated);
}

#[test]
fn what_is_no_jpeg_says_what_it_is() {
    assert!(flaw(b"\x89PNG\r\n").text().contains("PNG"));
    assert!(flaw(b"").text().contains("nothing"));
    assert_eq!(flaw(&[0; 50]).status(), Status::NotAJpeg);
}

#[test]
fn contradictions_are_corrupt() {
    let replaced = |from: &[u8], to: &[u8]| {
        let bytes = sound();
        let at = bytes.windows(from.len()).position(|part| part == from).unwrap();
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    };
    for bytes in [
        replaced(b"\xFF\xE0\0\x04", b"\xFF\xE0\0\x01"),
        replaced(FRAME, b""),
        replaced(FRAME, &[FRAME, FRAME].concat()),
        replaced(SCAN, b"\xFF\xD8"),
        replaced(&[SCAN, DATA].concat(), b""),
        replaced(b"\x01\x55\x03", b"\0\0\x03"),
        replaced(b"\x01\x22\0", b"\x01\x52\0"),
        replaced(b"\x01\x55\x03", b"\x01\x55\0"),
        replaced(b"\xFF\xDA\0\x0C\x03", b"\xFF\xDA\0\x0C\x01"),
        replaced(b"\xFF\xE0", b"\xFE\xE0"),
    ] {
        assert_eq!(flaw(&bytes).status(), Status::Corrupt, "{:?}", walk(&bytes));
    }
}

#[test]
fn rare_kinds_are_unsupported_and_keep_their_size() {
    let replaced = |from: u8, to: u8, at: usize| {
        let mut bytes = sound();
        let frame = bytes.windows(2).position(|two| two == b"\xFF\xC0").unwrap();
        assert_eq!(bytes[frame + at], from);
        bytes[frame + at] = to;
        walk(&bytes)
    };
    for found in [replaced(8, 12, 4), replaced(0xC0, 0xC3, 1), replaced(1, 0, 5)] {
        assert_eq!(found.flaw.unwrap().status(), Status::Unsupported);
        assert_eq!(found.header.unwrap().width, 341);
    }
    assert_eq!(replaced(0xC0, 0xC2, 1).flaw, None);
}

proptest! {
    #[test]
    fn no_bytes_make_a_walk_panic_or_disagree_with_itself(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sound();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(length.index(bytes.len() + 1));
        // With all that is known of the frame but what follows it: scans, and bytes behind the end.
        let bare = |header: Header| Header { scans: 0, trailing_nbytes: 0, ..header };
        prop_assert_eq!(frame_header(&bytes), walk(&bytes).header.map(bare));
    }
}
