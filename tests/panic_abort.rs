//! A host that is built with `panic = "abort"`: its last event leaves before the process does. A process of its own,
//! built as such a host is, as the strategy is the whole program's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Builds the program, with the dependencies that this package's lock file has fetched.
fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target/panic-abort");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(root.join("tests/panic_abort/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // Of the cargo that runs this test.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug/panic_abort")
}

fn run(target: &str) -> Output {
    let output = Command::new(program()).arg(target).output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the last words"), "the previous hook has run");
    output
}

#[test]
#[ignore = "builds the crate a second time, which takes a minute or two; `.ci/run --long` does it"]
fn the_last_event_leaves_before_the_process_aborts() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path().to_str().unwrap());
    let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let text = std::fs::read_to_string(file).unwrap();
    let event: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(
        (event["message"].as_str(), event["handled"].as_bool()),
        (Some("the last words, token=[REDACTED]"), Some(false))
    );
    assert_eq!((event["severity"].as_str(), event["user"]["id"].as_str()), (Some("fatal"), Some("7")));
    let frames = event["exceptions"][0]["frames"].as_array().unwrap();
    assert!(frames[0]["function"].as_str().unwrap().contains("panic_abort::main"), "{frames:?}");
}

#[test]
#[ignore = "builds the crate a second time, which takes a minute or two; `.ci/run --long` does it"]
fn an_adapter_that_hangs_does_not_keep_the_process() {
    run("stuck");
}
