//! What packing promises, on small records from folders and archives.

mod faults;
mod span;

use super::*;
use crate::checksum;
use crate::extent::{Encoding, Extent, FileExtents, SourceRef};
use crate::members::{Members, Selection};
use crate::scan::scan;
use crate::source::{ByteSource, OpenFile};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const JPEG: &[u8] =
    b"\xFF\xD8\xFF\xC0\0\x0B\x08\0\x20\0\x30\x01\x01\x11\0\xFF\xDA\0\x08\x01\x01\0\0\x3F\0\x12\x34\xFF\xD9";

/// A folder of records, and a place for their store.
struct Fixture {
    folder: tempfile::TempDir,
    members: Arc<Members>,
    place: Vec<u64>,
    nbytes: Vec<u64>,
    total_nbytes: u64,
}

/// Shards of 4 inner chunks of 64 bytes.
fn sharding() -> Sharding {
    Sharding::new(256, 64).unwrap()
}

impl Fixture {
    fn new(records: &[&[u8]]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::create_dir(&source).unwrap();
        for (index, record) in records.iter().enumerate() {
            std::fs::write(source.join(format!("{index:04}.jpg")), record).unwrap();
        }
        let members = Arc::new(scan(&[source], &Progress::default()).unwrap());
        let nbytes = members.columns().nbytes.clone();
        let mut place = Vec::new();
        let mut end: u64 = 0;
        for &nbytes in &nbytes {
            if end / 256 != (end + nbytes.max(1) - 1) / 256 {
                end = end.next_multiple_of(256);
            }
            place.push(end);
            end += nbytes;
        }
        Self {
            folder,
            members,
            place,
            nbytes,
            total_nbytes: end,
        }
    }

    /// Fifty different sound images.
    fn sound() -> Self {
        let records: Vec<Vec<u8>> = (0..50u8)
            .map(|index| [JPEG, &vec![index; index.into()]].concat())
            .collect();
        Self::new(&records.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self) -> PackOptions<'static> {
        PackOptions {
            target: Target::Shards {
                directory: self.file("c"),
            },
            journal: self.file("journal"),
            total_nbytes: self.total_nbytes,
            first_shard: 0,
            sharding: sharding(),
            fingerprint: 1,
            check: Check::Header,
            seek: None,
            tiff: None,
            threads: 2,
        }
    }

    fn pack_with(&self, options: &PackOptions<'_>) -> Result<Packed> {
        let indices = (0..self.members.len() as u64).collect();
        let extents = Selection::new(Arc::clone(&self.members), indices).unwrap();
        pack(&extents, &self.place, &self.nbytes, options, &Progress::default())
    }

    fn pack(&self) -> Result<Packed> {
        self.pack_with(&self.options())
    }

