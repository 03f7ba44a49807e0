//! The whole way, from the queue to a real server, through a network that misbehaves: once for each fault over TCP,
//! and for hours of virtual time over pipes in memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::collections::HashMap;
use std::num::NonZeroUsize;

use rand::{Rng as _, SeedableRng as _};
use tokio::sync::mpsc;
use tonic::Code;

use super::*;
use crate::actors::rig::{PATIENCE, parent, queue_settings};
use crate::actors::shipper::Shipper;
use crate::shipping::grpc::faults::{Fault, Pipes, over_pipes, over_tcp, tcp_relay};
use crate::shipping::grpc::server::{Answer, IngestServer};
use crate::shipping::outbox::Weighted as _;
use crate::shipping::trace::TraceBatch;
use crate::shipping::trace::tests::trace;

type Queue = Arc<ShipQueue<TraceBatch>>;

async fn started(contained: Contained<TraceBatch>, settings: QueueSettings, policy: RetryPolicy) -> Queue {
    let name: Arc<str> = "test".into();
    let origin = Arc::new(Origin { service: name.clone(), environment: name.clone(), release: name });
    let queue = Arc::new(ShipQueue::with(origin, contained, settings, policy, SmallRng::seed_from_u64(3)));
    queue.shipper.set(Some(Shipper::start_link(queue.clone(), parent().await).await.unwrap()));
    queue
}

/// How often the server has accepted each trace.
fn arrivals(server: &IngestServer) -> HashMap<String, usize> {
    let mut arrivals = HashMap::new();
    for trace in server.received().into_iter().flat_map(|batch| batch.traces) {
        *arrivals.entry(trace.trace_id).or_default() += 1;
    }
    arrivals
}

#[track_caller]
fn assert_closes(queue: &Queue) -> QueueStats {
    let stats = queue.stats();
    assert_eq!(stats.produced, stats.settled() + stats.waiting, "{stats:#?}");
    stats
}

const SHORT: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);

/// Three traces through a network whose first connections have these faults: how often each trace arrived.
async fn through_tcp(faults: Vec<Fault>) -> (QueueStats, usize) {
    let server = IngestServer::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = tcp_relay(server.address(), faults).await;
    let policy = RetryPolicy { first: SHORT / 50, longest: SHORT / 10, ..RetryPolicy::DEFAULT };
    let settings = QueueSettings { send_timeout: SHORT, ..queue_settings() };
    let adapter = Contained::new(BoxedAdapter::new(over_tcp(address, SHORT)));
    let queue = started(adapter, settings, policy).await;
    (1..=3).for_each(|number| queue.push(trace(number)));
    queue.shipper.call(|reply| ShipperMsg::ShipAll(PATIENCE, reply), PATIENCE).await;
    let (stats, arrivals) = (assert_closes(&queue), arrivals(&server));
    assert_eq!((stats.sent, stats.waiting, arrivals.len()), (3, 0, 3), "{stats:#?}");
    (stats, arrivals.into_values().max().unwrap())
}

