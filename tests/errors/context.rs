use std::sync::Arc;
use std::time::Duration;

use flame_on::testing::TestAgent;
use flame_on::{Breadcrumb, ErrorContextExt, Report, Severity, User};
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

fn workers(count: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(count).enable_all().build().unwrap()
}

/// One awaited step of a request.
#[derive(Debug, Clone, Copy)]
enum Step {
    Yield,
    Sleep,
    Tag,
    Crumb,
    Fail,
    Child,
    Blocking,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop::sample::select(vec![
        Step::Yield,
        Step::Sleep,
        Step::Tag,
        Step::Crumb,
        Step::Fail,
        Step::Child,
        Step::Blocking,
    ]);
    prop::collection::vec(step, 1..12)
}

async fn request(id: usize, steps: Vec<Step>) -> usize {
    flame_on::set_user(User::id(id.to_string()));
    let mut failures = 0;
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Yield => tokio::task::yield_now().await,
            Step::Sleep => tokio::time::sleep(Duration::from_micros(50)).await,
            Step::Tag => flame_on::set_tag(format!("t{number}"), id),
            Step::Crumb => flame_on::add_breadcrumb(Breadcrumb::new("step", id.to_string())),
            Step::Fail => {
                Report::message(id.to_string()).capture();
                failures += 1;
            }
            Step::Child => {
                let child = async move {
                    tokio::task::yield_now().await;
                    flame_on::set_tag("child", id);
                    Report::message(id.to_string()).capture();
                };
                tokio::spawn(child.with_error_context()).await.unwrap();
                failures += 1;
            }
            // A thread of the pool is nobody's.
            Step::Blocking => tokio::task::spawn_blocking(|| flame_on::set_user(User::id("leak"))).await.unwrap(),
        }
    }
    failures
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_event_carries_another_requests_context(all in prop::collection::vec(steps(), 64)) {
        let agent = TestAgent::with(|config| config.max_error_buffer_size(100_000)).unwrap();
        let runtime = workers(4);
        let expected = agent.in_context(|| {
            let requests: Vec<_> = all
                .into_iter()
                .enumerate()
                .map(|(id, steps)| runtime.spawn(request(id, steps).with_new_error_context()))
                .collect();
            runtime.block_on(async {
                let mut failures = 0;
                for request in requests {
                    failures += request.await.unwrap();
                }
                failures
            })
        });
        let events = agent.errors_blocking();
        prop_assert_eq!(events.len(), expected);
        for event in events {
            let own = event.message.as_str();
            prop_assert_eq!(event.user.as_ref().and_then(|user| user.id.as_deref()), Some(own));
            prop_assert!(event.tags.values().all(|value| value == own), "{:?}", event);
            prop_assert!(event.breadcrumbs.iter().all(|crumb| crumb.message == own), "{:?}", event);
        }
    }
}

#[test]
fn a_context_follows_its_task_and_ends_with_it() {
    let agent = TestAgent::start().unwrap();
    let runtime = workers(1);
    let task = |user: Option<&'static str>| async move {
        if let Some(user) = user {
            flame_on::set_user(User::id(user));
            flame_on::set_tag("a", 1);
        }
        tokio::task::yield_now().await;
        Report::message("x").capture();
    };
    agent.in_context(|| {
        for user in [Some("7"), None] {
            runtime.block_on(async { runtime.spawn(task(user).with_new_error_context()).await.unwrap() });
        }
    });
    let events = agent.errors_blocking();
    assert_eq!(events[0].user, Some(User::id("7")));
    assert_eq!((events[1].user.clone(), events[1].tags.len()), (None, 0));
}

#[test]
fn a_child_has_a_copy_from_its_spawning_on() {
    let agent = TestAgent::start().unwrap();
    let parent = async {
        flame_on::set_tag("a", "parent");
        let child = async {
            flame_on::set_tag("b", "child");
            Report::message("child").capture();
        }
        .with_error_context();
        flame_on::set_tag("a", "later");
        tokio::spawn(child).await.unwrap();
        Report::message("parent").capture();
    };
    agent.in_context(|| workers(2).block_on(parent.with_new_error_context()));
    let events = agent.errors_blocking();
    let tags = |index: usize| events[index].tags.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
    assert_eq!((events[0].message.as_str(), tags(0)), ("child", vec!["a=parent".to_owned(), "b=child".to_owned()]));
    assert_eq!((events[1].message.as_str(), tags(1)), ("parent", vec!["a=later".to_owned()]));
}

