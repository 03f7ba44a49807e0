pub(crate) mod atomic;
#[path = "../../../../src/safety/budget.rs"]
pub(crate) mod budget;
