//! libjpeg-turbo through its TurboJPEG API: the only file that calls it.
//!
//! What libjpeg-turbo warns of (an early end, a bad Huffman code) is a problem here, since the pixels that follow a warning
//! are guesses. Two warnings that do not concern the pixels are passed over: stray bytes before the end marker, and a
//! revision of JFIF that it does not know.

use std::borrow::Cow;
use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;

use turbojpeg_sys as sys;

use super::frame::Frame;
use super::pixmap::{Pixmap, is_pixmap};
use super::{Problem, RGB_CHANNELS, RGBX_CHANNELS, Region, pixel_nbytes, zeroed};
use crate::crop::{CropBox, Size};
use crate::error::{Error, Result};
use crate::resize::ROW_PADDING_NBYTES;

/// Columns and rows of context that fancy upsampling looks at beyond a pixel, and the same again for safety.
const MARGIN: u32 = 2;

/// Larger images are not decoded: their pixels would take more than 800 MB.
const MOST_PIXELS: u64 = 1 << 28;

/// A header may claim this many pixels whatever the length of the file.
const PIXELS_ALWAYS_ALLOWED: u64 = 1 << 24;

/// Beyond that, this many pixels for each byte: a JPEG needs at least one bit for a block of 64 samples.
const PIXELS_PER_BYTE: u64 = 512;

/// More scratch memory than this is not kept from one batch to the next.
pub const MOST_SCRATCH_NBYTES: usize = 32 << 20;

/// libjpeg-turbo writes rows that begin at a multiple of this past the caches (non-temporal stores), which makes reading
/// them back for the resize wait for the memory. Regions therefore begin one pixel off.
const VECTOR_NBYTES: usize = 32;

/// Scans of a progressive JPEG; each costs the time of a whole image, whatever its length.
const SCAN_LIMIT: c_int = 500;

/// A decoder and its scratch memory: make one for each thread and keep it.
///
/// A TurboJPEG handle remembers quantisation and Huffman tables from image to image, and after an error it may be unfit
/// for the next. So that an image decodes the same whatever came before it, the handle is made anew after every problem
/// and for every image that does not bring all its tables itself.
pub struct Turbo {
    handle: Handle,
    /// The handle has seen only images that brought all their tables and decoded without a problem.
    clean: bool,
    cmyk: Vec<u8>,
    region: Vec<u8>,
}

struct Handle(NonNull<c_void>);

// SAFETY: a TurboJPEG handle has no tie to the thread that made it; it must only not be used by two threads at once, which
// `&mut self` on every method of `Turbo` that uses it guarantees.
unsafe impl Send for Handle {}

impl Handle {
    fn new() -> Result<Self> {
        // SAFETY: has no preconditions; a null result is checked.
        let handle = unsafe { sys::tj3Init(sys::TJINIT_TJINIT_DECOMPRESS.cast_signed()) };
        let mut handle = NonNull::new(handle)
            .map(Self)
            .ok_or_else(|| Error::Internal("libjpeg-turbo cannot make a decoder".to_owned()))?;
        for (parameter, value) in [
            (sys::TJPARAM_TJPARAM_STOPONWARNING, 1),
            (sys::TJPARAM_TJPARAM_SCANLIMIT, SCAN_LIMIT),
        ] {
            handle.set(parameter, value).map_err(Error::Internal)?;
        }
        Ok(handle)
    }

