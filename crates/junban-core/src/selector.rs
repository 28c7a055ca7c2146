//! Label selectors. The caller decides what an empty selector means: for a budget every pod of the namespace, for
//! Junban's own objects nothing (docs/design/overview.md#objects).

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

/// One requirement on one label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Requirement {
    In(String, BTreeSet<String>),
    /// It also holds without the label, as in Kubernetes.
    NotIn(String, BTreeSet<String>),
    Exists(String),
    DoesNotExist(String),
    /// The label's value is an integer above this one. Only node affinity has this operator and the next.
    Gt(String, i64),
    /// The label's value is an integer below this one.
    Lt(String, i64),
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        let number = |key: &String| labels.get(key)?.parse::<i64>().ok();
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
            Self::Gt(key, bound) => number(key).is_some_and(|value| value > *bound),
            Self::Lt(key, bound) => number(key).is_some_and(|value| value < *bound),
        }
    }
}

/// All requirements must hold. Without requirements the selector is *empty*.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Selector {
    pub requirements: Vec<Requirement>,
}

impl Selector {
    /// `key=value` for each pair.
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

    /// Whether every requirement holds. An empty selector matches everything, as for a PodDisruptionBudget.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.holds(labels))
    }

    /// Whether it only matches if the label has this value.
    pub fn demands(&self, key: &str, value: &str) -> bool {
        self.requirements.iter().any(|requirement| match requirement {
            Requirement::In(of, values) => of == key && values.iter().all(|one| one == value),
            _ => false,
        })
    }

    /// As `matches`, but an empty selector selects nothing (docs/design/safety.md#s19).
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
    fn gt_and_lt_compare_integers() {
        let above = |bound| Requirement::Gt("cores".into(), bound);
        let with = |value| labels(&[("cores", value)]);
        assert!(above(9).holds(&with("16")) && !above(16).holds(&with("16")));
        assert!(!above(9).holds(&with("many")) && !above(9).holds(&labels(&[])));
        assert!(Requirement::Lt("cores".into(), 32).holds(&with("16")));
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
