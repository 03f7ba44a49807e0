//! The messages of `proto/`, as generated. The nesting follows the package names, which the generated code
//! counts on when it says `super`.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

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
