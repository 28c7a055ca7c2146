//! A connection to one cluster: kubeconfig, clients, the API server's time. Says every error of a call in words, with
//! a hint at what to do next.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use junban_kube::{Connection, chain};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::{Api, Config};

use super::problem::Problem;
use crate::cli::Cluster;

/// The time for the first call, so that a server that is not there is reported soon.
const FIRST_CALL: Duration = Duration::from_secs(5);
/// The time for every later call.
const DEADLINE: Duration = Duration::from_secs(15);

const INSTALL: &str = "apply the manifests: kubectl apply --server-side -f manifests/crds, then -f manifests/junban -f manifests/defaults";

pub(crate) struct Session {
    pub(crate) connection: Connection,
    /// The namespace of the controller.
    pub(crate) namespace: String,
    server: String,
}

impl Session {
    /// Reads the kubeconfig and makes the first call, whose answer tells the server's time.
    pub(crate) async fn open(cluster: &Cluster) -> Result<Self, Problem> {
        let config = config(cluster).await?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let connection = Connection::of_command(config).map_err(|error| {
            Problem::failed(
                format!("cannot make a client for {server}: {}", chain(&error)),
                "check certificates and credentials of the kubeconfig: kubectl config view",
            )
        })?;
        let session = Self {
            connection,
            namespace: cluster.namespace.clone(),
            server,
        };
        let version = session.connection.calls.apiserver_version();
        match tokio::time::timeout(FIRST_CALL, version).await {
            Ok(Ok(_)) => {}
            // A user who may not read the version may still do what the command needs.
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {}
            Ok(Err(error)) => return Err(session.problem("get", "the version", &error)),
            Err(_) => return Err(session.no_answer(FIRST_CALL)),
        }
        Ok(session)
    }

    /// Waits for the answer to a call. The error of a call that is refused names `verb` and `resource`.
    pub(crate) async fn call<T>(
        &self,
        verb: &str,
        resource: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Problem> {
        self.try_call(call)
            .await
            .map_err(|failure| failure.problem(self, verb, resource))
    }

    /// The same, for a caller that decides by the failure what to do.
    pub(crate) async fn try_call<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(DEADLINE, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Failure::Error(error)),
            Err(_) => Err(Failure::NoAnswer),
        }
    }

    /// The API server's time in whole seconds, as its `Date` header says it.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.connection.wall.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    /// The user's name as the API server knows it.
    pub(crate) async fn user(&self) -> Result<String, Problem> {
        let api: Api<SelfSubjectReview> = Api::all(self.connection.calls.clone());
        let parameters = PostParams::default();
        let review = SelfSubjectReview::default();
        let answer = self
            .call("create", "selfsubjectreviews", api.create(&parameters, &review))
            .await?;
        let user = answer.status.and_then(|status| status.user_info);
        user.and_then(|user| user.username)
            .ok_or_else(|| Problem::failed("the API server does not say who you are", "kubectl auth whoami"))
    }

    /// Says in words why a call failed.
    pub(crate) fn problem(&self, verb: &str, resource: &str, error: &kube::Error) -> Problem {
        match error {
            kube::Error::Api(status) => self.refused(verb, resource, status),
            kube::Error::Auth(error) => Problem::failed(
                format!("no credentials for {}: {}", self.server, chain(error)),
                "log in again, or choose another context: kubectl config get-contexts",
            ),
            // The connection has a deadline of its own, as long as the time for the first call.
            error if chain(error).ends_with("deadline has elapsed") => self.no_answer(FIRST_CALL),
            error if chain(error).contains("certificate") => Problem::failed(
                format!("the API server {} is not trusted: {}", self.server, chain(error)),
                "certificate-authority in the kubeconfig must be the one of this server: kubectl config view --raw",
            ),
            error => Problem::failed(
                format!(
                    "the API server {} cannot be reached: {}",
                    self.server,
                    chain(error)
                ),
                "check the address: kubectl cluster-info; another cluster: --context NAME or --kubeconfig FILE",
            ),
        }
    }

    fn refused(&self, verb: &str, resource: &str, status: &Status) -> Problem {
        let message = status.message.as_str();
        match status.code {
            401 => Problem::failed(
                format!("the API server {} does not accept your credentials", self.server),
                "log in again, or choose another context: kubectl config get-contexts",
            ),
            403 => Problem::failed(
                format!("you may not {verb} {resource}: {message}"),
                format!(
                    "ask for the ClusterRole {}: kubectl create clusterrolebinding NAME --clusterrole={} --user=YOU; then: kubectl auth can-i {verb} {resource}",
                    role_for(verb),
                    role_for(verb)
                ),
            ),
            404 if is_kind_missing(status) => Problem::failed(
                format!(
                    "Junban is not installed: the API server {} does not know {resource}",
                    self.server
                ),
                INSTALL,
            ),
            404 => Problem::failed(
                format!("{resource}: {message}"),
                format!("kubectl get {resource}"),
            ),
            400 | 422 => Problem::failed(
                format!("the API server refuses to {verb} {resource}: {message}"),
                "this program and the manifests must be of the same release: junban --version",
            ),
            code => Problem::failed(
                format!("the API server answers {code} to {verb} {resource}: {message}"),
                "try again; kubectl get --raw /readyz?verbose",
            ),
        }
    }

    fn no_answer(&self, waited: Duration) -> Problem {
        Problem::failed(
            format!(
                "the API server {} does not answer within {} s",
                self.server,
                waited.as_secs()
            ),
            "check the address: kubectl cluster-info; another cluster: --context NAME or --kubeconfig FILE",
        )
    }
}

