//! Programs as users build them, and what is known of their functions.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::diagnose::{Diagnosis, NamedFile, Names};
use super::opened::CACHE_SHARE;
use super::symbol::{Class, Symbol};
use super::symbolizer::{SymbolSettings, Symbolizer};
use super::testing::{BIAS, Built, build, build_with};

const MANY_BYTES: usize = 64 << 20;
const BOTH: [&str; 2] = ["shop::orders::load", "shop::orders::price"];

fn settings(debug_file: Option<PathBuf>) -> SymbolSettings {
    SymbolSettings { max_bytes: MANY_BYTES, debug_file }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

fn frames(built: &Built, debug_file: Option<PathBuf>) -> Arc<[Symbol]> {
    Symbolizer::alone(settings(debug_file)).frames(&built.map(), built.inlined, later())
}

fn names(built: &Built, debug_file: Option<PathBuf>) -> Vec<String> {
    frames(built, debug_file).iter().map(|symbol| symbol.name.to_string()).collect()
}

fn diagnosis(built: &Built, debug_file: Option<PathBuf>) -> Diagnosis {
    Diagnosis::of(&built.map(), built.inlined, built.library, &settings(debug_file)).unwrap()
}

fn said(built: &Built) -> String {
    diagnosis(built, None).to_string()
}

fn remove(built: &Built, ending: &str) {
    let files = std::fs::read_dir(built.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let gone = files.filter(|path| path.to_str().unwrap().ends_with(ending)).collect::<Vec<_>>();
    assert!(!gone.is_empty(), "no {ending} was made");
    gone.iter().for_each(|path| std::fs::remove_file(path).unwrap());
}

#[test]
fn full_and_limited_debug_information_have_inlined_functions() {
    let of_the_other_names = ["-Cdebuginfo=1", "-Csymbol-mangling-version=v0"];
    for options in [&["-Cdebuginfo=2"][..], &["-Cdebuginfo=1"], &of_the_other_names] {
        let built = build(options);
        let frames = frames(&built, None);
        assert_eq!(frames.iter().map(|symbol| &*symbol.name).collect::<Vec<_>>(), BOTH, "{options:?}");
        assert!(frames.iter().all(|symbol| symbol.class == Class::Own && symbol.line > 0), "{options:?}: {frames:?}");
        assert!(frames.iter().all(|symbol| symbol.file.as_ref().unwrap().ends_with("/shop.rs")), "{frames:?}");
        assert!(diagnosis(&built, None).is_complete(), "{options:?}");
        assert_eq!(said(&built), "shop: functions and inlined functions by name", "{options:?}");
    }
}

#[test]
fn line_tables_cut_inlined_functions_short() {
    let built = build(&["-Cdebuginfo=line-tables-only"]);
    assert_eq!(names(&built, None), ["shop::orders::load", "price"]);
    assert_eq!(
        said(&built),
        "shop: functions by name, inlined ones by the last part of it; set `debug = 1` in `[profile.release]` instead of \
         `\"line-tables-only\"`"
    );
}

#[test]
fn without_debug_information_the_symbol_table_knows_the_outer_function() {
    let built = build(&["-Cdebuginfo=0"]);
    let frames = frames(&built, None);
    assert_eq!(frames.iter().map(|symbol| &*symbol.name).collect::<Vec<_>>(), BOTH[..1]);
    assert_eq!(frames[0].class, Class::Own);
    assert_eq!(
        said(&built),
        "shop: functions by name, without inlined ones; set `debug = 1` in `[profile.release]`, and no `strip`"
    );
}

#[test]
fn a_stripped_program_has_places_and_a_build_id() {
    let built = build(&["-Cdebuginfo=2", "-Cstrip=symbols"]);
    let frames = frames(&built, None);
    assert_eq!(*frames[0].name, *format!("shop+{:#x}", built.inlined - BIAS));
    assert_eq!(frames[0].class, Class::Unknown);
    assert!(frames[0].file.as_ref().unwrap().ends_with("/shop build-id=0102030405060708"), "{frames:?}");
    assert!(
        said(&built).starts_with("shop: addresses only; set `debug = 1` and `strip = \"none\"`"),
        "{}",
        said(&built)
    );
}

#[test]
fn a_package_beside_the_program_is_used_and_missed() {
    let built = build(&["-Cdebuginfo=2", "-Csplit-debuginfo=packed"]);
    assert_eq!(names(&built, None), BOTH);
    assert_eq!(said(&built), "shop: functions and inlined functions by name (from shop.dwp)");
    remove(&built, ".dwp");
    assert_eq!(names(&built, None), BOTH[..1]);
    let diagnosis = diagnosis(&built, None);
    assert!(diagnosis.split.is_missing && !diagnosis.is_complete(), "{diagnosis:?}");
    assert!(diagnosis.to_string().contains("deploy `shop.dwp` beside `shop`"), "{diagnosis}");
}

#[test]
fn the_compilers_split_files_are_used_and_missed() {
    let built = build(&["-Cdebuginfo=2", "-Csplit-debuginfo=unpacked"]);
    assert_eq!(names(&built, None), BOTH);
    assert_eq!(said(&built), "shop: functions and inlined functions by name (from the compiler's .dwo files)");
    remove(&built, ".dwo");
    assert_eq!(names(&built, None), BOTH[..1]);
    assert!(diagnosis(&built, None).split.is_missing);
}

#[test]
fn a_named_file_is_used_when_it_belongs_to_the_program() {
    let stripped = build(&["-Cdebuginfo=2", "-Cstrip=symbols"]);
    let whole = build(&["-Cdebuginfo=2"]);
    let named = Some(whole.program.clone());
    assert_eq!(stripped.inlined, whole.inlined, "another layout: the test says nothing");
    assert_eq!(names(&stripped, named.clone()), BOTH);
    assert_eq!(
        diagnosis(&stripped, named).to_string(),
        "shop: functions and inlined functions by name (from `debug_file`)"
    );
    let other = build_with(&["-Cdebuginfo=2"], &["-Cdebuginfo=2"], "0908070605040302");
    let refused = diagnosis(&stripped, Some(other.program.clone()));
    assert_eq!(refused.named, NamedFile::Refused);
    assert!(refused.to_string().contains("`debug_file` names is missing or belongs to another build"), "{refused}");
    assert_eq!(frames(&stripped, Some(other.program))[0].class, Class::Unknown);
}

#[test]
fn libraries_without_debug_information_are_told_apart() {
    let built = build_with(&["-Cdebuginfo=1"], &["-Cdebuginfo=0"], "0102030405060708");
    let diagnosis = diagnosis(&built, None);
    assert_eq!((diagnosis.own, diagnosis.libraries), (Names::Full, Names::SymbolTable));
    assert!(diagnosis.to_string().contains("take `debug = false` out of `[profile.release.package.…]`"), "{diagnosis}");
}

#[test]
fn a_program_that_was_replaced_says_so_and_gives_no_wrong_names() {
    let built = build(&["-Cdebuginfo=2"]);
    let map = built.map();
    let other = build_with(&["-Cdebuginfo=2"], &[], "0908070605040302");
    std::fs::copy(&other.program, &built.program).unwrap();
    let diagnosis = Diagnosis::of(&map, built.inlined, built.library, &settings(None)).unwrap();
    assert!(diagnosis.to_string().contains("was replaced since it started: restart the service"), "{diagnosis}");
    let frames = Symbolizer::alone(settings(None)).frames(&map, built.inlined, later());
    assert_eq!(frames[0].class, Class::Unknown);
}

#[test]
fn too_little_memory_is_told_with_the_key_to_raise() {
    let built = build(&["-Cdebuginfo=2"]);
    let settings = SymbolSettings { max_bytes: 64 << 10, debug_file: None };
    let diagnosis = Diagnosis::of(&built.map(), built.inlined, built.library, &settings).unwrap();
    assert!(diagnosis.to_string().contains("raise `max_symbol_bytes`"), "{diagnosis}");
}

#[test]
fn a_hundred_thousand_addresses_stay_within_the_bound() {
    const MOST: usize = 2 << 20;
    // What the standard library has of its own goes too: reading it takes long in a build for tests.
    let built = build(&["-Cdebuginfo=0", "-Cstrip=debuginfo"]);
    let map = built.map();
    let mut symbolizer = Symbolizer::alone(SymbolSettings { max_bytes: MOST, debug_file: None });
    let mut known = 0;
    for address in 0..100_000 {
        let frames = symbolizer.frames(&map, built.inlined + address, later());
        known += u32::from(frames[0].class != Class::Unknown);
        assert!(symbolizer.bytes() <= MOST, "{} bytes after {address}", symbolizer.bytes());
    }
    assert!(symbolizer.bytes() > MOST / CACHE_SHARE / 2, "the cache was never full");
    assert!(known > 10_000, "only {known} had a name: the test says little");
}
