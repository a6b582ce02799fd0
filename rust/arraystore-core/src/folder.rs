//! The files of a folder and of all folders in it, in the order of their paths.

use std::path::{MAIN_SEPARATOR, Path};

use walkdir::{DirEntry, WalkDir};

use crate::error::{Error, Result};
use crate::members::Kind;
use crate::progress::Progress;
use crate::scan::{FolderFile, List};
use crate::source::Stamp;
use crate::zip::names;

/// Appends the files below `root`. Symbolic links are followed; a loop of them is skipped.
pub(crate) fn scan(root: &Path, list: &mut List, progress: &Progress) -> Result<()> {
    // Absolute, so that a publisher's layout is seen even if the user names a folder deep inside it. Links in it stay.
    let absolute = std::path::absolute(root).map_err(Error::io("resolve", root))?;
    let top = absolute.to_str().ok_or_else(|| Error::Source {
        place: absolute.display().to_string(),
        problem: "the path of a folder must be UTF-8".to_owned(),
    })?;
    let top = match top.trim_end_matches(MAIN_SEPARATOR) {
        "" => "/",
        top => top,
    };
    list.begin(root, Kind::Folder(top.to_owned()))?;
    for entry in WalkDir::new(top).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.depth() == 0 || entry.file_type().is_dir() => {
                list.push_folder(entry.path().display().to_string());
            }
            Ok(entry) => add(&entry, top, list)?,
            Err(error) if error.depth() == 0 => {
                return Err(Error::io("read", root)(error.into()));
            }
            Err(error) => {
                let path = error.path().unwrap_or(&absolute).display().to_string();
                let reason = reason(&error);
                list.skip(path, reason);
            }
        }
        progress.advance(1, 0)?;
    }
    Ok(())
}

fn reason(error: &walkdir::Error) -> String {
    match error.io_error() {
        Some(cause) => format!("cannot be read: {cause}"),
        None => "a symbolic link to a folder that contains it".to_owned(),
    }
}

fn add(entry: &DirEntry, top: &str, list: &mut List) -> Result<()> {
    let path = entry.path();
    let mut skip = |reason: String| list.skip(path.display().to_string(), reason);
    let Some((directory, name)) = path.parent().and_then(Path::to_str).zip(entry.file_name().to_str()) else {
        skip("its path is not UTF-8".to_owned());
        return Ok(());
    };
    if !entry.file_type().is_file() {
        skip("neither a file nor a folder".to_owned());
        return Ok(());
    }
    if names::is_archive(name) {
        skip("an archive inside a folder: name it to scan it".to_owned());
        return Ok(());
    }
    let below = directory.strip_prefix(top).unwrap_or(directory);
    if below.split('/').any(|part| part == "__MACOSX") {
        skip("written by macOS, not part of the package".to_owned());
        return Ok(());
    }
    let metadata = match entry.metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            skip(reason(&error));
            return Ok(());
        }
    };
    let stamp = Stamp::from(&metadata);
    list.push_file(&FolderFile {
        directory,
        name,
        is_hidden: names::is_hidden(below, name),
        nbytes: stamp.nbytes,
        modified_ns: stamp.modified_ns,
    })
}
