#[path = "../../../../src/safety/budget.rs"]
pub(crate) mod budget;
