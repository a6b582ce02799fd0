//! Codes and bits of any kind in an image whose headers are right: what is decoded is what libjpeg-turbo decodes.

#![no_main]

#[path = "../compare.rs"]
mod compare;

fn segment(jpeg: &mut Vec<u8>, marker: u8, body: &[u8]) {
    jpeg.extend([0xff, marker]);
    jpeg.extend(u16::try_from(body.len() + 2).unwrap_or(u16::MAX).to_be_bytes());
    jpeg.extend(body);
}

/// Takes the numbers of codes of each length, up to `most`, and their symbols: a table, for class and place `number`.
fn table<'a>(number: u8, most: u8, data: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
    let (counts, rest) = data.split_at_checked(16)?;
    let counts: Vec<u8> = counts.iter().map(|count| count % (most + 1)).collect();
    let (symbols, rest) = rest.split_at_checked(counts.iter().map(|&count| usize::from(count)).sum())?;
    Some(([&[number][..], &counts, symbols].concat(), rest))
}

/// An image of 24 x 24 pixels, gray or with colour, of which the tables and the scan are `data`.
fn image(data: &[u8]) -> Option<Vec<u8>> {
    let (&[kind, factor], rest) = data.split_first_chunk()?;
    let (dc, rest) = table(0x00, 1, rest)?;
    let (ac, scan) = table(0x10, 7, rest)?;
    let mut jpeg = vec![0xff, 0xd8];
    segment(&mut jpeg, 0xdb, &[&[0][..], &[factor.max(1); 64]].concat());
    segment(&mut jpeg, 0xc4, &dc);
    segment(&mut jpeg, 0xc4, &ac);
    if kind % 2 == 0 {
        segment(&mut jpeg, 0xc0, &[8, 0, 24, 0, 24, 1, 1, 0x11, 0]);
        segment(&mut jpeg, 0xda, &[1, 1, 0, 0, 63, 0]);
    } else {
        segment(
            &mut jpeg,
            0xc0,
            &[8, 0, 24, 0, 24, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0],
        );
        segment(&mut jpeg, 0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    }
    for &byte in scan {
        jpeg.push(byte);
        if byte == 0xff {
            jpeg.push(0);
        }
    }
    jpeg.extend([0xff, 0xd9]);
    Some(jpeg)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(jpeg) = image(data) {
        compare::compare(&jpeg);
    }
});
