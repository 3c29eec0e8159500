//! Tests of both JSON dialects.

use crate::config::json::*;
use proptest::prelude::*;
use std::borrow::Cow;

fn strict(text: &str) -> Result<Value<'_>, Fault> {
    parse(text_of(text), Dialect::Strict).map(|document| document.value)
}

fn lenient(text: &str) -> Result<Document<'_>, Fault> {
    parse(text_of(text), Dialect::Lenient)
}

fn text_of(text: &str) -> &str {
    match decode(text.as_bytes(), Dialect::Strict) {
        Ok(Cow::Borrowed(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn read(bytes: &[u8], dialect: Dialect) -> Result<(), Fault> {
    parse(&decode(bytes, dialect)?, dialect).map(drop)
}

#[test]
fn strict_json_is_what_serde_json_accepts() {
    let texts = [
        "{}",
        "[]",
        "[1,]",
        "[,]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "[\"\\u00e9\"]",
        "[\"\\ud83d\\ude00\"]",
        "[\"\\ud83d\"]",
        "[\"\\q\"]",
        "[\"\t\"]",
        "[01]",
        "[-0]",
        "[1.]",
        "[.5]",
        "[1e5]",
        "[1E+5]",
        "[1e]",
        "[-]",
        "[+1]",
        "[NaN]",
        "[inf]",
        "[True]",
        "[nul]",
        "[truefalse]",
        "[1 2]",
        "[1] x",
        "[1]// x",
        "/**/[1]",
        "",
        " ",
        "[",
        "{",
        "\"",
        "[\"\\",
        "[\"\\u12",
        "null",
        "{\"a\":{\"b\":[1,2,{\"c\":null}]}}",
        "[1-2]",
        "[0x10]",
        "[1.5e-3]",
    ];
    for text in texts {
        let expected = serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert_eq!(strict(text).is_ok(), expected, "{text}");
    }
}

#[test]
fn the_lenient_dialect_accepts_what_json_c_accepts() {
    for (text, plain) in [
        ("{ // one\n /* two\n */ 'a' : 'b' , }", r#"{"a":"b"}"#),
        ("\u{feff}[1,\r\n2,\r\n]\r\n", "[1,2]"),
        ("[True, NULL, 7, 'it\\'s \"x\"', \"a\tb\"] // end", r#"[true,null,7,"it's \"x\"","a\tb"]"#),
        ("[\"\\ud800x\"]", "[\"\u{fffd}x\"]"),
    ] {
        let document = lenient(text).unwrap();
        assert_eq!(document.trailing, None, "{text}");
        assert_eq!(document.value, strict(plain).unwrap(), "{text}");
    }
    assert_eq!(lenient("{}\n}").unwrap().trailing, Some(2));
    assert_eq!(lenient("{}\n/* no end").unwrap().trailing, Some(2));
    let latin = decode(b"['\xe9']", Dialect::Lenient).unwrap();
    assert_eq!(lenient(&latin).unwrap().value.data, strict("[\"\u{fffd}\"]").unwrap().data);
    for odd in ["[007]", "[1.]", "[NaN]", "[-Infinity]"] {
        assert!(
            matches!(lenient(odd).unwrap().value.data, Data::Array(items) if matches!(items[0].data, Data::Number(_)))
        );
    }
    for broken in ["", "{", "[1", "{'a'}", "{\"a\":}", "[,]", "[1,,2]", "/* ", "'abc"] {
        assert!(lenient(broken).is_err(), "{broken}");
    }
}

#[test]
fn faults_have_their_line() {
    let fault = |text: &str| strict(text).map(|value| value.line).unwrap_err();
    assert_eq!(
        fault("{\n \"a\": 1,\n \"a\": 2\n}"),
        Fault { line: 3, message: "\"a\" occurs twice in the same object; remove one of the two".into() }
    );
    assert_eq!(fault("[\n1,\n]"), Fault { line: 3, message: "unexpected comma before ']'; remove the comma".into() });
    assert_eq!(
        fault("[\n1\n2]"),
        Fault { line: 3, message: "expected ',' or ']', found '2'; add a comma before it".into() }
    );
    let unclosed = "expected ',' or '}', found the end of the file; add the closing bracket";
    assert_eq!(fault("{\"a\": 1\n"), Fault { line: 2, message: unclosed.into() });
    assert_eq!(
        fault("{\n"),
        Fault { line: 2, message: "expected a name in double quotes, found the end of the file".into() }
    );
    assert_eq!(read(b"[\n\"\xff\"]", Dialect::Strict).unwrap_err().line, 2);
}

#[test]
fn the_last_of_equal_names_wins() {
    let document = lenient(r#"{"a": 1, "b": 2, "a": "x"}"#).unwrap();
    assert_eq!(document.value.member("a").unwrap().value.text(), Some("x"));
}

#[test]
fn depth_is_limited() {
    for dialect in [Dialect::Strict, Dialect::Lenient] {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(128), dialect).is_ok());
        assert!(parse(&"[{\"a\":".repeat(100_000), dialect).unwrap_err().message.contains("levels"));
    }
}

proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = read(&bytes, Dialect::Strict);
        let _ = read(&bytes, Dialect::Lenient);
    }

    #[test]
    fn no_text_of_json_characters_panics(text in "[\\[\\]{}:,'\"/*\\\\ud8c0\u{feff}é\n 1.e+-a]{0,40}") {
        let known = serde_json::from_str::<serde_json::Value>(text.trim_start_matches('\u{feff}')).is_ok();
        prop_assert!(known || read(text.as_bytes(), Dialect::Strict).is_err());
        let _ = read(text.as_bytes(), Dialect::Lenient);
    }
}

#[test]
fn skipped_arrays_parse_like_the_whole_text() {
    let good =
        r#"{"a": [1], "slots": [{"x": "]\\\"", "keys": [{"id": 1}, {}], "more": {"keys": [2]}}, [3], "s"], "z": 0}"#;
    crate::fuzzing::config::strict(good.as_bytes());
    let document = parse_deferring(good, &["slots", "keys"]).unwrap();
    let Data::Unparsed(slots) = &document.value.member("slots").unwrap().value.data else { panic!() };
    let slots: Vec<Value> = Items::from(slots).collect::<Result<_, _>>().unwrap();
    assert!(matches!(slots[0].member("keys").unwrap().value.data, Data::Unparsed(_)));
    assert!(matches!(slots[1].data, Data::Array(_)));
    // A text with a fault at any position is rejected in the same way as when it is parsed as a whole.
    for index in (0..good.len()).filter(|index| good.is_char_boundary(*index)) {
        for instead in ["", "]", "}", "\"", ",", "\n", "\\", "/", "{", "[", "true"] {
            let text = format!("{}{instead}{}", &good[..index], &good[index + 1..]);
            crate::fuzzing::config::strict(text.as_bytes());
        }
    }
}
