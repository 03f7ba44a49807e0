//! The generated protobufs, in the nesting that their `super::` paths expect.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]

pub mod flame_on {
    include!(concat!(env!("OUT_DIR"), "/flame_on.rs"));
}

pub mod perftools {
    pub mod profiles {
        include!(concat!(env!("OUT_DIR"), "/perftools.profiles.rs"));
    }
}
