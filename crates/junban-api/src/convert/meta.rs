//! The metadata that every object has.

use jiff::Timestamp;
use junban_core::ids::Version;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// A field is missing that a real API server gives every object. The object is dropped and reported.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind} {name} has no {what}")]
pub struct Incomplete {
    pub kind: &'static str,
    pub name: String,
    pub what: &'static str,
}

/// The fields of [`ObjectMeta`] that Junban needs.
pub(super) struct Meta {
    pub(super) name: String,
    /// Empty for cluster-scoped objects.
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) version: Version,
    pub(super) generation: i64,
    pub(super) created: Timestamp,
}

pub(super) fn read(kind: &'static str, meta: &ObjectMeta) -> Result<Meta, Incomplete> {
    let name = meta.name.clone().unwrap_or_default();
    let incomplete = |what| Incomplete {
        kind,
        name: name.clone(),
        what,
    };
    if name.is_empty() {
        return Err(incomplete("name"));
    }
    Ok(Meta {
        namespace: meta.namespace.clone().unwrap_or_default(),
        uid: meta.uid.clone().ok_or_else(|| incomplete("uid"))?,
        version: version(meta).ok_or_else(|| incomplete("resourceVersion that is a number"))?,
        generation: meta.generation.unwrap_or_default(),
        created: meta
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        name,
    })
}

fn version(meta: &ObjectMeta) -> Option<Version> {
    meta.resource_version.as_deref()?.parse().ok().map(Version)
}
