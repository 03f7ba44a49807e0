//! A program whose file is gone, as after a deployment that put another in its place.

use std::process::Command;

use super::channels::sleeps;
use super::{trace, waits_at};

/// Set for the child: a copy of this program, which removes its own file before there is an agent.
const CHILD: &str = "FLAME_ON_TEST_REMOVES_ITS_FILE";

#[test]
fn a_program_that_was_replaced_before_the_agent_started_has_its_names() {
    if std::env::var_os(CHILD).is_some() {
        std::fs::remove_file(std::env::current_exe().unwrap()).unwrap();
        waits_at(&trace(sleeps()), "sleeps;inner_sleep;tokio::time::sleep*;SLEEP");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let name = "replaced::a_program_that_was_replaced_before_the_agent_started_has_its_names";
    let child = Command::new(&copy).args(["--exact", name]).env(CHILD, "").output().unwrap();
    let said = [child.stdout, child.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(child.status.success() && said.contains("1 passed") && !copy.exists(), "{said}");
}
