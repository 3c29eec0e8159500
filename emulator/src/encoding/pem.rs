//! Text encodings of RFC 7468, both ways.

use super::base64::{base64, base64_decode};

pub(crate) fn write(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

/// The blocks in a text, each with its label; `None` if one is broken.
pub(crate) fn read(text: &str) -> Option<Vec<(String, Vec<u8>)>> {
    text.split("-----BEGIN ").skip(1).map(block).collect()
}

fn block(text: &str) -> Option<(String, Vec<u8>)> {
    let (label, rest) = text.split_once("-----")?;
    let (content, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let content: String = content.split_whitespace().collect();
    Some((label.to_owned(), base64_decode(&content)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = format!("a comment\n{}{}", write("ONE", &[1; 100]), write("TWO", &[]).replace('\n', "\r\n"));
        let blocks = [("ONE".to_owned(), vec![1; 100]), ("TWO".to_owned(), vec![])];
        assert_eq!(read(&text).unwrap(), blocks);
        assert_eq!(read(""), Some(vec![]));
        assert_eq!(read("-----BEGIN ONE-----\nAAAA\n-----END TWO-----"), None);
    }
}
