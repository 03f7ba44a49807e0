//! What is known of a request before its body is read.

use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, Method, Request, Uri};

/// The head of a request, as the rules of a [`FlameOnLayer`](crate::FlameOnLayer) see it. Without the body's type,
/// so that rules are not generic.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RequestInfo<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as far as the routers around the layer have left it, and the query.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// What the layers outside of this one have added; in axum the matched path and the client's address too.
    pub extensions: &'a Extensions,
}

impl<'a> RequestInfo<'a> {
    pub(super) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// axum's pattern of the route, where the layer is inside of the router that matched it.
    #[cfg(feature = "axum")]
    pub(super) fn matched_path(&self) -> Option<&'a str> {
        self.extensions.get::<axum::extract::MatchedPath>().map(|path| path.as_str())
    }

    #[cfg(not(feature = "axum"))]
    pub(super) fn matched_path(&self) -> Option<&'a str> {
        None
    }

    /// Where the request came from, as far as the server has said so in the extensions: axum's `ConnectInfo`, or a bare
    /// `SocketAddr`.
    pub(super) fn remote_addr(&self) -> Option<std::net::SocketAddr> {
        let bare = self.extensions.get::<std::net::SocketAddr>().copied();
        #[cfg(feature = "axum")]
        let bare = bare.or_else(|| {
            let info = self.extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>();
            info.map(|info| info.0)
        });
        bare
    }

    /// The path of a gRPC request. A path of another shape than `/package.Service/Method` is none, whatever the
    /// headers say: it would be a raw path in the identifier.
    pub(super) fn grpc_path(&self) -> Option<&'a str> {
        // Every gRPC request is a POST; asked first, because a look-up of a header costs more.
        if self.method != Method::POST || !self.has_grpc_content() {
            return None;
        }
        Some(self.uri.path()).filter(|path| is_grpc_path(path))
    }

    fn has_grpc_content(&self) -> bool {
        self.headers.get(CONTENT_TYPE).is_some_and(|value| starts_with(value.as_bytes(), b"application/grpc"))
    }
}

/// Whether `value` begins with `start`, whatever the case of its letters.
pub(super) fn starts_with(value: &[u8], start: &[u8]) -> bool {
    value.get(..start.len()).is_some_and(|value| value.eq_ignore_ascii_case(start))
}

fn is_grpc_path(path: &str) -> bool {
    let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    names.is_some_and(|(service, method)| service.split('.').all(is_protobuf_name) && is_protobuf_name(method))
}

fn is_protobuf_name(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_protobuf_names_are_grpc_paths() {
        for path in ["/hello.Greeter/SayHello", "/Greeter/say_hello", "/a.b_c.D9/E"] {
            assert!(is_grpc_path(path), "{path}");
        }
        for path in ["", "/", "*", "/a", "/a/", "//b", "/a/b/c", "/users/17", "/a..b/C", "/a.B/c-d", "/ä/b", "a.B/c"] {
            assert!(!is_grpc_path(path), "{path}");
        }
    }

    #[test]
    fn a_content_type_is_compared_without_case_and_parameters() {
        assert!(starts_with(b"Text/Event-Stream; charset=utf-8", b"text/event-stream"));
        assert!(!starts_with(b"text/event", b"text/event-stream"));
    }
}
