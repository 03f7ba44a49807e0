//! Holds the direction of dependencies between the folders of `src/`, where certain crates and words may appear, and
//! the length of files. What it forbids stands in the tables; a new folder has to be entered there.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "layering/lex.rs"]
mod lex;
#[path = "layering/scan.rs"]
mod scan;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The re-exports in `lib.rs`: what a user of the crate sees.
const PUBLIC_API: &str = "the crate root";

/// Each folder, and what it may use besides itself, from below upwards.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("safety", &["model"]),
    ("encode", &["model"]),
    ("symbols", &["model"]),
    ("capture", &["model", "safety"]),
    ("shipping", &["model", "safety", "encode"]),
    ("actors", &["model", "safety", "encode", "symbols", "capture", "shipping"]),
    ("errors", &["model", "capture", PUBLIC_API]),
    ("integrations", &["model", "capture", "errors", PUBLIC_API]),
];

/// Files and folders that may use everything and that nobody below may use. `*` stands for any ending.
const TOP: &[&str] = &["lib", "agent", "bench", "runtime", "config", "testing", "vectors*"];

/// Exported macros live at the crate root whoever defines them: the folder that each belongs to.
const ROOT_MACROS: &[(&str, &str)] = &[("metadata", "model")];

/// The longest file, in lines.
const LONGEST: usize = 500;

/// Something that may appear only in some places.
struct Ban {
    /// One word: the first of a path. Several: next to each other anywhere in a path.
    what: &'static [&'static str],
    /// Beginnings of file names below `src/`; empty stands for every file.
    within: &'static [&'static str],
    except: &'static [&'static str],
    /// Whether test code may do it.
    tests_may: bool,
    why: &'static str,
}

const PURE: &[&str] = &["model/", "encode/"];
const WITHOUT_CLOCK: &[&str] = &["model/", "encode/", "safety/", "actors/restart"];

const BANS: &[Ban] = &[
    Ban {
        what: &["ractor"],
        within: &[],
        except: &["actors/", "integrations/ractor.rs", "integrations/ractor/"],
        tests_may: false,
        why: "ractor is named in actors/ and integrations/ractor.rs only",
    },
    Ban { what: &["ractor"], within: &["actors/restart"], except: &[], tests_may: false, why: "the policy is pure" },
    Ban { what: &["tokio"], within: WITHOUT_CLOCK, except: &[], tests_may: true, why: "pure code knows no runtime" },
    Ban { what: &["Instant", "now"], within: WITHOUT_CLOCK, except: &[], tests_may: true, why: "the time is given" },
    Ban { what: &["SystemTime", "now"], within: WITHOUT_CLOCK, except: &[], tests_may: true, why: "the time is given" },
    Ban { what: &["quanta"], within: WITHOUT_CLOCK, except: &[], tests_may: true, why: "the time is given" },
    Ban { what: &["std", "fs"], within: PURE, except: &[], tests_may: true, why: "pure code does no I/O" },
    Ban {
        what: &["net", "TcpStream"],
        within: PURE,
        except: &[],
        tests_may: true,
        why: "addresses are data, sockets not",
    },
    Ban {
        what: &["net", "TcpListener"],
        within: PURE,
        except: &[],
        tests_may: true,
        why: "addresses are data, sockets not",
    },
    Ban {
        what: &["net", "UdpSocket"],
        within: PURE,
        except: &[],
        tests_may: true,
        why: "addresses are data, sockets not",
    },
    Ban { what: &["net", "ToSocketAddrs"], within: PURE, except: &[], tests_may: true, why: "it asks the name server" },
    Ban { what: &["std", "env"], within: PURE, except: &[], tests_may: true, why: "configuration is read in config/" },
    Ban { what: &["std", "thread"], within: PURE, except: &[], tests_may: true, why: "pure code starts no threads" },
];

/// The one folder with unsafe code.
const UNSAFE_WITHIN: &str = "capture/native/";

#[test]
fn the_sources_keep_their_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let mut report = String::new();
    for path in &files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        for found in check(&name, &fs::read_to_string(path).unwrap()) {
            writeln!(report, "  src/{name}:{found}").unwrap();
        }
    }
    assert!(files.iter().any(|path| path.ends_with("src/lib.rs")), "nothing was checked");
    assert!(report.is_empty(), "\n{report}");
}

