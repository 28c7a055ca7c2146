//! Label selectors as `kubectl -l` takes them: `a=b,c!=d,e in (f,g),h,!i`.

use junban_core::selector::{Requirement, Selector};

use super::words::Mistake;

/// Reads a selector, which has at least one requirement.
pub(crate) fn parse(text: &str) -> Result<Selector, Mistake> {
    let parts = parts(text);
    let requirements = parts.iter().map(|part| requirement(part.trim()));
    Ok(Selector {
        requirements: requirements.collect::<Result<_, _>>()?,
    })
}

/// Splits at the commas outside of brackets.
fn parts(text: &str) -> Vec<&str> {
    let mut is_inside = false;
    let comma = |c: char| {
        match c {
            '(' => is_inside = true,
            ')' => is_inside = false,
            _ => {}
        }
        c == ',' && !is_inside
    };
    text.split(comma).collect()
}

fn requirement(part: &str) -> Result<Requirement, Mistake> {
    let wrong = || {
        format!(
            "`{part}` is not a part of a label selector: write role=worker, role!=db, zone in (a,b), zone notin (a), gpu, !gpu"
        )
    };
    let key = |word: &str| {
        let word = word.trim();
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        (!word.is_empty() && word.chars().all(good))
            .then(|| word.to_owned())
            .ok_or_else(wrong)
    };
    let one = |value: &str| value.trim().to_owned();
    if let Some((head, values)) = part.split_once('(') {
        let values = values.strip_suffix(')').ok_or_else(wrong)?.split(',').map(one);
        return match head.split_whitespace().collect::<Vec<_>>().as_slice() {
            [name, "in"] => Ok(Requirement::In(key(name)?, values.collect())),
            [name, "notin"] => Ok(Requirement::NotIn(key(name)?, values.collect())),
            _ => Err(wrong()),
        };
    }
    if let Some(name) = part.strip_prefix('!') {
        return Ok(Requirement::DoesNotExist(key(name)?));
    }
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(key(name)?, [one(value)].into()));
    }
    match part.split_once("==").or_else(|| part.split_once('=')) {
        Some((name, value)) => Ok(Requirement::In(key(name)?, [one(value)].into())),
        None => Ok(Requirement::Exists(key(part)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(text: &str) -> bool {
        let labels = [("role", "worker"), ("zone", "a")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        parse(text).unwrap().selects(&labels.into())
    }

    #[test]
    fn selectors_are_read_as_kubectl_reads_them() {
        for good in [
            "role=worker",
            "role==worker,zone=a",
            "role!=db",
            "zone in (a, b),role",
            "zone notin (b)",
            "!gpu",
        ] {
            assert!(selects(good), "{good}");
        }
        for other in [
            "role=db",
            "role=worker,zone=b",
            "role!=worker",
            "zone in (b,c)",
            "gpu",
            "!role",
        ] {
            assert!(!selects(other), "{other}");
        }
        for wrong in ["", "role=worker,", "zone in (a", "zone of (a)", "a b", "=x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
