//! What the README tells its reader to do and to open is there. That its code compiles is seen by the doc tests.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

const README: &str = include_str!("../README.md");

fn has_example(name: &str) -> bool {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.join(format!("examples/{name}.rs")).is_file() || package.join(format!("examples/{name}/main.rs")).is_file()
}

/// What follows each `start`, up to the first character that `is_part` does not want.
fn all_after<'a>(start: &'a str, is_part: impl Fn(char) -> bool + 'a) -> impl Iterator<Item = &'a str> {
    README.split(start).skip(1).map(move |rest| rest.split(|c| !is_part(c)).next().unwrap())
}

#[test]
fn it_has_the_two_commands_that_come_first() {
    for command in ["cargo run --example demo", "cargo test --workspace"] {
        assert!(README.contains(command), "{command}");
    }
}

#[test]
fn every_example_that_it_names_exists() {
    let missing: Vec<&str> = all_after("--example ", |c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        .filter(|name| !has_example(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_file_that_it_links_to_exists() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing: Vec<&str> = all_after("](", |c| c != ')')
        .map(|target| target.split('#').next().unwrap())
        .filter(|target| !target.is_empty() && !target.contains("://") && !package.join(target).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
