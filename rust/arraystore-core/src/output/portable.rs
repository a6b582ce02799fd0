//! The loops of the last stage in plain Rust: for every machine, and the reference for the others.

use super::NormaliseTable;
use super::normalise::Channels;
use crate::jpeg::RGB_CHANNELS;

/// Pixels of 3 or 4 channels to RGB, mirrored if `flip`; `out` has room for just as many.
pub(super) fn pack(pixels: &[u8], channels: usize, flip: bool, out: &mut [u8]) {
    let (out, _) = out.as_chunks_mut::<RGB_CHANNELS>();
    let from = pixels.chunks_exact(channels);
    let write = |(to, from): (&mut [u8; RGB_CHANNELS], &[u8])| to.copy_from_slice(&from[..RGB_CHANNELS]);
    if flip {
        out.iter_mut().rev().zip(from).for_each(write);
    } else {
        out.iter_mut().zip(from).for_each(write);
    }
}

/// RGB pixels to three planes of as many bytes.
pub(super) fn split(pixels: &[u8], [red, green, blue]: [&mut [u8]; RGB_CHANNELS]) {
    let (pixels, _) = pixels.as_chunks::<RGB_CHANNELS>();
    let planes = red.iter_mut().zip(green).zip(blue);
    for (((red, green), blue), pixel) in planes.zip(pixels) {
        [*red, *green, *blue] = *pixel;
    }
}

/// Bytes of some channels to as many normalised floats, from the table.
pub(super) fn normalise(bytes: &[u8], out: &mut [f32], table: &NormaliseTable, channels: Channels) {
    let values: [_; RGB_CHANNELS] = std::array::from_fn(|at| table.values(channels.at(at)));
    for (out, bytes) in out.chunks_mut(RGB_CHANNELS).zip(bytes.chunks(RGB_CHANNELS)) {
        for ((to, &byte), values) in out.iter_mut().zip(bytes).zip(values) {
            *to = values[usize::from(byte)];
        }
    }
}
