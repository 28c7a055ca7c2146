//! The modules of a crate, found as the compiler finds them, without code that is compiled only for tests.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use syn::{Attribute, Expr, Item, ItemMod, Lit, Meta, Token, punctuated::Punctuated};

use super::files::{Files, below};

pub(super) struct Module {
    /// Its path from the root of the checkout.
    pub(super) file: String,
    /// An index into the list of modules; the root has none.
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    /// Without the items of inline modules, which the list has as modules.
    pub(super) items: Vec<Item>,
}

/// The crates of a folder such as `crates/junban-sim`: its library and its programs, each with the root module first.
pub(super) fn crates_of(files: &Files, folder: &str) -> Result<Vec<Vec<Module>>> {
    let source = format!("{folder}/src/");
    let is_root = |path: &str| {
        let name = path.strip_prefix(&source);
        name.is_some_and(|name| name == "lib.rs" || name == "main.rs" || name.starts_with("bin/"))
    };
    let roots = below(files, &source, ".rs").filter(|(path, _)| is_root(path));
    let load = |path: &str| {
        let mut modules = Vec::new();
        let (folder, _) = path
            .rsplit_once('/')
            .context("a source file stands in a folder")?;
        load_file(files, path, folder, None, &mut modules)?;
        Ok(modules)
    };
    roots.map(|(path, _)| load(path)).collect()
}

/// The folders of our crates.
pub(super) fn folders(files: &Files) -> impl Iterator<Item = &str> {
    let manifests = files.keys().filter_map(|path| path.strip_suffix("/Cargo.toml"));
    manifests.filter(|folder| folder.starts_with("crates/") || *folder == "xtask")
}

/// Adds the module of a file, and the modules below it; the files of its children stand in `folder`.
fn load_file(
    files: &Files,
    path: &str,
    folder: &str,
    parent: Option<usize>,
    modules: &mut Vec<Module>,
) -> Result<usize> {
    let text = files.get(path).with_context(|| format!("there is no {path}"))?;
    let items = syn::parse_file(text)
        .with_context(|| format!("{path} is not Rust"))?
        .items;
    load(files, path, folder, parent, items, modules)
}

fn load(
    files: &Files,
    path: &str,
    folder: &str,
    parent: Option<usize>,
    mut items: Vec<Item>,
    modules: &mut Vec<Module>,
) -> Result<usize> {
    let inline: Vec<_> = items
        .iter_mut()
        .filter_map(|item| match item {
            Item::Mod(module) if !is_test(&module.attrs) => {
                let content = module.content.take().map(|(_, items)| items);
                Some((module.ident.to_string(), path_attribute(module), content))
            }
            _ => None,
        })
        .collect();
    let this = modules.len();
    modules.push(Module {
        file: path.to_owned(),
        parent,
        children: BTreeMap::new(),
        items,
    });
    for (name, own_path, content) in inline {
        let below = format!("{folder}/{name}");
        let child = match (content, own_path) {
            (Some(items), _) => load(files, path, &below, Some(this), items, modules)?,
            (None, Some(own_path)) => {
                let (here, _) = path.rsplit_once('/').unwrap_or_default();
                load_file(files, &format!("{here}/{own_path}"), here, Some(this), modules)?
            }
            (None, None) => {
                let candidates = [format!("{below}.rs"), format!("{below}/mod.rs")];
                let file = candidates.iter().find(|file| files.contains_key(*file));
                let file = file.with_context(|| format!("{path}: no file for `mod {name};`"))?;
                load_file(files, file, &below, Some(this), modules)?
            }
        };
        modules[this].children.insert(name, child);
    }
    Ok(this)
}

/// The value of `#[path = "..."]`.
fn path_attribute(module: &ItemMod) -> Option<String> {
    let attribute = module
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("path"))?;
    match &attribute.meta.require_name_value().ok()?.value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(path) => Some(path.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether something is compiled only for tests: `#[cfg(test)]`, or `#[cfg(all(test, ...))]`.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    fn needs_test(condition: &Meta) -> bool {
        match condition {
            Meta::List(list) if list.path.is_ident("all") => list
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .is_ok_and(|all| all.iter().any(needs_test)),
            other => other.path().is_ident("test"),
        }
    }
    let conditions = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));
    conditions
        .filter_map(|attribute| attribute.parse_args::<Meta>().ok())
        .any(|condition| needs_test(&condition))
}

/// Methods for a `syn::visit::Visit` that skip code which is compiled only for tests. They skip inline modules too: the
/// list has these as modules.
macro_rules! skip_tests {
    () => {
        fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}
        $crate::tidy::modules::skip_tests! {
            visit_arm Arm, visit_expr_block ExprBlock, visit_field Field, visit_field_value FieldValue,
            visit_impl_item_const ImplItemConst, visit_impl_item_fn ImplItemFn, visit_item_const ItemConst,
            visit_item_enum ItemEnum, visit_item_fn ItemFn, visit_item_impl ItemImpl, visit_item_macro ItemMacro,
            visit_item_static ItemStatic, visit_item_struct ItemStruct, visit_item_trait ItemTrait,
            visit_item_type ItemType, visit_local Local, visit_stmt_macro StmtMacro,
            visit_trait_item_fn TraitItemFn, visit_variant Variant
        }
    };
    ($($visit:ident $node:ident),*) => {
        $(fn $visit(&mut self, node: &'ast syn::$node) {
            if !$crate::tidy::modules::is_test(&node.attrs) {
                syn::visit::$visit(self, node);
            }
        })*
    };
}
pub(super) use skip_tests;
