//! Backtraces. A binary of its own, its tests one after the other: while one agent of a process resolves a backtrace,
//! none is captured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use flame_on::testing::TestAgent;
use flame_on::{ErrorEvent, Report};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure() -> std::io::Error {
    std::io::Error::other("no connection")
}

fn captured(capture: impl FnOnce()) -> ErrorEvent {
    let agent = TestAgent::start().unwrap();
    agent.in_context(capture);
    agent.errors_blocking().remove(0)
}

#[test]
fn the_first_frame_is_the_one_that_captured() {
    let _alone = alone();
    fn checkout() -> u32 {
        flame_on::capture_error(&failure());
        line!() - 1
    }
    let mut line = 0;
    let event = captured(|| line = checkout());
    let frames = &event.exceptions[0].frames;
    let first = &frames[0];
    assert_eq!(first.function, "error_frames::the_first_frame_is_the_one_that_captured::checkout", "{frames:#?}");
    assert_eq!((first.line, first.in_app), (line, true));
    assert!(first.column > 0 && first.module.starts_with("error_frames"));
    assert!(first.file.ends_with("tests/error_frames.rs"), "{first:?}");
    assert!(first.abs_path.starts_with('/') && first.abs_path.ends_with(&first.file));
    assert_eq!(first.context_line, "", "`source_context` is off");
    assert!(frames.iter().any(|frame| !frame.in_app), "the test harness is not ours");
}

#[test]
fn source_lines_are_read_when_they_are_asked_for() {
    let _alone = alone();
    let agent = TestAgent::with(|config| config.source_context(true)).unwrap();
    agent.in_context(|| flame_on::capture_error(&failure()));
    let event = agent.errors_blocking().remove(0);
    let first = &event.exceptions[0].frames[0];
    assert!(first.context_line.contains("flame_on::capture_error(&failure())"), "{first:?}");
    assert_eq!((first.pre_context.len(), first.post_context.len()), (5, 5));
}

#[test]
fn the_configuration_says_which_frames_are_the_applications() {
    let _alone = alone();
    let agent = TestAgent::with(|config| config.in_app_exclude(["error_frames"])).unwrap();
    agent.in_context(|| flame_on::capture_error(&failure()));
    let event = agent.errors_blocking().remove(0);
    assert!(!event.exceptions[0].frames[0].in_app);
}

#[test]
fn an_anyhow_error_tells_where_it_was_made_if_it_knows() {
    let _alone = alone();
    fn made_here() -> anyhow::Error {
        anyhow::anyhow!("no connection")
    }
    let error = made_here();
    let event = captured(|| {
        flame_on::capture_anyhow(&error);
    });
    let knows = error.backtrace().status() == std::backtrace::BacktraceStatus::Captured;
    let functions: Vec<_> = event.exceptions[0].frames.iter().map(|frame| frame.function.as_str()).collect();
    assert!(functions.iter().any(|function| function.contains("an_anyhow_error_tells_where")), "{functions:?}");
    assert_eq!(functions.iter().any(|function| function.contains("made_here")), knows, "{functions:?}");
}

#[test]
fn while_a_backtrace_is_resolved_a_capture_does_not_wait_and_keeps_its_place() {
    let _alone = alone();
    let agent = TestAgent::start().unwrap();
    flame_on::__vectors_errors::while_resolving(|| {
        agent.in_context(|| Report::error(&failure()).capture());
    });
    let event = agent.errors_blocking().remove(0);
    let [only] = &event.exceptions[0].frames[..] else { panic!("{event:#?}") };
    assert!(only.abs_path.ends_with("tests/error_frames.rs") && only.line > 0 && only.in_app, "{only:?}");
    assert_eq!(agent.stats().backtraces_skipped, 1);
}

#[test]
fn a_message_has_no_frames_and_a_source_has_none_of_its_own() {
    let _alone = alone();
    let event = captured(|| {
        Report::message("odd").capture();
    });
    assert!(event.exceptions.is_empty());
}
