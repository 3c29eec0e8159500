//! `application/x-www-form-urlencoded`: forms, query strings, and the escapes of a URL.

/// The value of `name` in `a=1&b=2`, decoded.
pub(crate) fn form_value(form: &str, name: &str) -> Option<String> {
    form_pairs(form).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// All names and values of `a=1&b=2`, decoded.
pub(crate) fn form_pairs(form: &str) -> Vec<(String, String)> {
    let pairs = form.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(key, value)| (percent_decode(key), percent_decode(&value.replace('+', " ")))).collect()
}

pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_escapes_are_decoded() {
        assert_eq!(
            form_value("a=1&scope=https%3A%2F%2Fx%2F.default+y", "scope").as_deref(),
            Some("https://x/.default y")
        );
        assert_eq!(form_value("a=1", "b"), None);
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
    }
}
