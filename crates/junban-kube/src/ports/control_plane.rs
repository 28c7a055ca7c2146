//! Asks each API server and each etcd member for its health.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use http::Request;
use junban_core::effect::MemberHealth;
use junban_engine::shell::locked;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::client::ClientBuilder;
use kube::{Api, Client, Config};

use crate::answer::{SHORT_DEADLINE, chain, cut, within};
use crate::connect::Connection;

/// Asks the members of the control plane.
pub(super) struct ControlPlane {
    connection: Connection,
    /// Junban's namespace, which holds the Secret for etcd.
    namespace: String,
    /// One client per member, kept while its URL and its certificate stay the same.
    clients: Mutex<BTreeMap<String, Client>>,
}

const CONNECT: Duration = Duration::from_secs(2);

impl ControlPlane {
    pub(super) fn new(connection: &Connection, namespace: &str) -> Self {
        Self {
            connection: connection.clone(),
            namespace: namespace.to_owned(),
            clients: Mutex::default(),
        }
    }

    pub(super) async fn health(
        &self,
        api_servers: Vec<String>,
        etcd: Vec<String>,
        etcd_client_secret: String,
    ) -> Result<Vec<MemberHealth>, String> {
        let secret = self.secret(&etcd_client_secret).await?;
        let api_servers = api_servers.into_iter().map(async |url| {
            let client = self.client(&url, "", || self.of_api_server(&url));
            let state = match client {
                Ok(client) => ask(&client, "/readyz", |_| true).await,
                Err(why) => Err(why),
            };
            MemberHealth {
                url: url.clone(),
                state,
            }
        });
        let etcd = etcd.into_iter().map(async |url| {
            let version = secret
                .as_ref()
                .and_then(|secret| secret.metadata.resource_version.clone());
            let config = || of_etcd(&url, secret.as_ref());
            let state = match self.client(&url, version.as_deref().unwrap_or_default(), config) {
                Ok(client) => ask(&client, "/health", is_healthy).await,
                Err(why) => Err(why),
            };
            MemberHealth {
                url: url.clone(),
                state,
            }
        });
        let (mut members, etcd) = tokio::join!(
            futures::future::join_all(api_servers),
            futures::future::join_all(etcd)
        );
        members.extend(etcd);
        Ok(members)
    }

    /// With the controller's own credentials and authorities. Only over TLS: else the token would go out in clear text.
    fn of_api_server(&self, url: &str) -> Result<Config, String> {
        let mut config = self.connection.config.clone();
        config.cluster_url = url.parse().map_err(|_| format!("{url} is not a URL"))?;
        if config.cluster_url.scheme_str() != Some("https") {
            return Err("an API server must be asked over https".into());
        }
        config.tls_server_name = None;
        Ok(config)
    }

    async fn secret(&self, name: &str) -> Result<Option<Secret>, String> {
        if name.is_empty() {
            return Ok(None);
        }
        let api: Api<Secret> = Api::namespaced(self.connection.calls.clone(), &self.namespace);
        let secret = within(SHORT_DEADLINE, api.get(name)).await;
        let describe = |why: String| format!("secret {}/{name} for etcd: {why}", self.namespace);
        secret.map(Some).map_err(|failure| describe(failure.text()))
    }

    fn client(
        &self,
        url: &str,
        version: &str,
        config: impl FnOnce() -> Result<Config, String>,
    ) -> Result<Client, String> {
        let key = format!("{url} {version}");
        if let Some(client) = locked(&self.clients).get(&key) {
            return Ok(client.clone());
        }
        let mut config = config()?;
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        let client = ClientBuilder::try_from(config)
            .map_err(|error| chain(&error))?
            .build();
        let mut clients = locked(&self.clients);
        // These clients have an older certificate.
        clients.retain(|known, _| !known.starts_with(&format!("{url} ")));
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// With the client certificate of the Secret. Without a Secret etcd is asked as its URL says, usually over http.
fn of_etcd(url: &str, secret: Option<&Secret>) -> Result<Config, String> {
    let mut config = Config::new(url.parse().map_err(|_| format!("{url} is not a URL"))?);
    let Some(secret) = secret else { return Ok(config) };
    let data = secret.data.as_ref();
    let part = |key: &str| {
        data.and_then(|data| data.get(key))
            .ok_or_else(|| format!("the Secret has no {key}"))
    };
    let authorities = String::from_utf8_lossy(&part("ca.crt")?.0).into_owned();
    config.root_cert = Some(certificates(&authorities)?);
    config.auth_info.client_certificate_data = Some(base64(part("tls.crt")?)?);
    config.auth_info.client_key_data = Some(base64(part("tls.key")?)?.into());
    Ok(config)
}

fn base64(bytes: &ByteString) -> Result<String, String> {
    match serde_json::to_value(bytes) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        _ => Err("the Secret cannot be read".into()),
    }
}

/// Converts PEM to DER, which kube wants for certificate authorities.
fn certificates(pem: &str) -> Result<Vec<Vec<u8>>, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read = read.map_err(|error| format!("ca.crt: {error:?}"))?;
    Ok(read.into_iter().map(|certificate| certificate.to_vec()).collect())
}

async fn ask(client: &Client, path: &str, is_good: fn(&str) -> bool) -> Result<(), String> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    match within(SHORT_DEADLINE, client.request_text(request)).await {
        Ok(text) if is_good(&text) => Ok(()),
        Ok(text) => Err(cut(&text)),
        Err(failure) => Err(failure.text()),
    }
}

/// etcd answers `{"health":"true"}`. Some releases answer 200 with "false".
fn is_healthy(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text)
        .is_ok_and(|answer| answer["health"] == "true" || answer["health"] == true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etcd_member_that_answers_false_is_not_healthy() {
        assert!(is_healthy(r#"{"health":"true","reason":""}"#));
        assert!(!is_healthy(r#"{"health":"false","reason":"NOSPACE"}"#));
        assert!(!is_healthy("ok"));
    }
}
