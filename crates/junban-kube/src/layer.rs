//! A layer around every client: it makes writes strict, and reads the `Date` header and warnings of each answer.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use jiff::Timestamp;
use junban_core::time::Mono;
use junban_engine::clock::{ServerClock, boottime};
use junban_engine::shell::locked;
use tower::{Layer, Service};

/// Counts the API server's warnings for a metric and for tests. A warning about a write of ours is a bug of ours.
#[derive(Debug, Default)]
pub struct Warnings {
    count: AtomicU64,
}

impl Warnings {
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// When the server last answered each path with success. A short watch begins again after 30 s at the latest. So if a
/// watched path had no answer for a minute, its watch is dead.
#[derive(Debug, Default)]
pub struct Answered {
    paths: Mutex<BTreeMap<String, Mono>>,
}

impl Answered {
    /// When the last answer began to arrive. `None`: the server has not answered yet.
    pub(crate) fn last(&self, path: &str) -> Option<Mono> {
        locked(&self.paths).get(path).copied()
    }
}

#[derive(Clone)]
pub struct RequestLayer {
    wall: Arc<ServerClock>,
    warnings: Arc<Warnings>,
    answered: Option<Arc<Answered>>,
}

impl RequestLayer {
    pub fn new(wall: Arc<ServerClock>, warnings: Arc<Warnings>) -> Self {
        Self {
            wall,
            warnings,
            answered: None,
        }
    }

    /// A layer that also notes which paths are answered. For lists and watches, which use few paths.
    pub fn noting(&self, answered: Arc<Answered>) -> Self {
        Self {
            answered: Some(answered),
            ..self.clone()
        }
    }

    fn read_answer(&self, what: &str, path: &str, status: StatusCode, headers: &HeaderMap) {
        if let Some(answered) = self.answered.as_ref().filter(|_| status.is_success()) {
            locked(&answered.paths).insert(path.to_owned(), boottime());
        }
        if let Some(date) = headers
            .get(header::DATE)
            .and_then(|value| value.to_str().ok())
            .and_then(parse_date)
        {
            self.wall.observe(date, boottime());
        }
        for warning in headers.get_all(header::WARNING) {
            self.warnings.count.fetch_add(1, Ordering::Relaxed);
            let text = String::from_utf8_lossy(warning.as_bytes());
            tracing::warn!(%text, what, "the API server sent a warning");
        }
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = Layered<S>;

    fn layer(&self, inner: S) -> Layered<S> {
        Layered {
            inner,
            layer: self.clone(),
        }
    }
}

/// A client's service under the layer.
pub struct Layered<S> {
    inner: S,
    layer: RequestLayer,
}

impl<S, B, R> Service<Request<B>> for Layered<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if [Method::POST, Method::PUT, Method::PATCH].contains(request.method())
            && let Some(uri) = strict(request.uri())
        {
            *request.uri_mut() = uri;
        }
        let layer = self.layer.clone();
        let path = request.uri().path().to_owned();
        let what = format!("{} {path}", request.method());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            layer.read_answer(&what, &path, response.status(), response.headers());
            Ok(response)
        })
    }
}

/// The URI with `fieldValidation=Strict`: the server then answers a field that it does not know with a 400, not with a
/// warning that nobody reads. `None`: the URI says already how fields are validated.
fn strict(uri: &Uri) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let path = uri.path();
    let query = match uri.query() {
        Some(query) if query.contains("fieldValidation=") => return None,
        Some(query) if !query.is_empty() => format!("{query}&fieldValidation=Strict"),
        _ => "fieldValidation=Strict".to_owned(),
    };
    parts.path_and_query = Some(format!("{path}?{query}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Reads a `Date` header, for example `Mon, 23 Nov 2026 17:04:10 GMT`.
pub fn parse_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_is_read() {
        let expected: Timestamp = "2026-11-23T17:04:10Z".parse().unwrap();
        assert_eq!(parse_date("Mon, 23 Nov 2026 17:04:10 GMT"), Some(expected));
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn every_write_is_strict() {
        let of = |text: &'static str| strict(&Uri::from_static(text)).map(|uri| uri.to_string());
        assert_eq!(
            of("/api/v1/nodes/a?fieldManager=junban").unwrap(),
            "/api/v1/nodes/a?fieldManager=junban&fieldValidation=Strict"
        );
        assert_eq!(
            of("/api/v1/pods?").unwrap(),
            "/api/v1/pods?fieldValidation=Strict"
        );
        assert_eq!(
            of("https://host:1/api").unwrap(),
            "https://host:1/api?fieldValidation=Strict"
        );
        assert_eq!(of("/api?fieldValidation=Warn"), None);
    }
}
