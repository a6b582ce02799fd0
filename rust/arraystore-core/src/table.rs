//! Tables of metadata (CSV, TSV, [`json`]) as typed columns: no object for a cell, one pass, memory for the columns only.
//!
//! A table is text in UTF-8 with a header; a byte order mark, CRLF, and quoted fields with line breaks are fine. What is not
//! of the type of its column is an error that names line and column: nothing is guessed, and nothing is dropped. Only the
//! cells that the caller names are missing; `NA` and `None` are names of places and people.

mod builder;
mod codes;
pub mod json;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::strings::Strings;
use builder::{Bad, Builder};
pub use codes::Codes;

/// A longer line is taken for a quote that was never closed.
const MAX_LINE_NBYTES: u64 = 64 << 20;
const BUFFER_NBYTES: usize = 1 << 20;
/// Rows between two reports of progress.
const REPORT_EVERY: u64 = 4096;

/// How the cells of a column are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text in memory; missing is the empty string.
    String,
    /// Few different texts: a code for each cell, -1 if missing.
    Category,
    /// Numbers; NaN if missing.
    Float,
    /// Whole numbers, `12` or `12.0`, and a mask of the missing.
    Integer,
    /// Long text, written to a file; missing is no bytes.
    Text,
}

impl Kind {
    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "category" => Self::Category,
            "float" => Self::Float,
            "integer" => Self::Integer,
            "text" => Self::Text,
            _ => return None,
        })
    }
}

/// A column that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name in the header.
    pub name: String,
    /// How its cells are kept.
    pub kind: Kind,
    /// Whether the table may lack it.
    pub is_optional: bool,
}

/// How a table is read.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// The columns to keep.
    pub columns: Vec<Wanted>,
    /// What stands between two fields.
    pub delimiter: u8,
    /// Cells that are missing, letter by letter.
    pub missing: Vec<String>,
    /// The file for a column of kind [`Kind::Text`]; if there are several, each appends `.` and its name.
    pub spill: Option<PathBuf>,
}

/// The cells of one column.
#[derive(Debug, Clone)]
pub enum Column {
    /// See [`Kind::String`].
    Strings(Arc<Strings>),
    /// See [`Kind::Category`]; the categories are sorted by code point.
    Categories {
        /// One for each row.
        codes: Codes,
        /// The text of each code.
        categories: Vec<String>,
    },
    /// See [`Kind::Float`].
    Floats(Vec<f64>),
    /// See [`Kind::Integer`].
    Integers {
        /// One for each row; 0 if missing.
        values: Vec<i64>,
        /// Whether it is missing.
        missing: Vec<bool>,
    },
    /// See [`Kind::Text`].
    Text {
        /// The file.
        path: PathBuf,
        /// Where the text of each row begins in it.
        offset: Vec<u64>,
        /// Its length in bytes.
        nbytes: Vec<u32>,
    },
}

/// A table that was read.
#[derive(Debug, Clone)]
pub struct Table {
    rows: usize,
    columns: Vec<(String, Column)>,
    extra: Vec<String>,
}

impl Table {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The columns, in the order asked for, without optional ones that are not there.
    #[must_use]
    pub fn columns(&self) -> &[(String, Column)] {
        &self.columns
    }

    /// Columns of the file that were not asked for.
    #[must_use]
    pub fn extra(&self) -> &[String] {
        &self.extra
    }
}

/// Reads a table.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read, or the texts not be written. [`Error::Source`] if a column is not there, a line has
/// another number of fields than the header, or a cell is not UTF-8 or no number. [`Error::InvalidRequest`] for text columns
/// without a file for them. [`Error::Interrupted`].
pub fn read(path: &Path, options: &TableOptions, progress: &Progress) -> Result<Table> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut lines = Lines::new(path, file, options.delimiter);
    let header = lines.header()?;
    let mut builders = choose(path, &header, options)?;
    let mut record = ByteRecord::new();
    let (mut rows, mut reported) = (0_u64, 0);
    while lines.next(&mut record, header.len())? {
        for (at, name, builder) in &mut builders {
            let cell = record.get(*at).unwrap_or_default();
            if let Err(bad) = builder.push(cell) {
                return Err(bad_cell(path, &record, name, cell, bad));
            }
        }
        rows += 1;
        if rows % REPORT_EVERY == 0 {
            progress.advance(REPORT_EVERY, lines.nbytes() - reported)?;
            reported = lines.nbytes();
        }
    }
    progress.advance(rows % REPORT_EVERY, lines.nbytes() - reported)?;
    let mut columns = Vec::new();
    for (_, name, builder) in builders {
        columns.push((name, builder.finish()?));
    }
    let is_extra = |name: &&String| options.columns.iter().all(|wanted| wanted.name != **name);
    Ok(Table {
        rows: usize::try_from(rows).unwrap_or(usize::MAX),
        columns,
        extra: header.iter().filter(is_extra).cloned().collect(),
    })
}

