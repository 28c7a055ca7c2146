//! Values that lines of several kinds have: names, amounts and times.

use std::fmt;
use std::time::Duration;

/// A time between `from` and `to`. Every time in between is equally likely.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    pub from: Duration,
    pub to: Duration,
}

/// Names an object of a namespace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

/// `shop/cart`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// An amount of CPU or memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quantity {
    /// As written in the file: a real API server gets this text.
    pub text: String,
    /// In millicores or bytes, rounded up.
    pub amount: i64,
}
