//! What a viewer is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::store::{Bounds, Data};

/// What a viewer is started with. Its `Debug` does not show the key.
#[derive(Clone)]
pub struct Options {
    /// Where agents ship to. Default 127.0.0.1:50051; port 0 takes any that is free.
    pub grpc: SocketAddr,
    /// Where the page is. Default 127.0.0.1:4040; port 0 takes any that is free.
    pub http: SocketAddr,
    /// Where traces and errors are kept. Default in memory.
    pub data: Data,
    /// How much is kept, and for how long. Default 1 GiB and 7 days.
    pub bounds: Bounds,
    /// The key that agents must send. Default none: every call is taken.
    pub api_key: Option<String>,
    /// A directory whose `.pb.gz` and `.errors.jsonl` files are imported as they appear. Default none.
    pub watch: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            grpc: local(50_051),
            http: local(4_040),
            data: Data::Memory,
            bounds: Bounds::default(),
            api_key: None,
            watch: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("grpc", &self.grpc)
            .field("http", &self.http)
            .field("data", &self.data)
            .field("bounds", &self.bounds)
            .field("has_api_key", &self.api_key.is_some())
            .field("watch", &self.watch)
            .finish()
    }
}
