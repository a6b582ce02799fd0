//! Files that are as they should be, and those that are not.

use super::*;

const FORM: PatchForm = PatchForm {
    sample: Sample::U16,
    size: Size { height: 2, width: 3 },
};

/// A little-endian TIFF of one strip; `change` may alter the values of its tags.
fn file(change: impl Fn(u16) -> Option<u32>) -> Vec<u8> {
    let tags: [(u16, u16, u32); 10] = [
        (256, 4, 3),
        (257, 4, 2),
        (258, 3, 16),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, 2),
        (279, 4, 12),
        (339, 3, 1),
    ];
    let mut bytes = b"II\x2a\0\x14\0\0\0".to_vec();
    bytes.extend((1u16..=6).flat_map(u16::to_le_bytes));
    bytes.extend(u16::try_from(tags.len()).unwrap().to_le_bytes());
    for (tag, kind, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(change(tag).unwrap_or(value).to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    bytes
}

fn refused(file: &[u8]) -> Flaw {
    decode(file, &FORM, &mut [0; 12]).unwrap_err()
}

#[test]
fn samples_come_out_little_endian() {
    let file = file(|_| None);
    assert_eq!(form_of(&file).unwrap(), FORM);
    let mut out = [0; 12];
    decode(&file, &FORM, &mut out).unwrap();
    assert_eq!(
        out.as_slice(),
        (1u16..=6).flat_map(u16::to_le_bytes).collect::<Vec<_>>()
    );
}

#[test]
fn another_form_says_what_was_expected_and_found() {
    let wide = file(|tag| (tag == 256).then_some(2));
    let flaw = refused(&wide);
    assert_eq!(flaw.status, Status::Unsupported);
    assert!(
        flaw.text.contains("uint16 2x3") && flaw.text.contains("uint16 2x2"),
        "{}",
        flaw.text
    );
    for (tag, value) in [(258, 8), (262, 0), (277, 3), (339, 2)] {
        let flaw = refused(&file(|each| (each == tag).then_some(value)));
        assert!(
            matches!(flaw.status, Status::Unsupported | Status::Corrupt),
            "{tag}: {}",
            flaw.text
        );
    }
}

#[test]
fn huge_claims_allocate_nothing() {
    let wide = file(|each| (each == 256).then_some(u32::MAX - 7));
    assert_eq!(refused(&wide).status, Status::Unsupported);
    // Its one strip of two rows does not reach so far.
    let tall = file(|each| (each == 257).then_some(u32::MAX - 7));
    assert_eq!(refused(&tall).status, Status::Corrupt);
    for tag in [273, 278, 279] {
        let claims = file(|each| (each == tag).then_some(u32::MAX - 7));
        let _ = decode(&claims, &FORM, &mut [0; 12]);
    }
    let huge = file(|each| [256, 257, 278].contains(&each).then_some(u32::MAX));
    assert_eq!(refused(&huge).status, Status::Unsupported);
}

#[test]
fn no_cut_and_no_flipped_byte_is_more_than_a_flaw() {
    let whole = file(|_| None);
    for end in 0..whole.len() {
        let _ = decode(&whole[..end], &FORM, &mut [0; 12]);
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            let _ = decode(&changed, &FORM, &mut [0; 12]);
        }
    }
}

#[test]
fn other_files_are_told_apart() {
    assert_eq!(refused(b"\x89PNG\r\n\x1a\n").status, Status::Corrupt);
    let whole = file(|_| None);
    assert_eq!(refused(&whole[..15]).status, Status::Truncated);
}
