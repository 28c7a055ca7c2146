//! The versions of what Junban stores and a later release reads: the mark, the record, and the back-off in a record.
//!
//! What has no version was written before there were versions: it reads as the current form. What a newer release
//! wrote is not read at all, for any of its fields may mean something else. Whoever holds it leaves it alone and
//! reports it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub type MarkFormat = Format<1>;
pub type RecordFormat = Format<1>;
pub type BackOffFormat = Format<1>;

/// The field `format` of what is stored. In memory everything has the current form, so there is nothing to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Format<const CURRENT: u64>;

impl<const CURRENT: u64> Format<CURRENT> {
    /// Judges the version alone. To be called before the other fields are read: else the error would be that of a
    /// field that a newer release has changed.
    pub fn check(stored: &Value) -> Result<(), String> {
        stored
            .get("format")
            .and_then(Value::as_u64)
            .map_or(Ok(()), judge::<CURRENT>)
    }
}

fn judge<const CURRENT: u64>(format: u64) -> Result<(), String> {
    if format <= CURRENT {
        return Ok(());
    }
    Err(format!(
        "written by a newer release of Junban (format {format}, this release reads up to {CURRENT}): use that release"
    ))
}

impl<const CURRENT: u64> Serialize for Format<CURRENT> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(CURRENT)
    }
}

impl<'de, const CURRENT: u64> Deserialize<'de> for Format<CURRENT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let format = u64::deserialize(deserializer)?;
        judge::<CURRENT>(format).map_err(D::Error::custom)?;
        Ok(Self)
    }
}
