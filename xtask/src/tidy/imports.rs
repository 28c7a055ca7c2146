//! Which file of a crate imports which. A file imports another file if a `use` or a path in its code names an item of
//! that file. A re-exported item belongs to the file that defines it. These are no imports: `mod child;`, a re-export
//! that its own file does not use, and a method call, for syn does not know the type of the receiver.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;
use syn::{Item, UseTree, Visibility};

use super::files::Files;
use super::modules::{Module, crates_of, is_test, skip_tests};

/// The names that one file imports from another. The paths start at the `src` folder of the crate.
pub(super) type Imports = BTreeMap<(String, String), BTreeSet<String>>;

/// The imports of the crates in a folder such as `crates/junban-sim`.
pub(super) fn imports(files: &Files, folder: &str) -> Result<Imports> {
    let mut imports = Imports::new();
    let source = format!("{folder}/src/");
    for modules in &crates_of(files, folder)? {
        let resolver = Resolver {
            modules,
            scopes: modules.iter().map(Scope::of).collect(),
        };
        for (module, scope) in resolver.scopes.iter().enumerate() {
            let from = &modules[module].file;
            for (to, name) in resolver.imports(module, scope) {
                let to = &modules[to].file;
                if to != from {
                    let pair = [from, to].map(|path| path.trim_start_matches(&source).to_owned());
                    imports.entry(pair.into()).or_default().insert(name);
                }
            }
        }
    }
    Ok(imports)
}

type Path = Vec<String>;

/// What the code of a module declares and uses.
#[derive(Default)]
struct Scope {
    /// What each name means in this module; child modules are not listed.
    names: BTreeMap<String, Vec<Named>>,
    /// The path of each `use PATH::*`, and whether the `use` is private.
    globs: Vec<(Path, bool)>,
    /// The paths in the code, and those of each private `use`.
    paths: BTreeSet<Path>,
}

enum Named {
    /// An item that the module defines.
    Item,
    /// What this path leads to.
    Use(Path),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(usize),
    /// An item by the module that defines it, or a part of it such as a variant.
    Item(usize, String),
}

impl Scope {
    fn of(module: &Module) -> Self {
        let mut scope = Self::default();
        for item in &module.items {
            if let Some(name) = name_of(item) {
                scope.names.entry(name).or_default().push(Named::Item);
            }
            scope.visit_item(item);
        }
        scope
    }

    /// Adds what a `use` names below a path.
    fn add_use(&mut self, prefix: &Path, tree: &UseTree, is_private: bool) {
        let path = |ident: &syn::Ident| match ident == "self" && !prefix.is_empty() {
            true => prefix.clone(),
            false => [prefix.as_slice(), &[ident.to_string()]].concat(),
        };
        let (path, name) = match tree {
            UseTree::Path(tree) => return self.add_use(&path(&tree.ident), &tree.tree, is_private),
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.add_use(prefix, tree, is_private));
            }
            UseTree::Glob(_) => return self.globs.push((prefix.clone(), is_private)),
            UseTree::Rename(tree) => (path(&tree.ident), tree.rename.to_string()),
            UseTree::Name(tree) => (path(&tree.ident), String::new()),
        };
        let name = if name.is_empty() {
            path.last().cloned().unwrap_or_default()
        } else {
            name
        };
        if is_private {
            self.paths.insert(path.clone());
        }
        self.names.entry(name).or_default().push(Named::Use(path));
    }

    /// Adds each path `a::b::c` of a macro or an attribute. Attributes of serde and schemars have paths in strings.
    fn add_tokens(&mut self, tokens: TokenStream, is_attribute: bool) {
        let mut path = Path::new();
        // The signs since the last name. A name after `::` belongs to the same path; a name after `.` is a field or a
        // method.
        let mut signs = String::new();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if signs != "::" {
                        self.paths.insert(std::mem::take(&mut path));
                    }
                    if signs != "." {
                        path.push(ident.to_string());
                    }
                    signs.clear();
                }
                TokenTree::Punct(sign) => signs.push(sign.as_char()),
                TokenTree::Group(group) => {
                    self.add_tokens(group.stream(), is_attribute);
                    signs = "()".to_owned();
                }
                TokenTree::Literal(literal) => {
                    if is_attribute {
                        let text = literal.to_string();
                        let path = text.trim_matches('"').split("::").map(str::to_owned);
                        self.paths.insert(path.collect());
                    }
                    signs = "\"".to_owned();
                }
            }
        }
        self.paths.insert(path);
    }
}

