//! Tables as JSON: one array of flat objects, as the `.jsonld` files of publishers are; read as a stream, like a CSV.
//!
//! Keys may stand in any order and be absent, values may be texts, numbers, true, false or null. A number is taken as it is
//! written. `null`, a key that is absent, and `NaN` (which Python writes) are missing, and so are the texts that the caller
//! names. Written after RFC 8259.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memchr::{memchr_iter, memchr2};

use super::builder::{Bad, Builder};
use super::{Kind, REPORT_EVERY, Table, TableOptions, Wanted, clipped};
use crate::error::{Error, Result};
use crate::progress::Progress;

const BUFFER_NBYTES: usize = 1 << 20;
/// A longer text is taken for one whose end is missing.
const MAX_TEXT_NBYTES: usize = 64 << 20;
/// Each column costs memory for each row, so a file must not name any number of them.
const MAX_COLUMNS: usize = 4096;

/// Reads a table. `others` is the kind of columns that were not asked for; without it they are left out.
///
/// Its columns are in the order in which they first occur. One that was asked for and never occurs is not there, unless it
/// is not optional.
///
/// # Errors
///
/// As for [`super::read`]; [`Error::Source`] also if the file is not one JSON array of flat objects, with line and byte.
pub fn read(path: &Path, options: &TableOptions, others: Option<Kind>, progress: &Progress) -> Result<Table> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut input = Input::new(path, file);
    let mut rows = Rows::new(options, others);
    input.skip_byte_order_mark()?;
    input.expect(b'[', "a JSON array of objects")?;
    let mut reported = 0;
    let mut is_first = true;
    loop {
        match input.next_token()? {
            Some(b']') if is_first => break,
            Some(b'{') if is_first => input.at += 1,
            Some(b',') if !is_first => {
                input.at += 1;
                input.expect(b'{', "an object behind the comma")?;
            }
            Some(b']') => break,
            found => return Err(input.unexpected("an object, or the end of the array", found)),
        }
        is_first = false;
        read_object(&mut input, &mut rows)?;
        if rows.count.is_multiple_of(REPORT_EVERY) {
            progress.advance(REPORT_EVERY, input.nbytes() - reported)?;
            reported = input.nbytes();
        }
    }
    input.at += 1;
    if let found @ Some(_) = input.next_token()? {
        return Err(input.unexpected("nothing behind the array", found));
    }
    progress.advance(rows.count % REPORT_EVERY, input.nbytes() - reported)?;
    rows.finish(path)
}

fn read_object(input: &mut Input<'_>, rows: &mut Rows<'_>) -> Result<()> {
    let (mut key, mut value) = (std::mem::take(&mut rows.key), std::mem::take(&mut rows.value));
    let mut place = 0;
    loop {
        match input.next_token()? {
            Some(b'}') if place == 0 => break,
            Some(b'"') if place == 0 => {}
            Some(b',') if place > 0 => {
                input.at += 1;
                match input.next_token()? {
                    Some(b'"') => {}
                    found => return Err(input.unexpected("a name in quotes behind the comma", found)),
                }
            }
            Some(b'}') => break,
            found => return Err(input.unexpected("a name in quotes, or the end of the object", found)),
        }
        let start = input.nbytes();
        input.string(&mut key)?;
        input.expect(b':', "a colon behind the name")?;
        let is_there = input.value(&mut value)?;
        rows.push(place, &key, is_there.then_some(&value[..]))
            .map_err(|failure| failure.at(input, start, &key, &value))?;
        place += 1;
    }
    input.at += 1;
    (rows.key, rows.value) = (key, value);
    rows.end_row()
        .map_err(|failure| failure.at(input, input.nbytes(), b"", b""))
}