#[test]
fn outside_of_a_scope_a_runtimes_thread_has_no_context() {
    let agent = TestAgent::start().unwrap();
    agent.in_context(|| {
        workers(1).block_on(async {
            flame_on::set_user(User::id("leak"));
            flame_on::add_breadcrumb(Breadcrumb::new("a", "b"));
            Report::message("x").capture();
        });
    });
    let event = agent.errors_blocking().remove(0);
    assert_eq!((event.user, event.breadcrumbs.len()), (None, 0));
    assert_eq!(agent.stats().error_contexts_ignored, 2);
}

#[test]
fn a_thread_without_a_runtime_has_its_own() {
    let agent = TestAgent::start().unwrap();
    let said = |name: &'static str| {
        let agent = agent.handle();
        std::thread::spawn(move || {
            agent.in_context(|| {
                flame_on::set_tag("thread", name);
                Report::message(name).capture();
                flame_on::clear_context();
                Report::message(name).capture();
            });
        })
        .join()
        .unwrap();
    };
    said("one");
    said("two");
    let events = agent.errors_blocking();
    let tags: Vec<_> = events.iter().map(|event| event.tags.get("thread").cloned()).collect();
    assert_eq!(tags, [Some("one".to_owned()), None, Some("two".to_owned()), None]);
}

#[test]
fn a_change_within_a_change_is_left_out_and_does_not_wait() {
    let agent = TestAgent::start().unwrap();
    let work = async {
        flame_on::configure_context(|context| {
            context.set_tag("outer", 1);
            flame_on::set_tag("inner", 1);
            // The context is in use, so this event goes without.
            Report::message("within").capture();
        });
        Report::message("after").capture();
    };
    agent.in_context(|| workers(1).block_on(work.with_new_error_context()));
    let events = agent.errors_blocking();
    assert_eq!((events[0].tags.len(), events[1].tags.len()), (0, 1));
    assert_eq!(agent.stats().error_contexts_ignored, 1);
}

#[test]
fn a_context_is_bounded_however_much_goes_in() {
    let agent = TestAgent::with(|config| config.max_breadcrumbs(3).max_string_length(10)).unwrap();
    let work = async {
        for number in 0..10_000 {
            flame_on::set_tag(format!("t{number:05}"), "x".repeat(100));
            flame_on::set_context(format!("c{number:05}"), vec![number; 100]);
            flame_on::add_breadcrumb(Breadcrumb::new("c", number.to_string()));
        }
        Report::message("x").capture();
    };
    agent.in_context(|| workers(1).block_on(work.with_new_error_context()));
    let event = agent.errors_blocking().remove(0);
    assert_eq!((event.tags.len(), event.contexts.len()), (256, 256));
    let crumbs: Vec<_> = event.breadcrumbs.iter().map(|crumb| crumb.message.as_str()).collect();
    assert_eq!(crumbs, ["9997", "9998", "9999"]);
    assert!(event.tags.values().chain(event.contexts.values()).all(|value| value.len() == 10));
}

#[test]
fn a_million_duplicates_are_one_event_a_window_and_task() {
    let agent = TestAgent::with(|config| config.error_dedupe_window(Duration::from_secs(3_600))).unwrap();
    let agent = Arc::new(agent);
    let one = |number: u32| {
        async move {
            let error = "x".parse::<u8>().unwrap_err();
            for _ in 0..500_000 {
                flame_on::capture_error(&error);
            }
            flame_on::set_tag("task", number);
            Report::message("another").severity(Severity::Info).capture();
        }
        .with_new_error_context()
    };
    agent.in_context(|| {
        workers(2).block_on(async {
            let (first, second) = (tokio::spawn(one(1)), tokio::spawn(one(2)));
            first.await.unwrap();
            second.await.unwrap();
        });
    });
    assert_eq!(agent.errors_blocking().len(), 4);
    let stats = agent.stats();
    assert_eq!((stats.errors_captured, stats.errors_deduplicated), (4, 999_998));
}
