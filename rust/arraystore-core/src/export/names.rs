//! Names of files for records: made of keys, which may be anything, so that each is looked at before a file has its name.

use crate::error::{Error, Result};
use crate::strings::Strings;

/// Bytes that the name of a file may have on every common file system.
const MAX_NAME_NBYTES: usize = 255;
const SUFFIX: &str = ".jpg";

/// Joins the directory of each record and the name of its file, which gets the suffix `.jpg` unless it has one of a JPEG.
///
/// `directory[i]` is an index into `directories`, whose entries are relative, end without `/`, and may be empty.
///
/// # Errors
///
/// [`Error::InvalidRequest`] naming the first name that is no name of a file, or would be hidden or leave its directory.
pub fn paths(names: &Strings, directory: &[u64], directories: &[String]) -> Result<Strings> {
    if names.len() != directory.len() {
        return Err(Error::InvalidRequest(format!(
            "expected as many directories as names, found {} and {}",
            directory.len(),
            names.len()
        )));
    }
    let mut paths = Strings::default();
    let mut path = String::new();
    for (name, &directory) in names.iter().zip(directory) {
        let folder = usize::try_from(directory).ok().and_then(|at| directories.get(at));
        let folder = folder.ok_or_else(|| Error::InvalidRequest(format!("no directory {directory}")))?;
        let suffix = if has_suffix(name) { "" } else { SUFFIX };
        if let Some(problem) = problem(name, suffix) {
            return Err(Error::InvalidRequest(format!(
                "{name:?} cannot be the name of a file: {problem}; export to another form of store keeps any key"
            )));
        }
        path.clear();
        path.push_str(folder);
        if !folder.is_empty() {
            path.push('/');
        }
        path.push_str(name);
        path.push_str(suffix);
        paths.push(&path);
    }
    Ok(paths)
}

fn has_suffix(name: &str) -> bool {
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    suffix.eq_ignore_ascii_case("jpg") || suffix.eq_ignore_ascii_case("jpeg")
}

fn problem(name: &str, suffix: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.contains('/') || name.contains('\\') {
        Some("it has a slash")
    } else if name.chars().any(char::is_control) {
        Some("it has a control character")
    } else if name.starts_with('.') {
        Some("a file whose name begins with a dot is hidden, and would not be read again")
    } else if name.len() + suffix.len() > MAX_NAME_NBYTES {
        Some("it is longer than 255 bytes")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(name: &str) -> Result<Strings> {
        paths(&[name].into_iter().collect(), &[0], &["a/b".to_owned()])
    }

    #[test]
    fn a_name_gets_the_suffix_that_it_lacks() {
        for (name, path) in [
            ("X-1", "a/b/X-1.jpg"),
            ("x.JPG", "a/b/x.JPG"),
            ("x.png", "a/b/x.png.jpg"),
            ("ä b", "a/b/ä b.jpg"),
        ] {
            assert_eq!(joined(name).unwrap().get(0), Some(path));
        }
        let root = paths(&["x"].into_iter().collect(), &[0], &[String::new()]).unwrap();
        assert_eq!(root.get(0), Some("x.jpg"));
    }

    #[test]
    fn names_that_would_leave_the_folder_or_not_be_read_again_are_named() {
        let long = "x".repeat(252);
        for name in [
            "", ".", "..", "../x", "a/b", "/x", "a\\b", "nul\0", "line\n", ".hidden", &long,
        ] {
            let error = joined(name).unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")), "{error}");
        }
        assert!(joined(&"x".repeat(251)).is_ok());
        assert!(paths(&["x"].into_iter().collect(), &[1], &[String::new()]).is_err());
    }
}