    fn set(&mut self, parameter: sys::TJPARAM, value: c_int) -> Result<(), Problem> {
        // SAFETY: the handle is live; unknown parameters are refused by the callee.
        match unsafe { sys::tj3Set(self.0.as_ptr(), parameter.cast_signed(), value) } {
            0 => Ok(()),
            _ => Err(format!("libjpeg-turbo has no parameter {parameter}")),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle was made by `new` and is destroyed once.
        unsafe { sys::tj3Destroy(self.0.as_ptr()) }
    }
}

/// What the header says.
#[derive(Debug, Clone, Copy)]
struct Header {
    size: Size,
    four_inks: bool,
    /// Set if the image is plain, so that a part of it can be decoded by itself.
    frame: Option<Frame>,
    /// Whether libjpeg-turbo has a name for the sampling factors.
    can_be_cut: bool,
}

impl Turbo {
    /// Makes a handle.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if libjpeg-turbo cannot allocate one.
    pub fn new() -> Result<Self> {
        Ok(Self {
            handle: Handle::new()?,
            clean: true,
            cmyk: Vec::new(),
            region: Vec::new(),
        })
    }

    /// Lets go of scratch memory that a large image left behind.
    pub fn shrink(&mut self) {
        for scratch in [&mut self.region, &mut self.cmyk] {
            if scratch.capacity() > MOST_SCRATCH_NBYTES {
                *scratch = Vec::new();
            }
        }
    }

    /// Height and width of a JPEG, from its header.
    ///
    /// # Errors
    ///
    /// A problem in libjpeg-turbo's words.
    pub fn size(&mut self, jpeg: &[u8]) -> Result<Size, Problem> {
        if is_pixmap(jpeg) {
            return pixmap(jpeg).map(|pixmap| pixmap.size);
        }
        self.header(jpeg).map(|header| header.size)
    }

    /// Decodes a whole image to RGB. `allocate` gives the memory, once the size is known.
    ///
    /// # Errors
    ///
    /// A problem in libjpeg-turbo's words, or a header that claims absurdly many pixels.
    pub fn decode<M: AsMut<[u8]>, E: From<Problem>>(
        &mut self,
        jpeg: &[u8],
        allocate: impl FnOnce(Size) -> Result<M, E>,
    ) -> Result<(Size, M), E> {
        if is_pixmap(jpeg) {
            let pixmap = pixmap(jpeg)?;
            let mut memory = allocate(pixmap.size)?;
            pixmap.copy(CropBox::whole(pixmap.size), RGB_CHANNELS, memory.as_mut())?;
            return Ok((pixmap.size, memory));
        }
        let jpeg = &*with_known_revision(jpeg);
        let header = self.header(jpeg)?;
        let mut memory = allocate(header.size)?;
        self.pixels(jpeg, header, CropBox::whole(header.size), RGB_CHANNELS, memory.as_mut())?;
        Ok((header.size, memory))
    }

    /// Decodes the part of an image that `choose` wants, given the image's size, and a margin around it.
    ///
    /// The region holds the wanted box, and its pixels there are those of the full decode.
    ///
    /// # Errors
    ///
    /// As for [`Turbo::decode`]; whatever `choose` gives.
    pub fn decode_region<C, E: From<Problem>>(
        &mut self,
        jpeg: &[u8],
        choose: impl FnOnce(Size) -> Result<(CropBox, C), E>,
    ) -> Result<(Region<'_>, CropBox, C), E> {
        self.decode_region_to(jpeg, RGBX_CHANNELS, choose)
    }

    fn decode_region_to<C, E: From<Problem>>(
        &mut self,
        jpeg: &[u8],
        channels: usize,
        choose: impl FnOnce(Size) -> Result<(CropBox, C), E>,
    ) -> Result<(Region<'_>, CropBox, C), E> {
        if is_pixmap(jpeg) {
            let pixmap = pixmap(jpeg)?;
            let (wanted, extra) = choose(pixmap.size)?;
            let region = self.fill_region(wanted, channels, |_, out| pixmap.copy(wanted, channels, out))?;
            return Ok((region, wanted, extra));
        }
        let jpeg = &*with_known_revision(jpeg);
        let header = self.header(jpeg)?;
        let (wanted, extra) = choose(header.size)?;
        if !wanted.fits(header.size) {
            return Err(format!("{wanted:?} is outside the image").into());
        }
        let area = area_to_decode(header, wanted);
        let region = self.fill_region(area, channels, |decoder, out| {
            decoder.pixels(jpeg, header, area, channels, out)
        })?;
        Ok((region, wanted, extra))
    }

