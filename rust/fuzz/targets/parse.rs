//! Headers: whatever the bytes, they are parsed or declined.

#![no_main]

use arraystore_jpeg::Frame;

libfuzzer_sys::fuzz_target!(|jpeg: &[u8]| {
    if let Ok(frame) = Frame::parse(jpeg) {
        assert!(frame.width > 0 && frame.height > 0 && frame.scan.len() <= jpeg.len());
    }
});
