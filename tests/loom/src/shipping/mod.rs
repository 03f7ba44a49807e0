#[path = "../../../../src/shipping/contained/ticket.rs"]
pub(crate) mod ticket;
