//! What holds for every answer: who may ask, and what a browser may do with it.

use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Nothing runs, and nothing is loaded, but what this server has at a path of its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

pub(super) async fn guard(is_local: bool, request: Request, next: Next) -> Response {
    let mut response = if is_local && !is_asked_locally(&request) {
        (StatusCode::MISDIRECTED_REQUEST, "this viewer answers to localhost only\n").into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether the browser thinks that it talks to this machine. A page from elsewhere whose name was made to point here
/// (DNS rebinding) does not.
fn is_asked_locally(request: &Request) -> bool {
    let authority = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Uri>().ok());
    let host = authority.as_ref().or(Some(request.uri())).and_then(Uri::host);
    matches!(host, Some("localhost" | "[::1]" | "flame-on.localhost"))
        || host.is_some_and(|host| host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()))
}
