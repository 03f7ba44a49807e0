use std::cell::Cell;
use std::collections::HashMap;

use serde::Serialize;

use super::*;
use crate::model::call_term::call_label;
use crate::model::sanitizer::call_term;

/// Stands for the two steps of a call: the label is owned before the arguments move.
struct Prepared(String);

fn prepare<F: Serialize>(process: &str, form: &F) -> Prepared {
    Prepared(call_label(Some(process), Some(&call_term(form, true))))
}

impl Prepared {
    fn ask<M>(self, build: impl FnOnce(ReplyPort) -> M) -> (String, M) {
        (self.0, build(ReplyPort))
    }
}

/// As the public macro, without the actor.
macro_rules! call {
    ($actor:expr, $($variant:ident)::+ $(, $arg:expr)* $(,)?) => {
        call!(@bind ($actor) ($($variant)::+) [] $($arg,)*)
    };
    (@bind $actor:tt $variant:tt [$($done:ident)*] $arg:expr, $($rest:expr,)*) => {{
        let arg = $arg;
        call!(@bind $actor $variant [$($done)* arg] $($rest,)*)
    }};
    (@bind ($actor:expr) ($($variant:ident)::+) [$($done:ident)*]) => {{
        #[allow(unused_imports)]
        use crate::model::call_form::{ByShape as _, Opaque as _};
        let call = prepare(&$actor, &Form::new(stringify!($($variant)::+))$(.with((&Arg(&$done)).field()))*);
        call.ask(move |reply| $($variant)::+($($done,)* reply))
    }};
}

#[derive(Debug, PartialEq)]
struct ReplyPort;

#[derive(Debug, PartialEq)]
struct NotSerialize(u8);

#[derive(Debug, PartialEq, Serialize)]
struct Options {
    timeout: u64,
}

#[derive(Debug, PartialEq)]
enum Db {
    Stats(ReplyPort),
    Query(String, Options, ReplyPort),
    Raw(NotSerialize, u64, ReplyPort),
    Lookup(HashMap<String, String>, Option<bool>, Vec<u8>, ReplyPort),
}

#[allow(dead_code, reason = "the messages are only taken apart")]
mod nested {
    pub(super) enum Cache {
        GetMany(&'static str, super::ReplyPort),
        r#Type(super::ReplyPort),
    }
}

#[test]
fn a_call_is_labelled_by_its_variant_and_the_shape_of_its_arguments() {
    let (label, message) = call!("db", Db::Query, String::from("select 1"), Options { timeout: 5 });
    assert_eq!(label, r#"CALL db {:query, "...", "%{...}"}"#);
    assert_eq!(message, Db::Query("select 1".into(), Options { timeout: 5 }, ReplyPort));
}

#[test]
fn a_variant_without_arguments_is_an_atom() {
    assert_eq!(call!("db", Db::Stats).0, "CALL db :stats");
}

#[test]
fn an_argument_that_is_not_serialize_is_opaque_and_the_others_are_shown() {
    let (label, message) = call!("db", Db::Raw, NotSerialize(3), 7);
    assert_eq!(label, r#"CALL db {:raw, "term", 7}"#);
    assert_eq!(message, Db::Raw(NotSerialize(3), 7, ReplyPort));
}

#[test]
fn each_argument_is_evaluated_once_in_order_and_moved() {
    let count = Cell::new(0);
    let next = || {
        count.set(count.get() + 1);
        count.get()
    };
    let (label, message) = call!("db", Db::Raw, NotSerialize(next()), next().into(),);
    assert_eq!(count.get(), 2);
    assert_eq!(label, r#"CALL db {:raw, "term", 2}"#);
    assert_eq!(message, Db::Raw(NotSerialize(1), 2, ReplyPort));
}

#[test]
fn collections_of_arguments_show_as_words() {
    let map = HashMap::from([("SECRET_KEY".to_owned(), "SECRET_VALUE".to_owned())]);
    let (label, _) = call!("db", Db::Lookup, map, Some(true), vec![1]);
    assert_eq!(label, r#"CALL db {:lookup, "%{...}", true, "list"}"#);
}

#[test]
fn the_variant_is_the_last_name_of_its_path() {
    assert_eq!(call!("cache", nested::Cache::GetMany, "key").0, r#"CALL cache {:get_many, "..."}"#);
    assert_eq!(call!("cache", nested::Cache::r#Type).0, "CALL cache :type");
    assert_eq!(call_term(&Form::new("Db :: Query"), true).to_string(), ":query");
}
