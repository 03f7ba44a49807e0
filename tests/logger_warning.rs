//! What the start says when error records are wanted and nothing brings them. A binary of its own, because whether a
//! bridge is installed is the process's.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use flame_on::testing::TestAgent;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Keeps what the agent says in the host's log.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<(Level, String)>>>);

impl<S: Subscriber> Layer<S> for Said {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        if event.metadata().target() == "flame_on" {
            self.0.lock().unwrap().push((*event.metadata().level(), message.0));
        }
    }
}

/// The warnings about the logger while an agent starts and captures a little.
fn warnings(is_wanted: bool) -> Vec<(Level, String)> {
    let said = Said::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(said.clone()), || {
        let agent = TestAgent::with(|config| config.logger_fallback(is_wanted)).unwrap();
        for _ in 0..3 {
            agent.in_context(|| tracing::error!(target: "shop", "not paid"));
        }
        drop(agent.errors_blocking());
    });
    let mut said = said.0.lock().unwrap().clone();
    said.retain(|(_, message)| message.contains("logger_fallback"));
    said
}

#[test]
fn a_start_that_wants_error_records_and_has_no_bridge_warns_once_and_says_what_to_install() {
    assert_eq!(warnings(false), []);
    let said = warnings(true);
    assert_eq!((said.len(), said[0].0), (1, Level::WARN), "{said:?}");
    assert!(said[0].1.contains("flame_on::tracing_layer()") && said[0].1.contains("ErrorLogger"), "{said:?}");
    drop(tracing_subscriber::registry().with(flame_on::tracing_layer()));
    assert_eq!(warnings(true), [], "now there is one");
}
