//! Label selectors. What `{}` means is the caller's business: for a budget it is every pod of the namespace
//! (policy/v1), for Junban's own objects it is nothing, ever (design.md 4).

use std::collections::{BTreeMap, BTreeSet};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// One requirement on one label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Requirement {
    In(String, BTreeSet<String>),
    /// Holds as well where the label is absent, as in Kubernetes.
    NotIn(String, BTreeSet<String>),
    Exists(String),
    DoesNotExist(String),
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}

/// The conjunction of its requirements. Without any it is *empty*.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector {
    pub requirements: Vec<Requirement>,
}

impl Selector {
    /// `key=value` for every given pair.
    pub fn of_labels(labels: impl IntoIterator<Item = (String, String)>) -> Self {
        let requirements = labels
            .into_iter()
            .map(|(key, value)| Requirement::In(key, BTreeSet::from([value])))
            .collect();
        Self { requirements }
    }

    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether every requirement holds: an empty selector matches everything, as a PodDisruptionBudget's does.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.holds(labels))
    }

    /// Whether it matches only where the label has this very value.
    pub fn demands(&self, key: &str, value: &str) -> bool {
        self.requirements.iter().any(|requirement| match requirement {
            Requirement::In(of, values) => of == key && values.iter().all(|one| one == value),
            _ => false,
        })
    }

    /// Whether it selects by Junban's rule: an empty selector selects nothing (safety.md S19).
    pub fn selects(&self, labels: &Labels) -> bool {
        !self.is_empty() && self.matches(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn an_empty_selector_selects_nothing_and_matches_everything() {
        assert!(!Selector::default().selects(&labels(&[("a", "b")])));
        assert!(Selector::default().matches(&labels(&[])));
    }

    #[test]
    fn not_in_holds_where_the_label_is_absent() {
        let selector = Selector {
            requirements: vec![Requirement::NotIn("role".into(), ["db".to_owned()].into())],
        };
        assert!(selector.selects(&labels(&[])));
        assert!(!selector.selects(&labels(&[("role", "db")])));
    }
}
