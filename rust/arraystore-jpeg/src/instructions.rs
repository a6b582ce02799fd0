//! Which vector instructions the processor has: asked once, and passed on to whatever has kernels for them.

use std::fmt;

/// A set of instructions that this processor has.
///
/// All sets give equal bytes. There is no way to name one that the processor lacks, so a kernel may rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instructions(Set);

/// The sets that there are kernels for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Plain Rust.
    Portable,
    /// AVX2, FMA, BMI1, BMI2 and LZCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, VBMI and VNNI; all of [`Set::Avx2`] as well.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl fmt::Display for Instructions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512",
        })
    }
}

impl Instructions {
    /// The fastest set.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().next_back().unwrap_or(Self(Set::Portable))
    }

    /// All sets, each faster than the one before it.
    pub fn available() -> impl DoubleEndedIterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let found = {
            let avx2 = std::is_x86_feature_detected!("avx2")
                && std::is_x86_feature_detected!("fma")
                && std::is_x86_feature_detected!("bmi1")
                && std::is_x86_feature_detected!("bmi2")
                && std::is_x86_feature_detected!("lzcnt");
            let avx512 = avx2
                && std::is_x86_feature_detected!("avx512f")
                && std::is_x86_feature_detected!("avx512bw")
                && std::is_x86_feature_detected!("avx512vbmi")
                && std::is_x86_feature_detected!("avx512vnni");
            [
                Some(Set::Portable),
                avx2.then_some(Set::Avx2),
                avx512.then_some(Set::Avx512),
            ]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let found = [Some(Set::Portable)];
        found.into_iter().flatten().map(Self)
    }

    /// Which set it is.
    #[must_use]
    pub fn set(self) -> Set {
        self.0
    }
}
