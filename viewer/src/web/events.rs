//! Tells open pages that something has arrived.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;

use super::App;

/// Arrivals within this time are told together: a page has no use for more.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn stream(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let arrivals = (app.store.arrivals(), app.stopped.clone());
    let events = futures::stream::unfold(arrivals, |(mut arrivals, mut stopped)| async move {
        let count = tokio::select! {
            changed = arrivals.changed() => {
                changed.ok()?;
                *arrivals.borrow_and_update()
            }
            _ = stopped.wait_for(|stopped| *stopped) => return None,
        };
        tokio::time::sleep(PAUSE).await;
        let event = Event::default().event("arrived").data(count.to_string());
        Some((Ok(event), (arrivals, stopped)))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
