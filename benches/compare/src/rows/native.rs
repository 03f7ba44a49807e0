//! What native capture adds to a trace: await sites and wakes.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread::sleep;
use std::time::Duration;

use flame_on::{FlameOn, FlameOnGuard, NativeCapture, UnitSettings};

use crate::agents;
use crate::harness::{Case, measure};
use crate::table::{Row, Unit};

/// Awaits of a trace, one after the other.
const SITES: u64 = 8;
const BURST: u64 = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// What a leaf left behind.
static LEFT: std::sync::Mutex<Option<Waker>> = std::sync::Mutex::new(None);

/// Pending once, with a waker of its own kept.
async fn leaf() {
    let mut is_first = true;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_first, false) {
            *LEFT.lock().expect("no panic") = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

/// As deep as a request's own code, in frames that are there: boxed futures are not merged into one.
fn nested(depth: u32) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        match depth {
            0 => leaf().await,
            depth => nested(depth - 1).await,
        }
    })
}

pub async fn work(sites: u64) {
    for _ in 0..sites {
        nested(8).await;
    }
}

/// Polls until it is ready; wakes it before each further poll if `wakes`.
pub fn drive(future: impl Future<Output = ()>, wakes: bool) {
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        let left = LEFT.lock().expect("no panic").take();
        if let Some(left) = left.filter(|_| wakes) {
            left.wake();
        }
    }
}

fn agent(mode: NativeCapture, threshold: Duration) -> FlameOnGuard {
    let event = UnitSettings::new().threshold(threshold);
    let builder = agents::builder().sample_rate(1.0).event("shop.batch", event).max_buffer_size(10_000);
    agents::start_with(builder.max_active_traces(4_096).native_capture(mode))
}

fn run(threshold: Duration, sites: u64, wakes: bool, traces: u64) -> Duration {
    let agent = agent(NativeCapture::Auto, threshold);
    warm_up(&agent, sites, wakes);
    run_with(&agent, sites, wakes, traces)
}

/// Its own names are read once, too.
fn warm_up(agent: &FlameOn, sites: u64, wakes: bool) {
    (0..10 * BURST).for_each(|_| drive(agent.unit("shop.batch", || "nightly").run(work(sites)), wakes));
    agents::settle(agent);
}

fn run_with(agent: &FlameOn, sites: u64, wakes: bool, traces: u64) -> Duration {
    let start = crate::clocks::process_cpu();
    for trace in 0..traces {
        drive(agent.unit("shop.batch", || "nightly").run(work(sites)), wakes);
        if (trace + 1) % BURST == 0 {
            sleep(PAUSE);
        }
    }
    agent.flush_blocking(Duration::from_secs(60));
    crate::clocks::process_cpu() - start
}

fn bare(sites: u64, wakes: bool, traces: u64) -> Duration {
    let start = crate::clocks::process_cpu();
    for trace in 0..traces {
        drive(work(sites), wakes);
        if (trace + 1) % BURST == 0 {
            sleep(PAUSE);
        }
    }
    crate::clocks::process_cpu() - start
}

pub fn print() {
    const NEVER: Duration = Duration::from_secs(3_600);
    // One agent for all rounds of what is shipped, as in a service: each new one reads names anew.
    let shipping = agent(NativeCapture::Auto, Duration::ZERO);
    warm_up(&shipping, SITES, true);
    let measured = measure(
        &mut [
            Case::new("bare", |traces| bare(SITES, true, traces)),
            Case::new("no site", |traces| run(NEVER, 0, false, traces)),
            Case::new("sites", |traces| run(NEVER, SITES, false, traces)),
            Case::new("wakes", |traces| run(NEVER, SITES, true, traces)),
            Case::new("shipped", |traces| {
                // Below the processor time from which on the agent would begin to shed work.
                sleep(Duration::from_secs(1));
                run_with(&shipping, SITES, true, traces)
            }),
        ],
        20 * BURST,
    );
    let each = |estimate: crate::stats::Estimate| crate::stats::Estimate {
        median: estimate.median / SITES as f64,
        low: estimate.low / SITES as f64,
        high: estimate.high / SITES as f64,
    };
    let show = |what: &str, goal: &'static str, estimate| Row::new(what, goal, Unit::Micros.show(estimate)).print();
    show("an await site in a discarded trace, all threads", "≤ 1.2 µs", each(measured.over("sites", "no site")));
    show("a wake in a discarded trace", "≤ 0.8 µs", each(measured.over("wakes", "sites")));
    show("discarded trace of 8 awaits, over the bare work", "≤ 18 µs", measured.over("wakes", "bare"));
    show("shipped trace of 8 awaits, over the bare work", "≤ 56 µs", measured.over("shipped", "bare"));
}