/// Why a value was not taken.
enum Failure {
    Cell(Bad),
    Problem(&'static str),
}

impl Failure {
    fn at(self, input: &Input<'_>, byte: u64, key: &[u8], value: &[u8]) -> Error {
        let name = clipped(&String::from_utf8_lossy(key), 60);
        match self {
            Self::Cell(Bad::Other(error)) => error,
            Self::Cell(Bad::Cell(expected)) => input.broken(
                byte,
                format!(
                    "column {name}: expected {expected}, found '{}'",
                    clipped(&value.escape_ascii().to_string(), 60)
                ),
            ),
            Self::Problem(problem) => input.broken(byte, format!("'{name}' {problem}")),
        }
    }
}

/// The columns while they grow.
struct Rows<'a> {
    options: &'a TableOptions,
    others: Option<Kind>,
    count: u64,
    names: Vec<String>,
    places: HashMap<String, usize>,
    /// `None` for a column that is left out.
    builders: Vec<Option<Builder>>,
    /// The row in which each column occurred last, from 1.
    seen: Vec<u64>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> Rows<'a> {
    fn new(options: &'a TableOptions, others: Option<Kind>) -> Self {
        Self {
            options,
            others,
            count: 0,
            names: Vec::new(),
            places: HashMap::new(),
            builders: Vec::new(),
            seen: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Takes one value of a row; `place` is that of its name in the object, which is mostly the same in all of them.
    fn push(&mut self, place: usize, key: &[u8], value: Option<&[u8]>) -> Result<(), Failure> {
        let column = if self.names.get(place).is_some_and(|name| name.as_bytes() == key) {
            place
        } else {
            self.column(key)?
        };
        if self.seen[column] == self.count + 1 {
            return Err(Failure::Problem("stands twice in one object"));
        }
        self.seen[column] = self.count + 1;
        match &mut self.builders[column] {
            Some(builder) => builder.push_cell(value).map_err(Failure::Cell),
            None => Ok(()),
        }
    }

    fn column(&mut self, key: &[u8]) -> Result<usize, Failure> {
        let name = std::str::from_utf8(key).map_err(|_| Failure::Problem("is a name that is not UTF-8"))?;
        if let Some(&column) = self.places.get(name) {
            return Ok(column);
        }
        if self.names.len() == MAX_COLUMNS {
            return Err(Failure::Problem(
                "is one name more than the 4,096 that a table may have",
            ));
        }
        let asked = self.options.columns.iter().find(|wanted| wanted.name == name).cloned();
        let other = self.others.map(|kind| Wanted {
            name: name.to_owned(),
            kind,
            is_optional: true,
        });
        let builder = asked.or(other).map(|wanted| self.builder(&wanted)).transpose()?;
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.builders.push(builder);
        self.seen.push(0);
        Ok(self.names.len() - 1)
    }

    /// A column that has been missing in all rows so far.
    fn builder(&self, wanted: &Wanted) -> Result<Builder, Failure> {
        let texts = self
            .options
            .columns
            .iter()
            .filter(|wanted| wanted.kind == Kind::Text)
            .count();
        let spill = self.options.spill.as_ref().map(|spill| match texts {
            0 | 1 => spill.clone(),
            _ => PathBuf::from(format!("{}.{}", spill.display(), wanted.name)),
        });
        let mut builder =
            Builder::new(wanted, spill, &self.options.missing).map_err(|error| Failure::Cell(Bad::Other(error)))?;
        for _ in 0..self.count {
            builder.push_cell(None).map_err(Failure::Cell)?;
        }
        Ok(builder)
    }

    fn end_row(&mut self) -> Result<(), Failure> {
        self.count += 1;
        for (builder, &seen) in self.builders.iter_mut().zip(&self.seen) {
            if let Some(builder) = builder
                && seen != self.count
            {
                builder.push_cell(None).map_err(Failure::Cell)?;
            }
        }
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<Table> {
        let is_absent = |wanted: &&Wanted| !wanted.is_optional && !self.places.contains_key(&wanted.name);
        let absent: Vec<&str> = self
            .options
            .columns
            .iter()
            .filter(is_absent)
            .map(|wanted| &*wanted.name)
            .collect();
        if !absent.is_empty() {
            return Err(Error::Source {
                place: path.display().to_string(),
                problem: format!(
                    "expected the columns {}, found {}",
                    absent.join(", "),
                    clipped(&self.names.join(", "), 1000)
                ),
            });
        }
        let (mut columns, mut extra) = (Vec::new(), Vec::new());
        for (name, builder) in self.names.into_iter().zip(self.builders) {
            match builder {
                Some(builder) => columns.push((name, builder.finish()?)),
                None => extra.push(name),
            }
        }
        Ok(Table {
            rows: usize::try_from(self.count).unwrap_or(usize::MAX),
            columns,
            extra,
        })
    }
}

/// The file, a buffer of it at a time.
struct Input<'a> {
    path: &'a Path,
    file: File,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// Bytes of the file before the buffer.
    before: u64,
}

impl<'a> Input<'a> {
    fn new(path: &'a Path, file: File) -> Self {
        Self {
            path,
            file,
            buffer: vec![0; BUFFER_NBYTES],
            at: 0,
            end: 0,
            before: 0,
        }
    }

    /// Where the next byte stands in the file.
    fn nbytes(&self) -> u64 {
        self.before + self.at as u64
    }

    /// Reads on once the buffer is used up; false at the end of the file.
    fn fill(&mut self) -> Result<bool> {
        self.before += self.end as u64;
        (self.at, self.end) = (0, 0);
        self.end = loop {
            match self.file.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome.map_err(Error::io("read", self.path))?,
            }
        };
        Ok(self.end > 0)
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        if self.at == self.end && !self.fill()? {
            return Ok(None);
        }
        Ok(Some(self.buffer[self.at]))
    }

    fn skip_byte_order_mark(&mut self) -> Result<()> {
        if self.fill()? && self.buffer[..self.end].starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        Ok(())
    }

    /// The next byte that is no white space, which is not taken; `None` at the end of the file.
    fn next_token(&mut self) -> Result<Option<u8>> {
        loop {
            match self.byte()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                found => return Ok(found),
            }
        }
    }

