//! Crop geometry: where to cut, decided before any pixel is decoded.
//!
//! Everything here is pure: sizes and a [`RandomKey`] go in, a [`Crop`] comes out. Lengths are pixels of the stored image,
//! in `(height, width)` order. Exponentials come from the `libm` crate, so that every platform draws the same boxes.

use std::fmt;

use crate::random::{Draws, RandomKey};

/// Height and width in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

/// A rectangle of pixels inside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropBox {
    /// First row.
    pub top: u32,
    /// First column.
    pub left: u32,
    /// Its height and width.
    pub size: Size,
}

impl CropBox {
    /// The whole image.
    #[must_use]
    pub fn whole(image: Size) -> Self {
        Self {
            top: 0,
            left: 0,
            size: image,
        }
    }

    /// Whether it has pixels and lies inside `image`.
    #[must_use]
    pub fn fits(&self, image: Size) -> bool {
        let inside =
            |start: u32, length: u32, most: u32| length > 0 && start.checked_add(length).is_some_and(|end| end <= most);
        inside(self.top, self.size.height, image.height) && inside(self.left, self.size.width, image.width)
    }
}

/// How boxes are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Policy {
    /// Area and aspect ratio at random, as torchvision's `RandomResizedCrop.get_params`.
    RandomResized {
        /// Smallest and largest share of the image's area.
        scale: (f64, f64),
        /// Smallest and largest width / height.
        ratio: (f64, f64),
    },
    /// A box of the output's size at a random place; of a smaller image, the largest box of the output's aspect ratio.
    Random,
    /// The same box in the middle.
    Center,
}

/// A box and whether to mirror it left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// What to cut.
    pub cut: CropBox,
    /// Whether to mirror it.
    pub flip: bool,
}

/// Attempts of `RandomResizedCrop` before it falls back to a central crop (torchvision).
const ATTEMPTS: u32 = 10;

/// Chooses the crop of one record. The flip is drawn first, so it does not depend on the policy.
///
/// # Examples
///
/// ```
/// use arraystore_core::crop::{choose, Policy, Size};
/// use arraystore_core::random::RandomKey;
///
/// let key = RandomKey { seed: 7, epoch: 0, row: 42 };
/// let image = Size { height: 256, width: 340 };
/// let output = Size { height: 224, width: 224 };
/// let crop = choose(key, image, output, Policy::Random, 0.5);
/// assert!(crop.cut.fits(image) && crop.cut.size == output);
/// ```
#[must_use]
pub fn choose(key: RandomKey, image: Size, output: Size, policy: Policy, flip: f64) -> Crop {
    let mut draws = Draws::new(key);
    let flip = draws.unit() < flip;
    let cut = match policy {
        Policy::RandomResized { scale, ratio } => random_resized(&mut draws, image, scale, ratio),
        Policy::Random => {
            let size = largest_like(image, output);
            CropBox {
                top: draws.up_to(image.height - size.height),
                left: draws.up_to(image.width - size.width),
                size,
            }
        }
        Policy::Center => {
            let size = largest_like(image, output);
            CropBox {
                top: half_to_even(image.height - size.height),
                left: half_to_even(image.width - size.width),
                size,
            }
        }
    };
    Crop { cut, flip }
}

/// torchvision 0.2x `RandomResizedCrop.get_params`: ten attempts, then the central box of the nearest allowed ratio.
fn random_resized(draws: &mut Draws, image: Size, scale: (f64, f64), ratio: (f64, f64)) -> CropBox {
    let (height, width) = (f64::from(image.height), f64::from(image.width));
    let (low, high) = (libm::log(ratio.0), libm::log(ratio.1));
    for _ in 0..ATTEMPTS {
        let area = height * width * draws.between(scale.0, scale.1);
        let aspect = libm::exp(draws.between(low, high));
        let size = Size {
            height: rounded(libm::sqrt(area / aspect)),
            width: rounded(libm::sqrt(area * aspect)),
        };
        if CropBox::whole(size).fits(image) {
            return CropBox {
                top: draws.up_to(image.height - size.height),
                left: draws.up_to(image.width - size.width),
                size,
            };
        }
    }
    let aspect = width / height;
    let size = if aspect < ratio.0 {
        Size {
            height: rounded(width / ratio.0),
            width: image.width,
        }
    } else if aspect > ratio.1 {
        Size {
            height: image.height,
            width: rounded(height * ratio.1),
        }
    } else {
        image
    };
    central(image, bounded(size, image))
}

