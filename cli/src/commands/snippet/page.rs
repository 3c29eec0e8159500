//! The pages of docs/clients: their blocks of commands, which the tool fills in and prints.
//!
//! A block that begins with `sh snippet` is part of a snippet. Words after it restrict the block: to programs, to ways
//! through which a program reaches the module, to kinds of keys, and to tokens with or without a certificate. Words of one
//! sort are alternatives; of several sorts, each must hold.

/// A page of docs/clients.
pub struct Page {
    /// The name of its file, without `.md`.
    pub name: &'static str,
    /// The text.
    pub text: &'static str,
}

/// A block of commands of a page.
pub struct Block {
    /// The name of its page.
    pub page: &'static str,
    /// What the block is restricted to.
    pub words: Vec<&'static str>,
    /// What the block does: the paragraph before it, without the marks of Markdown.
    pub about: String,
    /// The commands, with variables for the values of the user.
    pub commands: String,
}

const FENCE: &str = "```";
const MARK: &str = "sh snippet";

impl Page {
    /// Returns the blocks that are part of a snippet.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let (mut paragraph, mut fence, mut commands) = (String::new(), None, String::new());
        for line in self.text.lines() {
            match (line.strip_prefix(FENCE), fence) {
                (Some(info), None) => fence = Some(info),
                (Some(_), Some(info)) => {
                    if let Some(words) = info.strip_prefix(MARK) {
                        let (words, about) = (words.split_whitespace().collect(), plain(&paragraph));
                        blocks.push(Block { page: self.name, words, about, commands: std::mem::take(&mut commands) });
                    }
                    fence = None;
                    paragraph.clear();
                    commands.clear();
                }
                (None, Some(_)) => commands += &format!("{line}\n"),
                (None, None) if line.is_empty() => {}
                (None, None) => {
                    if self.is_first_of_paragraph(line) {
                        paragraph.clear();
                    }
                    paragraph += &format!("{line} ");
                }
            }
        }
        blocks
    }

    /// Whether the line comes after an empty one.
    fn is_first_of_paragraph(&self, line: &str) -> bool {
        // Both are parts of the same text, so their addresses tell how far the line is from its beginning.
        let at = line.as_ptr() as usize - self.text.as_ptr() as usize;
        self.text.get(..at).is_some_and(|before| before.ends_with("\n\n"))
    }

    /// Returns the page's example values, from its lines that only set variables: `export TOKEN=my-key PORT=8443`, or
    /// with `${PORT:-8443}` as the value.
    pub fn examples(&self) -> Vec<(&'static str, &'static str)> {
        self.text.lines().filter_map(assignments).flatten().filter(|(_, value)| !value.contains('$')).collect()
    }
}

/// Returns the names and values of a line that only sets variables.
fn assignments(line: &'static str) -> Option<Vec<(&'static str, &'static str)>> {
    let line = line.trim();
    let words = line.strip_prefix("export ").unwrap_or(line).split_whitespace();
    words.map(assignment).collect()
}

fn assignment(word: &'static str) -> Option<(&'static str, &'static str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let default =
        value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).and_then(|rest| rest.split_once(":-"));
    is_name.then_some((name, default.map_or(value, |(_, value)| value)))
}

/// Returns a paragraph without the addresses of its links.
fn plain(paragraph: &str) -> String {
    let mut pieces = paragraph.trim().split("](");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // The piece begins with the address; the text of the link is the end of what came before.
        if let Some(start) = text.rfind('[') {
            text.remove(start);
        }
        text += piece.split_once(')').map_or("", |(_, rest)| rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Page = Page {
        name: "example",
        text: "# Title\n\nSet the\nlabel:\n\n    export TOKEN=my-key PORT=8443\n\nRead [the\npage](a.md#b) of `x`, and\n\
               [another](c.md):\n\n```sh snippet provider rsa\none \\\n\n  two\n```\n\nNot this:\n\n```sh\nthree\n```\n\n\
               ```sh snippet\nHOST=${HOST:-example.org}\n```\n",
    };

    #[test]
    fn blocks_have_their_words_and_the_paragraph_before() {
        let blocks = PAGE.blocks();
        let [first, second] = blocks.as_slice() else { panic!("{}", blocks.len()) };
        assert_eq!(first.words, ["provider", "rsa"]);
        assert_eq!(first.about, "Read the page of `x`, and another:");
        assert_eq!(first.commands, "one \\\n\n  two\n");
        assert_eq!((second.about.as_str(), second.words.len()), ("", 0));
    }

    #[test]
    fn examples_are_the_values_of_the_page() {
        assert_eq!(PAGE.examples(), [("TOKEN", "my-key"), ("PORT", "8443"), ("HOST", "example.org")]);
    }
}
