//! Boxes with the seek table of the image: the pixels of the whole one. The first bytes of an input say which box.

#![no_main]

#[path = "../../arraystore-jpeg/tests/reference/mod.rs"]
mod reference;

use arraystore_jpeg::{Area, Decoder, Frame, Indexer};
use reference::{cut, seek_table};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&[step, top, left, below, right], jpeg)) = input.split_first_chunk() else {
        return;
    };
    let Ok(frame) = Frame::parse(jpeg) else { return };
    let (width, height) = (frame.width, frame.height);
    let (top, left) = (usize::from(top), usize::from(left));
    let (below, right) = (usize::from(below), usize::from(right));
    if width * height > 1 << 20 || top + below >= height || left + right >= width {
        return;
    }
    let mut decoder = Decoder::default();
    let Some(table) = seek_table(&mut Indexer::default(), jpeg, step) else {
        return;
    };
    let (whole, area) = (
        Area {
            top: 0,
            left: 0,
            height,
            width,
        },
        Area {
            top,
            left,
            height: height - top - below,
            width: width - left - right,
        },
    );
    let mut pixels = vec![0; width * height * 3];
    let mut found = vec![1; area.width * area.height * 3];
    // What is extreme outside of the box may go unseen, but not what is in it.
    if decoder.decode(&frame, None, whole, &mut pixels).is_ok() {
        decoder.decode(&frame, Some(&table), area, &mut found).unwrap();
        assert!(cut(&pixels, width, area) == found, "pixels differ");
    }
});
