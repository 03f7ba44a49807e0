//! The error side of the layer: a context for each request, and a report when it fails.

use std::fmt::Display;
use std::net::SocketAddr;

use http::{HeaderMap, HeaderValue, Method, Response, Uri};

use super::RequestInfo;
use super::rules::Rules;
use crate::FlameOn;
use crate::errors::context::Surroundings;
use crate::errors::report::Report;
use crate::errors::reporter::Reporter;
use crate::model::error_event::{ErrorEvent, REDACTED, RequestContext};

/// The reporter of one request; copies what an error has to tell, as the request itself goes to the service.
#[inline]
pub(super) fn reporter(agent: &FlameOn, rules: &Rules, info: &RequestInfo<'_>) -> Reporter {
    Reporter::new(agent, || Facts::of(rules, info))
}

/// Tells that a request has failed: the service's own error, or a status of the server's fault.
pub(super) fn report<B, E: Display + 'static>(reporter: &Reporter, result: &Result<Response<B>, E>) {
    match result {
        Ok(response) if response.status().is_server_error() => {
            let status = response.status();
            reporter.report(|| Report::message(status.to_string()).context("status", status.as_u16()));
        }
        Ok(_) => {}
        Err(error) => reporter.failed(error),
    }
}

/// What an error tells about its request.
struct Facts {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    remote_addr: Option<SocketAddr>,
    route: Option<String>,
}

impl Facts {
    fn of(rules: &Rules, info: &RequestInfo<'_>) -> Self {
        Self {
            method: info.method.clone(),
            uri: info.uri.clone(),
            headers: info.headers.clone(),
            remote_addr: info.remote_addr(),
            route: info.grpc_path().map(str::to_owned).or_else(|| rules.quiet_route_of(info)),
        }
    }

    fn request(&self) -> RequestContext {
        let mut request = RequestContext::new(self.method.as_str(), self.url());
        request.route = self.route.clone().unwrap_or_default();
        request.headers = self.headers.iter().map(|(name, value)| (name.to_string(), text_of(value))).collect();
        request.remote_addr = self.remote_addr.map(|address| address.to_string()).unwrap_or_default();
        request
    }

    /// With the host where only the header names it.
    fn url(&self) -> String {
        let host = self.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        match (self.uri.host(), host) {
            (None, Some(host)) => format!("//{host}{}", self.uri),
            _ => self.uri.to_string(),
        }
    }
}

/// A value that the host has marked as sensitive is a secret whatever its name.
fn text_of(value: &HeaderValue) -> String {
    if value.is_sensitive() { REDACTED.to_owned() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() }
}

impl Surroundings for Facts {
    fn describe(&self, event: &mut ErrorEvent) {
        if event.request.is_none() {
            event.request = Some(self.request());
        }
        if event.route.is_empty() {
            event.route = match &self.route {
                Some(route) => format!("{} {route}", self.method),
                None => self.method.to_string(),
            };
        }
    }
}
