//! Joins each claim with the volume that it is bound to. Core wants both together; the API server sends them apart.

use std::collections::BTreeMap;

use junban_api::convert::claim;
use junban_core::cluster::Cluster;
use junban_core::ids::ClaimKey;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

/// All claims and volumes as last seen.
#[derive(Default)]
pub(crate) struct Volumes {
    claims: BTreeMap<ClaimKey, PersistentVolumeClaim>,
    volumes: BTreeMap<String, PersistentVolume>,
}

impl Volumes {
    pub(crate) fn claim(&mut self, object: &PersistentVolumeClaim, cluster: &mut Cluster) {
        let Some(key) = claim::key(object) else { return };
        let mut kept = object.clone();
        kept.metadata.managed_fields = None;
        self.claims.insert(key.clone(), kept);
        self.join(&key, cluster);
    }

    pub(crate) fn remove_claim(&mut self, key: &ClaimKey, cluster: &mut Cluster) {
        self.claims.remove(key);
        cluster.claims.remove(key);
    }

    pub(crate) fn volume(&mut self, object: &PersistentVolume, cluster: &mut Cluster) {
        let Some(name) = object.metadata.name.clone() else {
            return;
        };
        let mut kept = object.clone();
        kept.metadata.managed_fields = None;
        let bound_to = claim::bound_to(object);
        self.volumes.insert(name, kept);
        if let Some(key) = bound_to {
            self.join(&key, cluster);
        }
    }

    pub(crate) fn remove_volume(&mut self, name: &str, cluster: &mut Cluster) {
        let bound_to = self.volumes.remove(name).as_ref().and_then(claim::bound_to);
        if let Some(key) = bound_to {
            self.join(&key, cluster);
        }
    }

    fn join(&self, key: &ClaimKey, cluster: &mut Cluster) {
        let Some(object) = self.claims.get(key) else {
            return;
        };
        let volume = claim::volume_name(object).and_then(|name| self.volumes.get(name));
        cluster.claims.insert(key.clone(), claim::read(object, volume));
    }

    pub(crate) fn volume_names(&self) -> Vec<String> {
        self.volumes.keys().cloned().collect()
    }
}
