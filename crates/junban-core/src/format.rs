//! The format of what Junban stores and another release may read: the mark, the record, and the back-off in a record.
//!
//! Without the field `format` it has the present format. What a newer release wrote is not read, because any of its
//! fields may mean something else. It is left alone and reported.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub type MarkFormat = Format<1>;
pub type RecordFormat = Format<1>;
pub type BackOffFormat = Format<1>;

/// The field `format` of what is stored. In memory everything has the present format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Format<const CURRENT: u64>;

impl<const CURRENT: u64> Format<CURRENT> {
    /// Checks the format alone. Call it before the other fields are read. Otherwise the error would name a field that a
    /// newer release has changed.
    pub fn check(stored: &Value) -> Result<(), String> {
        stored
            .get("format")
            .and_then(Value::as_u64)
            .map_or(Ok(()), check_number::<CURRENT>)
    }
}

fn check_number<const CURRENT: u64>(format: u64) -> Result<(), String> {
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
        check_number::<CURRENT>(format).map_err(D::Error::custom)?;
        Ok(Self)
    }
}
