//! libjpeg-turbo, to encode with and to compare with, and pictures that give every part of a decoder work.

#![allow(dead_code, reason = "each test uses its part")]

use std::ffi::CStr;
use std::ptr;

use arraystore_jpeg::Indexer;
use turbojpeg_sys as sys;

/// The seek table of a JPEG.
pub fn seek_table(indexer: &mut Indexer, jpeg: &[u8], step: u8) -> Option<Vec<u8>> {
    let mut table = Vec::new();
    let [outcome] = indexer.seek_tables([jpeg], step, [&mut table]);
    outcome.ok().map(|()| table)
}

/// How a picture is encoded.
#[derive(Debug, Clone, Copy)]
pub struct Encoding {
    pub sampling: sys::TJSAMP,
    pub quality: i32,
    pub optimise: bool,
    /// MCUs between restart markers, 0 for none.
    pub restarts: i32,
    pub progressive: bool,
}

impl Default for Encoding {
    fn default() -> Self {
        Self {
            sampling: sys::TJSAMP_TJSAMP_420,
            quality: 75,
            optimise: false,
            restarts: 0,
            progressive: false,
        }
    }
}

/// All samplings that are decoded here.
pub const SAMPLINGS: [sys::TJSAMP; 5] = [
    sys::TJSAMP_TJSAMP_420,
    sys::TJSAMP_TJSAMP_422,
    sys::TJSAMP_TJSAMP_444,
    sys::TJSAMP_TJSAMP_440,
    sys::TJSAMP_TJSAMP_GRAY,
];

/// A TurboJPEG handle.
struct Handle(sys::tjhandle);

impl Handle {
    fn new(kind: sys::TJINIT) -> Self {
        // SAFETY: has no preconditions.
        let handle = unsafe { sys::tj3Init(kind.cast_signed()) };
        assert!(!handle.is_null());
        Self(handle)
    }

    fn set(&self, parameter: sys::TJPARAM, value: i32) {
        // SAFETY: the handle is live.
        let code = unsafe { sys::tj3Set(self.0, parameter.cast_signed(), value) };
        assert_eq!(code, 0, "{}", self.problem());
    }

    fn problem(&self) -> String {
        // SAFETY: the handle is live; the string lives until the next call.
        unsafe { CStr::from_ptr(sys::tj3GetErrorStr(self.0)) }
            .to_string_lossy()
            .into_owned()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is destroyed once.
        unsafe { sys::tj3Destroy(self.0) }
    }
}

/// Encodes RGB pixels.
pub fn encode(pixels: &[u8], width: usize, height: usize, encoding: Encoding) -> Vec<u8> {
    assert_eq!(pixels.len(), width * height * 3);
    let handle = Handle::new(sys::TJINIT_TJINIT_COMPRESS);
    handle.set(sys::TJPARAM_TJPARAM_SUBSAMP, encoding.sampling);
    handle.set(sys::TJPARAM_TJPARAM_QUALITY, encoding.quality);
    handle.set(sys::TJPARAM_TJPARAM_OPTIMIZE, i32::from(encoding.optimise));
    handle.set(sys::TJPARAM_TJPARAM_PROGRESSIVE, i32::from(encoding.progressive));
    handle.set(sys::TJPARAM_TJPARAM_RESTARTBLOCKS, encoding.restarts);
    let (mut jpeg, mut nbytes) = (ptr::null_mut(), 0);
    let (width, height) = (i32::try_from(width).unwrap(), i32::try_from(height).unwrap());
    // SAFETY: the pixels are as many as the sizes say; the callee allocates the result.
    let code = unsafe {
        let format = sys::TJPF_TJPF_RGB;
        sys::tj3Compress8(
            handle.0,
            pixels.as_ptr(),
            width,
            0,
            height,
            format,
            &raw mut jpeg,
            &raw mut nbytes,
        )
    };
    assert_eq!(code, 0, "{}", handle.problem());
    // SAFETY: the callee has made as many bytes.
    let result = unsafe { std::slice::from_raw_parts(jpeg, usize::try_from(nbytes).unwrap()) }.to_vec();
    // SAFETY: allocated by the callee, freed once.
    unsafe { sys::tj3Free(jpeg.cast()) };
    result
}

/// Decodes to RGB: width, height and pixels; a warning is an error.
pub fn decode(jpeg: &[u8]) -> Result<(usize, usize, Vec<u8>), String> {
    let handle = Handle::new(sys::TJINIT_TJINIT_DECOMPRESS);
    handle.set(sys::TJPARAM_TJPARAM_STOPONWARNING, 1);
    let nbytes = jpeg.len().try_into().unwrap();
    // SAFETY: pointer and length are those of a slice.
    if unsafe { sys::tj3DecompressHeader(handle.0, jpeg.as_ptr(), nbytes) } != 0 {
        return Err(handle.problem());
    }
    let get = |parameter: sys::TJPARAM| {
        // SAFETY: the handle is live.
        usize::try_from(unsafe { sys::tj3Get(handle.0, parameter.cast_signed()) }).unwrap()
    };
    let (width, height) = (
        get(sys::TJPARAM_TJPARAM_JPEGWIDTH),
        get(sys::TJPARAM_TJPARAM_JPEGHEIGHT),
    );
    let mut pixels = vec![0; width * height * 3];
    // SAFETY: the callee writes rows of `3 * width` bytes, as many as `height`.
    let code = unsafe {
        sys::tj3Decompress8(
            handle.0,
            jpeg.as_ptr(),
            nbytes,
            pixels.as_mut_ptr(),
            0,
            sys::TJPF_TJPF_RGB,
        )
    };
    if code == 0 {
        Ok((width, height, pixels))
    } else {
        Err(handle.problem())
    }
}

/// Numbers that look random: a linear congruential generator's upper bits.
#[derive(Debug, Clone)]
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap()
    }

    /// Of `0..end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.next() % end
    }
}

/// Smooth shades, edges, and some noise.
pub fn picture(width: usize, height: usize, noise: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let edge = if (x / 9 + y / 7) % 2 == 0 { 60 } else { 0 };
            for shade in [x * 2 + edge, y * 3 + edge / 2, (x + y) * 2] {
                let value = shade / 2 % 256 + if noise > 0 { numbers.below(noise) } else { 0 };
                pixels.push(u8::try_from(value.min(255)).unwrap());
            }
        }
    }
    pixels
}

/// Every value by chance.
pub fn noise(width: usize, height: usize, numbers: &mut Numbers) -> Vec<u8> {
    (0..width * height * 3)
        .map(|_| u8::try_from(numbers.below(256)).unwrap())
        .collect()
}

/// A box cut from a whole image.
pub fn cut(whole: &[u8], width: usize, area: arraystore_jpeg::Area) -> Vec<u8> {
    whole
        .chunks_exact(width * 3)
        .skip(area.top)
        .take(area.height)
        .flat_map(|row| &row[area.left * 3..(area.left + area.width) * 3])
        .copied()
        .collect()
}
