//! A call that ends, or begins, while its caller leaves.

use std::sync::Arc;

use loom::thread;

use crate::shipping::ticket::{AdapterHealth, Left, Ticket};

pub(crate) fn a_call_and_two_callers() {
    let health = Arc::new(AdapterHealth::default());
    let ticket = Arc::new(Ticket::new(health.clone()));
    let worker = {
        let (ticket, health) = (ticket.clone(), health.clone());
        thread::spawn(move || {
            let has_begun = ticket.begin();
            if has_begun {
                assert!(health.stuck() <= 1);
                ticket.end();
            }
            assert!(health.stuck() <= 1, "taken back, and not counted");
            has_begun
        })
    };
    let left = ticket.leave();
    // As the caller's drop.
    let again = ticket.leave();
    let has_begun = worker.join().unwrap();
    assert_eq!(has_begun, left != Left::BeforeItBegan);
    assert_eq!(again, Left::AfterItsEnd, "it is left once");
    assert_eq!(health.stuck(), 0, "it is over");
}