/// `output` itself where the image holds it, else the largest box of its aspect ratio inside the image.
fn largest_like(image: Size, output: Size) -> Size {
    if CropBox::whole(output).fits(image) {
        return output;
    }
    let factor =
        (f64::from(image.height) / f64::from(output.height)).min(f64::from(image.width) / f64::from(output.width));
    let size = Size {
        height: rounded(f64::from(output.height) * factor),
        width: rounded(f64::from(output.width) * factor),
    };
    bounded(size, image)
}

fn bounded(size: Size, image: Size) -> Size {
    Size {
        height: size.height.clamp(1, image.height.max(1)),
        width: size.width.clamp(1, image.width.max(1)),
    }
}

/// Half of a length as torchvision's `center_crop` rounds it; its `RandomResizedCrop` rounds down.
fn half_to_even(length: u32) -> u32 {
    length / 2 + u32::from(length % 4 == 3)
}

fn central(image: Size, size: Size) -> CropBox {
    CropBox {
        top: (image.height - size.height) / 2,
        left: (image.width - size.width) / 2,
        size,
    }
}

/// Rounds half to even, as Python's `round`; what does not fit (also NaN) becomes an end of the range.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float casts saturate"
)]
fn rounded(value: f64) -> u32 {
    value.round_ties_even() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes() -> impl Strategy<Value = Size> {
        (1_u32..1000, 1_u32..1000).prop_map(|(height, width)| Size { height, width })
    }

    fn policies() -> impl Strategy<Value = Policy> {
        prop_oneof![
            Just(Policy::Random),
            Just(Policy::Center),
            (0.001_f64..1.0, 0.0_f64..1.0, 0.1_f64..1.0, 1.0_f64..9.0).prop_map(|(low, more, narrow, wide)| {
                Policy::RandomResized {
                    scale: (low, low + more),
                    ratio: (narrow, wide),
                }
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_box_lies_inside_its_image(seed: u64, row: u64, image in sizes(), output in sizes(), policy in policies()) {
            let key = RandomKey { seed, epoch: 0, row };
            let crop = choose(key, image, output, policy, 0.5);
            prop_assert!(crop.cut.fits(image), "{crop:?} in {image}");
        }

        #[test]
        fn the_flip_does_not_depend_on_the_policy(seed: u64, image in sizes(), output in sizes(), policy in policies()) {
            let key = RandomKey { seed, epoch: 1, row: 2 };
            let flip = choose(key, image, output, Policy::Center, 0.5).flip;
            prop_assert_eq!(choose(key, image, output, policy, 0.5).flip, flip);
        }
    }

    #[test]
    fn a_center_crop_rounds_as_that_of_torchvision() {
        let key = RandomKey {
            seed: 1,
            epoch: 0,
            row: 0,
        };
        let output = Size {
            height: 224,
            width: 224,
        };
        for (height, top) in [
            (224, 0),
            (225, 0),
            (226, 1),
            (227, 2),
            (228, 2),
            (229, 2),
            (231, 4),
            (259, 18),
        ] {
            let image = Size { height, width: 300 };
            assert_eq!(
                choose(key, image, output, Policy::Center, 0.0).cut.top,
                top,
                "height {height}"
            );
        }
    }

    #[test]
    fn a_ratio_that_no_box_reaches_gives_the_central_box() {
        let policy = Policy::RandomResized {
            scale: (1.0, 1.0),
            ratio: (0.75, 4.0 / 3.0),
        };
        let key = RandomKey {
            seed: 1,
            epoch: 0,
            row: 0,
        };
        let image = Size {
            height: 100,
            width: 1000,
        };
        let expected = CropBox {
            top: 0,
            left: 433,
            size: Size {
                height: 100,
                width: 133,
            },
        };
        assert_eq!(choose(key, image, image, policy, 0.0).cut, expected);
    }

    #[test]
    fn a_small_image_gives_its_largest_box_of_the_same_shape() {
        let key = RandomKey {
            seed: 1,
            epoch: 0,
            row: 0,
        };
        let image = Size {
            height: 100,
            width: 300,
        };
        let output = Size {
            height: 224,
            width: 224,
        };
        let crop = choose(key, image, output, Policy::Center, 1.0);
        let expected = CropBox {
            top: 0,
            left: 100,
            size: Size {
                height: 100,
                width: 100,
            },
        };
        assert_eq!(
            crop,
            Crop {
                cut: expected,
                flip: true
            }
        );
    }
}