    /// The array in the shard files, without their footers.
    fn array(&self) -> Vec<u8> {
        let mut array = Vec::new();
        for shard in 0..sharding().shards(self.total_nbytes) {
            let used = usize::try_from(sharding().used_nbytes(self.total_nbytes, shard)).unwrap();
            let file = std::fs::read(self.file("c").join(shard.to_string())).unwrap();
            assert_eq!(file.len() as u64, sharding().file_nbytes(used as u64));
            array.extend_from_slice(&file[..used]);
        }
        array
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.file(directory)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn every_record_is_at_its_place_and_gaps_are_zeros() {
    let fixture = Fixture::sound();
    let packed = fixture.pack().unwrap();
    let array = fixture.array();
    let mut expected = vec![0; array.len()];
    for index in 0..50 {
        let place = usize::try_from(fixture.place[index]).unwrap();
        let bytes = fixture.members.read(index as u64).unwrap();
        expected[place..place + bytes.len()].copy_from_slice(&bytes);
        assert_eq!(packed.outcomes.crc32c[index], checksum::crc32c(&bytes));
    }
    assert_eq!(array, expected);
    assert!(packed.outcomes.status.iter().all(|&status| status == 0));
    assert!(packed.outcomes.height.iter().all(|&height| height == 32));
    assert!(packed.outcomes.width.iter().all(|&width| width == 48));
    assert!(packed.shards_written > 5 && packed.shards_kept == 0);
}

#[test]
fn shards_are_the_same_for_any_number_of_threads() {
    let fixture = Fixture::sound();
    fixture.pack().unwrap();
    let array = fixture.array();
    std::fs::remove_dir_all(fixture.file("c")).unwrap();
    let one = PackOptions {
        threads: 1,
        ..fixture.options()
    };
    let packed = fixture.pack_with(&one).unwrap();
    assert_eq!(packed.shards_kept, 0);
    assert_eq!(fixture.array(), array);
}

#[test]
fn a_second_call_writes_only_what_is_missing() {
    let fixture = Fixture::sound();
    let first = fixture.pack().unwrap();
    let array = fixture.array();
    std::fs::remove_file(fixture.file("c/1")).unwrap();
    std::fs::write(fixture.file("c/2"), b"short").unwrap();
    std::fs::write(fixture.file("journal/3"), b"damaged").unwrap();
    std::fs::remove_file(fixture.file("journal/4")).unwrap();
    std::fs::write(fixture.file("c/5.partial"), b"left by a crash").unwrap();
    let again = fixture.pack().unwrap();
    assert_eq!((again.shards_written, again.shards_kept), (4, first.shards_written - 4));
    assert_eq!(again.outcomes, first.outcomes);
    assert_eq!(fixture.array(), array);
    let third = fixture.pack().unwrap();
    assert_eq!((third.shards_written, &third.outcomes), (0, &first.outcomes));
}

#[test]
fn seek_tables_are_those_of_the_shards_that_are_there() {
    let fixture = Fixture::sound();
    let with = PackOptions {
        seek: Some(Compare(false)),
        ..fixture.options()
    };
    let shards = fixture.pack_with(&with).unwrap().shards_written;
    let order: Vec<u64> = (0..50).rev().chain([u64::MAX]).collect();
    let made = MadeTables {
        before: None,
        journal: &with.journal,
        shards: 0..shards,
        total: 50,
    };
    let gather = |name: &str| gather_tables(&made, &order, &fixture.file(name)).unwrap();
    assert!(gather("all.seek"));
    let expected = std::fs::read(fixture.file("all.seek")).unwrap();
    // Those of before come first; here, none of the others is wanted.
    let before = fixture.file("all.seek");
    let grown = MadeTables {
        before: Some(&before),
        total: 101,
        ..made.clone()
    };
    let same: Vec<u64> = (0..51).collect();
    assert!(gather_tables(&grown, &same, &fixture.file("grown.seek")).unwrap());
    assert_eq!(std::fs::read(fixture.file("grown.seek")).unwrap(), expected);
    // Of shards that are kept, and of one that is written again.
    std::fs::remove_file(fixture.file("c/1")).unwrap();
    fixture.pack_with(&with).unwrap();
    assert!(gather("again.seek"));
    assert_eq!(std::fs::read(fixture.file("again.seek")).unwrap(), expected);
    // Not of one that is written again without.
    std::fs::remove_file(fixture.file("c/1")).unwrap();
    fixture.pack().unwrap();
    assert!(!fixture.file("journal/1.seek").exists());
    assert!(!gather("fewer.seek"));
    let first = MadeTables { shards: 0..1, ..made };
    assert!(!gather_tables(&first, &order, &fixture.file("one.seek")).unwrap());
}

#[test]
fn a_journal_of_another_plan_is_refused() {
    let fixture = Fixture::sound();
    fixture.pack().unwrap();
    let other = PackOptions {
        fingerprint: 2,
        ..fixture.options()
    };
    let error = fixture.pack_with(&other).unwrap_err();
    assert_eq!(error.code(), "source-changed");
    assert!(error.to_string().contains("journal/0"), "{error}");
}

#[test]
fn a_bad_record_is_a_status_and_not_a_failure() {
    let fixture = Fixture::new(&[JPEG, b"", b"\x89PNG", &JPEG[..20], b"\xFF\xD8\xFF\xD9", &JPEG[..10]]);
    let packed = fixture.pack().unwrap();
    assert_eq!(packed.outcomes.status, [0, 2, 3, 4, 5, 4]);
    assert_eq!(packed.outcomes.height, [32, 0, 0, 32, 0, 0]);
    let numbers: Vec<u64> = packed.outcomes.details.iter().map(|(record, _)| *record).collect();
    assert_eq!(numbers, [2, 3, 4, 5]);
}

#[test]
fn a_decoder_may_find_what_the_markers_do_not_show() {
    let fixture = Fixture::new(&[JPEG, &JPEG[..20]]);
    let refuse = |_: &[u8]| Err("bad code".to_owned());
    let packed = fixture
        .pack_with(&PackOptions {
            check: Check::Pixels(&refuse),
            tiff: None,
            ..fixture.options()
        })
        .unwrap();
    assert_eq!(packed.outcomes.status, [5, 4]);
    assert_eq!(packed.outcomes.details[0], (0, "bad code".to_owned()));
}

#[test]
fn text_is_not_looked_into() {
    let fixture = Fixture::new(&[b"ACGT", b"AC"]);
    let packed = fixture
        .pack_with(&PackOptions {
            check: Check::None,
            tiff: None,
            ..fixture.options()
        })
        .unwrap();
    assert_eq!(
        (packed.outcomes.status, packed.outcomes.height),
        (vec![0, 0], vec![0, 0])
    );
}

#[test]
fn a_source_that_changed_since_the_plan_stops_the_work_and_names_the_file() {
    let change: [fn(&Path); 3] = [
        |path| std::fs::write(path, b"").unwrap(),
        |path| std::fs::write(path, [0; 500]).unwrap(),
        |path| std::fs::remove_file(path).unwrap(),
    ];
    for change in change {
        let fixture = Fixture::sound();
        change(&fixture.file("source/0030.jpg"));
        let error = fixture.pack().unwrap_err();
        assert_eq!(error.code(), "source-changed");
        assert!(error.to_string().contains("0030.jpg"), "{error}");
        assert!(fixture.names("c").iter().all(|name| !name.contains("partial")));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_unreadable() {
    let fixture = Fixture::new(&[JPEG, JPEG, JPEG]);
    let path = fixture.file("source/0001.jpg");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&path).is_ok() {
        // Root may read everything: a folder in place of the file cannot be read by anybody.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
    }
    let packed = fixture.pack().unwrap();
    assert_eq!(packed.outcomes.status, [0, 7, 0]);
    assert_eq!(packed.outcomes.nbytes[1], 0);
    assert_eq!(packed.outcomes.details[0].0, 1);
}

#[test]
fn plans_that_contradict_themselves_are_refused() {
    let fixture = Fixture::new(&[JPEG, JPEG]);
    let (n, total) = (JPEG.len() as u64, 600);
    for (place, nbytes) in [
        (vec![0, n - 1], vec![n, n]),
        (vec![n, 0], vec![n, n]),
        (vec![0, 250], vec![n, n]),
        (vec![0, 590], vec![n, n]),
        (vec![0, u64::MAX], vec![n, n]),
        (vec![0], vec![n]),
        (vec![0, 100], vec![n]),
    ] {
        let options = PackOptions {
            total_nbytes: total,
            ..fixture.options()
        };
        let error = pack(&*fixture.members, &place, &nbytes, &options, &Progress::default()).unwrap_err();
        assert_eq!(error.code(), "invalid-request", "{place:?}");
    }
}

#[test]
fn no_bytes_are_no_shards() {
    for records in [&[][..], &[&b""[..], b""]] {
        let fixture = Fixture::new(records);
        let packed = fixture.pack().unwrap();
        assert_eq!(packed.outcomes.status, vec![2; records.len()]);
        assert_eq!(packed.shards_written, 0);
        assert!(!fixture.file("c").exists());
    }
}

#[test]
fn a_shard_of_nothing_but_a_gap_is_zeros() {
    let mut fixture = Fixture::new(&[JPEG, JPEG, b""]);
    fixture.place = vec![0, 600, 1024];
    fixture.total_nbytes = 1024;
    fixture.pack().unwrap();
    let array = fixture.array();
    assert_eq!(&array[600..600 + JPEG.len()], JPEG);
    assert!(array[256..600].iter().all(|&byte| byte == 0));
}

#[test]
fn a_disk_that_is_full_leaves_no_shard_with_a_final_name() {
    let fixture = Fixture::sound();
    std::fs::create_dir_all(fixture.file("c")).unwrap();
    std::os::unix::fs::symlink("/dev/full", fixture.file("c/3.partial")).unwrap();
    let error = fixture.pack().unwrap_err();
    assert_eq!(error.code(), "io");
    assert!(error.to_string().contains("c/3.partial"), "{error}");
    assert!(!fixture.names("c").contains(&"3".to_owned()));
    let array = {
        fixture.pack().unwrap();
        fixture.array()
    };
    assert_eq!(array.len() as u64, fixture.total_nbytes);
}

#[test]
fn a_panic_in_a_worker_is_an_internal_error() {
    let fixture = Fixture::sound();
    let burst = |_: &[u8]| -> std::result::Result<(), String> { panic!("burst") };
    let options = PackOptions {
        check: Check::Pixels(&burst),
        tiff: None,
        ..fixture.options()
    };
    let error = fixture.pack_with(&options).unwrap_err();
    assert!(matches!(error, Error::Internal(text) if text == "burst"));
}

#[test]
fn work_that_was_stopped_keeps_what_is_finished_and_goes_on_later() {
    let fixture = Fixture::sound();
    let progress = Progress::default();
    let stop_late = |bytes: &[u8]| {
        if bytes.len() > JPEG.len() + 30 {
            progress.stop();
        }
        Ok(())
    };
    let options = PackOptions {
        check: Check::Pixels(&stop_late),
        tiff: None,
        threads: 1,
        ..fixture.options()
    };
    let error = pack(&*fixture.members, &fixture.place, &fixture.nbytes, &options, &progress).unwrap_err();
    assert_eq!(error.code(), "interrupted");
    assert!(fixture.names("c").contains(&"0".to_owned()));
    let accept = |_: &[u8]| Ok(());
    let packed = fixture
        .pack_with(&PackOptions {
            check: Check::Pixels(&accept),
            tiff: None,
            ..fixture.options()
        })
        .unwrap();
    assert!(packed.shards_kept > 0 && packed.shards_written > 0);
    assert_eq!(fixture.array().len() as u64, fixture.total_nbytes);
}

#[test]
fn shards_before_the_first_are_left_alone() {
    let fixture = Fixture::sound();
    let whole = fixture.pack().unwrap();
    let shard_nbytes = sharding().shard_nbytes();
    let first = fixture.place.partition_point(|&place| place < 2 * shard_nbytes);
    let options = PackOptions {
        first_shard: 2,
        target: Target::Shards {
            directory: fixture.file("grown"),
        },
        journal: fixture.file("journal of the rest"),
        ..fixture.options()
    };
    let indices = (first as u64..50).collect();
    let rest = Selection::new(Arc::clone(&fixture.members), indices).unwrap();
    let (place, nbytes) = (&fixture.place[first..], &fixture.nbytes[first..]);
    for shards_kept in [0, whole.shards_written - 2] {
        let packed = pack(&rest, place, nbytes, &options, &Progress::default()).unwrap();
        assert_eq!(packed.shards_kept, shards_kept);
        assert_eq!(packed.outcomes.crc32c, whole.outcomes.crc32c[first..]);
        assert_eq!(packed.outcomes.crc32c.len(), 50 - first);
    }
    let names = fixture.names("grown");
    assert!(!names.contains(&"0".to_owned()) && !names.contains(&"1".to_owned()));
    for name in names {
        let read = |directory: &str| std::fs::read(fixture.file(directory).join(&name)).unwrap();
        assert_eq!(read("grown"), read("c"));
    }
    let error = fixture.pack_with(&options).unwrap_err();
    assert!(error.to_string().contains("before shard 2"), "{error}");
    let none = Selection::new(Arc::clone(&fixture.members), vec![0, 0]).unwrap();
    let after = PackOptions {
        first_shard: 99,
        ..options
    };
    let packed = pack(&none, &[fixture.total_nbytes; 2], &[0; 2], &after, &Progress::default()).unwrap();
    assert_eq!(packed.outcomes.status, [Status::Empty as u8; 2]);
}
