//! Texts as rows of small integers, one for each letter, padded to one length.

use crate::error::{Error, Result};
use crate::extent::Scratch;
use crate::field::Field;
use crate::source::begin_call;

/// How a text becomes codes.
#[derive(Debug, Clone, Copy)]
pub struct LetterCodes<'a> {
    /// The code of each byte.
    pub codes: &'a [u8; 256],
    /// The code after the end of a text.
    pub padding: u8,
    /// Codes of a text; what is longer is cut.
    pub length: usize,
}

impl Field {
    /// Writes the codes of the texts of some rows, one text after another; one that is missing is all padding.
    ///
    /// # Errors
    ///
    /// As for [`Field::fetch`]; [`Error::InvalidRequest`] if `out` has another length.
    pub fn encode_letters(&self, rows: &[u64], form: LetterCodes<'_>, verify: bool, out: &mut [u8]) -> Result<()> {
        let length = form.length;
        if length == 0 || length.checked_mul(rows.len()) != Some(out.len()) {
            return Err(Error::InvalidRequest(format!(
                "out: expected {} x {length} codes, found {}",
                rows.len(),
                out.len()
            )));
        }
        begin_call();
        let mut scratch = Scratch::default();
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(length)) {
            if self.parts().status.is_none() && self.parts().nbytes.get(row)? == 0 {
                out.fill(form.padding);
                continue;
            }
            self.fetch(row, verify, &mut scratch, |text| {
                let (letters, rest) = out.split_at_mut(text.len().min(length));
                for (code, &letter) in letters.iter_mut().zip(text) {
                    *code = form.codes[usize::from(letter)];
                }
                rest.fill(form.padding);
                Ok(())
            })?;
        }
        Ok(())
    }
}
