//! JSON in both dialects.

use super::super::dialect::*;
use proptest::prelude::*;

fn strict(text: &str) -> Result<Value, Fault> {
    parse(text.as_bytes(), Dialect::Strict).map(|document| document.value)
}

fn lenient(text: &str) -> Result<Document, Fault> {
    parse(text.as_bytes(), Dialect::Lenient)
}

#[test]
fn strict_json_is_what_serde_json_takes() {
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
fn json_c_takes_more() {
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
    assert_eq!(parse(b"['\xe9']", Dialect::Lenient).unwrap().value.data, strict("[\"\u{fffd}\"]").unwrap().data);
    for odd in ["[007]", "[1.]", "[NaN]", "[-Infinity]"] {
        assert!(
            matches!(lenient(odd).unwrap().value.data, Data::Array(items) if matches!(items[0].data, Data::Number(_)))
        );
    }
    for broken in ["", "{", "[1", "{'a'}", "{\"a\":}", "[,]", "[1,,2]", "/* ", "'abc"] {
        assert!(lenient(broken).is_err(), "{broken}");
    }
}

// Wherever it stands, a value is the same.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.value) == (&other.name, &other.value)
    }
}

#[test]
fn faults_have_their_line() {
    let fault = |text: &str| strict(text).map(|value| value.line).unwrap_err();
    assert_eq!(fault("{\n \"a\": 1,\n \"a\": 2\n}"), Fault { line: 3, message: "\"a\" stands here twice".into() });
    assert_eq!(fault("[\n1,\n]"), Fault { line: 3, message: "a comma before ']'".into() });
    assert_eq!(fault("[\n1\n2]"), Fault { line: 3, message: "expected ',' or ']', found '2'".into() });
    assert_eq!(
        fault("{\n"),
        Fault { line: 2, message: "expected a name in double quotes, found the end of the file".into() }
    );
    assert_eq!(parse(b"[\n\"\xff\"]", Dialect::Strict).unwrap_err().line, 2);
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
        assert!(parse(nested(128).as_bytes(), dialect).is_ok());
        assert!(parse("[{\"a\":".repeat(100_000).as_bytes(), dialect).unwrap_err().message.contains("levels"));
    }
}

proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse(&bytes, Dialect::Strict);
        let _ = parse(&bytes, Dialect::Lenient);
    }

    #[test]
    fn no_text_of_its_letters_panics(text in "[\\[\\]{}:,'\"/*\\\\ud8c0\u{feff}é\n 1.e+-a]{0,40}") {
        let known = serde_json::from_str::<serde_json::Value>(text.trim_start_matches('\u{feff}')).is_ok();
        prop_assert!(known || parse(text.as_bytes(), Dialect::Strict).is_err());
        let _ = parse(text.as_bytes(), Dialect::Lenient);
    }
}