    /// Scratch memory for a region, filled by `fill`.
    fn fill_region(
        &mut self,
        area: CropBox,
        channels: usize,
        fill: impl FnOnce(&mut Self, &mut [u8]) -> Result<(), Problem>,
    ) -> Result<Region<'_>, Problem> {
        let mut memory = std::mem::take(&mut self.region);
        let nbytes = pixel_nbytes(area.size, channels);
        let needed = nbytes + VECTOR_NBYTES * 2 + ROW_PADDING_NBYTES;
        if memory.len() < needed {
            memory = zeroed(needed)?;
        }
        let start = memory.as_ptr().align_offset(VECTOR_NBYTES).min(VECTOR_NBYTES) + channels;
        let outcome = fill(self, &mut memory[start..start + nbytes]);
        self.region = memory;
        outcome?;
        Ok(Region {
            pixels: &self.region[start..start + nbytes + ROW_PADDING_NBYTES],
            area,
            channels,
        })
    }

    /// Decodes a box of RGB pixels, exactly.
    ///
    /// # Errors
    ///
    /// As for [`Turbo::decode_region`].
    pub fn decode_box<M: AsMut<[u8]>, E: From<Problem>>(
        &mut self,
        jpeg: &[u8],
        choose: impl FnOnce(Size) -> Result<CropBox, E>,
        allocate: impl FnOnce(Size) -> Result<M, E>,
    ) -> Result<(Size, M), E> {
        let (region, wanted, ()) =
            self.decode_region_to(jpeg, RGB_CHANNELS, |size| choose(size).map(|wanted| (wanted, ())))?;
        let mut memory = allocate(wanted.size)?;
        let row_nbytes = wanted.size.width as usize * RGB_CHANNELS;
        for (to, from) in memory.as_mut().chunks_exact_mut(row_nbytes).zip(region.rows(wanted)) {
            to.copy_from_slice(from);
        }
        Ok((wanted.size, memory))
    }

    /// Reads the header, with a handle that no other image has left its mark on.
    fn header(&mut self, jpeg: &[u8]) -> Result<Header, Problem> {
        let frame = Frame::of_plain(jpeg);
        if !self.clean || frame.is_none() {
            self.handle = Handle::new().map_err(|error| error.to_string())?;
        }
        self.clean = frame.is_some();
        // SAFETY: the handle is live; pointer and length are those of a slice, which libjpeg-turbo only reads.
        let code =
            unsafe { sys::tj3DecompressHeader(self.handle.0.as_ptr(), jpeg.as_ptr(), jpeg.len() as sys::size_t) };
        self.check(code)?;
        let get = |parameter| self.get(parameter);
        let length = |parameter| u32::try_from(get(parameter)).unwrap_or(0);
        let size = Size {
            height: length(sys::TJPARAM_TJPARAM_JPEGHEIGHT),
            width: length(sys::TJPARAM_TJPARAM_JPEGWIDTH),
        };
        let precision = get(sys::TJPARAM_TJPARAM_PRECISION);
        if precision != 8 {
            return Err(format!("expected 8 bits a sample, found {precision}"));
        }
        check_claim(size, jpeg.len())?;
        let colours = get(sys::TJPARAM_TJPARAM_COLORSPACE).cast_unsigned();
        Ok(Header {
            size,
            four_inks: matches!(colours, sys::TJCS_TJCS_CMYK | sys::TJCS_TJCS_YCCK),
            frame,
            can_be_cut: get(sys::TJPARAM_TJPARAM_SUBSAMP) != sys::TJSAMP_TJSAMP_UNKNOWN,
        })
    }