impl<'ast> Visit<'ast> for Scope {
    skip_tests! {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) && item.leading_colon.is_none() {
            let is_private = matches!(item.vis, Visibility::Inherited);
            self.add_use(&Path::new(), &item.tree, is_private);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string());
            self.paths.insert(segments.collect());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.add_tokens(call.tokens.clone(), false);
        syn::visit::visit_macro(self, call);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.add_tokens(list.tokens.clone(), true);
        syn::visit::visit_meta_list(self, list);
    }
}

/// The name that an item defines.
fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

struct Resolver<'a> {
    modules: &'a [Module],
    scopes: Vec<Scope>,
}

/// The modules and names that are being looked up: two modules may re-export each other.
type Pending = BTreeSet<(usize, String)>;

impl Resolver<'_> {
    /// The items that the code of a module names, each with the module that defines it.
    fn imports(&self, module: usize, scope: &Scope) -> BTreeSet<(usize, String)> {
        let mut found = BTreeSet::new();
        for path in &scope.paths {
            for target in self.targets(module, path, &mut Pending::new()) {
                if let Target::Item(of, name) = target {
                    found.insert((of, name));
                }
            }
        }
        for (path, _) in scope.globs.iter().filter(|(_, is_private)| *is_private) {
            for target in self.targets(module, path, &mut Pending::new()) {
                let first_names = || scope.paths.iter().filter_map(|path| path.first());
                let is_used =
                    |of| first_names().any(|name| !self.named(of, name, &mut Pending::new()).is_empty());
                match target {
                    // The glob is for a trait: a call of its methods does not name it.
                    Target::Module(of) if !is_used(of) => found.insert((of, "*".to_owned())),
                    Target::Module(_) => false,
                    Target::Item(of, name) => found.insert((of, name)),
                };
            }
        }
        found
    }

    /// What a path leads to; nothing where it leads out of the crate.
    fn targets(&self, module: usize, path: &[String], pending: &mut Pending) -> BTreeSet<Target> {
        let Some((first, rest)) = path.split_first() else {
            return BTreeSet::new();
        };
        let mut targets = match first.as_str() {
            "crate" => BTreeSet::from([Target::Module(0)]),
            name => self.named(module, name, pending),
        };
        for name in rest {
            let step = |target| match target {
                Target::Module(of) => match self.named(of, name, pending) {
                    // A macro makes the item, or the module re-exports it from another crate.
                    none if none.is_empty() => BTreeSet::from([Target::Item(of, name.clone())]),
                    found => found,
                },
                item => BTreeSet::from([item]),
            };
            targets = targets.into_iter().flat_map(step).collect();
        }
        targets
    }

    /// What a name means in a module.
    fn named(&self, module: usize, name: &str, pending: &mut Pending) -> BTreeSet<Target> {
        let (this, scope) = (&self.modules[module], &self.scopes[module]);
        let mut found = match name {
            "self" => BTreeSet::from([Target::Module(module)]),
            "super" => this.parent.map(Target::Module).into_iter().collect(),
            name => this
                .children
                .get(name)
                .copied()
                .map(Target::Module)
                .into_iter()
                .collect(),
        };
        let key = (module, name.to_owned());
        if !pending.insert(key.clone()) {
            return found;
        }
        for named in scope.names.get(name).into_iter().flatten() {
            match named {
                Named::Item => drop(found.insert(Target::Item(module, name.to_owned()))),
                Named::Use(path) => found.extend(self.targets(module, path, pending)),
            }
        }
        if found.is_empty() {
            for (path, _) in &scope.globs {
                for target in self.targets(module, path, pending) {
                    if let Target::Module(of) = target {
                        found.extend(self.named(of, name, pending));
                    }
                }
            }
        }
        pending.remove(&key);
        found
    }
}
