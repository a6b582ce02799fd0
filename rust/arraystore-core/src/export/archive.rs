//! Records as members of one stored zip archive.
//!
//! All sizes are known before a byte is read, so every member has its place at once, and threads write to their places. What
//! is kept of a member is its place and its CRC-32; the directory is written from them at the end (APPNOTE.TXT 6.3.10).

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::batch;
use crate::checksum;
use crate::error::{Error, Result};
use crate::extent::Extents;
use crate::progress::Progress;
use crate::selected::read_into;
use crate::strings::Strings;

const LOCAL_NBYTES: u64 = 30;
/// Bytes that a thread gathers before it writes them.
const SEGMENT_NBYTES: u64 = 4 << 20;
const FAR: u64 = 0xFFFF_FFFF;
const MANY_ENTRIES: u64 = 0xFFFF;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
/// 1 January 1980: the same records are the same archive.
const DATE: u16 = 0x21;
const VERSION: u16 = 20;
const VERSION_ZIP64: u16 = 45;
/// Made on Unix.
const MADE_BY: u16 = 3 << 8 | VERSION_ZIP64;
/// A regular file that everybody may read.
const ATTRIBUTES: u32 = 0o100_644 << 16;

/// Writes each record of `table`, of `nbytes[i]` bytes, as a member of the archive `file`, which is synced.
///
/// # Errors
///
/// [`Error::InvalidRequest`] if a name is longer than 65,535 bytes or a record has 4 GiB - 1 or more; [`Error::Io`] if the
/// archive cannot be written; those of [`read_into`]; [`Error::Interrupted`].
pub fn write(
    table: &dyn Extents,
    nbytes: &[u64],
    paths: &Strings,
    file: &Path,
    threads: usize,
    progress: &Progress,
) -> Result<()> {
    let places = places(table, nbytes, paths)?;
    let end = places.last().copied().unwrap_or(0);
    let archive = File::create(file).map_err(Error::io("create", file))?;
    let segments = segments(&places);
    let sums = batch::map(segments.into_iter(), threads, |context, (first, stop)| {
        let (mut segment, mut bytes, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        for (index, &expected) in (first..).zip(&nbytes[first..stop]) {
            read_into(table, index as u64, &mut bytes, &mut context.scratch)?;
            if bytes.len() as u64 != expected {
                return Err(Error::SourceChanged {
                    place: table.name(index as u64),
                    problem: format!("expected {expected} bytes, found {}", bytes.len()),
                });
            }
            let sum = checksum::crc32(&bytes);
            sums.push(sum);
            push_local(&mut segment, paths.get(index).unwrap_or_default(), sum, expected);
            segment.extend_from_slice(&bytes);
            progress.advance(1, bytes.len() as u64)?;
        }
        archive
            .write_all_at(&segment, places[first])
            .map_err(Error::io("write", file))?;
        Ok(sums)
    })?;
    let sums: Vec<u32> = sums.into_iter().flatten().collect();
    let finish = || {
        let mut out = BufWriter::with_capacity(1 << 20, &archive);
        out.seek(SeekFrom::Start(end))?;
        write_directory(&mut out, paths, nbytes, &places, &sums)?;
        out.flush()?;
        archive.sync_all()
    };
    finish().map_err(Error::io("write", file))
}

/// Where the local header of each member begins, and where the last member ends.
fn places(table: &dyn Extents, nbytes: &[u64], paths: &Strings) -> Result<Vec<u64>> {
    if nbytes.len() != paths.len() || table.len() != paths.len() as u64 {
        return Err(Error::InvalidRequest(format!(
            "expected as many paths and lengths as records, found {}, {} and {}",
            paths.len(),
            nbytes.len(),
            table.len()
        )));
    }
    let mut places = Vec::with_capacity(nbytes.len() + 1);
    let mut end = 0;
    places.push(end);
    for (path, &nbytes) in paths.iter().zip(nbytes) {
        if nbytes >= FAR || u16::try_from(path.len()).is_err() {
            return Err(Error::InvalidRequest(format!(
                "{path}: {nbytes} bytes under a name of {}: too much for a member of an archive",
                path.len()
            )));
        }
        end += LOCAL_NBYTES + path.len() as u64 + nbytes;
        places.push(end);
    }
    Ok(places)
}

/// Members that are written at once: the first of them, and the one behind the last.
fn segments(places: &[u64]) -> Vec<(usize, usize)> {
    let mut segments = Vec::new();
    let count = places.len() - 1;
    let mut first = 0;
    for index in 0..count {
        let is_last = index + 1 == count;
        if is_last || places[index + 1] - places[first] >= SEGMENT_NBYTES {
            segments.push((first, index + 1));
            first = index + 1;
        }
    }
    segments
}

/// The low 32 bits of a number that is known to have no others.
fn low(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn name_nbytes(path: &str) -> u16 {
    u16::try_from(path.len()).unwrap_or(u16::MAX)
}

fn push_local(out: &mut Vec<u8>, path: &str, sum: u32, nbytes: u64) {
    out.extend_from_slice(b"PK\x03\x04");
    for number in [VERSION, FLAGS, 0, 0, DATE] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [sum, low(nbytes), low(nbytes)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [name_nbytes(path), 0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(path.as_bytes());
}

fn write_directory(
    out: &mut (impl Write + Seek),
    paths: &Strings,
    nbytes: &[u64],
    places: &[u64],
    sums: &[u32],
) -> std::io::Result<()> {
    let start = out.stream_position()?;
    let mut entry = Vec::new();
    for (((path, &nbytes), &place), &sum) in paths.iter().zip(nbytes).zip(places).zip(sums) {
        let is_far = place >= FAR;
        entry.clear();
        entry.extend_from_slice(b"PK\x01\x02");
        let version = if is_far { VERSION_ZIP64 } else { VERSION };
        for number in [MADE_BY, version, FLAGS, 0, 0, DATE] {
            entry.extend_from_slice(&number.to_le_bytes());
        }
        for number in [sum, low(nbytes), low(nbytes)] {
            entry.extend_from_slice(&number.to_le_bytes());
        }
        for number in [name_nbytes(path), if is_far { 12 } else { 0 }, 0, 0, 0] {
            entry.extend_from_slice(&number.to_le_bytes());
        }
        entry.extend_from_slice(&ATTRIBUTES.to_le_bytes());
        entry.extend_from_slice(&low(place.min(FAR)).to_le_bytes());
        entry.extend_from_slice(path.as_bytes());
        if is_far {
            entry.extend_from_slice(&[1, 0, 8, 0]);
            entry.extend_from_slice(&place.to_le_bytes());
        }
        out.write_all(&entry)?;
    }
    let end = out.stream_position()?;
    write_end(out, paths.len() as u64, start, end)
}

fn write_end(out: &mut impl Write, entries: u64, start: u64, end: u64) -> std::io::Result<()> {
    let nbytes = end - start;
    if entries >= MANY_ENTRIES || start >= FAR || nbytes >= FAR {
        out.write_all(b"PK\x06\x06")?;
        out.write_all(&44u64.to_le_bytes())?;
        for number in [MADE_BY, VERSION_ZIP64] {
            out.write_all(&number.to_le_bytes())?;
        }
        out.write_all(&[0; 8])?;
        for number in [entries, entries, nbytes, start] {
            out.write_all(&number.to_le_bytes())?;
        }
        out.write_all(b"PK\x06\x07\0\0\0\0")?;
        out.write_all(&end.to_le_bytes())?;
        out.write_all(&1u32.to_le_bytes())?;
    }
    out.write_all(b"PK\x05\x06\0\0\0\0")?;
    let few = u16::try_from(entries.min(MANY_ENTRIES)).unwrap_or(u16::MAX);
    out.write_all(&few.to_le_bytes())?;
    out.write_all(&few.to_le_bytes())?;
    out.write_all(&low(nbytes.min(FAR)).to_le_bytes())?;
    out.write_all(&low(start.min(FAR)).to_le_bytes())?;
    out.write_all(&[0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extent::FileExtents;
    use crate::scan::scan;

    /// As many members as asked, of 0 to 9 bytes.
    fn written(folder: &Path, count: usize) -> (std::path::PathBuf, Vec<u64>) {
        let bytes = folder.join("bytes");
        std::fs::write(&bytes, b"0123456789").unwrap();
        let nbytes: Vec<u64> = (0..count as u64).map(|index| index % 10).collect();
        let table = FileExtents::new(bytes, vec![0; count], nbytes.clone()).unwrap();
        let names: Vec<String> = (0..count).map(|index| format!("a/ä{index}.jpg")).collect();
        let paths = names.iter().map(String::as_str).collect();
        let path = folder.join("x.zip");
        write(&table, &nbytes, &paths, &path, 2, &Progress::default()).unwrap();
        (path, nbytes)
    }

    #[test]
    fn an_archive_reads_back_also_with_more_members_than_16_bits_count() {
        for count in [0, 3, 0xFFFE, 0xFFFF, 70_000] {
            let folder = tempfile::tempdir().unwrap();
            let (path, nbytes) = written(folder.path(), count);
            let members = scan(&[path], &Progress::default()).unwrap();
            assert_eq!((members.len(), members.skipped().len()), (count, 0));
            assert_eq!(members.columns().nbytes, nbytes);
            for index in [0, count / 2, count.saturating_sub(1)] {
                if index < count {
                    let expected = &b"0123456789"[..index % 10];
                    assert_eq!(members.read(index as u64).unwrap(), expected);
                }
            }
        }
    }

    #[test]
    fn places_beyond_32_bits_are_in_the_directory() {
        let mut out = std::io::Cursor::new(Vec::new());
        let paths: Strings = ["near.jpg", "far.jpg"].into_iter().collect();
        let places = [10, 0x1_2345_6789, 0x1_2345_6800];
        write_directory(&mut out, &paths, &[5, 6], &places, &[7, 8]).unwrap();
        let bytes = out.into_inner();
        let far = 46 + 8;
        assert_eq!(bytes[42..46], 10u32.to_le_bytes());
        assert_eq!(bytes[far + 42..far + 46], [0xFF; 4]);
        assert_eq!(bytes[far + 46 + 7..far + 46 + 7 + 4], [1, 0, 8, 0]);
        assert_eq!(bytes[far + 46 + 11..far + 46 + 19], places[1].to_le_bytes());
    }
}
