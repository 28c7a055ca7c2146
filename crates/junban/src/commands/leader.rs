//! Does a controller lead? If none does, everything that the status of an object says is as old as the last leader.

use std::time::Duration;

use jiff::Timestamp;
use junban_api::convert::format_goal;
use junban_api::names;
use junban_core::time::SignedDuration;
use junban_kube::lease::LeaseFacts;
use junban_kube::list_once;
use serde::Serialize;

use super::printer::Printer;
use super::session::Session;

/// A leader that has not renewed the Lease for 7 s leads no longer, and after 10 s another replica takes the Lease. The
/// rest is for the API server's `Date`, which has whole seconds.
const EXPIRED_AFTER: SignedDuration = SignedDuration::from_secs(13);
/// How often a command that goes on reads the Lease.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// Why nothing goes on: no controller leads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NoLeader {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// Who led last. Empty: nobody is known to have led.
    pub(crate) last: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl NoLeader {
    /// `None`: a controller leads.
    fn of(lease: Option<&LeaseFacts>, now: Timestamp, namespace: &str) -> Option<Self> {
        let look = format!("kubectl get deployments,pods -n {namespace}");
        let Some(lease) = lease else {
            return Some(Self {
                since: None,
                last: String::new(),
                message: format!(
                    "none has ever led: there is no Lease {} in namespace {namespace}; nothing goes on",
                    names::LEASE
                ),
                hint: format!("{look}; install it: kubectl apply --server-side -f manifests/junban"),
            });
        };
        let renewed = lease.renewed;
        let is_fresh = renewed.is_some_and(|at| now.duration_since(at) < EXPIRED_AFTER);
        if !lease.holder.is_empty() && is_fresh {
            return None;
        }
        let since = renewed.map(|at| format_goal(at.min(now)));
        let last = if lease.holder.is_empty() {
            &lease.leader
        } else {
            &lease.holder
        };
        let why = match (lease.holder.is_empty(), last.as_str()) {
            (true, "") => "the Lease was released".to_owned(),
            (true, last) => format!("{last} released the Lease when it ended"),
            (false, last) => format!("the Lease of {last} expired"),
        };
        let when = since
            .as_ref()
            .map_or_else(String::new, |since| format!(" since {since}"));
        Some(Self {
            message: format!("none{when}: {why}; nothing goes on"),
            since,
            last: last.clone(),
            hint: format!(
                "{look}; if it was scaled down: kubectl scale deployment junban -n {namespace} --replicas=2"
            ),
        })
    }

    pub(crate) fn describe(&self) -> String {
        format!("Controller: {}\n  hint: {}", self.message, self.hint)
    }
}

/// What the controller's Lease says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Leader {
    Leads,
    None(NoLeader),
    /// The user may not read the Lease, or the API server did not answer.
    Unknown,
}

impl Leader {
    /// Reads the Lease. Beside the leader it returns what else the Lease says.
    pub(crate) async fn read(session: &Session) -> (Self, Option<LeaseFacts>) {
        let namespace = &session.namespace;
        let call = list_once::lease(&session.connection, namespace, names::LEASE);
        match session.try_call(call).await {
            Ok(lease) => {
                let none = NoLeader::of(lease.as_ref(), session.now(), namespace);
                (none.map_or(Self::Leads, Self::None), lease)
            }
            Err(_) => (Self::Unknown, None),
        }
    }

    pub(crate) fn none(&self) -> Option<&NoLeader> {
        match self {
            Self::None(none) => Some(none),
            Self::Leads | Self::Unknown => None,
        }
    }
}

/// Tells the user of a command that asks for something that no controller will act on it.
pub(crate) async fn warn(session: &Session, printer: &mut Printer) {
    if let (Leader::None(none), _) = Leader::read(session).await {
        printer.message(&none.describe());
    }
}

/// Says while a command waits when the last leader is gone, and when one leads again.
#[derive(Default)]
pub(crate) struct Changes {
    none: Option<NoLeader>,
}

impl Changes {
    pub(crate) fn note(&mut self, leader: Leader) -> Option<String> {
        let none = match leader {
            Leader::Unknown => return None,
            Leader::Leads => None,
            Leader::None(none) => Some(none),
        };
        let changed = self.none.is_some() != none.is_some();
        self.none = none;
        changed.then(|| match &self.none {
            Some(none) => none.describe(),
            None => "Controller: one leads again".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fixture;

    fn lease(holder: &str, renewed: i64) -> LeaseFacts {
        LeaseFacts {
            holder: holder.to_owned(),
            leader: "vm_x".to_owned(),
            renewed: Some(fixture::at(renewed)),
            ..LeaseFacts::default()
        }
    }

    #[test]
    fn it_says_that_no_controller_leads_since_when_who_led_last_and_what_to_type() {
        let said = |lease: Option<LeaseFacts>| {
            let none = NoLeader::of(lease.as_ref(), fixture::at(200), "junban");
            none.map_or_else(|| "one leads".to_owned(), |none| none.describe())
        };
        let cases = [
            Some(lease("vm_x", 188)),
            Some(lease("vm_x", 180)),
            Some(lease("", 199)),
            None,
        ];
        expect_test::expect![[r#"
            one leads
            Controller: none since 1970-01-01T00:03:00Z: the Lease of vm_x expired; nothing goes on
              hint: kubectl get deployments,pods -n junban; if it was scaled down: kubectl scale deployment junban -n junban --replicas=2
            Controller: none since 1970-01-01T00:03:19Z: vm_x released the Lease when it ended; nothing goes on
              hint: kubectl get deployments,pods -n junban; if it was scaled down: kubectl scale deployment junban -n junban --replicas=2
            Controller: none has ever led: there is no Lease junban in namespace junban; nothing goes on
              hint: kubectl get deployments,pods -n junban; install it: kubectl apply --server-side -f manifests/junban"#]]
        .assert_eq(&cases.map(said).join("\n"));
    }

    #[test]
    fn a_command_that_waits_says_each_change_once() {
        let none = || match NoLeader::of(Some(&lease("vm_x", 180)), fixture::at(200), "junban") {
            Some(none) => Leader::None(none),
            None => Leader::Leads,
        };
        let mut changes = Changes::default();
        assert_eq!(changes.note(Leader::Leads), None);
        assert!(
            changes
                .note(none())
                .unwrap()
                .contains("the Lease of vm_x expired")
        );
        assert_eq!(changes.note(none()), None);
        assert_eq!(changes.note(Leader::Unknown), None);
        assert_eq!(
            changes.note(Leader::Leads).as_deref(),
            Some("Controller: one leads again")
        );
    }
}
