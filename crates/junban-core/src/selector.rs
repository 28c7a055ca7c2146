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
    fn key(&self) -> &String {
        match self {
            Self::In(key, _)
            | Self::NotIn(key, _)
            | Self::Exists(key)
            | Self::DoesNotExist(key)
            | Self::Gt(key, _)
            | Self::Lt(key, _) => key,
        }
    }

    /// Whether no label can meet both requirements, asked in this order.
    fn contradicts(&self, other: &Self) -> bool {
        self.key() == other.key()
            && match (self, other) {
                (Self::In(_, ours), Self::In(_, theirs)) => ours.is_disjoint(theirs),
                (Self::In(_, ours), Self::NotIn(_, theirs)) => ours.is_subset(theirs),
                (Self::In(..) | Self::Exists(_), Self::DoesNotExist(_)) => true,
                _ => false,
            }
    }

    /// Whether each label that meets this requirement meets the other one.
    fn implies(&self, other: &Self) -> bool {
        self == other
            || self.key() == other.key()
                && match (self, other) {
                    (Self::In(_, ours), Self::In(_, theirs)) => ours.is_subset(theirs),
                    (Self::In(_, ours), Self::NotIn(_, theirs)) => ours.is_disjoint(theirs),
                    (Self::NotIn(_, ours), Self::NotIn(_, theirs)) => ours.is_superset(theirs),
                    (Self::In(..), Self::Exists(_)) | (Self::DoesNotExist(_), Self::NotIn(..)) => true,
                    _ => false,
                }
    }

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

    /// Whether some labels may match both selectors: no requirement of the one contradicts one of the other.
    pub fn may_overlap(&self, other: &Self) -> bool {
        let ours = self.requirements.iter();
        let mut pairs = ours.flat_map(|one| other.requirements.iter().map(move |two| (one, two)));
        !pairs.any(|(one, two)| one.contradicts(two) || two.contradicts(one))
    }

    /// Whether all labels that match this selector match the other one too, as far as single requirements show it.
    pub fn is_within(&self, other: &Self) -> bool {
        let mut wider = other.requirements.iter();
        wider.all(|wider| self.requirements.iter().any(|narrower| narrower.implies(wider)))
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
    fn selectors_that_contradict_each_other_do_not_overlap() {
        let of = |key: &str, values: &[&str]| {
            Requirement::In(
                key.into(),
                values.iter().map(|value| (*value).to_owned()).collect(),
            )
        };
        let not = |key: &str, values: &[&str]| {
            Requirement::NotIn(
                key.into(),
                values.iter().map(|value| (*value).to_owned()).collect(),
            )
        };
        let selector = |requirements: &[Requirement]| Selector {
            requirements: requirements.to_vec(),
        };
        let worker = selector(&[of("role", &["worker"])]);
        let cases = [
            // Another selector, whether it may overlap with the workers, and whether it selects workers only.
            (vec![of("role", &["worker"]), of("zone", &["a"])], true, true),
            (vec![of("zone", &["a"])], true, false),
            (vec![of("role", &["worker", "db"])], true, false),
            (vec![of("role", &["db"])], false, false),
            (vec![not("role", &["worker"])], false, false),
            (vec![not("role", &["db"])], true, false),
            (vec![Requirement::Exists("role".into())], true, false),
            (vec![Requirement::DoesNotExist("role".into())], false, false),
        ];
        for (other, overlaps, is_within) in cases {
            let other = selector(&other);
            assert_eq!(worker.may_overlap(&other), overlaps, "{other:?}");
            assert_eq!(other.may_overlap(&worker), overlaps, "{other:?}");
            assert_eq!(other.is_within(&worker), is_within, "{other:?}");
        }
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
