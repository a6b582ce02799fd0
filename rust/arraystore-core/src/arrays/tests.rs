//! Items as they are and compressed, sound and damaged.

use std::path::{Path, PathBuf};

use super::*;
use crate::extent::Extents;
use crate::selected::{FieldItems, read_into};

const ITEM: usize = 64;
const OPTIONS: ReadOptions = ReadOptions {
    verify: true,
    threads: 2,
};

fn item(number: u8) -> Vec<u8> {
    (0..ITEM)
        .map(|at| number.wrapping_mul(7) ^ u8::try_from(at).unwrap())
        .collect()
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> (PathBuf, u64) {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    (path, 0)
}

fn column<T: crate::pieces::Number>(folder: &Path, name: &str, bytes: &[u8]) -> Column<T> {
    let nbytes = bytes.len() as u64;
    let pieces = Pieces::new(vec![written(folder, name, bytes)], nbytes, nbytes).unwrap();
    Column::new(pieces, nbytes / T::NBYTES as u64, name).unwrap()
}

/// Records 0 to 3 with the items 1, 0, 1 and none; item 2 is damaged.
fn field(folder: &Path, items: Items) -> ArrayField {
    let row: Vec<u8> = [1, 0, 1, NO_ITEM, 2].into_iter().flat_map(u32::to_le_bytes).collect();
    let sums = [checksum::crc32c(&item(0)), checksum::crc32c(&item(1)), 0];
    let sums: Vec<u8> = sums.into_iter().flat_map(u32::to_le_bytes).collect();
    let parts = ArrayParts {
        items,
        count: 3,
        item_nbytes: ITEM,
        row: column(folder, "row", &row),
        crc32c: column(folder, "crc32c", &sums),
        status: column(folder, "status", &[0, 0, Status::Corrupt as u8]),
        keys: None,
    };
    ArrayField::new("wf".to_owned(), 5, parts)
}

fn plain(folder: &Path) -> Items {
    let bytes = [item(0), item(1), vec![0; ITEM]].concat();
    let nbytes = bytes.len() as u64;
    Items::Plain(Pieces::new(vec![written(folder, "plain", &bytes)], nbytes, nbytes).unwrap())
}

fn zstd(folder: &Path, change: impl Fn(&mut Vec<u8>)) -> Items {
    let mut file = Vec::new();
    let mut index = Vec::new();
    for bytes in [item(0), item(1), vec![0; ITEM]] {
        let compressed = ::zstd::bulk::compress(&bytes, 3).unwrap();
        index.extend((file.len() as u64).to_le_bytes());
        index.extend((compressed.len() as u64).to_le_bytes());
        file.extend(compressed);
    }
    let checksum = checksum::crc32c(&index);
    file.extend(index);
    file.extend(checksum.to_le_bytes());
    change(&mut file);
    let (path, _) = written(folder, "zstd", &file);
    Items::Zstd(CompressedShards::new(vec![path], 3, 3).unwrap())
}

#[test]
fn items_come_in_the_order_asked_however_they_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    for items in [plain(folder.path()), zstd(folder.path(), |_| ())] {
        let field = field(folder.path(), items);
        let mut out = vec![0; 3 * ITEM];
        field.gather(&[2, 1, 0], &mut out, OPTIONS).unwrap();
        assert_eq!(out, [item(1), item(0), item(1)].concat());
        assert!(field.check(0..3, 2).unwrap().is_empty());
        assert_eq!(
            field.gather(&[3], &mut out[..ITEM], OPTIONS).unwrap_err().code(),
            "missing"
        );
        let error = field.gather(&[4], &mut out[..ITEM], OPTIONS).unwrap_err();
        assert!(error.to_string().contains("corrupt"), "{error}");
        assert_eq!(
            field.gather(&[5], &mut out[..ITEM], OPTIONS).unwrap_err().code(),
            "row-out-of-range"
        );
        assert_eq!(
            field.gather(&[0], &mut out, OPTIONS).unwrap_err().code(),
            "invalid-request"
        );
    }
}

