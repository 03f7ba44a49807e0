//! Linux on x86_64 and aarch64.

mod chain;
mod cookie;
mod copy;
mod counters;
mod disposition;
mod drain;
mod force;
mod grid;
mod handle;
mod handler;
mod install;
mod limit;
mod pool;
mod record;
mod registers;
mod ring;
mod running;
mod seat;
mod slot;
mod timer;

pub(crate) use handle::{Entered, Sampler};
