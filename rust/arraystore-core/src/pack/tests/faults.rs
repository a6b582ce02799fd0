//! Sources that fail: what is the fault of one record, and what stops the work.

use super::*;

/// Records of 8 bytes on a disk that answers every read with the same error; without any if that is 0.
struct Refusing {
    records: u64,
    errno: i32,
}

impl ByteSource for Refusing {
    fn name(&self) -> String {
        "refusing".to_owned()
    }

    fn nbytes(&self) -> Result<u64> {
        Ok(8 * self.records)
    }

    fn lend(&self, _offset: u64, _nbytes: usize) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    fn read_at(&self, _offset: u64, out: &mut [u8]) -> Result<()> {
        out.fill(1);
        match self.errno {
            0 => Ok(()),
            errno => Err(Error::io("read", Path::new("refusing"))(
                std::io::Error::from_raw_os_error(errno),
            )),
        }
    }
}

impl Extents for Refusing {
    fn len(&self) -> u64 {
        self.records
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        Ok(Extent {
            source: SourceRef::Shared(self),
            offset: 8 * index,
            stored_nbytes: 8,
            nbytes: 8,
            encoding: Encoding::Plain,
            size: crate::crop::Size::default(),
        })
    }
}

fn pack_refusing(fixture: &Fixture, records: u64, errno: i32) -> Result<Packed> {
    let place: Vec<u64> = (0..records).map(|record| 8 * record).collect();
    let nbytes = vec![8; place.len()];
    let options = PackOptions {
        total_nbytes: 8 * records,
        ..fixture.options()
    };
    let extents = Refusing { records, errno };
    pack(&extents, &place, &nbytes, &options, &Progress::default())
}

#[test]
fn a_disk_or_mount_that_fails_stops_the_work_and_is_no_fault_of_its_records() {
    for errno in [
        libc::EIO,
        libc::ESTALE,
        libc::ETIMEDOUT,
        libc::ENODEV,
        libc::ENXIO,
        libc::ECONNRESET,
        libc::EHOSTDOWN,
        libc::EMFILE,
    ] {
        let fixture = Fixture::new(&[]);
        let error = pack_refusing(&fixture, 3, errno).unwrap_err();
        assert!(fixture.names("c").is_empty());
        assert!(
            matches!(&error, Error::Io { source, .. } if source.raw_os_error() == Some(errno)),
            "{error}"
        );
    }
    let packed = pack_refusing(&Fixture::new(&[]), 3, libc::EACCES).unwrap();
    assert_eq!(packed.outcomes.status, [7, 7, 7]);
}

#[test]
fn a_hundred_records_in_a_row_that_are_refused_stop_the_work() {
    let few = pack_refusing(&Fixture::new(&[]), 99, libc::EACCES).unwrap();
    assert_eq!(few.outcomes.status, [7; 99]);
    let mut fixture = Fixture::new(&[]);
    fixture.total_nbytes = 1600;
    let error = pack_refusing(&fixture, 200, libc::EACCES).unwrap_err();
    assert_eq!(error.code(), "source");
    assert!(error.to_string().contains("nor can the 99 files before it"), "{error}");
    // Shards were finished before there were a hundred.
    assert!(!fixture.names("c").is_empty());
    let again = pack_refusing(&fixture, 200, 0).unwrap();
    assert!(again.outcomes.status.iter().all(|&status| status != 7));
    assert_eq!(fixture.array(), [1; 1600]);
}

/// A zip member as it lies in `file`, with the checksum that the archive claims.
struct OneMember {
    file: OpenFile,
    encoding: Encoding,
    stored_nbytes: u64,
    nbytes: u64,
    crc32: u32,
}

impl Extents for OneMember {
    fn len(&self) -> u64 {
        1
    }

    fn extent(&self, _index: u64) -> Result<Extent<'_>> {
        Ok(Extent {
            source: SourceRef::Shared(&self.file),
            offset: 0,
            stored_nbytes: self.stored_nbytes,
            nbytes: self.nbytes,
            encoding: self.encoding,
            size: crate::crop::Size::default(),
        })
    }

    fn crc32(&self, _index: u64) -> Option<u32> {
        Some(self.crc32)
    }
}

fn status_of_member(encoding: Encoding, stored: &[u8], crc32: u32) -> (u8, u32, Vec<u8>) {
    let fixture = Fixture::new(&[JPEG]);
    let path = fixture.file("archive.zip");
    let header = [&b"PK\x03\x04"[..], &[0; 26]].concat();
    std::fs::write(&path, [&header, stored].concat()).unwrap();
    let extents = OneMember {
        file: OpenFile::new(path),
        encoding,
        stored_nbytes: stored.len() as u64,
        nbytes: JPEG.len() as u64,
        crc32,
    };
    let packed = pack(
        &extents,
        &[0],
        &[JPEG.len() as u64],
        &fixture.options(),
        &Progress::default(),
    )
    .unwrap();
    (packed.outcomes.status[0], packed.outcomes.nbytes[0], fixture.array())
}

#[test]
fn a_member_with_another_checksum_is_kept_and_marked() {
    let sound = crate::checksum::crc32(JPEG);
    assert_eq!(status_of_member(Encoding::ZipStored, JPEG, sound).0, 0);
    let (status, nbytes, array) = status_of_member(Encoding::ZipStored, JPEG, sound ^ 1);
    assert_eq!((status, nbytes as usize, &array[..]), (8, JPEG.len(), JPEG));
}

#[test]
fn a_member_that_does_not_inflate_is_unreadable() {
    let (status, nbytes, array) = status_of_member(Encoding::ZipDeflated, b"\xFF\xFF\xFF", 0);
    assert_eq!((status, nbytes), (7, 0));
    assert!(array.iter().all(|&byte| byte == 0));
}

#[test]
fn an_archive_cut_short_is_a_changed_source() {
    let fixture = Fixture::new(&[JPEG]);
    let path = fixture.file("archive.zip");
    std::fs::write(&path, [&b"PK\x03\x04"[..], &[0; 30]].concat()).unwrap();
    let extents = FileExtents::new(path, vec![10], vec![JPEG.len() as u64]).unwrap();
    let error = pack(
        &extents,
        &[0],
        &[JPEG.len() as u64],
        &fixture.options(),
        &Progress::default(),
    )
    .unwrap_err();
    assert_eq!(error.code(), "source-changed");
}
