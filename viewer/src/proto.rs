//! What is generated from `proto/`. Public for tests and tools of this repository, not a part of the API.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]

/// The messages of both ingest services.
pub mod flame_on {
    include!(concat!(env!("OUT_DIR"), "/flame_on.rs"));
}

/// Google's pprof format.
pub mod perftools {
    pub mod profiles {
        include!(concat!(env!("OUT_DIR"), "/perftools.profiles.rs"));
    }
}

/// The services.
pub(crate) mod services {
    include!(concat!(env!("OUT_DIR"), "/services/flame_on.rs"));
}
