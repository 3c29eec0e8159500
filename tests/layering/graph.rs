//! Which file of a crate uses which other file, determined from the paths in the source. Tests are left out: they
//! may use everything.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Macro, Meta, UseTree};

/// The modules of a crate that are files, and what each of them uses. The key is the module's path
/// (`cloud::aws::keys`; empty for the root of the crate).
pub struct Graph {
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Reads the crate whose files are in `source`.
    pub fn of(source: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(source, &[], &mut files);
        let modules: BTreeSet<String> = files.keys().cloned().collect();
        let uses = files.iter().map(|(module, text)| (module.clone(), uses(module, text, &modules)));
        Self { uses: uses.collect() }
    }

    /// Returns all pairs of a module and a module that it uses.
    pub fn uses(&self) -> impl Iterator<Item = (&str, &str)> {
        self.uses.iter().flat_map(|(user, used)| used.iter().map(move |used| (user.as_str(), used.as_str())))
    }

    /// Returns the groups of modules that use each other, directly or indirectly.
    pub fn cycles(&self) -> Vec<BTreeSet<&str>> {
        let mut cycles = Vec::new();
        for module in self.uses.keys() {
            let reached = self.reached(module);
            if reached.contains(module.as_str()) {
                let back = |other: &&str| self.reached(other).contains(module.as_str());
                let cycle: BTreeSet<&str> = reached.into_iter().filter(back).collect();
                if !cycles.contains(&cycle) {
                    cycles.push(cycle);
                }
            }
        }
        cycles
    }

    /// Returns for each folder which of its entries (files and folders) uses which other entry.
    pub fn folders(&self) -> BTreeMap<String, Graph> {
        let mut folders: BTreeMap<String, Graph> = BTreeMap::new();
        for (user, used) in self.uses() {
            let (user, used): (Vec<_>, Vec<_>) = (user.split("::").collect(), used.split("::").collect());
            let common = user.iter().zip(&used).take_while(|(one, other)| one == other).count();
            if let (Some(one), Some(other)) = (user.get(common), used.get(common))
                && !one.is_empty()
                && !other.is_empty()
            {
                let folder = folders.entry(user[..common].join("::")).or_insert(Graph { uses: BTreeMap::new() });
                folder.uses.entry((*one).to_owned()).or_default().insert((*other).to_owned());
            }
        }
        folders
    }

    fn reached(&self, from: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut ahead: Vec<&str> = vec![from];
        while let Some(module) = ahead.pop() {
            for used in self.uses.get(module).into_iter().flatten() {
                if reached.insert(used.as_str()) {
                    ahead.push(used);
                }
            }
        }
        reached
    }
}

fn collect(folder: &Path, module: &[String], files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "tests" || name == "bin" {
            continue;
        }
        let inner = || [module, std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            collect(&path, &inner(), files);
        } else {
            let is_root = ["mod", "lib", "main"].contains(&name.as_str());
            let module = if is_root { module.to_vec() } else { inner() };
            files.insert(module.join("::"), std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn uses(module: &str, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let mut paths = Paths::default();
    paths.visit_file(&syn::parse_file(text).unwrap_or_else(|error| panic!("{module}: {error}")));
    // A single name is a variable, or was imported by a `use`, which is itself visited.
    let used = paths.0.iter().filter(|path| path.len() > 1).filter_map(|path| resolve(module, path, modules));
    used.filter(|used| used != module).collect()
}

/// Returns the module that a path in `module` leads to, or None if the path leads out of the crate.
fn resolve(module: &str, path: &[String], modules: &BTreeSet<String>) -> Option<String> {
    let own: Vec<String> = module.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let supers = path.iter().take_while(|name| *name == "super").count();
    let mut full = match path.first()?.as_str() {
        "crate" => path[1..].to_vec(),
        "self" => [&own, &path[1..]].concat(),
        "super" => [own.get(..own.len().checked_sub(supers)?)?, &path[supers..]].concat(),
        child => {
            modules.contains(&[&own[..], &[child.to_owned()]].concat().join("::")).then(|| [&own, path].concat())?
        }
    };
    while !modules.contains(&full.join("::")) {
        full.pop()?;
    }
    Some(full.join("::"))
}

/// The paths in a file.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Visit<'_> for Paths {
    fn visit_item_mod(&mut self, item: &ItemMod) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        self.add_tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &Macro) {
        self.add_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

impl Paths {
    fn add_tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_tree(&path.tree, before);
                before.pop();
            }
            UseTree::Name(name) => self.0.push([&before[..], &[name.ident.to_string()]].concat()),
            UseTree::Rename(name) => self.0.push([&before[..], &[name.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.0.push(before.clone()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, before)),
        }
    }

    /// The arguments of a macro are not a syntax tree: names with `::` between them are taken as a path.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Ident(name) if colons == 2 || path.is_empty() => path.push(name.to_string()),
                TokenTree::Ident(name) => {
                    self.0.push(std::mem::take(&mut path));
                    path.push(name.to_string());
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.0.push(std::mem::take(&mut path));
                    self.add_tokens(group.stream());
                }
                _ => self.0.push(std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.0.push(path);
    }
}

/// Returns whether the attribute is `cfg(test)`.
fn is_for_tests(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string().contains("test"),
        _ => false,
    }
}

#[test]
fn all_kinds_of_paths_are_found() {
    let modules: BTreeSet<String> = ["a", "a::b", "c", "d", "e", "f"].map(str::to_owned).into();
    let text = "use crate::{c, d::{X, self}}; fn f() { super::e::g(b::h()); format!(\"{}\", crate::f::X) }
        #[cfg(test)] mod tests { use crate::g; }";
    let found = uses("a", text, &modules);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a::b", "c", "d", "e", "f"]);
}

#[test]
fn cycles_are_found() {
    let uses = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")];
    let mut graph = Graph { uses: BTreeMap::new() };
    for (user, used) in uses {
        graph.uses.entry(user.to_owned()).or_default().insert(used.to_owned());
    }
    assert_eq!(graph.cycles(), [BTreeSet::from(["b", "c"])]);
}
