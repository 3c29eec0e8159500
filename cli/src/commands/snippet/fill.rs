//! Puts values in the place of the variables of a shell script.

use crate::uri::escaped;
use std::iter::Peekable;
use std::str::CharIndices;

/// Where in a script a character is.
#[derive(Clone, PartialEq)]
enum Place {
    /// Outside of quotes.
    Bare,
    /// Between single quotes.
    Single,
    /// Between double quotes.
    Double,
    /// In a here-document with this delimiter, in which variables are expanded.
    Document(String),
    /// In a here-document with this delimiter, whose text stays as it is.
    Literal(String),
}

/// Returns the script with values for `$NAME`, `${NAME}` and `${NAME:-default}`, quoted as their place in the script needs.
/// A value after `token=` or `object=` is escaped as in a `pkcs11:` URI. Other variables stay.
pub fn fill(script: &str, values: &[(String, String)]) -> String {
    let (mut filled, mut place, mut document) = (String::new(), Place::Bare, None);
    for line in script.split_inclusive('\n') {
        if let Place::Document(end) | Place::Literal(end) = &place
            && line.trim_end() == end
        {
            place = Place::Bare;
            filled += line;
            continue;
        }
        if place == Place::Bare {
            document = here_document(line);
        }
        fill_line(line, values, &mut place, &mut filled);
        if let Some(next) = document.take() {
            place = next;
        }
    }
    filled
}

/// Whether the script has the variable, anywhere.
pub fn uses(script: &str, name: &str) -> bool {
    script.split('$').skip(1).any(|rest| variable(rest).is_some_and(|(found, _)| found == name))
}

/// Returns the place that begins after the line, if the line has a here-document: `cat >file <<END`, or `<<'END'`.
fn here_document(line: &str) -> Option<Place> {
    let (_, word) = line.split_once("<<")?;
    let word = word.split_whitespace().next()?;
    let bare = word.trim_matches('\'');
    Some(if bare == word { Place::Document(bare.to_owned()) } else { Place::Literal(bare.to_owned()) })
}

fn fill_line(line: &str, values: &[(String, String)], place: &mut Place, filled: &mut String) {
    let mut characters = line.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let found = (character == '$' && !matches!(place, Place::Single | Place::Literal(_)))
            .then(|| variable(line.get(at + 1..).unwrap_or_default()))
            .flatten()
            .and_then(|(name, len)| values.iter().find(|(known, _)| known == name).map(|(_, value)| (value, len)));
        if let Some((value, len)) = found {
            let is_of_uri = filled.ends_with("token=") || filled.ends_with("object=");
            let value = if is_of_uri { escaped("object", value.as_bytes()) } else { value.clone() };
            filled.push_str(&quoted(&value, place));
            skip(&mut characters, at + 1 + len);
            continue;
        }
        filled.push(character);
        match (character, &place) {
            ('\\', Place::Bare | Place::Double | Place::Document(_)) => {
                filled.extend(characters.next().map(|(_, next)| next));
            }
            ('\'', Place::Bare) => *place = Place::Single,
            ('"', Place::Bare) => *place = Place::Double,
            ('\'', Place::Single) | ('"', Place::Double) => *place = Place::Bare,
            _ => {}
        }
    }
}

fn skip(characters: &mut Peekable<CharIndices<'_>>, end: usize) {
    while characters.next_if(|(at, _)| *at < end).is_some() {}
}

/// Returns the name of the variable after a `$`, and the length of the reference without the `$`.
fn variable(rest: &str) -> Option<(&str, usize)> {
    let (braced, inner) = rest.strip_prefix('{').map_or((false, rest), |inner| (true, inner));
    let len =
        inner.find(|character: char| !character.is_ascii_alphanumeric() && character != '_').unwrap_or(inner.len());
    let name = inner.get(..len).filter(|name| !name.is_empty())?;
    let after = inner.get(len..)?;
    if !braced {
        return Some((name, len));
    }
    let end = inner.find('}')?;
    (after.starts_with('}') || after.starts_with(":-")).then_some((name, 1 + end + 1))
}

fn quoted(value: &str, place: &Place) -> String {
    let backslashed = |special: &[char]| {
        let character = |character: char| {
            if special.contains(&character) { format!("\\{character}") } else { character.to_string() }
        };
        value.chars().map(character).collect()
    };
    match place {
        Place::Bare => words(value),
        Place::Double => backslashed(&['\\', '$', '`', '"']),
        Place::Document(_) => backslashed(&['\\', '$', '`']),
        Place::Single | Place::Literal(_) => value.to_owned(),
    }
}

/// Returns the value as one word of a shell.
fn words(value: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "%+,-./:=@_".contains(character);
    if value.chars().all(is_plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const SCRIPT: &str = r#"printf '%s\n' "a $NAME b" $PLAIN "${NAME}" '$NAME' "\$NAME \" $NAME" "it's $NAME"
X=$NAME
printf '%s\n' "$X" "$(printf %s "$OTHER")$NAME"
cat <<END
"$NAME" '$NAME' \$NAME ${NAME:-default} $PWD
END
cat <<'END'
$NAME
END
printf '%s\n' "$NAME"
"#;

    /// What a shell makes of the script, once with variables and once with values in their place.
    #[test]
    fn a_filled_script_does_the_same() {
        for name in ["web", "my key", "a'b", "a\"b", "a\\b $HOME `id` $(id)", "ä*;&|", "\\", "$"] {
            let values = [("NAME", name), ("PLAIN", "plain")].map(|(name, value)| (name.to_owned(), value.to_owned()));
            let filled = fill(SCRIPT, &values);
            assert!(filled.contains("$PWD") && filled.contains("$OTHER"), "{filled}");
            let run = |script: &str, with: &[(String, String)]| {
                let output = Command::new("bash")
                    .args(["-euc", script])
                    .env("OTHER", "other")
                    .envs(with.iter().cloned())
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8(output.stdout).unwrap()
            };
            let none = [("NAME", "wrong"), ("PLAIN", "wrong")].map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(run(&filled, &none), run(SCRIPT, &values), "{filled}");
        }
    }

    #[test]
    fn labels_are_escaped_in_uris() {
        let values = [("TOKEN".to_owned(), "my key;".to_owned())];
        let filled = fill("x \"pkcs11:token=$TOKEN;type=private\" \"$TOKEN\" $TOKENS", &values);
        assert_eq!(filled, "x \"pkcs11:token=my%20key%3B;type=private\" \"my key;\" $TOKENS");
    }
}
