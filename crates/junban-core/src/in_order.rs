//! Look-ups of keys that come in order. Every plan walks all nodes, and asks of each what several maps hold of it: a
//! comparison or two each this way, where the map's own look-up takes its logarithm.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;

/// A map and how far the keys have come.
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

    /// What the map holds for a key. Any key is found, in whatever order; ascending ones quickly.
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
