//! The parts that the handler is made of: Linux on x86_64 and aarch64.

mod copy;
mod counters;
mod grid;
mod limit;
mod registers;
mod ring;
