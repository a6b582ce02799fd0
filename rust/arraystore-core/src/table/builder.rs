//! Columns while they grow, cell by cell.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::codes::Codes;
use super::{Column, Kind, Wanted};
use crate::error::{Error, Result};
use crate::strings::Strings;

const SPILL_BUFFER_NBYTES: usize = 1 << 20;

/// Why a cell was not taken.
pub(super) enum Bad {
    /// It is not of the type of its column; what was expected.
    Cell(&'static str),
    /// It is not the cell's fault.
    Other(Error),
}

const NOT_UTF8: Bad = Bad::Cell("UTF-8 (convert the table, such as with iconv)");

/// Which cells are missing.
struct Missing {
    is_empty_missing: bool,
    others: Vec<Vec<u8>>,
}

impl Missing {
    fn contains(&self, cell: &[u8]) -> bool {
        match cell {
            [] => self.is_empty_missing,
            _ => self.others.iter().any(|other| other == cell),
        }
    }
}

/// A column, and its rule for missing cells.
pub(super) struct Builder {
    missing: Missing,
    cells: Cells,
}

enum Cells {
    Strings(Strings),
    Categories(Categories),
    Floats(Vec<f64>),
    Integers(Vec<i64>, Vec<bool>),
    Text(Spill),
}

impl Builder {
    pub(super) fn new(wanted: &Wanted, spill: Option<PathBuf>, missing: &[String]) -> Result<Self> {
        let cells = match wanted.kind {
            Kind::String => Cells::Strings(Strings::default()),
            Kind::Category => Cells::Categories(Categories::default()),
            Kind::Float => Cells::Floats(Vec::new()),
            Kind::Integer => Cells::Integers(Vec::new(), Vec::new()),
            Kind::Text => {
                let path = spill.ok_or_else(|| {
                    Error::InvalidRequest(format!("column {}: expected a file to spill its texts to", wanted.name))
                })?;
                Cells::Text(Spill::new(path)?)
            }
        };
        let missing = Missing {
            is_empty_missing: missing.iter().any(String::is_empty),
            others: missing
                .iter()
                .filter(|cell| !cell.is_empty())
                .map(|cell| cell.as_bytes().to_vec())
                .collect(),
        };
        Ok(Self { missing, cells })
    }

    pub(super) fn push(&mut self, cell: &[u8]) -> Result<(), Bad> {
        self.push_cell(Some(cell))
    }

    /// The same; `None` is missing whatever the texts are that stand for that.
    pub(super) fn push_cell(&mut self, cell: Option<&[u8]>) -> Result<(), Bad> {
        let cell = cell.filter(|cell| !self.missing.contains(cell));
        match &mut self.cells {
            Cells::Strings(strings) => strings.push(text(cell.unwrap_or_default())?),
            Cells::Categories(categories) => categories.push(cell)?,
            Cells::Floats(values) => values.push(cell.map_or(Ok(f64::NAN), float)?),
            Cells::Integers(values, missing) => {
                values.push(cell.map_or(Ok(0), integer)?);
                missing.push(cell.is_none());
            }
            Cells::Text(spill) => spill.push(text(cell.unwrap_or_default())?).map_err(Bad::Other)?,
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Column> {
        Ok(match self.cells {
            Cells::Strings(mut strings) => {
                strings.shrink_to_fit();
                Column::Strings(Arc::new(strings))
            }
            Cells::Categories(categories) => categories.finish(),
            Cells::Floats(values) => Column::Floats(values),
            Cells::Integers(values, missing) => Column::Integers { values, missing },
            Cells::Text(spill) => spill.finish()?,
        })
    }
}

fn text(cell: &[u8]) -> Result<&str, Bad> {
    std::str::from_utf8(cell).map_err(|_| NOT_UTF8)
}

fn float(cell: &[u8]) -> Result<f64, Bad> {
    let parsed = text(cell)?.parse::<f64>();
    parsed.map_err(|_| Bad::Cell("a number"))
}

/// `12`, or `12.0` as a table says that went through a program without whole numbers that can be missing.
fn integer(cell: &[u8]) -> Result<i64, Bad> {
    let cell = text(cell)?;
    let digits = match cell.split_once('.') {
        Some((digits, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => digits,
        _ => cell,
    };
    digits.parse().map_err(|_| Bad::Cell("a whole number"))
}

/// Texts and their codes, in the order of first appearance until [`Categories::finish`].
#[derive(Default)]
struct Categories {
    codes: Vec<i32>,
    known: HashMap<Vec<u8>, i32, Seeded>,
    /// The text of each code.
    texts: Vec<String>,
    last: i32,
}

impl Categories {
    fn push(&mut self, cell: Option<&[u8]>) -> Result<(), Bad> {
        let Some(cell) = cell else {
            self.codes.push(-1);
            return Ok(());
        };
        // Tables are often sorted by something, so the cell above is often the same.
        let last = usize::try_from(self.last).ok().and_then(|last| self.texts.get(last));
        if last.is_none_or(|last| last.as_bytes() != cell) {
            self.last = match self.known.get(cell) {
                Some(&code) => code,
                None => self.insert(cell)?,
            };
        }
        self.codes.push(self.last);
        Ok(())
    }

    fn insert(&mut self, cell: &[u8]) -> Result<i32, Bad> {
        let text = text(cell)?.to_owned();
        let code = i32::try_from(self.texts.len()).map_err(|_| Bad::Cell("at most 2^31 different categories"))?;
        self.known.insert(cell.to_vec(), code);
        self.texts.push(text);
        Ok(code)
    }

    fn finish(mut self) -> Column {
        // Order of bytes is order of code points in UTF-8.
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        order.sort_unstable_by(|&one, &other| self.texts[one].cmp(&self.texts[other]));
        let mut rank = vec![-1; order.len()];
        for (new, &old) in (0..).zip(&order) {
            rank[old] = new;
        }
        for code in &mut self.codes {
            *code = usize::try_from(*code).map_or(-1, |old| rank[old]);
        }
        let categories: Vec<String> = order.iter().map(|&old| std::mem::take(&mut self.texts[old])).collect();
        Column::Categories {
            codes: Codes::new(self.codes, categories.len()),
            categories,
        }
    }
}

/// XXH3 from a seed of this process: fast for short texts, and no table can be made to fill one bucket.
#[derive(Clone)]
struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Seeded {
    type Hasher = Xxh3;

    fn build_hasher(&self) -> Xxh3 {
        Xxh3(self.0)
    }
}

struct Xxh3(u64);

impl Hasher for Xxh3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The length of the text that follows, which XXH3 mixes in by itself.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Texts that go to a file.
struct Spill {
    path: PathBuf,
    file: BufWriter<File>,
    end: u64,
    offset: Vec<u64>,
    nbytes: Vec<u32>,
}

impl Spill {
    fn new(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        Ok(Self {
            file: BufWriter::with_capacity(SPILL_BUFFER_NBYTES, file),
            path,
            end: 0,
            offset: Vec::new(),
            nbytes: Vec::new(),
        })
    }

    fn push(&mut self, text: &str) -> Result<()> {
        self.file
            .write_all(text.as_bytes())
            .map_err(Error::io("write", &self.path))?;
        self.offset.push(self.end);
        // Lines are shorter than 2^32 bytes.
        self.nbytes.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.end += text.len() as u64;
        Ok(())
    }

    fn finish(mut self) -> Result<Column> {
        self.file.flush().map_err(Error::io("write", &self.path))?;
        Ok(Column::Text {
            path: self.path,
            offset: self.offset,
            nbytes: self.nbytes,
        })
    }
}
