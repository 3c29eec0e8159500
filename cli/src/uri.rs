//! `pkcs11:` URIs (RFC 7512).

/// Returns the URI with these attributes of the path, in this order. Attributes with an empty value are left out.
pub fn uri(attributes: &[(&str, &[u8])]) -> String {
    let given = attributes.iter().filter(|(_, value)| !value.is_empty());
    let parts: Vec<_> = given.map(|(name, value)| format!("{name}={}", escaped(name, value))).collect();
    format!("pkcs11:{}", parts.join(";"))
}

/// Returns a value as the path of a URI has it. An id consists of bytes, so all of them are escaped (RFC 7512 section 2.3).
pub fn escaped(name: &str, value: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' if name != "id" => {
            char::from(*byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    value.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let made = uri(&[("token", b"my key; \xc3\xa4"), ("model", b""), ("id", b"a\x00"), ("type", b"private")]);
        assert_eq!(made, "pkcs11:token=my%20key%3B%20%C3%A4;id=%61%00;type=private");
    }
}