    /// Fills `out` with the pixels of `area`, which is the whole image or what [`area_to_decode`] gave.
    fn pixels(
        &mut self,
        jpeg: &[u8],
        header: Header,
        area: CropBox,
        channels: usize,
        out: &mut [u8],
    ) -> Result<(), Problem> {
        self.set_area(header, area)?;
        let is_plain = header.frame.is_some_and(|frame| !frame.has_restarts);
        if header.four_inks {
            let mut inks = std::mem::take(&mut self.cmyk);
            if inks.len() != out.len() / channels * 4 {
                inks = zeroed(pixel_nbytes(area.size, 4))?;
            }
            let outcome = self.decompress(jpeg, area.size, is_plain, sys::TJPF_TJPF_CMYK, &mut inks);
            inks_to_rgb(&inks, out, channels);
            self.cmyk = inks;
            return outcome;
        }
        let format = if channels == RGBX_CHANNELS {
            sys::TJPF_TJPF_RGBX
        } else {
            sys::TJPF_TJPF_RGB
        };
        self.decompress(jpeg, area.size, is_plain, format, out)
    }

    fn set_area(&mut self, header: Header, area: CropBox) -> Result<(), Problem> {
        let length = |pixels: u32| c_int::try_from(pixels).map_err(|_| format!("{area:?} is too large"));
        let region = if area == CropBox::whole(header.size) {
            sys::tjregion { x: 0, y: 0, w: 0, h: 0 }
        } else {
            sys::tjregion {
                x: length(area.left)?,
                y: length(area.top)?,
                w: length(area.size.width)?,
                h: length(area.size.height)?,
            }
        };
        // SAFETY: the handle is live and has read a header; the region is checked by the callee.
        let code = unsafe { sys::tj3SetCroppingRegion(self.handle.0.as_ptr(), region) };
        self.check(code)
    }

    fn decompress(
        &mut self,
        jpeg: &[u8],
        size: Size,
        is_plain: bool,
        format: sys::TJPF,
        out: &mut [u8],
    ) -> Result<(), Problem> {
        let channels = if format == sys::TJPF_TJPF_RGB {
            RGB_CHANNELS
        } else {
            RGBX_CHANNELS
        };
        if out.len() != pixel_nbytes(size, channels) {
            return Err(format!("{} bytes of memory for {size} pixels", out.len()));
        }
        let handle = self.handle.0.as_ptr();
        let mut decompress = || {
            // SAFETY: the handle is live; `jpeg` is read only; the callee writes rows of the width of the region that was
            // set (or of the whole image), without padding, as many as it has: `size`, for which `out` has just been
            // checked. The header that is read again here is that of the same bytes.
            unsafe {
                let (nbytes, out) = (jpeg.len() as sys::size_t, out.as_mut_ptr());
                sys::tj3Decompress8(handle, jpeg.as_ptr(), nbytes, out, 0, format)
            }
        };
        let outcome = self.check(decompress());
        match outcome {
            Err(problem) if is_plain && problem.contains(STRAY_BYTES) => {
                self.handle.set(sys::TJPARAM_TJPARAM_STOPONWARNING, 0)?;
                let code = decompress();
                // SAFETY: the handle is live.
                let error_code = unsafe { sys::tj3GetErrorCode(handle) };
                if code == 0 || error_code == sys::TJERR_TJERR_WARNING.cast_signed() {
                    return Ok(());
                }
                Err(self.problem())
            }
            outcome => outcome,
        }
    }

    fn get(&self, parameter: sys::TJPARAM) -> c_int {
        // SAFETY: the handle is live; reading a parameter changes nothing.
        unsafe { sys::tj3Get(self.handle.0.as_ptr(), parameter.cast_signed()) }
    }

    fn check(&mut self, code: c_int) -> Result<(), Problem> {
        if code == 0 {
            return Ok(());
        }
        self.clean = false;
        Err(self.problem())
    }

    fn problem(&self) -> Problem {
        // SAFETY: the handle is live; the callee returns a NUL-terminated string that lives until its next call.
        let text = unsafe { CStr::from_ptr(sys::tj3GetErrorStr(self.handle.0.as_ptr())) };
        text.to_string_lossy().into_owned()
    }
}

