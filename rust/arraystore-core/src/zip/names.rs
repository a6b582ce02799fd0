//! Names of members: decoded, brought into one form, and judged. Pure.

use std::borrow::Cow;

/// Code page 437 from 0x80 on, which zip names are in that are not UTF-8.
const CODE_PAGE_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Whether a name can be that of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Usable<'a> {
    /// In its one form: no backslash, no empty part, no `.`.
    Yes {
        /// The parts but the last, joined by `/`.
        directory: Cow<'a, str>,
        /// The last part.
        name: Cow<'a, str>,
    },
    /// Why not.
    No(&'static str),
}

/// The text of a raw name: UTF-8 if it is that, whatever the flags say, else code page 437.
#[must_use]
pub fn decode(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(name) => Cow::Borrowed(name),
        Err(_) => raw.iter().map(|&byte| code_page_437(byte)).collect(),
    }
}

fn code_page_437(byte: u8) -> char {
    match byte.checked_sub(0x80) {
        None => char::from(byte),
        Some(high) => CODE_PAGE_437
            .chars()
            .nth(usize::from(high))
            .unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

/// Brings the name of a member into one form, or says why there is none.
#[must_use]
pub fn judge(name: &str) -> Usable<'_> {
    if name.contains('\\') {
        let name = name.replace('\\', "/");
        return match judge_slashed(&name) {
            Usable::Yes { directory, name } => Usable::Yes {
                directory: Cow::Owned(directory.into_owned()),
                name: Cow::Owned(name.into_owned()),
            },
            Usable::No(reason) => Usable::No(reason),
        };
    }
    judge_slashed(name)
}

fn judge_slashed(name: &str) -> Usable<'_> {
    let has_drive = name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic();
    if name.starts_with('/') || has_drive {
        return Usable::No("its path is absolute");
    }
    if name.contains('\0') {
        return Usable::No("its name contains a NUL");
    }
    let (mut directory, mut last) = name.rsplit_once('/').unwrap_or(("", name));
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    let mut joined = Cow::Borrowed(directory);
    if !is_plain(last) || (!directory.is_empty() && !directory.split('/').all(is_plain)) {
        let mut parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return Usable::No("its path leads out of the archive");
        }
        let Some(name) = parts.pop() else {
            return Usable::No("it has no name");
        };
        last = name;
        directory = parts.first().copied().unwrap_or("");
        joined = Cow::Owned(parts.join("/"));
    }
    if directory.split('/').next() == Some("__MACOSX") {
        return Usable::No("written by macOS, not part of the package");
    }
    if is_archive(last) {
        return Usable::No("an archive inside an archive: extract it to scan it");
    }
    Usable::Yes {
        directory: joined,
        name: Cow::Borrowed(last),
    }
}

/// Whether a file is a zip archive by its name.
#[must_use]
pub fn is_archive(name: &str) -> bool {
    name.len() > 4 && name.as_bytes()[name.len() - 4..].eq_ignore_ascii_case(b".zip")
}

/// Whether a file is one that users don't see: its name or that of a directory begins with a dot, or it is `Thumbs.db`.
#[must_use]
pub fn is_hidden(directory: &str, name: &str) -> bool {
    name.starts_with('.') || name == "Thumbs.db" || directory.starts_with('.') || directory.contains("/.")
}

/// A name as stem and suffix: the suffix begins with the last dot, unless that is the first or last character.
#[must_use]
pub fn split_suffix(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && at + 1 < name.len() => name.split_at(at),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(name: &str) -> String {
        match judge(name) {
            Usable::Yes { directory, name } => format!("{directory}|{name}"),
            Usable::No(reason) => format!("no: {reason}"),
        }
    }

    #[test]
    fn every_way_to_write_a_path_gives_one_form() {
        for name in [
            "a/b/c.jpg",
            "./a/b/c.jpg",
            "a\\b\\c.jpg",
            "a//b/./c.jpg",
            ".\\a/b/c.jpg",
        ] {
            assert_eq!(joined(name), "a/b|c.jpg", "{name}");
        }
        assert_eq!(joined("c.jpg"), "|c.jpg");
        assert_eq!(joined("./c.jpg"), "|c.jpg");
    }

    #[test]
    fn paths_that_lead_out_of_the_archive_are_refused() {
        for name in [
            "/etc/x",
            "C:\\x",
            "\\x",
            "../x",
            "a/../../x",
            "a\\..\\x",
            "a/..",
            "x\0.jpg",
            "",
            ".",
            "./",
        ] {
            assert!(joined(name).starts_with("no: "), "{name}: {}", joined(name));
        }
    }

    #[test]
    fn foreign_files_are_refused_or_hidden() {
        assert!(joined("__MACOSX/a/._b.jpg").starts_with("no: written by macOS"));
        assert!(joined("./__MACOSX/._b.jpg").starts_with("no: written by macOS"));
        assert!(joined("a/more.ZIP").starts_with("no: an archive"));
        assert!(is_hidden("a", ".DS_Store") && is_hidden("a/.git", "x") && is_hidden("", "Thumbs.db"));
        assert!(!is_hidden("a.b/c", "x.jpg"));
    }

    #[test]
    fn suffixes_are_those_of_pathlib() {
        for (name, stem, suffix) in [
            ("a.jpg", "a", ".jpg"),
            ("BIOUG79013-C04.tar.JPG", "BIOUG79013-C04.tar", ".JPG"),
            (".hidden", ".hidden", ""),
            ("._a.jpg", "._a", ".jpg"),
            ("a.", "a.", ""),
            ("a", "a", ""),
        ] {
            assert_eq!(split_suffix(name), (stem, suffix));
        }
    }

    #[test]
    fn names_that_are_not_utf8_are_code_page_437() {
        assert_eq!(decode(b"m\x81cke.jpg"), "mücke.jpg");
        assert_eq!(decode("mücke.jpg".as_bytes()), "mücke.jpg");
        assert_eq!(CODE_PAGE_437.chars().count(), 128);
    }
}
