//! The golden vectors of labels and of the default handler.

mod vectors {
    pub(crate) mod handler;
    pub(crate) mod labels;
    pub(crate) mod terms;
}

use std::path::Path;

#[test]
fn labels_and_the_default_handler_are_the_originals() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let failures = [vectors::labels::run(&dir), vectors::handler::run(&dir)].concat();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn missing_vectors_are_a_failure() {
    let dir = Path::new("no such folder");
    assert_eq!((vectors::labels::run(dir).len(), vectors::handler::run(dir).len()), (1, 1));
}
