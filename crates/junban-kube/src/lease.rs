//! The elector's calls on a Lease of coordination.k8s.io. An annotation of the Lease carries the cluster clock.

use std::sync::{Arc, Mutex};

use junban_api::names;
use junban_core::ids::Version;
use junban_core::time::{Reading, Timestamp};
use junban_engine::clock::ServerClock;
use junban_engine::elector::{LeaseAnswer, LeaseCall, LeaseView, LeaseWrite};
use junban_engine::shell::{LeasePort, locked};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;

use crate::answer::{Failure, SHORT_DEADLINE, within};
use crate::connect::Connection;

/// The duration that the Lease shows to people. The elector does not read it.
const DURATION_SECONDS: i32 = 10;

pub struct KubeLease {
    api: Api<Lease>,
    name: String,
    wall: Arc<ServerClock>,
    /// When the Lease was acquired. A renewal replaces the whole Lease, so this is written again each time.
    acquired: Mutex<Option<MicroTime>>,
    /// The last identity that this process wrote. A release empties the holder, and people want to know who led last.
    leader: Mutex<String>,
}

impl KubeLease {
    pub fn new(connection: &Connection, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(connection.lease.clone(), namespace),
            name: name.to_owned(),
            wall: connection.wall.clone(),
            acquired: Mutex::default(),
            leader: Mutex::default(),
        }
    }

    fn object(&self, write: &LeaseWrite, version: Option<Version>) -> Lease {
        let now = MicroTime(self.wall.now());
        let mut acquired = locked(&self.acquired);
        if write.acquired {
            *acquired = Some(now.clone());
        }
        let mut leader = locked(&self.leader);
        if !write.holder.is_empty() {
            leader.clone_from(&write.holder);
        }
        let clock = format!("{} {}", write.clock.led_ms, write.clock.running_ms);
        let annotations = [
            (names::CLOCK.to_owned(), clock),
            (names::LEADER.to_owned(), leader.clone()),
            (names::QUEUE_PAUSED.to_owned(), write.queue_paused.to_string()),
        ];
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: version.map(|version| version.0.to_string()),
                annotations: Some(annotations.into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(write.holder.clone()).filter(|holder| !holder.is_empty()),
                lease_duration_seconds: Some(DURATION_SECONDS),
                lease_transitions: i32::try_from(write.transitions).ok(),
                acquire_time: acquired.clone(),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        }
    }
}

impl LeasePort for KubeLease {
    async fn call(&self, call: LeaseCall) -> LeaseAnswer {
        let parameters = PostParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let answer = match &call {
            LeaseCall::Read => within(SHORT_DEADLINE, self.api.get(&self.name)).await,
            LeaseCall::Create(write) => {
                within(
                    SHORT_DEADLINE,
                    self.api.create(&parameters, &self.object(write, None)),
                )
                .await
            }
            LeaseCall::Replace(version, write) => {
                let lease = self.object(write, Some(*version));
                within(SHORT_DEADLINE, self.api.replace(&self.name, &parameters, &lease)).await
            }
        };
        match answer {
            Ok(lease) => match view(&lease) {
                Some(view) => LeaseAnswer::Is(view),
                None => LeaseAnswer::Failed("the Lease has no resourceVersion that is a number".into()),
            },
            Err(failure) => of_failure(&failure),
        }
    }
}

fn of_failure(failure: &Failure) -> LeaseAnswer {
    match failure.code() {
        Some(404) if failure.is_not_found() => LeaseAnswer::Absent,
        Some(409) => LeaseAnswer::Conflict,
        _ => LeaseAnswer::Failed(failure.text()),
    }
}

fn view(lease: &Lease) -> Option<LeaseView> {
    let spec = lease.spec.clone().unwrap_or_default();
    Some(LeaseView {
        holder: spec.holder_identity.unwrap_or_default(),
        transitions: spec
            .lease_transitions
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or_default(),
        renew: spec.renew_time.map(|time| time.0.to_string()).unwrap_or_default(),
        version: Version(lease.metadata.resource_version.as_deref()?.parse().ok()?),
        clock: clock_of(lease).unwrap_or_default(),
        queue_paused: lease.metadata.annotations.as_ref().is_some_and(|annotations| {
            annotations
                .get(names::QUEUE_PAUSED)
                .is_some_and(|paused| paused == "true")
        }),
    })
}

/// The controller's Lease as a command reads it, to tell people who leads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LeaseFacts {
    /// The cluster clock at the last renewal.
    pub clock: Option<Reading>,
    /// Empty: the Lease was released.
    pub holder: String,
    /// Who wrote the Lease last. After a release the holder is empty.
    pub leader: String,
    /// When the Lease was renewed or released, by the holder's view of the API server's time.
    pub renewed: Option<Timestamp>,
}

impl LeaseFacts {
    pub(crate) fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let annotations = lease.metadata.annotations.as_ref();
        let leader = annotations.and_then(|annotations| annotations.get(names::LEADER));
        let holder = spec.holder_identity.unwrap_or_default();
        Self {
            clock: clock_of(lease),
            leader: leader.unwrap_or(&holder).clone(),
            holder,
            renewed: spec.renew_time.map(|time| time.0),
        }
    }
}

/// The cluster clock that a Lease carries.
fn clock_of(lease: &Lease) -> Option<Reading> {
    let annotations = lease.metadata.annotations.as_ref()?;
    parse_clock(annotations.get(names::CLOCK)?)
}

/// Reads `LED RUNNING`, both in milliseconds. Running is never more than led.
fn parse_clock(text: &str) -> Option<Reading> {
    let (led, running) = text.split_once(' ')?;
    let led_ms: u64 = led.parse().ok()?;
    let running_ms: u64 = running.parse().ok()?;
    Some(Reading {
        led_ms,
        running_ms: running_ms.min(led_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_lease_still_names_its_last_leader() {
        let lease: Lease = serde_json::from_value(serde_json::json!({
            "metadata": {"annotations": {names::CLOCK: "5000 3000", names::LEADER: "vm_x"}},
            "spec": {"renewTime": "1970-01-01T00:00:05.000000Z"},
        }))
        .unwrap();
        let facts = LeaseFacts::of(&lease);
        assert_eq!((facts.holder.as_str(), facts.leader.as_str()), ("", "vm_x"));
        assert_eq!(facts.renewed, Timestamp::from_second(5).ok());
    }

    #[test]
    fn the_clock_is_two_numbers() {
        let reading = |led_ms, running_ms| Some(Reading { led_ms, running_ms });
        assert_eq!(parse_clock("5000 3000"), reading(5_000, 3_000));
        assert_eq!(parse_clock("5000 9000"), reading(5_000, 5_000));
        for text in ["", "5000", "a b", "-1 0"] {
            assert_eq!(parse_clock(text), None, "{text:?}");
        }
    }
}
