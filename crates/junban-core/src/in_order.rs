//! Fast look-ups of keys in ascending order. Every plan looks up all nodes in several maps. This needs one or two
//! comparisons for each node, where the look-up of the map needs more.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;

/// A map, and its items after the last key.
#[derive(Debug)]
pub(crate) struct InOrder<'m, K, V> {
    map: &'m BTreeMap<K, V>,
    rest: Peekable<btree_map::Iter<'m, K, V>>,
}

impl<'m, K: Ord, V> InOrder<'m, K, V> {
    pub(crate) fn new(map: &'m BTreeMap<K, V>) -> Self {
        let rest = map.iter().peekable();
        Self { map, rest }
    }

    /// The value of a key. Keys may come in any order; ascending keys are fast.
    pub(crate) fn get(&mut self, key: &K) -> Option<&'m V> {
        while self.rest.next_if(|(known, _)| *known < key).is_some() {}
        match self.rest.peek() {
            Some((known, value)) if *known == key => Some(*value),
            _ => self.map.get(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_any_order() {
        let map: BTreeMap<u32, u32> = (0..10).map(|key| (key * 2, key)).collect();
        let mut in_order = InOrder::new(&map);
        for key in [0, 1, 2, 8, 4, 19, 18, 3, 0] {
            assert_eq!(in_order.get(&key), map.get(&key), "{key}");
        }
    }
}
