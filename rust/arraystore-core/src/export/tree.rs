//! Records as files of a folder.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::batch;
use crate::error::{Error, Result};
use crate::extent::Extents;
use crate::progress::Progress;
use crate::selected::read_into;
use crate::strings::Strings;

/// Files that a thread writes at a time.
const FILES_A_TASK: usize = 64;

/// Writes each record of `table` to its path below `root`; the paths are those of [`super::names::paths`].
///
/// Nothing is synced: that is done once, for all files.
///
/// # Errors
///
/// [`Error::Io`] if a file cannot be written, or is there already; those of [`read_into`]; [`Error::Interrupted`].
pub fn write(table: &dyn Extents, paths: &Strings, root: &Path, threads: usize, progress: &Progress) -> Result<()> {
    if table.len() != paths.len() as u64 {
        return Err(Error::InvalidRequest(format!(
            "expected as many paths as records, found {} and {}",
            paths.len(),
            table.len()
        )));
    }
    let folders: HashSet<&Path> = paths.iter().filter_map(|path| Path::new(path).parent()).collect();
    for folder in folders {
        let folder = root.join(folder);
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    }
    let tasks: Vec<usize> = (0..paths.len()).step_by(FILES_A_TASK).collect();
    batch::map(tasks.into_iter(), threads, |context, start| {
        let mut bytes = Vec::new();
        for index in start..paths.len().min(start + FILES_A_TASK) {
            read_into(table, index as u64, &mut bytes, &mut context.scratch)?;
            let path = root.join(paths.get(index).unwrap_or_default());
            File::create_new(&path)
                .and_then(|mut file| file.write_all(&bytes))
                .map_err(Error::io("write", &path))?;
            progress.advance(1, bytes.len() as u64)?;
        }
        Ok(())
    })?;
    Ok(())
}