/// A call that did not succeed.
pub(crate) enum Failure {
    Error(kube::Error),
    NoAnswer,
}

impl Failure {
    /// The API server's answer, if it answered.
    pub(crate) fn status(&self) -> Option<&Status> {
        match self {
            Self::Error(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }

    /// The API server's message. Empty if it did not answer.
    pub(crate) fn message(&self) -> String {
        self.status()
            .map_or_else(String::new, |status| status.message.clone())
    }

    pub(crate) fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    pub(crate) fn problem(&self, session: &Session, verb: &str, resource: &str) -> Problem {
        match self {
            Self::Error(error) => session.problem(verb, resource, error),
            Self::NoAnswer => session.no_answer(DEADLINE),
        }
    }
}

/// The role that gives a right which a command lacks. junban-operator reads Junban's own objects and nodes only, so who
/// has it needs junban-view as well.
fn role_for(verb: &str) -> &'static str {
    match verb {
        "get" | "list" | "watch" => "junban-view",
        _ => "junban-operator",
    }
}

/// A 404 that names no object means the whole kind: its CRD is not installed.
fn is_kind_missing(status: &Status) -> bool {
    status
        .details
        .as_ref()
        .is_none_or(|details| details.name.is_empty())
}

/// The kubeconfig of `--kubeconfig`, else the user's own, else the account of the pod in which this process runs.
pub(super) async fn config(cluster: &Cluster) -> Result<Config, Problem> {
    let options = KubeConfigOptions {
        context: cluster.context.clone(),
        ..KubeConfigOptions::default()
    };
    if let Some(path) = &cluster.kubeconfig {
        let shown = path.display();
        let file = Kubeconfig::read_from(path).map_err(|error| {
            Problem::usage(
                format!("the kubeconfig {shown} cannot be read: {}", root(&error)),
                "name another file: --kubeconfig FILE",
            )
        })?;
        return Config::from_custom_kubeconfig(file, &options)
            .await
            .map_err(|error| unusable(&format!("the kubeconfig {shown}"), cluster, &error));
    }
    match Config::from_kubeconfig(&options).await {
        Ok(config) => Ok(config),
        Err(error) if cluster.context.is_none() => Config::incluster().map_err(|_| {
            Problem::usage(
                format!("there is no usable kubeconfig: {}", chain(&error)),
                "name one: --kubeconfig FILE, or set KUBECONFIG",
            )
        }),
        Err(error) => Err(unusable("the kubeconfig", cluster, &error)),
    }
}

fn unusable(which: &str, cluster: &Cluster, error: &dyn std::error::Error) -> Problem {
    let context = cluster
        .context
        .as_ref()
        .map_or_else(String::new, |context| format!(" (context {context})"));
    Problem::usage(
        format!("{which}{context} cannot be used: {}", chain(error)),
        "see its contexts: kubectl config get-contexts",
    )
}

/// The innermost cause of an error.
fn root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_list_is_told_the_role_that_reads() {
        assert_eq!(role_for("list"), "junban-view");
        assert_eq!(role_for("patch"), "junban-operator");
    }
}
