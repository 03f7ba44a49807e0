//! The messages of `proto/`, as generated. The nesting follows the package names, which the generated code
//! counts on when it says `super`.

// Dead code: which messages are used depends on the features, and errors are not shipped yet.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all, clippy::pedantic)]

/// What a FlameOn server takes.
pub mod flame_on {
    include!(concat!(env!("OUT_DIR"), "/flame_on.rs"));
}

pub mod perftools {
    /// Google's pprof format.
    pub mod profiles {
        include!(concat!(env!("OUT_DIR"), "/perftools.profiles.rs"));
    }
}
