use std::io::Write;

use super::*;
use crate::table::Column;

fn wanted(name: &str, kind: Kind) -> Wanted {
    Wanted {
        name: name.to_owned(),
        kind,
        is_optional: false,
    }
}

fn options(columns: &[(&str, Kind)]) -> TableOptions {
    TableOptions {
        columns: columns.iter().map(|&(name, kind)| wanted(name, kind)).collect(),
        delimiter: b',',
        missing: vec![String::new(), "none".to_owned()],
        spill: None,
    }
}

fn read_text(text: &[u8], columns: &[(&str, Kind)], others: Option<Kind>) -> Result<Table> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    read(file.path(), &options(columns), others, &Progress::default())
}

fn strings(table: &Table, name: &str) -> Vec<String> {
    let (_, column) = table.columns().iter().find(|(column, _)| column == name).unwrap();
    match column {
        Column::Strings(strings) => strings.iter().map(str::to_owned).collect(),
        Column::Categories { codes, categories } => codes
            .to_vec()
            .iter()
            .map(|&code| usize::try_from(code).map_or(String::new(), |code| categories[code].clone()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn objects_may_differ_in_names_and_their_order() {
    let text = br#" [ {"k": "a", "n": 1}, {"n" : "2.0","k":"b","x":"y"}, {}, {"k":null,"x":"none","n":null} ] "#;
    let table = read_text(text, &[("k", Kind::String), ("n", Kind::Integer)], Some(Kind::Category)).unwrap();
    assert_eq!(table.len(), 4);
    assert_eq!(
        table.columns().iter().map(|(name, _)| &name[..]).collect::<Vec<_>>(),
        ["k", "n", "x"]
    );
    assert_eq!(strings(&table, "k"), ["a", "b", "", ""]);
    assert_eq!(strings(&table, "x"), ["", "y", "", ""]);
    let Column::Integers { values, missing } = &table.columns()[1].1 else {
        panic!("no integers")
    };
    assert_eq!(
        (&values[..], &missing[..]),
        (&[1, 2, 0, 0][..], &[false, false, true, true][..])
    );
}

#[test]
fn numbers_are_taken_as_they_are_written() {
    let text = br#"[{"a": 1.50, "f": -2.5e-1}, {"a": true, "f": NaN}, {"a": 00}]"#;
    let table = read_text(text, &[("a", Kind::String), ("f", Kind::Float)], None).unwrap();
    assert_eq!(strings(&table, "a"), ["1.50", "true", "00"]);
    let Column::Floats(values) = &table.columns()[1].1 else {
        panic!("no floats")
    };
    assert!((values[0] + 0.25).abs() < 1e-12 && values[1].is_nan() && values[2].is_nan());
}

#[test]
fn escapes_become_letters() {
    let text = r#"[{"a": "\"\\\/\b\f\n\r\tÄ\u00c4\ud83d\ude00"}]"#;
    let table = read_text(text.as_bytes(), &[("a", Kind::String)], None).unwrap();
    assert_eq!(strings(&table, "a"), ["\"\\/\u{8}\u{c}\n\r\tÄÄ😀"]);
}

#[test]
fn an_empty_array_is_a_table_without_rows() {
    let table = read_text(b"\xef\xbb\xbf[\n]\n", &[], Some(Kind::String)).unwrap();
    assert!(table.is_empty() && table.columns().is_empty());
}

#[test]
fn values_are_read_across_the_borders_of_buffers() {
    let long = "x".repeat(BUFFER_NBYTES - 9);
    for shift in 0..30 {
        let text = format!(
            "[{{\"a\":\"{long}{}\", \"b\": 1234}},{{\"b\":\"\\u00c4\"}}]",
            "y".repeat(shift)
        );
        let table = read_text(text.as_bytes(), &[("a", Kind::String), ("b", Kind::String)], None).unwrap();
        assert_eq!(strings(&table, "a")[0].len(), long.len() + shift);
        assert_eq!(strings(&table, "b"), ["1234", "Ä"]);
    }
}

#[test]
fn damage_is_told_with_line_and_byte() {
    for (text, expected) in [
        (
            &b""[..],
            "line 1, byte 0: expected a JSON array of objects, found the end of the file",
        ),
        (b"{}", "byte 0: expected a JSON array of objects, found '{'"),
        (b"[1]", "byte 1: expected an object, or the end of the array, found '1'"),
        (b"[{},]", "byte 4: expected an object behind the comma, found ']'"),
        (
            b"[{} {}]",
            "byte 4: expected an object, or the end of the array, found '{'",
        ),
        (
            b"[{}",
            "byte 3: expected an object, or the end of the array, found the end of the file: it is cut short",
        ),
        (b"[{}] x", "byte 5: expected nothing behind the array, found 'x'"),
        (
            b"[\n{\"a\" 1}]",
            "line 2, byte 7: expected a colon behind the name, found '1'",
        ),
        (
            b"[{\"a\": 1,}]",
            "byte 9: expected a name in quotes behind the comma, found '}'",
        ),
        (
            b"[{\"a\": [1]}]",
            "byte 7: expected a text, a number, true, false or null, found '['",
        ),
        (b"[{\"a\": \"x}]", "byte 7: the text that begins here has no end"),
        (
            b"[{\"a\": \"x\n\"}]",
            "byte 7: the text that begins here has a line break",
        ),
        (
            b"[{\"a\": nul}]",
            "byte 7: expected a text, a number, true, false or null, found 'nul'",
        ),
        (b"[{\"a\": 1, \"a\": 2}]", "byte 10: 'a' stands twice in one object"),
        (b"[{\"a\": \"\\x\"}]", "byte 8: an escape that JSON does not have"),
        (b"[{\"a\": \"\\ud83d\"}]", "byte 8: half a pair of surrogates"),
        (b"[{\"a\": \"\\u12g4\"}]", "byte 8: expected four hexadecimal digits"),
        (
            b"[{\"a\": \"\xff\"}]",
            "byte 2: column a: expected UTF-8 (convert the table, such as with iconv), found '\\xff'",
        ),
        (b"[{\"\xff\": 1}]", "is a name that is not UTF-8"),
    ] {
        let error = read_text(text, &[], Some(Kind::String)).unwrap_err().to_string();
        assert!(error.contains(expected), "{}: {error}", text.escape_ascii());
    }
    let error = read_text(b"[{\"n\": \"x\"}]", &[("n", Kind::Integer)], None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("byte 2: column n: expected a whole number"), "{error}");
    let error = read_text(b"[{\"n\": 1}]", &[("k", Kind::String)], None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("expected the columns k, found n"), "{error}");
}

#[test]
fn a_file_may_not_name_any_number_of_columns() {
    let names: Vec<String> = (0..=MAX_COLUMNS).map(|n| format!("\"{n}\":1")).collect();
    let error = read_text(format!("[{{{}}}]", names.join(",")).as_bytes(), &[], Some(Kind::String)).unwrap_err();
    assert!(error.to_string().contains("4,096"), "{error}");
}