#[test]
fn a_copy_has_every_item_or_names_a_record_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["plain", "zstd"] {
        let items = || match name {
            "plain" => plain(folder.path()),
            _ => zstd(folder.path(), |_| ()),
        };
        let table = |items, rows| FieldItems::new(Arc::new(field(folder.path(), items)), vec![2, 0, 1], rows);
        let sound = table(items(), vec![4, 1, 2]).unwrap();
        let mut out = Vec::new();
        for (index, expected) in [(0, vec![0; ITEM]), (1, item(0)), (2, item(1))] {
            read_into(&sound, index, &mut out, &mut Scratch::default()).unwrap();
            assert_eq!(out, expected);
        }
        assert_eq!(sound.name(2), "record 2, wf");
        assert_eq!(sound.extent(3).err().unwrap().code(), "row-out-of-range");
        assert!(table(items(), vec![4]).is_err());
        let damaged = items();
        let first = match name {
            "plain" => ITEM,
            _ => ::zstd::bulk::compress(&item(0), 3).unwrap().len(),
        };
        let path = folder.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[first + 30] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let damaged = table(damaged, vec![4, 1, 2]).unwrap();
        for index in [0, 1] {
            read_into(&damaged, index, &mut out, &mut Scratch::default()).unwrap();
        }
        let error = read_into(&damaged, 2, &mut out, &mut Scratch::default()).unwrap_err();
        assert!(error.to_string().contains("record 2, wf"), "{error}");
    }
}

#[test]
fn a_changed_item_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let field = field(folder.path(), plain(folder.path()));
    let path = folder.path().join("plain");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[ITEM + 3] ^= 1;
    bytes[2 * ITEM] = 1;
    std::fs::write(&path, bytes).unwrap();
    let mut out = vec![0; ITEM];
    assert_eq!(field.gather(&[0], &mut out, OPTIONS).unwrap_err().code(), "checksum");
    let unchecked = ReadOptions {
        verify: false,
        ..OPTIONS
    };
    field.gather(&[0], &mut out, unchecked).unwrap();
    let found: Vec<u64> = field
        .check(0..3, 1)
        .unwrap()
        .into_iter()
        .map(|(item, _)| item)
        .collect();
    assert_eq!(found, [1, 2]);
}

#[test]
fn no_flipped_bit_of_a_compressed_shard_is_read_as_sound() {
    let folder = tempfile::tempdir().unwrap();
    let _ = zstd(folder.path(), |_| ());
    let whole = std::fs::read(folder.path().join("zstd")).unwrap();
    for at in 0..whole.len() {
        let field = field(folder.path(), zstd(folder.path(), |file| file[at] ^= 0x11));
        let mut out = vec![0; ITEM];
        for (row, expected) in [(0, item(1)), (1, item(0))] {
            match field.gather(&[row], &mut out, OPTIONS) {
                Ok(()) => assert_eq!(out, expected),
                Err(error) => assert!(
                    ["damaged-item", "damaged-shard", "checksum"].contains(&error.code()),
                    "{error}"
                ),
            }
        }
    }
}

#[test]
fn a_shard_index_leads_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    for (entry, value) in [(0, u64::MAX), (8, u64::MAX), (0, 1 << 40), (8, 0), (8, 5000)] {
        let items = zstd(folder.path(), |file| {
            let index_at = file.len() - 4 - 3 * 16;
            file[index_at + entry..index_at + entry + 8].copy_from_slice(&value.to_le_bytes());
            let end = file.len() - 4;
            let checksum = checksum::crc32c(&file[index_at..end]);
            file[end..].copy_from_slice(&checksum.to_le_bytes());
        });
        let error = field(folder.path(), items)
            .gather(&[1], &mut [0; ITEM], OPTIONS)
            .unwrap_err();
        assert_eq!(error.code(), "damaged-item", "{error}");
    }
    let items = zstd(folder.path(), |file| file.truncate(20));
    let error = field(folder.path(), items)
        .gather(&[1], &mut [0; ITEM], OPTIONS)
        .unwrap_err();
    assert_eq!(error.code(), "file-too-short");
}
