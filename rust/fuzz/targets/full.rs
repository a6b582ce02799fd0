//! Whole images, with every set of instructions: all sets agree.

#![no_main]

use arraystore_jpeg::instructions::Instructions;
use arraystore_jpeg::{Area, Decoder, Frame};

libfuzzer_sys::fuzz_target!(|jpeg: &[u8]| {
    let Ok(frame) = Frame::parse(jpeg) else { return };
    let (width, height) = (frame.width, frame.height);
    if width * height > 1 << 20 {
        return;
    }
    let area = Area {
        top: 0,
        left: 0,
        height,
        width,
    };
    let decoded = |instructions| {
        let mut found = vec![0; width * height * 3];
        let outcome = Decoder::new(instructions).decode(&frame, None, area, &mut found);
        outcome.is_ok().then_some(found)
    };
    let mut all = Instructions::available().map(decoded);
    let first = all.next();
    assert!(all.all(|found| Some(found) == first), "the sets of instructions differ");
});
