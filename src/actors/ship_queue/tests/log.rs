//! What the host's log says, and how often.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::*;

/// The agent's lines, and when they came.
#[derive(Clone)]
struct Lines {
    started: Instant,
    lines: Arc<Mutex<Vec<(Duration, String)>>>,
}

impl Lines {
    /// Listens on this thread, on which the tests' runtimes run, until the guard is dropped.
    fn listen() -> (Self, DefaultGuard) {
        let lines = Self { started: Instant::now(), lines: Arc::default() };
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
        (lines, guard)
    }

    fn take(&self) -> Vec<(Duration, String)> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "flame_on" {
            let mut text = Text::default();
            event.record(&mut text);
            self.lines.lock().unwrap().push((self.started.elapsed(), text.0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_accepted_is_told_once_with_the_remedy_and_again_after_it_was() {
    let (lines, _guard) = Lines::listen();
    let script = |call| if call == 20 { Ok(()) } else { Err(ShipError::denied("who are you?")) };
    let mut rig = Rig::new(|_| (), script).await;
    for _ in 0..60 {
        rig.push(1);
        rig.pass(MINUTE).await;
    }
    assert!((8..20).contains(&rig.times().len()), "{:?}", rig.times());
    let told = lines.take();
    let [(_, line)] = &told[..] else { panic!("{told:#?}") };
    assert!(line.contains("`api_key`") && line.contains("who are you?"), "{line}");
    while rig.times().len() < 22 {
        rig.push(1);
        rig.pass(MINUTE).await;
    }
    assert_eq!(lines.take().len(), 1, "it was accepted once in between");
}

#[tokio::test(start_paused = true)]
async fn while_something_is_wrong_it_is_told_once_a_minute_at_most() {
    let (lines, _guard) = Lines::listen();
    let recovers = Instant::now() + MINUTE * 30;
    let script = move |_| if Instant::now() < recovers { Err(down()) } else { Ok(()) };
    let mut rig = Rig::new(|_| (), script).await;
    for _ in 0..30 {
        rig.push(1);
        rig.pass(MINUTE).await;
    }
    let told = lines.take();
    assert!((10..=30).contains(&told.len()) && told.len() < rig.times().len(), "{told:#?}");
    for pair in told.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= MINUTE, "{pair:#?}");
    }
    assert!(told.iter().all(|(_, line)| line.contains("down") && line.contains("silenced=")), "{told:#?}");
    assert!(told.iter().any(|(_, line)| !line.contains("silenced=0")), "{told:#?}");
    rig.push(1);
    rig.pass(MINUTE * 10).await;
    assert_eq!((lines.take(), rig.stats().waiting), (Vec::new(), 0), "nothing is wrong any more");
}
