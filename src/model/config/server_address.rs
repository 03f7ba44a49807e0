//! Where the server is: what `server_url` says.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

/// Longest name of a host (RFC 1035, section 2.3.4) and of one of its labels.
const MAX_HOST_CHARS: usize = 253;
const MAX_LABEL_CHARS: usize = 63;

/// The host and port of a FlameOn server. Shown as `host:port`, with brackets around an IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    host: String,
    port: u16,
    /// A socket of this machine instead.
    socket: Option<PathBuf>,
}

impl ServerAddress {
    /// The port of a FlameOn server where none is given.
    pub(crate) const DEFAULT_PORT: u16 = 50051;

    /// What a problem says about a `server_url` that cannot be read.
    pub(crate) const EXPECTED: &'static str =
        "a host with an optional port, such as flameon.ai or [::1]:50051, without path or user; or unix:/path";

    /// A host that is known to be valid, on the default port.
    pub(crate) fn of_host(host: &str) -> Self {
        Self { host: host.to_owned(), port: Self::DEFAULT_PORT, socket: None }
    }

    /// Reads a `server_url`. The scheme (`http` or `https`) and one slash at the end are dropped; a path, a query,
    /// a user, another scheme or a space is refused.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        if let Some(path) = url.strip_prefix("unix:") {
            return Self::of_socket(path);
        }
        let rest = without_scheme(url);
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(authority)?;
        Some(Self { host: host.to_owned(), port: port.map_or(Some(Self::DEFAULT_PORT), port_number)?, socket: None })
    }

    /// `unix:/path` and `unix:///path`, as gRPC writes them. The server is called `localhost` then.
    fn of_socket(path: &str) -> Option<Self> {
        let path = path.strip_prefix("//").unwrap_or(path);
        let is_path = path.starts_with('/') && path.len() > 1 && !path.contains('\0');
        is_path.then(|| Self { socket: Some(path.into()), ..Self::of_host("localhost") })
    }

    /// The path of the unix socket, where `server_url` is `unix:/path`.
    pub fn unix_socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The name or address, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 1 to 65535; 50051 unless given.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.socket {
            write!(f, "unix:{}", path.display())
        } else if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn without_scheme(url: &str) -> &str {
    ["http://", "https://"]
        .iter()
        .find_map(|scheme| {
            let start = url.get(..scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then(|| url.get(scheme.len()..))?
        })
        .unwrap_or(url)
}

/// Splits into a valid host and the text of the port.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Some((authority, None));
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    is_host(host).then_some((host, port))
}

/// Whether this can be the name of a host or an IPv4 address. Underscores are not in the standard but in use.
pub(crate) fn is_host(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL_CHARS
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= MAX_HOST_CHARS && name.split('.').all(is_label)
}

fn port_number(text: &str) -> Option<u16> {
    // `parse` alone would accept a sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<String> {
        ServerAddress::parse(url).map(|address| address.to_string())
    }

    #[test]
    fn scheme_and_slash_are_dropped_and_a_missing_port_is_50051() {
        for (url, expected) in [
            ("flameon.ai", "flameon.ai:50051"),
            ("https://flameon.ai/", "flameon.ai:50051"),
            ("HTTP://localhost:4000", "localhost:4000"),
            ("10.0.0.7:65535/", "10.0.0.7:65535"),
            ("flame_on.internal.", "flame_on.internal.:50051"),
            ("[::1]", "[::1]:50051"),
            ("https://[fe80::7]:443/", "[fe80::7]:443"),
            ("::1", "[::1]:50051"),
            ("unix:/run/flame-on.sock", "unix:/run/flame-on.sock"),
            ("unix:///run/flame-on.sock", "unix:/run/flame-on.sock"),
        ] {
            assert_eq!(parsed(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn the_host_of_an_ipv6_address_has_no_brackets() {
        let address = ServerAddress::parse("[::1]:7").expect("an address");
        assert_eq!((address.host(), address.port()), ("::1", 7));
    }

    #[test]
    fn anything_but_a_host_and_a_port_is_refused() {
        for url in [
            "",
            "/",
            "http://",
            "ftp://host",
            "host/path",
            "unix:",
            "unix:relative.sock",
            "unix:/",
            "host//",
            "host?q",
            "host#f",
            "user@host",
            "u:p@host",
            "host:",
            "host:0",
            "host:65536",
            "host:+7",
            "host:7:8",
            "a b",
            " host",
            "host\n",
            ".",
            "a..b",
            "[::1",
            "[::1]7",
            "[host]",
            "[::1]:",
            "höst",
            "host:٣",
        ] {
            assert_eq!(parsed(url), None, "{url}");
        }
        assert!(!is_host(&"a".repeat(64)) && !is_host(&"a.".repeat(130)));
    }
}