/// Finds the wanted columns: the place of each in a line, its name, and what its cells go into.
fn choose(path: &Path, header: &[String], options: &TableOptions) -> Result<Vec<(usize, String, Builder)>> {
    let broken = |problem: String| Error::Source {
        place: path.display().to_string(),
        problem,
    };
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, name) in header.iter().enumerate() {
        let is_wanted = options.columns.iter().any(|wanted| wanted.name == *name);
        if places.insert(name, place).is_some() && is_wanted {
            return Err(broken(format!("two columns are called '{name}'")));
        }
    }
    let is_absent = |wanted: &&Wanted| !wanted.is_optional && !places.contains_key(wanted.name.as_str());
    let absent: Vec<&str> = options
        .columns
        .iter()
        .filter(is_absent)
        .map(|wanted| wanted.name.as_str())
        .collect();
    if !absent.is_empty() {
        return Err(broken(format!(
            "expected the columns {}, found {}",
            absent.join(", "),
            clipped(&header.join(", "), 1000)
        )));
    }
    let present = options
        .columns
        .iter()
        .filter(|wanted| places.contains_key(wanted.name.as_str()));
    let texts = present.clone().filter(|wanted| wanted.kind == Kind::Text).count();
    present
        .map(|wanted| {
            let spill = options.spill.as_ref().map(|spill| match texts {
                0 | 1 => spill.clone(),
                _ => PathBuf::from(format!("{}.{}", spill.display(), wanted.name)),
            });
            let builder = Builder::new(wanted, spill, &options.missing)?;
            Ok((places[wanted.name.as_str()], wanted.name.clone(), builder))
        })
        .collect()
}

fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}

fn bad_cell(path: &Path, record: &ByteRecord, column: &str, cell: &[u8], bad: Bad) -> Error {
    let expected = match bad {
        Bad::Cell(expected) => expected,
        Bad::Other(error) => return error,
    };
    let line = record.position().map_or(0, csv::Position::line);
    Error::Source {
        place: format!("{} line {line}", path.display()),
        problem: format!(
            "column {column}: expected {expected}, found '{}'",
            clipped(&cell.escape_ascii().to_string(), 60)
        ),
    }
}

/// The lines of a table, split into fields.
struct Lines<'a> {
    path: &'a Path,
    reader: Reader<Guarded>,
}

impl<'a> Lines<'a> {
    fn new(path: &'a Path, file: File, delimiter: u8) -> Self {
        let guarded = Guarded {
            file,
            nbytes: 0,
            limit: MAX_LINE_NBYTES,
            is_exceeded: false,
        };
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BUFFER_NBYTES)
            .from_reader(guarded);
        Self { path, reader }
    }

    /// Bytes read so far.
    fn nbytes(&self) -> u64 {
        self.reader.get_ref().nbytes
    }

    fn broken(&self, line: u64, problem: String) -> Error {
        Error::Source {
            place: format!("{} line {line}", self.path.display()),
            problem,
        }
    }

    fn header(&mut self) -> Result<Vec<String>> {
        let mut record = ByteRecord::new();
        if !self.read(&mut record)? {
            return Err(self.broken(1, "expected a header, found an empty file".to_owned()));
        }
        let names = record.iter().map(|name| String::from_utf8(name.to_vec()));
        names
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| self.broken(1, format!("the header is not UTF-8: {error}")))
    }

    /// The next line, of as many fields as the header; false behind the last.
    fn next(&mut self, record: &mut ByteRecord, fields: usize) -> Result<bool> {
        if !self.read(record)? {
            return Ok(false);
        }
        if record.len() != fields {
            let line = record.position().map_or(0, csv::Position::line);
            let problem = format!("expected {fields} fields as in the header, found {}", record.len());
            return Err(self.broken(line, problem));
        }
        Ok(true)
    }

    fn read(&mut self, record: &mut ByteRecord) -> Result<bool> {
        let guarded = self.reader.get_mut();
        guarded.limit = guarded.nbytes + MAX_LINE_NBYTES;
        self.reader.read_byte_record(record).map_err(|error| {
            let line = self.reader.position().line();
            if self.reader.get_ref().is_exceeded {
                let problem = format!("no end of the line within {MAX_LINE_NBYTES} bytes: a quote was not closed");
                return self.broken(line, problem);
            }
            let text = error.to_string();
            match error.into_kind() {
                ErrorKind::Io(error) => Error::io("read", self.path)(error),
                _ => self.broken(line, text),
            }
        })
    }
}

/// A file of which only so much may be read, so that one endless line does not fill the memory.
struct Guarded {
    file: File,
    nbytes: u64,
    limit: u64,
    is_exceeded: bool,
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.nbytes >= self.limit {
            self.is_exceeded = true;
            return Err(io::Error::other("the line is too long"));
        }
        let nbytes = self.file.read(buffer)?;
        self.nbytes += nbytes as u64;
        Ok(nbytes)
    }
}

#[cfg(test)]
mod tests;
