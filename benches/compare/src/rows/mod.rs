//! One file for each row, or pair of rows, of the table.

pub mod admission;
pub mod encode;
pub mod errors;
pub mod events;
pub mod fold;
pub mod frame;
pub mod http;
pub mod idle;
pub mod native;
pub mod select;
pub mod service;
pub mod spans;
pub mod trace;