#[tokio::test]
async fn each_fault_over_tcp_costs_a_retry_and_no_trace() {
    for fault in [
        Fault::Refuse,
        Fault::Hang,
        Fault::Cut(10),
        Fault::Cut(200),
        Fault::Reset,
        Fault::Garbage,
        Fault::GoAway,
        Fault::Delay(SHORT),
        Fault::Throttle(40),
    ] {
        let (stats, arrivals) = through_tcp(vec![fault]).await;
        assert!(stats.retried >= 1 && stats.last_error.is_some(), "{fault:?}: {stats:#?}");
        // What is slower than the deadline may arrive after we have given it up.
        let may_be_late = matches!(fault, Fault::Delay(_) | Fault::Throttle(_));
        assert!(arrivals == 1 || arrivals == 2 && may_be_late, "{fault:?}: {arrivals}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_a_batch_arrive_twice() {
    let (stats, arrivals) = through_tcp(vec![Fault::CutAnswer]).await;
    assert_eq!((arrivals, stats.retried), (2, 1));
}

#[tokio::test]
async fn a_mix_of_faults_over_tcp_loses_nothing() {
    let faults = [Fault::Hang, Fault::Cut(150), Fault::Garbage, Fault::Reset, Fault::GoAway, Fault::CutAnswer];
    through_tcp(faults.into_iter().chain(faults).collect()).await;
}

fn any_fault(dice: &mut SmallRng) -> Fault {
    match dice.random_range(0..14) {
        0 => Fault::Refuse,
        1 => Fault::Hang,
        2 => Fault::Cut(dice.random_range(0..2_000)),
        3 => Fault::CutAnswer,
        4 => Fault::Delay(Duration::from_millis(dice.random_range(0..3_000))),
        5 => Fault::Throttle(dice.random_range(10..2_000)),
        6 => Fault::Reset,
        7 => Fault::Garbage,
        8 => Fault::GoAway,
        _ => Fault::None,
    }
}

fn any_answer(dice: &mut SmallRng) -> Option<Answer> {
    match dice.random_range(0..300) {
        0 => Some(Answer::Fail(Code::Unavailable, "later".into())),
        1 => Some(Answer::Fail(Code::Internal, "broken".into())),
        2 => Some(Answer::Reject("quota".into())),
        3 => Some(Answer::Fail(Code::InvalidArgument, "what?".into())),
        4 => Some(Answer::Hang),
        _ => None,
    }
}

/// Half an hour of traffic; the seeds decide what goes wrong.
async fn half_an_hour(seed: u64) {
    let (to_server, streams) = mpsc::channel(16);
    let server = IngestServer::on_streams(streams);
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut faults = SmallRng::seed_from_u64(!seed);
    let pipes = Pipes::new(to_server, move || any_fault(&mut faults));
    let settings = QueueSettings { flush_interval: Duration::from_secs(2), ..queue_settings() };
    let adapter = over_pipes(pipes, settings.send_timeout);
    let queue = started(Contained::here(BoxedAdapter::new(adapter)), settings, RetryPolicy::DEFAULT).await;
    let mut number = 0;
    for _ in 0..30 * 60 {
        for _ in 0..dice.random_range(0..3) {
            number += 1;
            queue.push(trace(number));
        }
        if let Some(answer) = any_answer(&mut dice) {
            server.answer_next(answer);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_closes(&queue);
    }
    queue.in_flight.give_up().await;
    queue.settle();
    let (stats, arrivals) = (assert_closes(&queue), arrivals(&server));
    assert_eq!((u128::from(stats.produced), stats.waiting), (number, 0));
    // What was sent has arrived. What was lost may have: its answer was.
    let losses = usize::try_from(stats.lost()).unwrap();
    let sent = usize::try_from(stats.sent).unwrap();
    assert!((sent..=sent + losses).contains(&arrivals.len()), "{} {stats:#?}", arrivals.len());
    assert!(stats.sent > 500 && stats.retried > 10, "{stats:#?}");
}

#[tokio::test(start_paused = true)]
async fn half_an_hour_of_all_kinds_of_faults_closes_the_ledger() {
    for seed in 1..=3 {
        half_an_hour(seed).await;
    }
}

/// An hour with a server that takes each connection and never answers; says how the queue fares after each second.
async fn an_hour_without_an_answer(mut look: impl FnMut(u128, &QueueStats)) -> QueueStats {
    const ITEMS: usize = 100;
    let (to_server, streams) = mpsc::channel(1_024);
    let _server = IngestServer::on_streams(streams);
    let pipes = Pipes::new(to_server, || Fault::Hang);
    let mut settings = queue_settings();
    settings.limits.items = NonZeroUsize::new(ITEMS).unwrap();
    settings.limits.batch = NonZeroUsize::new(10).unwrap();
    settings.limits.bytes = 50 * trace(1).weight_bytes();
    let adapter = over_pipes(pipes, settings.send_timeout);
    let queue = started(Contained::here(BoxedAdapter::new(adapter)), settings, RetryPolicy::DEFAULT).await;
    for number in 0..3_600 {
        let before = Instant::now();
        queue.push(trace(number));
        queue.push(trace(number + 10_000));
        assert_eq!(before.elapsed(), Duration::ZERO);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let stats = assert_closes(&queue);
        assert!(stats.bytes <= settings.limits.bytes as u64 && stats.waiting <= ITEMS as u64 + 10, "{stats:#?}");
        look(number, &stats);
    }
    assert_closes(&queue)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_costs_no_more_than_the_bounds_and_delays_nobody() {
    let stats = an_hour_without_an_answer(|_, _| {
        assert!(tokio::runtime::Handle::current().metrics().num_alive_tasks() < 40, "what failed is gone");
    })
    .await;
    assert_eq!((stats.sent, stats.circuit_open, stats.reachable_since), (0, true, None));
    assert!(stats.retried < 150, "tried about once a minute: {}", stats.retried);
    tokio::time::sleep(MINUTE).await;
}

/// The process's resident memory.
#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    kib.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// What of it one test of this binary takes can be seen in a process of its own.
#[cfg(target_os = "linux")]
const CHILD: &str = "FLAME_ON_TEST_MEMORY_OF_AN_HOUR";

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let (mut early, mut late) = (0, 0);
    an_hour_without_an_answer(|second, _| match second {
        0..1_200 => early = early.max(resident_bytes()),
        _ => late = late.max(resident_bytes()),
    })
    .await;
    // 4,800 traces and 40 connections later; one of the latter has 128 KiB of pipes.
    let grown = late.saturating_sub(early);
    assert!(grown < 1 << 20, "{early} bytes after twenty minutes, {late} after an hour");
    eprintln!("resident after twenty minutes {early} bytes, after an hour {late}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_an_hour_without_an_answer_is_flat() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "actors::ship_queue::faults::child", "--nocapture"])
        .env(CHILD, "")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("resident after"), "{said}");
}