/// Whether a header may claim an image of this size in a file of `nbytes`.
///
/// # Errors
///
/// A problem with the limits.
pub(super) fn check_claim(size: Size, nbytes: usize) -> Result<(), Problem> {
    let pixels = u64::from(size.height) * u64::from(size.width);
    if pixels == 0 || pixels > MOST_PIXELS.min(PIXELS_ALWAYS_ALLOWED.max(nbytes as u64 * PIXELS_PER_BYTE)) {
        return Err(format!(
            "the header claims {size} pixels in {nbytes} bytes: at most {MOST_PIXELS} pixels are decoded, and beyond \
             {PIXELS_ALWAYS_ALLOWED} at most {PIXELS_PER_BYTE} for each byte"
        ));
    }
    Ok(())
}

/// The warning of libjpeg-turbo that says nothing about the pixels, of a plain image without restart markers that has begun
/// to decode: there are stray bytes between its last block and its end marker. Warnings of its blocks come before it.
const STRAY_BYTES: &str = "extraneous bytes before marker";

fn pixmap(bytes: &[u8]) -> Result<Pixmap<'_>, Problem> {
    let pixmap = Pixmap::parse(bytes).map_err(|flaw| flaw.text().to_owned())?;
    match u64::from(pixmap.size.height) * u64::from(pixmap.size.width) {
        ..=MOST_PIXELS => Ok(pixmap),
        _ => Err(format!("{} pixels: at most {MOST_PIXELS} are decoded", pixmap.size)),
    }
}

/// The same JPEG with a revision of JFIF that libjpeg-turbo knows and does not warn of; it has no effect on the pixels.
fn with_known_revision(jpeg: &[u8]) -> Cow<'_, [u8]> {
    const MAJOR: usize = 11;
    if jpeg.get(6..11) != Some(b"JFIF\0") || jpeg.get(MAJOR).is_none_or(|&major| major == 1) {
        return Cow::Borrowed(jpeg);
    }
    let mut known = jpeg.to_vec();
    known[MAJOR] = 1;
    Cow::Owned(known)
}

/// What to decode so that `wanted` comes out exactly: a margin, then out to the MCU.
///
/// TurboJPEG's own crop treats its border as the border of the image, where fancy upsampling has no neighbour; and it refuses
/// sampling factors that it has no name for.
fn area_to_decode(header: Header, wanted: CropBox) -> CropBox {
    let Some(Frame {
        mcu_height, mcu_width, ..
    }) = header.frame.filter(|_| header.can_be_cut)
    else {
        return CropBox::whole(header.size);
    };
    let span = |start: u32, length: u32, mcu: u32, most: u32| {
        let first = start.saturating_sub(MARGIN) / mcu * mcu;
        let end = (start + length + MARGIN).next_multiple_of(mcu).min(most);
        (first, end - first)
    };
    let (top, height) = span(wanted.top, wanted.size.height, mcu_height, header.size.height);
    let (left, width) = span(wanted.left, wanted.size.width, mcu_width, header.size.width);
    CropBox {
        top,
        left,
        size: Size { height, width },
    }
}

/// CMYK to RGB as Pillow does it: inks are taken to be inverted, as Adobe stores them, whatever the marker says.
fn inks_to_rgb(inks: &[u8], out: &mut [u8], channels: usize) {
    for (ink, pixel) in inks.chunks_exact(4).zip(out.chunks_exact_mut(channels)) {
        let white = u32::from(ink[3]);
        for (value, &light) in pixel.iter_mut().zip(&ink[..3]) {
            let product = (255 - u32::from(light)) * white + 128;
            let shade = ((product >> 8) + product) >> 8;
            *value = u8::try_from(white.saturating_sub(shade)).unwrap_or(0);
        }
    }
}
