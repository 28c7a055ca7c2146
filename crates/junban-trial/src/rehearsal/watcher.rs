//! The independent watcher. It watches what the users and the administrator of a cluster see: pods, endpoints, nodes,
//! volumes and budgets. Of what Junban writes it reads only the phase of entries, to count failures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::budgets::{AppsByNode, Budgets};
use super::stream::{Change, follow};
use super::workload::{APP, App, NAMESPACE};
use crate::json::{self, has_condition, text};

/// Seconds since 1970 by the clock of this machine. The API servers use the same clock.
pub(super) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

/// A node was cordoned or uncordoned.
#[derive(Clone)]
pub(super) struct CordonChange {
    pub(super) node: String,
    pub(super) seen: f64,
    pub(super) cordoned: bool,
    pub(super) control_plane: bool,
    /// Where the apps ran at that moment.
    pub(super) apps: AppsByNode,
}

/// What the watcher has seen.
#[derive(Default)]
pub(super) struct Seen {
    apps: BTreeMap<String, App>,
    pods: BTreeMap<String, Pod>,
    /// For each EndpointSlice its Service, and how many ready endpoints it has.
    endpoints: BTreeMap<String, (String, usize)>,
    nodes: BTreeMap<String, Node>,
    /// Entries that are Failed.
    failed: BTreeSet<String>,
    pub(super) budgets: Budgets,
    /// Rules that were broken, in words.
    pub(super) broken: Vec<String>,
    /// What looked like a broken rule, but Junban did not cause it.
    pub(super) noted: Vec<String>,
    pub(super) cordon_changes: Vec<CordonChange>,
    /// For each deleted VolumeAttachment: its node, and when.
    pub(super) detached: Vec<(String, f64)>,
    pub(super) most_unavailable: usize,
    /// Rules are judged. Before the workload is Ready they are not.
    pub(super) judging: bool,
}

#[derive(Clone, PartialEq)]
struct Pod {
    app: String,
    node: String,
    ready: bool,
    leaving: bool,
    evicted: bool,
}

#[derive(Clone, Default)]
pub(super) struct Node {
    pub(super) ready: bool,
    pub(super) cordoned: bool,
    pub(super) boot: String,
    pub(super) control_plane: bool,
}

impl Node {
    pub(super) fn available(&self) -> bool {
        self.ready && !self.cordoned
    }
}

/// Takes in one message of a watch.
type See = fn(&mut Seen, Change);

