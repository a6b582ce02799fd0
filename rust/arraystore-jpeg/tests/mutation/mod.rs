//! Damages JPEGs and seek tables: what breaks on disks, and what an attacker would try.

#![allow(dead_code, reason = "each test uses its part")]

use std::ops::Range;

use super::reference::Numbers;

/// Kinds of damage of [`mutate`].
const KINDS: usize = 19;

/// The segments of the headers, each from its `FF` on, up to and with the header of the scan.
pub fn segments(jpeg: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 2;
    while let Some([0xff, marker, high, low]) = jpeg.get(at..at + 4) {
        let end = at + 2 + usize::from(u16::from_be_bytes([*high, *low]));
        if end > jpeg.len() {
            break;
        }
        found.push(at..end);
        if *marker == 0xda {
            break;
        }
        at = end;
    }
    found
}

/// Where the bodies of segments of one kind lie.
fn bodies(jpeg: &[u8], markers: &[u8]) -> Vec<Range<usize>> {
    let is_wanted = |range: &Range<usize>| markers.contains(&jpeg[range.start + 1]) && range.len() > 4;
    let found = segments(jpeg).into_iter().filter(is_wanted);
    found.map(|range| range.start + 4..range.end).collect()
}

fn byte(numbers: &mut Numbers) -> u8 {
    const TELLING: [u8; 12] = [0, 1, 2, 3, 0x11, 0x12, 0x21, 0x22, 0x7f, 0x80, 0xfe, 0xff];
    if numbers.below(2) == 0 {
        TELLING[numbers.below(TELLING.len())]
    } else {
        u8::try_from(numbers.below(256)).unwrap()
    }
}

/// One of a list, if it has any.
pub fn pick<'a, T>(choices: &'a [T], numbers: &mut Numbers) -> Option<&'a T> {
    (!choices.is_empty()).then(|| &choices[numbers.below(choices.len())])
}

/// Up to `most` bytes somewhere in `range`.
fn chunk(range: Range<usize>, most: usize, numbers: &mut Numbers) -> Range<usize> {
    let start = range.start + numbers.below(range.len().max(1));
    start..(start + 1 + numbers.below(most)).min(range.end).max(start)
}

/// The positions of restart markers.
fn restarts(jpeg: &[u8], scan: usize) -> Vec<usize> {
    let is_restart = |&at: &usize| jpeg[at] == 0xff && (0xd0..0xd8).contains(&jpeg[at + 1]);
    (scan..jpeg.len().saturating_sub(1)).filter(is_restart).collect()
}

/// Sets a byte of a body to another value.
fn spoil(jpeg: &mut [u8], markers: &[u8], numbers: &mut Numbers) {
    if let Some(body) = pick(&bodies(jpeg, markers), numbers) {
        jpeg[body.start + numbers.below(body.len())] = byte(numbers);
    }
}

/// Damages `jpeg` in one to three ways; `other` is one to take parts from.
pub fn mutate(jpeg: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut damaged = jpeg.to_vec();
    for _ in 0..=numbers.below(3) {
        if damaged.len() > 4 {
            mutate_once(&mut damaged, other, numbers);
        }
    }
    damaged
}