    fn expect(&mut self, wanted: u8, what: &str) -> Result<()> {
        match self.next_token()? {
            Some(found) if found == wanted => {
                self.at += 1;
                Ok(())
            }
            found => Err(self.unexpected(what, found)),
        }
    }

    /// Takes a value; false if it is missing, else it is in `out`.
    fn value(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        match self.next_token()? {
            Some(b'"') => {
                self.string(out)?;
                Ok(true)
            }
            found @ (Some(b'{' | b'[') | None) => Err(self.unexpected("a text, a number, true, false or null", found)),
            Some(_) => self.word(out),
        }
    }

    /// Takes a number or one of the words of JSON.
    fn word(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let start = self.nbytes();
        out.clear();
        while let Some(byte) = self.byte()?
            && (byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            && out.len() < 400
        {
            out.push(byte);
            self.at += 1;
        }
        match &out[..] {
            b"null" | b"NaN" => Ok(false),
            b"true" | b"false" => Ok(true),
            [b'-' | b'0'..=b'9', rest @ ..] if rest.iter().all(|byte| b"0123456789+-.eE".contains(byte)) => Ok(true),
            _ => {
                let found = clipped(&out.escape_ascii().to_string(), 60);
                let problem = format!("expected a text, a number, true, false or null, found '{found}'");
                Err(self.broken(start, problem))
            }
        }
    }

    /// Takes a text that begins here, without its quotes and escapes.
    fn string(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let start = self.nbytes();
        let unfinished = |input: &Self| input.broken(start, "the text that begins here has no end".to_owned());
        out.clear();
        self.at += 1;
        loop {
            if self.at == self.end && !self.fill()? {
                return Err(unfinished(self));
            }
            let rest = &self.buffer[self.at..self.end];
            let plain = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            if rest[..plain].iter().any(|&byte| byte < b' ') {
                return Err(self.broken(
                    start,
                    "the text that begins here has a line break or control character".to_owned(),
                ));
            }
            if out.len() + plain > MAX_TEXT_NBYTES {
                return Err(unfinished(self));
            }
            out.extend_from_slice(&rest[..plain]);
            let found = rest.get(plain).copied();
            self.at += plain;
            match found {
                None => {}
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => self.escape(out)?,
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let start = self.nbytes();
        self.at += 1;
        let letter = self.byte()?;
        self.at += usize::from(letter.is_some());
        out.push(match letter {
            Some(letter @ (b'"' | b'\\' | b'/')) => letter,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let letter = self.code_point(start)?;
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.broken(start, "an escape that JSON does not have".to_owned())),
        });
        Ok(())
    }

    /// What stands behind `\u`; a pair of surrogates is one letter.
    fn code_point(&mut self, start: u64) -> Result<char> {
        let first = self.four_digits(start)?;
        let mut value = first;
        if (0xd800..0xdc00).contains(&first) {
            let is_pair = self.byte()? == Some(b'\\') && {
                self.at += 1;
                self.byte()? == Some(b'u')
            };
            if is_pair {
                self.at += 1;
                let second = self.four_digits(start)?;
                if (0xdc00..0xe000).contains(&second) {
                    value = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                }
            }
        }
        char::from_u32(value)
            .ok_or_else(|| self.broken(start, "half a pair of surrogates, which is no letter".to_owned()))
    }

    fn four_digits(&mut self, start: u64) -> Result<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.byte()?.and_then(|byte| char::from(byte).to_digit(16));
            let digit = digit.ok_or_else(|| self.broken(start, "expected four hexadecimal digits".to_owned()))?;
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    fn unexpected(&self, what: &str, found: Option<u8>) -> Error {
        let found = match found {
            None => "the end of the file: it is cut short".to_owned(),
            Some(byte) => format!("'{}'", byte.escape_ascii()),
        };
        self.broken(self.nbytes(), format!("expected {what}, found {found}"))
    }

    fn broken(&self, byte: u64, problem: String) -> Error {
        // The lines are only counted for a message: the file may be one line of gigabytes.
        let line = lines_before(self.path, byte).map_or(String::new(), |lines| format!(" line {},", lines + 1));
        Error::Source {
            place: format!("{}{line} byte {byte}", self.path.display()),
            problem,
        }
    }
}

fn lines_before(path: &Path, byte: u64) -> io::Result<usize> {
    let mut file = File::open(path)?.take(byte);
    let mut buffer = vec![0; BUFFER_NBYTES];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(lines),
            nbytes => lines += memchr_iter(b'\n', &buffer[..nbytes]).count(),
        }
    }
}

#[cfg(test)]
mod tests;
