//! Whole images, with every set of instructions: all that decode one give the same pixels.

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
    // They may differ in which coefficients beyond those of any pixels they leave to libjpeg-turbo.
    let mut all = Instructions::available().filter_map(decoded);
    let first = all.next();
    assert!(all.all(|found| Some(found) == first), "the sets of instructions differ");
});
