//! FlameOn.
#![allow(dead_code)]

mod model;
