//! `snippet`: what to paste for a program.

mod fill;
mod key;
mod page;
mod program;

use crate::failure::{Failure, Outcome};
use crate::module::ModuleArguments;
use crate::output::{write, write_json};
use crate::token::Token;
use clap::Args;
use key::SnippetKey;
use program::{KINDS, PROGRAMS, Program, WAYS, Way};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Prints what to paste for a program that uses a key: the commands and configuration of docs/clients, with the values of the
/// token and its key
#[derive(Args)]
pub struct Arguments {
    /// The program: nginx, OpenSSL, ... Without it, the command lists the programs
    program: Option<String>,
    /// The label of the token, if there are several
    #[arg(long, value_name = "LABEL")]
    slot: Option<String>,
    /// The label of the key, if the token has several
    #[arg(long, value_name = "LABEL")]
    key: Option<String>,
    /// How the program reaches the module, if there are several ways
    #[arg(long, value_name = "WAY", value_parser = WAYS.map(|(name, _)| name))]
    through: Option<String>,
    /// A value in the place of an example
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    module: ModuleArguments,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What to paste for a program.
struct Snippet {
    program: &'static Program,
    way: &'static Way,
    /// The pages that the blocks are from.
    pages: Vec<String>,
    /// What the user should know before pasting, a line each.
    notes: Vec<String>,
    /// What each block does, and its commands.
    blocks: Vec<(String, String)>,
    /// The names of `--set` that no block has.
    unused: Vec<String>,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If there is no such program, way, token or key.
    pub fn run(&self) -> Outcome<ExitCode> {
        let Some(name) = &self.program else {
            self.list()?;
            return Ok(ExitCode::SUCCESS);
        };
        let programs = Program::named(name);
        if programs.is_empty() {
            let names = PROGRAMS.iter().map(|program| program.name).collect::<Vec<_>>().join(", ");
            return Err(Failure::new(format!("there is no snippet for {name:?}")).fix(format!("use one of: {names}")));
        }
        let key = self.read_key()?;
        // Of several programs with the same name, those that use such a key.
        let suits = |program: &&&Program| program.uses.iter().any(|needed| key.uses().contains(needed));
        let suitable: Vec<_> = programs.iter().filter(suits).copied().collect();
        let programs = if suitable.is_empty() { programs } else { suitable };
        let snippets = programs.into_iter().map(|program| self.snippet(program, &key)).collect::<Outcome<Vec<_>>>()?;
        let is_unused = |name: &String| snippets.iter().all(|snippet| snippet.unused.contains(name));
        if let Some((name, _)) = self.set.iter().find(|(name, _)| is_unused(name)) {
            return Err(Failure::new(format!("--set {name}: the snippet has no such value"))
                .fix("set one of the examples that the first lines of the snippet name"));
        }
        if self.json {
            write_json(&json!({ "snippets": snippets.iter().map(Snippet::as_json).collect::<Vec<_>>() }))?;
        } else {
            write(&snippets.iter().map(Snippet::as_text).collect::<Vec<_>>().join("\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn list(&self) -> Outcome<()> {
        let ways =
            |program: &Program| program.ways.iter().map(|way| way.name).filter(|name| !name.is_empty()).collect();
        if self.json {
            let row = |program: &Program| json!({ "name": program.name, "aliases": program.aliases, "ways": ways(program) as Vec<_> });
            return write_json(&json!({ "programs": PROGRAMS.iter().map(row).collect::<Vec<_>>() }));
        }
        let row = |program: &Program| {
            let ways: Vec<_> = ways(program);
            let through = if ways.len() > 1 { format!("--through {}", ways.join("|")) } else { String::new() };
            format!("{:<20} {through}", program.name).trim_end().to_owned() + "\n"
        };
        write(&PROGRAMS.iter().map(row).collect::<String>())
    }

    fn read_key(&self) -> Outcome<SnippetKey> {
        let module = self.module.load()?;
        let token = match &self.slot {
            Some(label) => module.token(label)?,
            None => only(module.tokens()?)?,
        };
        self.module.log_in(&token)?;
        SnippetKey::read(token, self.key.as_deref())
    }

    fn snippet(&self, program: &'static Program, key: &SnippetKey) -> Outcome<Snippet> {
        let way = program.way(self.through.as_deref()).ok_or_else(|| {
            let ways: Vec<_> = program.ways.iter().map(|way| way.name).filter(|name| !name.is_empty()).collect();
            let fix = if ways.is_empty() {
                "omit --through".to_owned()
            } else {
                format!("use --through {}", ways.join(" or "))
            };
            let through = self.through.as_deref().unwrap_or_default();
            Failure::new(format!("{} has no way through {through}", program.name)).fix(fix)
        })?;
        let kinds = key.kinds();
        let is_suitable = kinds.iter().any(|kind| way.kinds.contains(kind));
        let certificate = if key.has_certificate { "certificate" } else { "no-certificate" };
        let mut words = vec![way.name, certificate];
        // For a key that the program does not use, the snippet is that for the keys that it uses.
        words.extend(if is_suitable { kinds } else { way.kinds.to_vec() });
        let blocks = program.blocks(&words);

        let mut values = self.set.clone();
        values.extend(key.values());
        values.push(("MODULE".to_owned(), self.module.path()?.display().to_string()));
        let examples = program.pages.iter().rev().flat_map(page::Page::examples);
        let examples: Vec<_> = examples.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let commands: Vec<_> = blocks.iter().map(|block| with_key(&block.commands, key.has_neighbors)).collect();
        let mut pages: Vec<_> = blocks.iter().map(|block| format!("docs/clients/{}.md", block.page)).collect();
        pages.dedup();
        let notes = notes(program, way, key, &used_examples(&commands, &values, &examples));
        values.extend(examples);
        let is_unused = |name: &str| !commands.iter().any(|commands| fill::uses(commands, name));
        let unused = self.set.iter().map(|(name, _)| name.clone()).filter(|name| is_unused(name)).collect();
        let filled = commands.iter().map(|commands| fill::fill(commands, &values));
        let blocks = blocks.iter().map(|block| block.about.clone()).zip(filled).collect();
        Ok(Snippet { program, way, pages, notes, blocks, unused })
    }
}

/// Returns what the user should know before pasting.
fn notes(program: &Program, way: &Way, key: &SnippetKey, examples: &[String]) -> Vec<String> {
    let mut notes = vec![format!("{}: {}", program.name, key.description())];
    let of_way = |name: &str| WAYS.iter().find(|(way, _)| *way == name).map_or("", |(_, words)| *words);
    if !way.name.is_empty() {
        let others = program.ways.iter().filter(|other| other.name != way.name);
        let others: String = others.map(|way| format!("; --through {}: {}", way.name, of_way(way.name))).collect();
        notes.push(format!("through {}{others}", of_way(way.name)));
    }
    if !examples.is_empty() {
        notes.push(format!("examples that --set NAME=VALUE replaces: {}", examples.join(" ")));
    }
    let name = program.name;
    if !program.uses.iter().any(|needed| key.uses().contains(needed)) {
        let (needed, uses) = (program.uses.join(" or "), key.uses().join(", "));
        notes.push(format!("WARNING: {name} needs a key that may {needed}; this key may only: {uses}"));
    } else if !key.kinds().iter().any(|kind| way.kinds.contains(kind)) {
        let kinds = KINDS.iter().filter(|(kind, _)| way.kinds.contains(kind)).map(|(_, words)| *words);
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        notes.push(format!("WARNING: {name} does not work with this kind of key here, but with: {kinds}"));
    }
    if program.needs_certificate && !key.has_certificate {
        notes.push(format!(
            "WARNING: {name} needs the certificate of the key in the token, which has none: set the slot's certificate_path"
        ));
    }
    if key.needs_login() {
        notes.push("The token needs a login, which these commands do not show: docs/clients/login.md".to_owned());
    }
    notes
}

/// Returns the only element.
fn only(mut tokens: Vec<Token>) -> Outcome<Token> {
    let names: Vec<_> = tokens.iter().map(|token| format!("{:?}", token.label())).collect();
    match (tokens.pop(), tokens.is_empty()) {
        (Some(token), true) => Ok(token),
        (Some(_), false) => {
            Err(Failure::new("there are several tokens").fix(format!("choose one by --slot: {}", names.join(", "))))
        }
        (None, _) => Err(Failure::new("the module has no slot").fix("write a configuration: cloud-kms-pkcs11 doctor")),
    }
}

/// Returns the commands with the label of the key in the URIs of objects, if the token has several keys.
fn with_key(commands: &str, has_neighbors: bool) -> String {
    if has_neighbors {
        commands.replace("token=$TOKEN;type=", "token=$TOKEN;object=$KEY;type=")
    } else {
        commands.to_owned()
    }
}

/// Returns the examples that the commands use, as NAME=VALUE.
fn used_examples(commands: &[String], values: &[(String, String)], examples: &[(String, String)]) -> Vec<String> {
    let is_used = |name: &str| commands.iter().any(|commands| fill::uses(commands, name));
    let is_known = |name: &str| values.iter().any(|(known, _)| known == name);
    let mut used: Vec<&(String, String)> = Vec::new();
    for example in examples.iter().filter(|(name, _)| is_used(name) && !is_known(name)) {
        // The examples of the program's own page, which is the last one, come first and count.
        if used.iter().all(|(name, _)| *name != example.0) {
            used.push(example);
        }
    }
    used.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

impl Snippet {
    fn as_text(&self) -> String {
        let pages = format!("from {}", self.pages.join(" and "));
        let notes = self.notes.iter().chain([&pages]).map(|note| comment(note));
        let blocks = self.blocks.iter().map(|(about, commands)| format!("\n{}{commands}", comment(about)));
        notes.chain(blocks).collect()
    }

    fn as_json(&self) -> Value {
        let blocks: Vec<_> =
            self.blocks.iter().map(|(about, commands)| json!({ "about": about, "commands": commands })).collect();
        json!({
            "program": self.program.name,
            "through": self.way.name,
            "pages": self.pages,
            "notes": self.notes,
            "blocks": blocks,
        })
    }
}

/// The columns of a comment.
const WIDTH: usize = 100;

/// Returns the text as comment lines of a shell script.
fn comment(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => *line += &format!(" {word}"),
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
