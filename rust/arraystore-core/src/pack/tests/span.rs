//! Packing into a span of a file that is laid out already.

use super::*;

const OFFSET: u64 = 1000;
const BEFORE: &[u8] = b"before";

impl Fixture {
    fn target(&self) -> PathBuf {
        self.file("target")
    }

    /// A file with room for the array, and with something on both sides of it.
    fn lay_out(&self) -> PackOptions<'static> {
        let mut content = vec![0; usize::try_from(OFFSET + self.total_nbytes).unwrap()];
        content[..BEFORE.len()].copy_from_slice(BEFORE);
        content.extend_from_slice(b"behind");
        std::fs::write(self.target(), content).unwrap();
        self.span(OFFSET)
    }

    fn span(&self, offset: u64) -> PackOptions<'static> {
        PackOptions {
            target: Target::Span {
                file: self.target(),
                offset,
            },
            ..self.options()
        }
    }

    fn spanned(&self) -> Vec<u8> {
        let content = std::fs::read(self.target()).unwrap();
        let (start, end) = (OFFSET, OFFSET + self.total_nbytes);
        assert_eq!(&content[..BEFORE.len()], BEFORE);
        assert_eq!(&content[usize::try_from(end).unwrap()..], b"behind");
        content[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].to_vec()
    }
}

#[test]
fn a_span_holds_the_same_array_as_shard_files_and_nothing_around_it_changes() {
    let fixture = Fixture::sound();
    let in_files = fixture.pack().unwrap();
    std::fs::remove_dir_all(fixture.file("journal")).unwrap();
    let in_span = fixture.pack_with(&fixture.lay_out()).unwrap();
    assert_eq!(in_span.outcomes, in_files.outcomes);
    assert_eq!(in_span.shards_written, in_files.shards_written);
    assert_eq!(fixture.spanned(), fixture.array());
    assert_eq!(std::fs::read_dir(fixture.folder.path()).unwrap().count(), 4);
}

#[test]
fn parts_that_have_a_journal_are_not_written_again() {
    let fixture = Fixture::sound();
    let options = fixture.lay_out();
    let first = fixture.pack_with(&options).unwrap();
    let array = fixture.spanned();
    std::fs::remove_file(fixture.file("journal/1")).unwrap();
    std::fs::write(fixture.file("journal/3"), b"damaged").unwrap();
    // Zeros everywhere: what is kept stays zeros, what is written again is as before.
    let written = [256..512, 768..1024];
    fixture.lay_out();
    let again = fixture.pack_with(&options).unwrap();
    assert_eq!((again.shards_written, again.shards_kept), (2, first.shards_written - 2));
    assert_eq!(again.outcomes, first.outcomes);
    for (at, byte) in fixture.spanned().into_iter().enumerate() {
        let expected = if written.iter().any(|part| part.contains(&at)) {
            array[at]
        } else {
            0
        };
        assert_eq!(byte, expected, "{at}");
    }
}

#[test]
fn a_file_that_is_too_short_or_missing_is_named_and_not_made() {
    let fixture = Fixture::sound();
    let options = fixture.lay_out();
    let file = std::fs::File::options().write(true).open(fixture.target()).unwrap();
    file.set_len(OFFSET + fixture.total_nbytes - 1).unwrap();
    let error = fixture.pack_with(&options).unwrap_err();
    assert_eq!(error.code(), "file-too-short");
    std::fs::remove_file(fixture.target()).unwrap();
    let error = fixture.pack_with(&options).unwrap_err();
    assert!(error.to_string().contains("target"), "{error}");
    assert!(!fixture.target().exists());
    let error = fixture.pack_with(&fixture.span(u64::MAX)).unwrap_err();
    assert_eq!(error.code(), "invalid-request");
}

#[test]
fn journals_of_another_place_are_refused() {
    let fixture = Fixture::sound();
    fixture.pack_with(&fixture.lay_out()).unwrap();
    let error = fixture.pack_with(&fixture.span(OFFSET + 1)).unwrap_err();
    assert_eq!(error.code(), "source-changed");
    let error = fixture.pack().unwrap_err();
    assert_eq!(error.code(), "source-changed");
}

#[test]
fn what_could_not_be_read_is_tried_again_and_is_zeros_meanwhile() {
    let fixture = Fixture::sound();
    let options = fixture.lay_out();
    let (path, aside) = (fixture.file("source/0007.jpg"), fixture.file("aside"));
    std::fs::rename(&path, &aside).unwrap();
    std::fs::create_dir(&path).unwrap();
    let packed = fixture.pack_with(&options).unwrap();
    let range = fixture.place[7]..fixture.place[7] + fixture.nbytes[7];
    let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
    assert_eq!(packed.outcomes.status[7], Status::Unreadable as u8);
    assert!(fixture.spanned()[range.clone()].iter().all(|&byte| byte == 0));
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    let again = fixture.pack_with(&options).unwrap();
    assert_eq!((again.shards_written, again.outcomes.status[7]), (1, 0));
    assert_eq!(fixture.spanned()[range], std::fs::read(path).unwrap());
}

#[test]
fn a_part_that_is_written_again_has_no_journal_meanwhile() {
    let fixture = Fixture::sound();
    let options = fixture.lay_out();
    let (path, aside) = (fixture.file("source/0007.jpg"), fixture.file("aside"));
    std::fs::rename(&path, &aside).unwrap();
    std::fs::create_dir(&path).unwrap();
    fixture.pack_with(&options).unwrap();
    let before = fixture.names("journal");
    // The file is gone now: an error, after the journal was taken away.
    std::fs::remove_dir(&path).unwrap();
    fixture.pack_with(&options).unwrap_err();
    assert_eq!(fixture.names("journal").len(), before.len() - 1);
}