#[expect(clippy::too_many_lines, reason = "a few lines for each kind")]
fn mutate_once(jpeg: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let headers = segments(jpeg);
    let scan = headers.last().map_or(2, |last| last.end).min(jpeg.len() - 1);
    match numbers.below(KINDS) {
        0 => {
            let at = scan + numbers.below(jpeg.len() - scan);
            jpeg[at] ^= 1 << numbers.below(8);
        }
        1 => {
            let at = numbers.below(jpeg.len());
            jpeg[at] ^= 1 << numbers.below(8);
        }
        2 => {
            let at = numbers.below(jpeg.len());
            jpeg[at] = byte(numbers);
        }
        3 => jpeg.truncate(numbers.below(jpeg.len())),
        4 => drop(jpeg.drain(chunk(0..jpeg.len(), 40, numbers))),
        5 => {
            let copied = jpeg[chunk(0..jpeg.len(), 40, numbers)].to_vec();
            let at = numbers.below(jpeg.len());
            jpeg.splice(at..at, copied);
        }
        6 => {
            if let (Some(a), Some(b)) = (pick(&headers, numbers), pick(&headers, numbers)) {
                let (a, b) = if a.start <= b.start { (a, b) } else { (b, a) };
                if a.end <= b.start {
                    let swapped = [&jpeg[b.clone()], &jpeg[a.end..b.start], &jpeg[a.clone()]].concat();
                    jpeg.splice(a.start..b.end, swapped);
                }
            }
        }
        // Frame: size, sampling, identifiers, tables.
        7 => spoil(jpeg, &[0xc0, 0xc1], numbers),
        // A size of nearly as many pixels, mostly of as many MCUs.
        8 => {
            if let Some(body) = pick(&bodies(jpeg, &[0xc0, 0xc1]), numbers) {
                let at = body.start + 2 + 2 * numbers.below(2);
                if at < body.end {
                    let change = u8::try_from(numbers.below(16)).unwrap();
                    jpeg[at] = jpeg[at].wrapping_add(change).wrapping_sub(8);
                }
            }
        }
        9 => spoil(jpeg, &[0xda], numbers),
        10 => spoil(jpeg, &[0xc4], numbers),
        // Two symbols or two counts change places: mostly still a table.
        11 => {
            if let Some(body) = pick(&bodies(jpeg, &[0xc4]), numbers) {
                let (a, b) = (numbers.below(body.len()), numbers.below(body.len()));
                jpeg.swap(body.start + a, body.start + b);
            }
        }
        12 => spoil(jpeg, &[0xdb], numbers),
        13 => spoil(jpeg, &[0xdd, 0xe0, 0xee], numbers),
        14 => {
            const INSERTED: [&[u8]; 9] = [
                &[0xff],
                &[0xff, 0],
                &[0xff, 0xff],
                &[0xff, 0xff, 0],
                &[0xff, 0xd0],
                &[0xff, 0xd3],
                &[0xff, 0xd9],
                &[0xff, 0xd8],
                &[0],
            ];
            let at = scan + numbers.below(jpeg.len() - scan + 1);
            let inserted = INSERTED[numbers.below(INSERTED.len())];
            jpeg.splice(at..at, inserted.iter().copied());
        }
        15 => {
            if let Some(&from) = pick(&restarts(jpeg, scan), numbers) {
                match numbers.below(3) {
                    0 => drop(jpeg.drain(from..from + 2)),
                    1 => jpeg[from + 1] = 0xd0 + u8::try_from(numbers.below(8)).unwrap(),
                    _ => {
                        let marker: Vec<u8> = jpeg.drain(from..from + 2).collect();
                        let at = (from + numbers.below(9)).saturating_sub(4).min(jpeg.len());
                        jpeg.splice(at..at, marker);
                    }
                }
            }
        }
        16 => {
            const INSERTED: [&[u8]; 6] = [
                &[0xff, 0xdd, 0, 4, 0, 1],
                &[0xff, 0xdd, 0, 4, 0x7f, 0xff],
                b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x01",
                b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0",
                b"\xff\xe0\0\x10JFIF\0\x02\x01\0\0\x01\0\x01\0\0",
                &[0xff, 0xfe, 0, 2],
            ];
            if let Some(before) = pick(&headers, numbers) {
                let inserted = INSERTED[numbers.below(INSERTED.len())];
                jpeg.splice(before.start..before.start, inserted.iter().copied());
            }
        }
        // A segment of another image in place of one, or before it.
        17 => {
            if let (Some(to), Some(from)) = (pick(&headers, numbers), pick(&segments(other), numbers)) {
                let end = if numbers.below(2) == 0 { to.start } else { to.end };
                jpeg.splice(to.start..end, other[from.clone()].iter().copied());
            }
        }
        // The scan of another image from a place on.
        _ => {
            let from = segments(other).last().map_or(2, |last| last.end).min(other.len());
            let at = scan + numbers.below(jpeg.len() - scan);
            jpeg.truncate(at);
            jpeg.extend_from_slice(&other[(from + at - scan).min(other.len())..]);
        }
    }
}

/// A seek table taken apart: its step, and the numbers of its entries, each its bits and its changes of DC.
pub fn take_apart(table: &[u8]) -> Option<(u8, Vec<u64>)> {
    let (&step, rest) = table.split_first()?;
    let (mut values, mut value, mut shift) = (Vec::new(), 0, 0);
    for &byte in rest {
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            values.push(value);
            (value, shift) = (0, 0);
        }
    }
    Some((step, values))
}

/// A seek table put together.
pub fn put_together(step: u8, values: &[u64]) -> Vec<u8> {
    let mut table = vec![step];
    for &value in values {
        let mut value = value;
        while value >= 0x80 {
            table.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        table.push(value.to_le_bytes()[0]);
    }
    table
}

/// The lies of [`lie`].
pub const LIES: [&str; 8] = [
    "random bytes",
    "of another image",
    "a bit flipped",
    "another step",
    "an entry moved",
    "another predictor",
    "an entry more or less",
    "random numbers",
];

/// Damages a seek table of entries of `components` components in one of the ways of [`LIES`]; `other` is one of another image.
pub fn lie(kind: usize, table: &[u8], other: &[u8], components: usize, numbers: &mut Numbers) -> Vec<u8> {
    let Some((step, mut values)) = take_apart(table) else {
        return other.to_vec();
    };
    let width = components + 1;
    let entries: Vec<usize> = (0..values.len()).step_by(width).collect();
    match kind {
        0 => return (0..numbers.below(60)).map(|_| byte(numbers)).collect(),
        1 => return other.to_vec(),
        2 => {
            let mut flipped = table.to_vec();
            let at = numbers.below(flipped.len());
            flipped[at] ^= 1 << numbers.below(8);
            return flipped;
        }
        3 => return put_together([0, 1, 2, 3, 4, 7, 255][numbers.below(7)], &values),
        // Those behind it are as they were, or moved with it.
        4 => {
            if let Some(&at) = pick(&entries, numbers) {
                let most = values[at].min(64);
                let change = numbers.below(2 * usize::try_from(most).unwrap() + 1) as u64;
                values[at] = values[at] + change - most;
                if let Some(next) = values.get_mut(at + width).filter(|_| numbers.below(2) == 0) {
                    *next = next.saturating_add(most).saturating_sub(change);
                }
            }
        }
        // Of one entry, or of all behind it, too.
        5 => {
            if let Some(&at) = pick(&entries, numbers) {
                let at = at + 1 + numbers.below(components);
                values[at] = numbers.below(200) as u64;
                if let Some(next) = values.get_mut(at + width).filter(|_| numbers.below(2) == 0) {
                    *next = numbers.below(200) as u64;
                }
            }
        }
        6 => {
            if let Some(&at) = pick(&entries, numbers) {
                if numbers.below(2) == 0 {
                    values.drain(at..at + width);
                } else {
                    values.splice(at..at, [0; 4].into_iter().take(width));
                }
            }
        }
        _ => values.fill_with(|| numbers.below(300) as u64),
    }
    put_together(step, &values)
}
