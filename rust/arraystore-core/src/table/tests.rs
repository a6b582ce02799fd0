//! What reading a table promises.

use super::*;
use proptest::prelude::*;

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
        missing: vec![String::new()],
        spill: None,
    }
}

fn read_with(content: &[u8], options: &TableOptions) -> Result<Table> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.csv");
    std::fs::write(&path, content).unwrap();
    read(&path, options, &Progress::default())
}

fn read_bytes(content: &[u8], columns: &[(&str, Kind)]) -> Result<Table> {
    read_with(content, &options(columns))
}

fn strings(table: &Table, name: &str) -> Vec<String> {
    let (_, column) = table.columns().iter().find(|(column, _)| column == name).unwrap();
    match column {
        Column::Strings(strings) => strings.iter().map(str::to_owned).collect(),
        Column::Categories { codes, categories } => {
            let text =
                |code: &i32| usize::try_from(*code).map_or("(missing)".to_owned(), |code| categories[code].clone());
            codes.to_vec().iter().map(text).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_byte_order_mark_crlf_and_quotes_are_no_part_of_the_cells() {
    let table = read_bytes(
        "\u{feff}id,\"na,me\"\r\n1,\"a \"\"b\"\"\"\r\n2,\"c\nd\"\r\n".as_bytes(),
        &[("id", Kind::String), ("na,me", Kind::String)],
    )
    .unwrap();
    assert_eq!(table.len(), 2);
    assert_eq!(strings(&table, "id"), ["1", "2"]);
    assert_eq!(strings(&table, "na,me"), ["a \"b\"", "c\nd"]);
}

#[test]
fn only_empty_cells_are_missing_unless_told_otherwise() {
    let content = b"id,place\na,NA\nb,\nc,None\nd,nan\n";
    let columns = [("place", Kind::Category)];
    assert_eq!(
        strings(&read_bytes(content, &columns).unwrap(), "place"),
        ["NA", "(missing)", "None", "nan"]
    );
    let told = TableOptions {
        missing: vec!["NA".to_owned()],
        ..options(&columns)
    };
    assert_eq!(
        strings(&read_with(content, &told).unwrap(), "place"),
        ["(missing)", "", "None", "nan"]
    );
}

#[test]
fn categories_are_sorted_by_code_point() {
    let table = read_bytes("x\nb\nÄ\na\nZ\nb\n".as_bytes(), &[("x", Kind::Category)]).unwrap();
    let Column::Categories { codes, categories } = &table.columns()[0].1 else {
        panic!()
    };
    assert_eq!(categories, &["Z", "a", "b", "Ä"]);
    assert_eq!(codes.to_vec(), [2, 3, 1, 0, 2]);
}

#[test]
fn numbers_are_exact_and_missing_ones_marked() {
    let content = b"f,i\n0.1,12\n,12.0\n-1e300,-9223372036854775808\n5,\n";
    let table = read_bytes(content, &[("f", Kind::Float), ("i", Kind::Integer)]).unwrap();
    let Column::Floats(floats) = &table.columns()[0].1 else {
        panic!()
    };
    assert!(floats[1].is_nan());
    assert_eq!((floats[0], floats[2], floats[3]), (0.1, -1e300, 5.0));
    let Column::Integers { values, missing } = &table.columns()[1].1 else {
        panic!()
    };
    assert_eq!(values, &[12, 12, i64::MIN, 0]);
    assert_eq!(missing, &[false, false, false, true]);
}

#[test]
fn text_goes_to_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let spill = folder.path().join("texts");
    let content = b"a,b\nACGT,1\n,22\nGG,\n";
    let with = |columns: &[(&str, Kind)]| TableOptions {
        spill: Some(spill.clone()),
        ..options(columns)
    };
    let table = read_with(content, &with(&[("a", Kind::Text)])).unwrap();
    let Column::Text { path, offset, nbytes } = &table.columns()[0].1 else {
        panic!()
    };
    assert_eq!(
        (path, &offset[..], &nbytes[..]),
        (&spill, &[0, 4, 4][..], &[4, 0, 2][..])
    );
    assert_eq!(std::fs::read(&spill).unwrap(), b"ACGTGG");
    read_with(content, &with(&[("a", Kind::Text), ("b", Kind::Text)])).unwrap();
    assert_eq!(std::fs::read(folder.path().join("texts.a")).unwrap(), b"ACGTGG");
    assert_eq!(std::fs::read(folder.path().join("texts.b")).unwrap(), b"122");
    assert_eq!(
        read_bytes(content, &[("a", Kind::Text)]).unwrap_err().code(),
        "invalid-request"
    );
}

#[test]
fn columns_that_are_absent_are_named_unless_optional() {
    let content = b"id,other\n1,2\n";
    let error = read_bytes(content, &[("id", Kind::String), ("split", Kind::Category)])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("some.csv") && error.contains("split") && error.contains("id, other"),
        "{error}"
    );
    let mut options = options(&[("id", Kind::String), ("split", Kind::Category)]);
    options.columns[1].is_optional = true;
    let table = read_with(content, &options).unwrap();
    assert_eq!(table.columns().len(), 1);
    assert_eq!(table.extra(), ["other"]);
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_column() {
    let columns = [
        ("id", Kind::String),
        ("n", Kind::Integer),
        ("x", Kind::Float),
        ("c", Kind::Category),
    ];
    for (line, expected) in [
        (
            &b"b,1.5,1,d"[..],
            "line 4: column n: expected a whole number, found '1.5'",
        ),
        (b"b,1,one,d", "line 4: column x: expected a number, found 'one'"),
        (b"b,1,1", "line 4: expected 4 fields as in the header, found 3"),
        (b"b,1,1,d,e", "line 4: expected 4 fields as in the header, found 5"),
        (
            b"\xFF,1,1,d",
            "line 4: column id: expected UTF-8 (convert the table, such as with iconv), found '\\xff'",
        ),
        (
            b"b,1,1,\xFF",
            "line 4: column c: expected UTF-8 (convert the table, such as with iconv), found '\\xff'",
        ),
        (
            b"b,99999999999999999999,1,d",
            "line 4: column n: expected a whole number",
        ),
    ] {
        let content = [b"id,n,x,c\na,1,\"1\",\"d\nd\"\n", line, b"\nc,1,1,d\n"].concat();
        let error = read_bytes(&content, &columns).unwrap_err();
        assert_eq!(error.code(), "source");
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(
        read_bytes(b"", &columns)
            .unwrap_err()
            .to_string()
            .contains("empty file")
    );
    let twice = read_bytes(b"id,id\n", &[("id", Kind::String)]).unwrap_err();
    assert!(twice.to_string().contains("two columns are called 'id'"), "{twice}");
}

#[test]
fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
    let content = [b"id\na\n\"".to_vec(), vec![b'x'; 80 << 20]].concat();
    let error = read_bytes(&content, &[("id", Kind::String)]).unwrap_err();
    assert!(error.to_string().contains("quote was not closed"), "{error}");
}

#[test]
fn tabs_and_a_last_line_without_an_end_are_fine() {
    let tabs = TableOptions {
        delimiter: b'\t',
        ..options(&[("b", Kind::String)])
    };
    assert_eq!(strings(&read_with(b"a\tb\n1\tx,y", &tabs).unwrap(), "b"), ["x,y"]);
}

proptest! {
    #[test]
    fn every_text_survives_the_way_through_a_file(rows in prop::collection::vec((".*", "[a-c]{0,2}"), 1..20)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["text", "category"]).unwrap();
        for (text, category) in &rows {
            writer.write_record([text, category]).unwrap();
        }
        let content = writer.into_inner().unwrap();
        let table = read_bytes(&content, &[("text", Kind::String), ("category", Kind::Category)]).unwrap();
        let texts: Vec<String> = rows.iter().map(|(text, _)| text.clone()).collect();
        prop_assert_eq!(strings(&table, "text"), texts);
    }

    #[test]
    fn no_bytes_make_a_reading_panic(content in prop::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'\n'), Just(b'"')], 0..200)) {
        let content = [b"a,b\n".to_vec(), content].concat();
        let _ = read_bytes(&content, &[("a", Kind::Category), ("b", Kind::Float)]);
    }
}
