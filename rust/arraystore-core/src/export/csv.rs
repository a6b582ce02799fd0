//! Columns as a text table: one line a record, cells quoted where they must be (RFC 4180), missing ones empty.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::extent::Scratch;
use crate::field::Field;
use crate::progress::Progress;
use crate::strings::Strings;

/// Records after which progress is told.
const RECORDS_A_TIME: usize = 4096;

/// The cells of one column.
pub enum Cells {
    /// A text each; an empty one is a missing one.
    Texts(Arc<Strings>),
    /// Index of a label; negative where missing.
    Labels(Vec<i32>, Vec<String>),
    /// Numbers, and where they are missing.
    Integers(Vec<i64>, Vec<bool>),
    /// Numbers; NaN where missing. Written in as few digits as give the same number back.
    Floats(Vec<f64>),
    /// Texts of a store: rows of a field.
    Rows(Arc<Field>, Vec<u64>),
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Labels(codes, _) => codes.len(),
            Self::Integers(values, missing) => values.len().min(missing.len()),
            Self::Floats(values) => values.len(),
            Self::Rows(_, rows) => rows.len(),
        }
    }
}

/// Writes the table of `columns`, each with its name, to `file`, which is synced.
///
/// # Errors
///
/// [`Error::InvalidRequest`] if columns are not of one length, or a label is unknown; [`Error::Io`] if the file cannot be
/// written; those of [`Field::fetch`]; [`Error::Interrupted`].
pub fn write(columns: &[(String, Cells)], delimiter: u8, file: &Path, progress: &Progress) -> Result<()> {
    let len = columns.first().map_or(0, |(_, cells)| cells.len());
    if let Some((name, cells)) = columns.iter().find(|(_, cells)| cells.len() != len) {
        return Err(Error::InvalidRequest(format!(
            "column {name}: expected {len} cells, found {}",
            cells.len()
        )));
    }
    let created = File::create(file).map_err(Error::io("create", file))?;
    let mut out = BufWriter::with_capacity(1 << 20, created);
    let mut line = Vec::new();
    for (at, (name, _)) in columns.iter().enumerate() {
        push_text(&mut line, name, delimiter, at);
    }
    let mut scratch = Scratch::default();
    for record in 0..len {
        end_line(&mut line, columns.len());
        out.write_all(&line).map_err(Error::io("write", file))?;
        line.clear();
        for (at, (name, cells)) in columns.iter().enumerate() {
            push_cell(&mut line, cells, record, delimiter, at, &mut scratch).map_err(|error| in_column(name, error))?;
        }
        if record % RECORDS_A_TIME == 0 {
            progress.advance((len - record).min(RECORDS_A_TIME) as u64, 0)?;
        }
    }
    end_line(&mut line, columns.len());
    let mut finish = || {
        out.write_all(&line)?;
        out.flush()?;
        out.get_ref().sync_all()
    };
    finish().map_err(Error::io("write", file))
}

fn in_column(name: &str, error: Error) -> Error {
    match error {
        Error::InvalidRequest(problem) => Error::InvalidRequest(format!("column {name}: {problem}")),
        error => error,
    }
}

/// A line of one empty cell would be an empty line, which readers skip.
fn end_line(line: &mut Vec<u8>, columns: usize) {
    if columns == 1 && line.is_empty() {
        line.extend_from_slice(b"\"\"");
    }
    line.push(b'\n');
}

fn push_cell(
    line: &mut Vec<u8>,
    cells: &Cells,
    record: usize,
    delimiter: u8,
    at: usize,
    scratch: &mut Scratch,
) -> Result<()> {
    match cells {
        Cells::Texts(texts) => push_text(line, texts.get(record).unwrap_or_default(), delimiter, at),
        Cells::Labels(codes, labels) => {
            let label = match usize::try_from(codes[record]) {
                Err(_) => "",
                Ok(code) => labels.get(code).ok_or_else(|| {
                    Error::InvalidRequest(format!("code {code} in row {record}, of {} labels", labels.len()))
                })?,
            };
            push_text(line, label, delimiter, at);
        }
        Cells::Integers(_, missing) if missing[record] => push_text(line, "", delimiter, at),
        Cells::Integers(values, _) => push_text(line, &values[record].to_string(), delimiter, at),
        Cells::Floats(values) if values[record].is_nan() => push_text(line, "", delimiter, at),
        Cells::Floats(values) => push_text(line, &format!("{:?}", values[record]), delimiter, at),
        Cells::Rows(field, rows) => {
            let row = rows[record];
            if field.parts().nbytes.get(row)? == 0 {
                push_text(line, "", delimiter, at);
                return Ok(());
            }
            field.fetch(row, true, scratch, |bytes| {
                let text = std::str::from_utf8(bytes).map_err(|error| Error::Format {
                    place: format!("{} of record {}", field.name(), field.record_name(row)),
                    problem: format!("not UTF-8: {error}"),
                })?;
                push_text(line, text, delimiter, at);
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn push_text(line: &mut Vec<u8>, text: &str, delimiter: u8, at: usize) {
    if at > 0 {
        line.push(delimiter);
    }
    let must_be_quoted = |&byte: &u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    if !text.as_bytes().iter().any(must_be_quoted) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    line.push(b'"');
    for &byte in text.as_bytes() {
        if byte == b'"' {
            line.push(byte);
        }
        line.push(byte);
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(columns: &[(String, Cells)], delimiter: u8) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        write(columns, delimiter, &path, &Progress::default()).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    fn texts(values: &[&str]) -> Cells {
        Cells::Texts(Arc::new(values.iter().copied().collect()))
    }

    #[test]
    fn cells_are_quoted_where_they_must_be_and_missing_ones_are_empty() {
        let columns = [
            ("k,1".to_owned(), texts(&["a", "b \"c\"", "d\te"])),
            (
                "label".to_owned(),
                Cells::Labels(vec![1, -1, 0], vec!["x".into(), "y,z".into()]),
            ),
            (
                "n".to_owned(),
                Cells::Integers(vec![-3, 0, i64::MAX], vec![false, true, false]),
            ),
            ("f".to_owned(), Cells::Floats(vec![0.1, f64::NAN, 1e300])),
        ];
        assert_eq!(
            written(&columns, b','),
            "\"k,1\",label,n,f\na,\"y,z\",-3,0.1\n\"b \"\"c\"\"\",,,\nd\te,x,9223372036854775807,1e300\n"
        );
        assert!(written(&columns, b'\t').contains("\"d\te\"\tx\t"));
    }

    #[test]
    fn an_empty_cell_alone_on_its_line_is_still_a_line() {
        assert_eq!(
            written(&[("k".to_owned(), texts(&["a", "", "b"]))], b','),
            "k\na\n\"\"\nb\n"
        );
    }

    #[test]
    fn columns_of_two_lengths_and_unknown_labels_are_named() {
        let path = Path::new("/dev/null");
        let of = |cells| {
            write(
                &[("a".into(), texts(&["x"])), ("b".into(), cells)],
                b',',
                path,
                &Progress::default(),
            )
        };
        assert!(of(texts(&[])).unwrap_err().to_string().contains("column b"));
        assert!(
            of(Cells::Labels(vec![2], vec![]))
                .unwrap_err()
                .to_string()
                .contains("column b")
        );
    }
}
