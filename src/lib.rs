//! FlameOn.
#![allow(dead_code)]

mod actors;
mod model;
mod safety;
