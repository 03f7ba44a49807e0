//! The sampler, on a kernel of its own.

pub(crate) const RING_BYTES: usize = ring::CAPACITY * size_of::<u64>();

mod cookie;
#[path = "../../../../../../../src/capture/native/sampler/linux/counters.rs"]
mod counters;
mod disposition;
pub(crate) mod end_model;
#[path = "../../../../../../../src/capture/native/sampler/linux/force.rs"]
mod force;
#[path = "../../../../../../../src/capture/native/sampler/linux/grid.rs"]
mod grid;
#[path = "../../../../../../../src/capture/native/sampler/linux/last.rs"]
mod last;
#[path = "../../../../../../../src/capture/native/sampler/linux/limit.rs"]
mod limit;
pub(crate) mod limit_model;
#[path = "../../../../../../../src/capture/native/sampler/linux/pool.rs"]
mod pool;
pub(crate) mod pool_model;
#[path = "../../../../../../../src/capture/native/sampler/linux/rest.rs"]
mod rest;
#[path = "../../../../../../../src/capture/native/sampler/linux/ring.rs"]
mod ring;
pub(crate) mod ring_model;
#[path = "../../../../../../../src/capture/native/sampler/linux/running.rs"]
mod running;
#[path = "../../../../../../../src/capture/native/sampler/linux/slot.rs"]
mod slot;
mod timer;
