//! No code decides by the text of a message: a person who improves the text would change what the program does. To
//! know whether something changed, code may compare a whole value that has a message, or a tuple with a message.

use std::collections::BTreeSet;

use anyhow::Result;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, Ident, Lit, Member, Pat, Token};

use super::files::Files;
use super::modules::{crates_of, folders, skip_tests};

/// Files that may read a message, by the end of their path, and why.
const MAY_READ: &[(&str, &str)] = &[
    (
        "junban-kube/src/ports/evict.rs",
        "only the message of the API server's Status tells whether a webhook denied or failed",
    ),
    (
        "src/scenario/condition/judging.rs",
        "a scenario checks what a message tells a person",
    ),
];

/// Fields and variables that hold text for people.
const MESSAGES: &[&str] = &["message", "detail"];
/// Fields of a Blocker whose names other types use for other things.
const OBJECT: &str = "object";
const TEXT: &str = "text";

/// Methods that compare, search or parse a text.
const READING: &[&str] = &[
    "contains",
    "ends_with",
    "eq",
    "eq_ignore_ascii_case",
    "find",
    "match_indices",
    "matches",
    "ne",
    "parse",
    "rfind",
    "rsplit",
    "rsplit_once",
    "split",
    "split_once",
    "split_whitespace",
    "splitn",
    "starts_with",
    "strip_prefix",
    "strip_suffix",
    "trim_end_matches",
    "trim_start_matches",
];

/// Methods whose result does not depend on the words.
const WORDLESS: &[&str] = &["is_empty", "is_none", "is_some", "len"];

pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut readers = BTreeSet::new();
    for folder in folders(files).filter(|folder| *folder != "xtask") {
        for module in crates_of(files, folder)?.iter().flatten() {
            let mut reads = Reads::default();
            module.items.iter().for_each(|item| reads.visit_item(item));
            if let Some((file, _)) = MAY_READ.iter().find(|(file, _)| module.file.ends_with(file)) {
                readers.extend((!reads.found.is_empty()).then_some(*file));
                continue;
            }
            problems.extend(reads.found.iter().map(|(line, read)| {
                let fix = "give the value a field or a variant to decide by";
                format!("{}:{line}: {read}: {fix}", module.file)
            }));
        }
    }
    let unused = MAY_READ.iter().filter(|(file, _)| !readers.contains(file));
    problems.extend(unused.map(|(file, _)| {
        format!("xtask/src/tidy/messages.rs: {file} reads no message: delete the exception")
    }));
    Ok(problems)
}

/// The places that read a message: the line, and what it does.
#[derive(Default)]
struct Reads {
    found: BTreeSet<(usize, String)>,
}

impl Reads {
    fn add(&mut self, field: &Ident, how: &str) {
        let line = field.span().start().line;
        self.found.insert((line, format!("{how} the text of `{field}`")));
    }

    /// Adds a message that is matched with a text.
    fn add_pattern(&mut self, value: &Expr, pattern: &Pat) {
        if let Some(field) = message(value)
            && has_text(pattern)
        {
            self.add(field, "matches");
        }
    }
}

impl<'ast> Visit<'ast> for Reads {
    skip_tests! {}

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        if matches!(binary.op, BinOp::Eq(_) | BinOp::Ne(_)) {
            for side in [&binary.left, &binary.right] {
                if let Some(field) = message(side) {
                    self.add(field, "compares");
                }
            }
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let name = call.method.to_string();
        if READING.contains(&name.as_str()) {
            let object = field(&call.receiver).filter(|(field, _)| *field == OBJECT);
            let read = object.map(|(field, _)| field).or_else(|| message(&call.receiver));
            for field in read.into_iter().chain(call.args.iter().filter_map(message)) {
                self.add(field, &format!("calls {name} on"));
            }
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        expr.arms
            .iter()
            .for_each(|arm| self.add_pattern(&expr.expr, &arm.pat));
        visit::visit_expr_match(self, expr);
    }

    fn visit_expr_let(&mut self, expr: &'ast syn::ExprLet) {
        self.add_pattern(&expr.expr, &expr.pat);
        visit::visit_expr_let(self, expr);
    }

    fn visit_field_pat(&mut self, pattern: &'ast syn::FieldPat) {
        if let Member::Named(field) = &pattern.member
            && MESSAGES.iter().any(|name| field == name)
            && has_text(&pattern.pat)
        {
            self.add(field, "matches");
        }
        visit::visit_field_pat(self, pattern);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let expressions = Punctuated::<Expr, Token![,]>::parse_terminated;
        if call.path.is_ident("matches")
            && let Ok((value, pattern)) = call.parse_body_with(|input: syn::parse::ParseStream<'_>| {
                let value: Expr = input.parse()?;
                input.parse::<Token![,]>()?;
                let pattern = Pat::parse_multi_with_leading_vert(input)?;
                input.parse::<proc_macro2::TokenStream>()?;
                Ok((value, pattern))
            })
        {
            self.add_pattern(&value, &pattern);
        } else if let Ok(arguments) = call.parse_body_with(expressions) {
            let mut reads = Reads::default();
            arguments.iter().for_each(|argument| reads.visit_expr(argument));
            self.found.append(&mut reads.found);
        }
    }
}

/// The field or variable of a message that an expression is made from.
fn message(expr: &Expr) -> Option<&Ident> {
    let (field, owner) = field(expr)?;
    let of_blocker = || owner.is_some_and(|owner| owner.to_string().to_lowercase().ends_with("blocker"));
    (MESSAGES.iter().any(|name| field == name) || field == TEXT && of_blocker()).then_some(field)
}

/// The field or variable that an expression is made from; of a field, also the name of its owner.
fn field(expr: &Expr) -> Option<(&Ident, Option<&Ident>)> {
    match expr {
        Expr::Field(access) => match &access.member {
            Member::Named(name) => {
                let owner = field(&access.base).map(|(owner, _)| owner);
                Some((name, owner))
            }
            Member::Unnamed(_) => field(&access.base),
        },
        Expr::MethodCall(call) if !WORDLESS.iter().any(|name| call.method == name) => field(&call.receiver),
        Expr::Path(path) => Some((path.path.get_ident()?, None)),
        Expr::Await(expr) => field(&expr.base),
        Expr::Group(expr) => field(&expr.expr),
        Expr::Index(expr) => field(&expr.expr),
        Expr::Paren(expr) => field(&expr.expr),
        Expr::Reference(expr) => field(&expr.expr),
        Expr::Try(expr) => field(&expr.expr),
        Expr::Unary(expr) => field(&expr.expr),
        _ => None,
    }
}

fn has_text(pattern: &Pat) -> bool {
    struct Texts(bool);
    impl<'ast> Visit<'ast> for Texts {
        fn visit_lit(&mut self, literal: &'ast Lit) {
            self.0 |= matches!(literal, Lit::Str(_));
        }
    }
    let mut texts = Texts(false);
    texts.visit_pat(pattern);
    texts.0
}

#[cfg(test)]
mod tests;