/// The viewer's dependencies have no business in somebody's service, and the viewer knows agents by their messages alone.
#[test]
fn the_agent_and_the_viewer_meet_in_the_demo_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |manifest: &str, package: &str| {
        let manifest = fs::read_to_string(root.join(manifest)).unwrap();
        let mut section = String::new();
        manifest
            .lines()
            .filter_map(|line| {
                if line.starts_with('[') {
                    section = line.to_owned();
                }
                line.split(['=', '.']).next().filter(|name| name.trim() == package).map(|_| section.clone())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(names("Cargo.toml", "flame-on-viewer"), ["[dev-dependencies]"]);
    assert_eq!(names("viewer/Cargo.toml", "flame-on"), [""; 0]);
}

#[test]
fn the_viewers_files_are_short_and_safe() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("viewer/src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 10, "nothing was checked");
    for path in &files {
        let source = fs::read_to_string(path).unwrap();
        assert!(source.lines().count() <= LONGEST, "{}", path.display());
        let scanned = scan::scan(&source, &[], false).unwrap();
        assert!(scanned.unsafe_lines.is_empty(), "{}", path.display());
    }
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// All that is wrong with the file `name` (below `src/`), each as `line: what`.
fn check(name: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.lines().count();
    if lines > LONGEST {
        found.push(format!("{lines}: longer than {LONGEST} lines"));
    }
    let module = module_of(name);
    let in_test = name.ends_with("/tests.rs") || name.contains("/tests/");
    match scan::scan(source, &module, in_test) {
        Err(line) => found.push(format!("{line}: not Rust")),
        Ok(scanned) => {
            found.extend(scanned.paths.iter().filter_map(|path| wrong_direction(&module, path)));
            found.extend(scanned.paths.iter().flat_map(|path| banned(name, path)));
            if !name.starts_with(UNSAFE_WITHIN) {
                found.extend(scanned.unsafe_lines.iter().map(|line| format!("{line}: unsafe outside {UNSAFE_WITHIN}")));
            }
        }
    }
    found
}

/// `a/b.rs` and `a/b/mod.rs` are the module `a::b`; `lib.rs` is the root.
fn module_of(name: &str) -> Vec<String> {
    let name = name.trim_end_matches(".rs").trim_end_matches("/mod");
    name.split('/').filter(|&part| part != "lib").map(str::to_owned).collect()
}

fn is_top(module: &str) -> bool {
    TOP.iter().any(|top| match top.strip_suffix('*') {
        Some(start) => module.starts_with(start),
        None => module == *top,
    })
}

fn wrong_direction(module: &[String], path: &scan::Path) -> Option<String> {
    let own = module.first().map_or("lib", String::as_str);
    if is_top(own) {
        return None;
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == own) else {
        return Some(format!("{}: {own} is not in the table of layers", path.line));
    };
    let absolute = path.absolute()?;
    let target = target_of(absolute.first()?);
    let is_allowed = target == own || allowed.contains(&target);
    (!is_allowed).then(|| format!("{}: {own} may not use {target} ({})", path.line, path.segments.join("::")))
}

/// What a name directly below the crate root belongs to.
fn target_of(name: &str) -> &str {
    let is_layer = LAYERS.iter().any(|(layer, _)| *layer == name);
    match ROOT_MACROS.iter().find(|(exported, _)| *exported == name) {
        Some((_, layer)) => layer,
        None if is_layer || is_top(name) => name,
        None => PUBLIC_API,
    }
}

fn banned(name: &str, path: &scan::Path) -> Vec<String> {
    let is_at = |places: &[&str]| places.iter().any(|place| name.starts_with(place));
    BANS.iter()
        .filter(|ban| ban.within.is_empty() || is_at(ban.within))
        .filter(|ban| !is_at(ban.except))
        .filter(|ban| !ban.tests_may || !path.in_test)
        .filter(|ban| match ban.what {
            [word] => path.segments.first().is_some_and(|first| first == word),
            words => path.segments.windows(words.len()).any(|window| window == words),
        })
        .map(|ban| format!("{}: {} ({})", path.line, ban.what.join("::"), ban.why))
        .collect()
}

mod tests {
    //! That the checks above catch what they should, and nothing else.

    use super::check;

    #[test]
    fn forbidden_lines_are_caught_on_their_line() {
        let long = "\n".repeat(501);
        for (name, source, caught) in [
            ("model/a.rs", "\nuse crate::encode::pprof;", "2: model may not use encode"),
            ("model/a.rs", "fn f() { crate::actors::restart::go() }", "1: model may not use actors"),
            ("model/a.rs", "use crate::{\n model::b,\n shipping::{c, d},\n};", "3: model may not use shipping"),
            ("model/a/b.rs", "use super::super::super::capture::x;", "1: model may not use capture"),
            ("model/mod.rs", "use super::capture;", "1: model may not use capture"),
            ("model/a.rs", "mod tests { use super::super::super::encode::x; }", "1: model may not use encode"),
            ("model/a.rs", "macro_rules! m { () => { $crate::actors::x() } }", "1: model may not use actors"),
            ("model/a.rs", "use crate::FlameOn;", "1: model may not use the crate root"),
            ("model/a.rs", "use crate::*;", "1: model may not use the crate root"),
            ("actors/a.rs", "use crate::config::Config;", "1: actors may not use config"),
            ("capture/a.rs", "fn f(_: crate::agent::FlameOn) {}", "1: capture may not use agent"),
            ("safety/a.rs", "use crate::capture::native::fork;", "1: safety may not use capture"),
            ("encode/a.rs", "use crate::vectors_labels::x;", "1: encode may not use vectors_labels"),
            ("errors/a.rs", "use crate::actors::x;", "1: errors may not use actors"),
            ("integrations/a.rs", "use crate::shipping::x;", "1: integrations may not use shipping"),
            ("surprise/a.rs", "use crate::model::x;", "1: surprise is not in the table"),
            ("model/a.rs", "\n\nlet t = std::time::Instant::now();", "3: Instant::now"),
            ("safety/a.rs", "let t = SystemTime::now();", "1: SystemTime::now"),
            ("model/a.rs", "use std::{collections::HashMap,\nfs::File};", "2: std::fs"),
            ("model/a.rs", "use std::net::{IpAddr, TcpStream};", "1: net::TcpStream"),
            ("model/a.rs", "async fn f() { tokio::task::yield_now().await }", "1: tokio"),
            ("safety/a.rs", "use tokio;", "1: tokio"),
            ("model/a.rs", "#[cfg(test)]\nuse x::y;\nuse tokio::time;", "3: tokio"),
            ("model/a.rs", "#[cfg(test)] mod tests { fn f() {} }\nuse tokio::time;", "2: tokio"),
            ("agent.rs", "use ractor::Actor;", "1: ractor"),
            ("agent.rs", "use {ractor::Actor, x};", "1: ractor"),
            ("capture/a.rs", "#[ractor::actor] struct A;", "1: ractor"),
            ("lib.rs", "extern crate ractor;", "1: ractor"),
            ("actors/restart.rs", "use ractor::Actor;", "1: ractor (the policy is pure)"),
            ("capture/a.rs", "fn f() {\n unsafe { g() }\n}", "2: unsafe outside"),
            ("lib.rs", "m! { unsafe fn f() {} }", "1: unsafe outside"),
            ("model/a.rs", long.as_str(), "501: longer than 500 lines"),
            ("model/a.rs", "fn f() {\n", "not Rust"),
            ("model/a.rs", "fn f()) {}\n", "1: not Rust"),
            ("model/a.rs", "let a = '\"'; let b: &'a str = r#\"\"\\\"#;\nuse tokio::x; // \"", "2: tokio"),
            ("model/a.rs", "/* /* */ \n */ use tokio::x;", "2: tokio"),
            ("model/a.rs", "let a = (b'\\'', '\\u{1F600}', b\"\\\"\");\nuse tokio::x;", "2: tokio"),
        ] {
            let found = check(name, source);
            assert!(found.iter().any(|line| line.contains(caught)), "{name}: {source:?} gave {found:?}");
        }
    }

    #[test]
    fn what_is_allowed_is_not_caught() {
        let long = "\n".repeat(500);
        for (name, source) in [
            (
                "model/a.rs",
                "use std::net::IpAddr; use crate::model::b; use super::c; use self::d::e; use serde::Serialize;",
            ),
            ("model/a.rs", "mod tests { use super::*; use super::super::b; }"),
            ("model/a.rs", "// use crate::actors::x;\n/// [`crate::agent`]\nconst A: &str = \"crate::actors::x\";"),
            (
                "model/a.rs",
                "/* /* tokio::x */ tokio::y */ let a = (r\"tokio::x\", b\"\\\"tokio::y\", 'a', \"tokio::z\");",
            ),
            ("model/a.rs", "pub(crate) fn f() {} pub(super) fn g() {} pub(in crate::model) fn h() {}"),
            ("model/a.rs", "let t: Instant = now; let d = Duration::from_secs(1); let m = crate::metadata! {};"),
            ("model/a.rs", "#[cfg(test)]\nmod tests { fn f() { std::fs::read(p); } }"),
            ("model/a/tests.rs", "use std::fs; let t = Instant::now();"),
            ("safety/a.rs", "use std::fs::File; use crate::model::time::Nanos;"),
            ("capture/a.rs", "use crate::{model::x, safety::breaker::Breaker}; let t = Instant::now();"),
            ("capture/native/a.rs", "unsafe { f() }"),
            ("shipping/a.rs", "use crate::encode::pprof; use tokio::time;"),
            ("actors/a.rs", "use ractor::Actor; use crate::{capture, shipping, symbols, safety, model};"),
            ("errors/a.rs", "use crate::FlameOn;"),
            ("integrations/mod.rs", "#[cfg(feature = \"ractor\")] pub mod ractor; pub use self::ractor::call;"),
            ("integrations/ractor.rs", "use ractor::ActorRef;"),
            ("agent.rs", "use crate::{actors, config::Config};"),
            ("config/env.rs", "use crate::model::config::Settings; std::env::var(x);"),
            ("vectors/preemption.rs", "use crate::encode::x;"),
            ("lib.rs", "#![deny(unsafe_code)] mod actors; pub use integrations::ractor::call;"),
            ("model/a.rs", long.as_str()),
        ] {
            assert_eq!(check(name, source), [""; 0], "{name}: {source:?}");
        }
    }
}
