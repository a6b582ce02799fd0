//! What scans of folders and archives promise, on archives written byte by byte.

use super::*;
use crate::extent::Extents;
use proptest::prelude::*;
use std::io::Write;

/// Writes archives as their writers would, and as they should not.
#[derive(Clone)]
struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u64,
    is_zip64: bool,
}

impl Zip {
    fn new(is_zip64: bool) -> Self {
        Self {
            bytes: Vec::new(),
            directory: Vec::new(),
            entries: 0,
            is_zip64,
        }
    }

    fn add(self, name: &str, content: &[u8]) -> Self {
        self.add_raw(name.as_bytes(), content, 0, 0)
    }

    fn add_deflated(self, name: &str, content: &[u8]) -> Self {
        self.add_raw(name.as_bytes(), content, 8, 0)
    }

    fn add_raw(mut self, name: &[u8], content: &[u8], method: u16, flags: u16) -> Self {
        let offset = self.bytes.len() as u64;
        let mut deflater = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        deflater.write_all(content).unwrap();
        let stored = if method == 8 {
            deflater.finish().unwrap()
        } else {
            content.to_vec()
        };
        let crc = crate::checksum::crc32(content);
        let name_nbytes = u16::try_from(name.len()).unwrap();
        let small = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
        self.bytes.extend_from_slice(b"PK\x03\x04\x14\0");
        self.bytes.extend_from_slice(&flags.to_le_bytes());
        self.bytes.extend_from_slice(&method.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        self.bytes.extend_from_slice(&small(stored.len()));
        self.bytes.extend_from_slice(&small(content.len()));
        self.bytes.extend_from_slice(&name_nbytes.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(&stored);
        let mut extra = Vec::new();
        if self.is_zip64 {
            extra.extend_from_slice(&[0x55, 0x54, 1, 0, 9, 1, 0, 24, 0]);
            for value in [content.len() as u64, stored.len() as u64, offset] {
                extra.extend_from_slice(&value.to_le_bytes());
            }
        }
        let wide = |value: [u8; 4]| if self.is_zip64 { [0xFF; 4] } else { value };
        let directory = &mut self.directory;
        directory.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0");
        directory.extend_from_slice(&flags.to_le_bytes());
        directory.extend_from_slice(&method.to_le_bytes());
        directory.extend_from_slice(&[0; 4]);
        directory.extend_from_slice(&crc.to_le_bytes());
        directory.extend_from_slice(&wide(small(stored.len())));
        directory.extend_from_slice(&wide(small(content.len())));
        directory.extend_from_slice(&name_nbytes.to_le_bytes());
        directory.extend_from_slice(&u16::try_from(extra.len()).unwrap().to_le_bytes());
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&wide(small(usize::try_from(offset).unwrap())));
        directory.extend_from_slice(name);
        directory.extend_from_slice(&extra);
        self.entries += 1;
        self
    }

    fn finish(mut self, comment: &[u8]) -> Vec<u8> {
        let directory_at = self.bytes.len() as u64;
        let directory_nbytes = self.directory.len() as u64;
        self.bytes.extend_from_slice(&self.directory);
        let end_at = self.bytes.len() as u64;
        if self.is_zip64 {
            self.bytes
                .extend_from_slice(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
            for value in [self.entries, self.entries, directory_nbytes, directory_at] {
                self.bytes.extend_from_slice(&value.to_le_bytes());
            }
            self.bytes.extend_from_slice(b"PK\x06\x07\0\0\0\0");
            self.bytes.extend_from_slice(&end_at.to_le_bytes());
            self.bytes.extend_from_slice(&[1, 0, 0, 0]);
        }
        self.bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        let count = if self.is_zip64 {
            0xFFFF
        } else {
            u16::try_from(self.entries & 0xFFFF).unwrap()
        };
        self.bytes.extend_from_slice(&count.to_le_bytes());
        self.bytes.extend_from_slice(&count.to_le_bytes());
        for value in [directory_nbytes, directory_at] {
            let value = if self.is_zip64 {
                u32::MAX
            } else {
                u32::try_from(value).unwrap()
            };
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
        self.bytes
            .extend_from_slice(&u16::try_from(comment.len()).unwrap().to_le_bytes());
        self.bytes.extend_from_slice(comment);
        self.bytes
    }
}

/// Lists the members only.
fn list_bytes(bytes: &[u8]) -> Result<Members> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.zip");
    std::fs::write(&path, bytes).unwrap();
    scan(&[path], &Progress::default())
}

/// Lists the members and reads each, if it can be.
fn scan_bytes(bytes: &[u8]) -> Result<Members> {
    let members = list_bytes(bytes)?;
    for index in 0..members.len() as u64 {
        let _ = members.read(index);
    }
    Ok(members)
}

fn paths(members: &Members) -> Vec<String> {
    let whole = (0..members.len() as u64).map(|index| members.path(index).unwrap());
    whole
        .map(|path| path.rsplit_once(".zip/").unwrap().1.to_owned())
        .collect()
}

fn reasons(members: &Members) -> Vec<&str> {
    members.skipped().iter().map(|(_, reason)| reason.as_str()).collect()
}

#[test]
fn members_read_back_whatever_the_archive_is_made_of() {
    for is_zip64 in [false, true] {
        let bytes = Zip::new(is_zip64)
            .add("a/b/x.jpg", b"stored")
            .add_deflated("a/b/y.JPG", &[7; 5000])
            .finish(b"");
        for prefix in [&b""[..], b"#!/bin/sh something in front\n"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("some.zip");
            std::fs::write(&path, [prefix, &bytes].concat()).unwrap();
            let members = scan(&[path], &Progress::default()).unwrap();
            assert_eq!(paths(&members), ["a/b/x.jpg", "a/b/y.JPG"]);
            assert_eq!(members.directories(), ["a/b"]);
            assert_eq!(members.suffixes(), [".jpg", ".JPG"]);
            assert_eq!(members.read(0).unwrap(), b"stored");
            assert_eq!(members.read(1).unwrap(), [7; 5000]);
        }
    }
}

#[test]
fn more_members_than_16_bits_count() {
    for is_zip64 in [false, true] {
        let mut zip = Zip::new(is_zip64);
        for index in 0..66_000 {
            zip = zip.add(&format!("{index}.jpg"), b"");
        }
        assert_eq!(list_bytes(&zip.finish(b"")).unwrap().len(), 66_000);
    }
}

#[test]
fn members_are_in_the_order_in_which_they_lie() {
    let mut zip = Zip::new(false)
        .add("z.jpg", b"first")
        .add("a.png", b"second")
        .add("m.jpg", b"third");
    let at = zip
        .directory
        .windows(4)
        .rposition(|four| four == b"PK\x01\x02")
        .unwrap();
    zip.directory.rotate_left(at);
    let members = scan_bytes(&zip.finish(b"")).unwrap();
    assert_eq!(paths(&members), ["z.jpg", "a.png", "m.jpg"]);
    assert!(members.columns().offset.is_sorted());
    assert_eq!(members.columns().nbytes, [5, 6, 5]);
}

#[test]
fn a_comment_that_looks_like_an_end_record_is_no_end_record() {
    let fake = Zip::new(false).finish(b"");
    let members = scan_bytes(
        &Zip::new(false)
            .add("a.jpg", b"x")
            .finish(&[&fake[..], b"...."].concat()),
    )
    .unwrap();
    assert_eq!(paths(&members), ["a.jpg"]);
}

#[test]
fn what_is_no_member_is_skipped_with_its_reason() {
    let zip = Zip::new(false)
        .add("folder/", b"")
        .add_raw(b"secret.jpg", b"x", 0, 1)
        .add_raw(b"lzma.jpg", b"x", 14, 0)
        .add("../x.jpg", b"x")
        .add("/x.jpg", b"x")
        .add("__MACOSX/._x.jpg", b"x")
        .add("inner.zip", b"x")
        .add("a\\b.jpg", b"x")
        .add(".DS_Store", b"x");
    let members = scan_bytes(&zip.finish(b"a comment")).unwrap();
    assert_eq!(paths(&members), ["a/b.jpg", ".DS_Store"]);
    assert_eq!(members.columns().hidden, [0, 1]);
    let found = reasons(&members);
    for (found, expected) in found
        .iter()
        .zip(["encrypted", "method 14", "out of", "absolute", "macOS", "archive"])
    {
        assert!(found.contains(expected), "{found}");
    }
    assert_eq!(found.len(), 6);
}

#[test]
fn an_archive_cut_short_is_an_error_that_names_it() {
    let bytes = Zip::new(true)
        .add("a.jpg", b"some content")
        .add("b.jpg", b"more")
        .finish(b"");
    for nbytes in 0..bytes.len() {
        let error = scan_bytes(&bytes[..nbytes]).unwrap_err();
        assert_eq!(error.code(), "source");
        assert!(error.to_string().contains("some.zip"), "{error}");
    }
}

#[test]
fn a_member_that_could_not_be_true_is_skipped() {
    let bytes = Zip::new(false)
        .add_deflated("bomb.jpg", &[0; 5000])
        .add("a.jpg", b"x")
        .finish(b"");
    let at = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    for (field, reason) in [(24, "cannot become"), (20, "outside"), (42, "outside")] {
        let mut bytes = bytes.clone();
        bytes[at + field + 3] = 0x7F;
        let members = scan_bytes(&bytes).unwrap();
        assert_eq!(paths(&members), ["a.jpg"]);
        assert!(reasons(&members)[0].contains(reason));
    }
}

#[test]
fn a_wrong_number_of_entries_names_both_numbers() {
    let mut zip = Zip::new(true).add("a.jpg", b"x");
    zip.entries = 3;
    let error = scan_bytes(&zip.finish(b"")).unwrap_err().to_string();
    assert!(error.contains("expected 3") && error.contains("found 1"), "{error}");
}

#[test]
fn a_member_with_another_checksum_cannot_be_read() {
    let mut bytes = Zip::new(false).add("a.jpg", b"content").finish(b"");
    let at = bytes.windows(7).position(|seven| seven == b"content").unwrap();
    bytes[at] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.zip");
    std::fs::write(&path, bytes).unwrap();
    let error = scan(&[path], &Progress::default())
        .unwrap()
        .read(0)
        .unwrap_err()
        .to_string();
    assert!(error.contains("some.zip/a.jpg") && error.contains("CRC-32"), "{error}");
}

fn folder_with(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join("images").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }
    folder
}

#[test]
fn a_folder_is_listed_by_path_with_absolute_directories() {
    let folder = folder_with(&[
        "train/1/b.jpg",
        "train/0/c.jpg",
        "train/0/a.JPG",
        "top.txt",
        ".git/x",
        "old.zip",
    ]);
    let members = scan(&[folder.path().join("images")], &Progress::default()).unwrap();
    let root = folder.path().join("images").display().to_string();
    let expected = [".git/x", "top.txt", "train/0/a.JPG", "train/0/c.jpg", "train/1/b.jpg"];
    for (index, name) in expected.iter().enumerate() {
        assert_eq!(members.path(index as u64).unwrap(), format!("{root}/{name}"));
        assert_eq!(members.read(index as u64).unwrap(), name.as_bytes());
    }
    assert_eq!(members.columns().hidden, [1, 0, 0, 0, 0]);
    assert_eq!(members.skipped().len(), 1);
    assert!(members.columns().modified_ns.iter().all(|&time| time > 0));
    assert!(members.directories().contains(&format!("{root}/train/0")));
}

#[test]
fn links_are_followed_but_not_in_circles() {
    let folder = folder_with(&["a/x.jpg"]);
    let images = folder.path().join("images");
    std::os::unix::fs::symlink(&images, images.join("a/loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", images.join("a/broken.jpg")).unwrap();
    std::os::unix::fs::symlink(&images, folder.path().join("link")).unwrap();
    let members = scan(&[folder.path().join("link")], &Progress::default()).unwrap();
    assert_eq!(members.len(), 1);
    assert!(members.path(0).unwrap().ends_with("link/a/x.jpg"));
    assert_eq!(members.skipped().len(), 2);
}

fn whole_fingerprint(members: &Members) -> u64 {
    let all: Vec<u64> = (0..members.len() as u64).collect();
    members.fingerprint(&all).unwrap()
}

#[test]
fn a_fingerprint_is_of_the_chosen_members_alone() {
    let folder = folder_with(&["a.jpg", "b.jpg"]);
    let path = folder.path().join("images");
    let list = || scan(std::slice::from_ref(&path), &Progress::default()).unwrap();
    let before = list().fingerprint(&[0, 1]).unwrap();
    std::fs::write(path.join("c.txt"), "read me").unwrap();
    assert_eq!(list().fingerprint(&[0, 1]).unwrap(), before);
    assert_ne!(list().fingerprint(&[1, 0]).unwrap(), before);
    assert_ne!(whole_fingerprint(&list()), before);
    assert_eq!(list().fingerprint(&[3]).unwrap_err().code(), "row-out-of-range");
}

#[test]
fn a_fingerprint_follows_the_content_and_not_the_place() {
    let bytes = Zip::new(false).add("a.jpg", b"one").add("b.jpg", b"two").finish(b"");
    let changed = Zip::new(false).add("a.jpg", b"one").add("b.jpg", b"twO").finish(b"");
    let fingerprint = |bytes: &[u8]| whole_fingerprint(&scan_bytes(bytes).unwrap());
    assert_eq!(fingerprint(&bytes), fingerprint(&bytes));
    assert_ne!(fingerprint(&bytes), fingerprint(&changed));

    let folder = folder_with(&["a/x.jpg", "b/y.jpg"]);
    let list = |name: &str| whole_fingerprint(&scan(&[folder.path().join(name)], &Progress::default()).unwrap());
    let before = list("images");
    std::fs::rename(folder.path().join("images"), folder.path().join("moved")).unwrap();
    assert_eq!(list("moved"), before);
    std::fs::write(folder.path().join("moved/a/x.jpg"), "longer than before").unwrap();
    assert_ne!(list("moved"), before);
}

#[test]
fn a_selection_hands_out_the_members_asked_for() {
    let folder = folder_with(&["a.jpg", "b.jpg"]);
    let members = Arc::new(scan(&[folder.path().join("images")], &Progress::default()).unwrap());
    let selection = crate::members::Selection::new(members.clone(), vec![1, 0, 1]).unwrap();
    let mut scratch = crate::extent::Scratch::default();
    assert_eq!(selection.extent(2).unwrap().fetch(&mut scratch).unwrap(), b"b.jpg");
    assert!(selection.name(1).ends_with("a.jpg"));
    assert!(crate::members::Selection::new(members, vec![2]).is_err());
}

#[test]
fn a_scan_can_be_stopped() {
    let folder = folder_with(&["a.jpg"]);
    let progress = Progress::default();
    progress.stop();
    assert_eq!(
        scan(&[folder.path().join("images")], &progress).unwrap_err().code(),
        "interrupted"
    );
}

proptest! {
    #[test]
    fn no_archive_makes_a_scan_panic(
        is_zip64 in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let zip = Zip::new(is_zip64).add("a/x.jpg", b"stored").add_deflated("y.jpg", &[7; 300]).add("./z.jpg", b"");
        let mut bytes = zip.finish(b"comment");
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = scan_bytes(&bytes);
    }
}