#[derive(Clone)]
pub(super) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Watcher {
    pub(super) fn start(kubectl: &Path, apps: &[App]) -> Self {
        let seen = Seen {
            apps: apps.iter().map(|app| (app.name.clone(), app.clone())).collect(),
            ..Seen::default()
        };
        let watcher = Self {
            seen: Arc::new(Mutex::new(seen)),
            stop: Arc::new(AtomicBool::new(false)),
        };
        let streams: [(&'static str, See); 6] = [
            ("/api/v1/namespaces/shop/pods", Seen::see_pods),
            (
                "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
                Seen::see_endpoints,
            ),
            ("/api/v1/nodes", Seen::see_nodes),
            ("/apis/storage.k8s.io/v1/volumeattachments", Seen::see_attachments),
            (
                "/apis/policy/v1/namespaces/shop/poddisruptionbudgets",
                Seen::see_budgets,
            ),
            ("/apis/junban.dev/v1alpha1/nodereboots", Seen::see_entries),
        ];
        for (path, see) in streams {
            let (of_stream, stop) = (watcher.clone(), Arc::clone(&watcher.stop));
            follow(kubectl.to_owned(), path, stop, move |change| {
                see(&mut of_stream.seen(), change);
            });
        }
        watcher
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    pub(super) fn nodes(&self) -> &BTreeMap<String, Node> {
        &self.nodes
    }

    /// How many pods of all apps are Ready and not terminating.
    pub(super) fn healthy_pods(&self) -> usize {
        self.pods.values().filter(|pod| pod.ready && !pod.leaving).count()
    }

    /// A rule is broken, if rules are judged already.
    fn breaks(&mut self, what: String) {
        if self.judging {
            self.broken.push(what);
        }
    }

    pub(super) fn turns_begun(&self) -> usize {
        self.cordon_changes
            .iter()
            .filter(|change| change.cordoned)
            .count()
    }

    fn healthy(&self, app: &str) -> usize {
        let of_app = self.pods.values().filter(|pod| pod.app == app);
        of_app.filter(|pod| pod.ready && !pod.leaving).count()
    }

    fn apps_by_node(&self) -> AppsByNode {
        let mut all: AppsByNode = self
            .nodes
            .keys()
            .map(|node| (node.clone(), BTreeSet::new()))
            .collect();
        for pod in self.pods.values() {
            if let Some(apps) = all.get_mut(&pod.node) {
                apps.insert(pod.app.clone());
            }
        }
        all
    }

    fn see_pods(&mut self, change: Change) {
        match change {
            Change::All(items) => {
                self.pods = items
                    .iter()
                    .filter_map(|item| Some((uid(item)?, pod(item)?)))
                    .collect();
                for app in self.apps.keys().cloned().collect::<Vec<_>>() {
                    self.see_implied_budget(&app);
                }
            }
            Change::Put(item) => self.see_pod(&item, false),
            Change::Gone(item) => self.see_pod(&item, true),
        }
    }

    fn see_pod(&mut self, item: &Value, is_gone: bool) {
        let (Some(uid), Some(pod)) = (uid(item), pod(item)) else {
            return;
        };
        let before = self.healthy(&pod.app);
        if is_gone {
            self.pods.remove(&uid);
        } else {
            self.pods.insert(uid, pod.clone());
        }
        self.see_implied_budget(&pod.app);
        self.judge_budget(&pod, before, name(item));
    }

    /// An app without a budget has an implied one: a tenth of its pods may be disrupted, rounded down but at least 1, and
    /// never its last Ready pod (docs/design/drain.md#implied-budgets).
    fn see_implied_budget(&mut self, name: &str) {
        let Some(app) = self.apps.get(name) else { return };
        if app.replicas < 2 || app.need.is_some() {
            return;
        }
        let healthy = self.healthy(name);
        let may_be = (app.replicas / 10).max(1);
        let allows = app.replicas.saturating_sub(healthy) < may_be && healthy > 1;
        self.budgets.see(name, now(), allows);
    }

    /// Judges an app's budget after one of its pods changed. An evicted or deleted pod and a pod on a cordoned server are
    /// disruptions. A pod on any other server is not: the node controller can call it not Ready for a moment.
    fn judge_budget(&mut self, pod: &Pod, before: usize, name: &str) {
        let Some(need) = self.apps.get(&pod.app).and_then(|app| app.need) else {
            return;
        };
        let healthy = self.healthy(&pod.app);
        if healthy >= need || healthy >= before || !self.judging {
            return;
        }
        let cordoned = self.nodes.get(&pod.node).is_some_and(|node| node.cordoned);
        let what = format!(
            "budget {}: {healthy} healthy, {need} needed, after {name} on {} {} at {:.3}",
            pod.app,
            pod.node,
            if pod.leaving {
                "was deleted"
            } else {
                "stopped being Ready"
            },
            now()
        );
        if pod.evicted || pod.leaving || cordoned {
            self.broken.push(what);
        } else {
            self.noted.push(what);
        }
    }

    fn see_endpoints(&mut self, change: Change) {
        let is_list = matches!(change, Change::All(_));
        if is_list {
            self.endpoints.clear();
        }
        let (items, gone) = change.split();
        for item in &items {
            let is_ready = |endpoint: &&Value| endpoint["conditions"]["ready"] != Value::Bool(false);
            let ready = json::items(&item["endpoints"]).iter().filter(is_ready).count();
            let slice = (service_of(item).to_owned(), ready);
            self.endpoints.insert(name(item).to_owned(), slice);
        }
        if let Some(item) = &gone {
            self.endpoints.remove(name(item));
        }
        for item in items.iter().chain(&gone).filter(|_| !is_list) {
            self.judge_service(service_of(item));
        }
    }

    fn judge_service(&mut self, service: &str) {
        let Some(app) = self.apps.get(service) else {
            return;
        };
        let mut slices = self.endpoints.values();
        let is_served = slices.any(|(of, ready)| of == service && *ready > 0);
        if !is_served && app.replicas >= 2 {
            self.breaks(format!("Service {service} has no ready endpoint at {:.3}", now()));
        }
    }

    fn see_nodes(&mut self, change: Change) {
        let (items, gone) = change.split();
        if let Some(item) = gone {
            self.nodes.remove(name(&item));
        }
        for item in &items {
            let node = Node {
                ready: has_condition(item, "Ready"),
                cordoned: item["spec"]["unschedulable"] == Value::Bool(true),
                boot: text(&item["status"]["nodeInfo"]["bootID"]).to_owned(),
                control_plane: item["metadata"]["labels"]
                    .get("node-role.kubernetes.io/control-plane")
                    .is_some(),
            };
            let before = self.nodes.insert(name(item).to_owned(), node.clone());
            let was = before.is_some_and(|before| before.cordoned);
            if was != node.cordoned {
                self.cordon_changes.push(CordonChange {
                    node: name(item).to_owned(),
                    seen: now(),
                    cordoned: node.cordoned,
                    control_plane: node.control_plane,
                    apps: self.apps_by_node(),
                });
                if node.cordoned {
                    self.judge_limit(name(item));
                }
            }
            self.judge_control_plane();
        }
    }

    /// Judges the default limits after a node was cordoned: 10 % of the nodes may be unavailable, rounded up, and always
    /// one more than the tolerated failures (5 %, rounded up; docs/design/life-cycle.md#limits).
    fn judge_limit(&mut self, started: &str) {
        let unavailable = self.nodes.values().filter(|node| !node.available()).count();
        self.most_unavailable = self.most_unavailable.max(unavailable);
        let count = self.nodes.len();
        let tolerated = self.failed.len().min(count.div_ceil(20).max(1)).min(count / 2);
        let limit = count.div_ceil(10).max(1).max(tolerated + 1);
        if unavailable > limit {
            self.breaks(format!(
                "{unavailable} nodes unavailable when {started} was cordoned, {limit} allowed, at {:.3}",
                now()
            ));
        }
    }

    fn judge_control_plane(&mut self) {
        let down = self.nodes.iter();
        let down = down.filter(|(_, node)| node.control_plane && !node.available());
        let down: Vec<&str> = down.map(|(name, _)| name.as_str()).collect();
        let what = format!("control-plane nodes {} unavailable together", down.join(", "));
        if down.len() > 1 && !self.broken.contains(&what) {
            self.breaks(what);
        }
    }

    fn see_attachments(&mut self, change: Change) {
        if let Change::Gone(item) = change {
            let node = text(&item["spec"]["nodeName"]).to_owned();
            self.detached.push((node, now()));
        }
    }

    /// A budget has the name of its app.
    fn see_budgets(&mut self, change: Change) {
        for item in &change.split().0 {
            let allows = item["status"]["disruptionsAllowed"].as_i64() > Some(0);
            self.budgets.see(name(item), now(), allows);
        }
    }

    fn see_entries(&mut self, change: Change) {
        let (items, gone) = change.split();
        if let Some(item) = gone {
            self.failed.remove(name(&item));
        }
        for item in &items {
            if item["status"]["phase"] == "Failed" {
                self.failed.insert(name(item).to_owned());
            } else {
                self.failed.remove(name(item));
            }
        }
    }
}

fn pod(item: &Value) -> Option<Pod> {
    let app = item["metadata"]["labels"][APP].as_str()?;
    debug_assert_eq!(item["metadata"]["namespace"], NAMESPACE);
    Some(Pod {
        app: app.to_owned(),
        node: text(&item["spec"]["nodeName"]).to_owned(),
        ready: has_condition(item, "Ready"),
        leaving: item["metadata"]["deletionTimestamp"].is_string(),
        evicted: has_condition(item, "DisruptionTarget"),
    })
}

fn name(item: &Value) -> &str {
    text(&item["metadata"]["name"])
}

fn uid(item: &Value) -> Option<String> {
    item["metadata"]["uid"].as_str().map(str::to_owned)
}

fn service_of(item: &Value) -> &str {
    text(&item["metadata"]["labels"]["kubernetes.io/service-name"])
}

#[cfg(test)]
mod tests {
    use super::{App, Node, Pod, Seen};

    #[test]
    fn an_app_without_a_budget_has_an_implied_one() {
        let allows = |replicas: usize, need, healthy: usize| {
            let mut seen = Seen::default();
            let app = App {
                name: "web".to_owned(),
                replicas,
                need,
            };
            seen.apps.insert(app.name.clone(), app);
            for number in 0..healthy {
                let pod = Pod {
                    app: "web".to_owned(),
                    node: String::new(),
                    ready: true,
                    leaving: false,
                    evicted: false,
                };
                seen.pods.insert(number.to_string(), pod);
            }
            seen.see_implied_budget("web");
            seen.budgets.last("web")
        };
        assert_eq!(allows(15, None, 15), Some(true));
        assert_eq!(allows(15, None, 14), Some(false));
        assert_eq!(allows(20, None, 19), Some(true));
        assert_eq!(allows(2, None, 2), Some(true));
        assert_eq!(allows(15, Some(14), 15), None);
        assert_eq!(allows(1, None, 1), None);
    }

    #[test]
    fn failures_above_5_percent_give_no_further_place() {
        let broken = |failed: usize| {
            let mut seen = Seen {
                judging: true,
                ..Seen::default()
            };
            for number in 1..=30 {
                let node = Node {
                    ready: number > 4,
                    ..Node::default()
                };
                seen.nodes.insert(format!("node-{number}"), node);
            }
            seen.failed = (1..=failed).map(|number| format!("entry-{number}")).collect();
            seen.judge_limit("node-4");
            seen.broken.len()
        };
        // Of 30 nodes 3 may be unavailable. 2 failures are tolerated, so a third failure gives no fourth place.
        assert_eq!((broken(2), broken(3)), (1, 1));
    }
}
