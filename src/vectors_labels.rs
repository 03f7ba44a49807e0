//! Lets the golden vectors of labels and of the default handler reach what is not public. No part of the API.
#![allow(missing_docs)]

use std::time::Duration;

use serde::Serialize;

use crate::model::call_term::{self, CallTerm, Elements, Shape};
use crate::model::{handler, sanitizer};

/// A message term of the vectors; what is never shown is left out of it.
#[derive(Debug, Clone)]
pub enum Term {
    Atom(String),
    Int(i128),
    Float(f64),
    Text,
    Map,
    Tuple(Vec<Term>),
    List(Vec<Term>),
    /// `pid`, `ref`, `fn`: what a Rust message cannot hold.
    Named(&'static str),
}

impl From<Term> for CallTerm {
    fn from(term: Term) -> Self {
        let elements = |terms: Vec<Term>| {
            let mut elements = Elements::default();
            elements.extend(terms.into_iter().map(Self::from));
            elements
        };
        match term {
            Term::Atom(name) => Shape::Atom(name.into()).into(),
            Term::Int(number) => Shape::Int(number).into(),
            Term::Float(number) => Shape::Float(number).into(),
            Term::Text => Shape::TEXT.into(),
            Term::Map => Shape::MAP.into(),
            Term::Tuple(terms) => Self::Tuple(elements(terms)),
            Term::List(terms) => Self::List(elements(terms)),
            Term::Named(name) => Shape::Quoted(name).into(),
        }
    }
}

/// The label of a term.
pub fn label_of_term(process: Option<&str>, term: Term) -> String {
    call_term::call_label(process, Some(&term.into()))
}

/// The label of a message.
pub fn label_of_message<T: Serialize + ?Sized>(process: Option<&str>, message: &T) -> String {
    call_term::call_label(process, Some(&sanitizer::call_term(message, true)))
}

/// An event's threshold when nobody sets one.
pub fn default_threshold(event: &str) -> Duration {
    handler::default_threshold(event).unwrap_or(handler::OTHER_THRESHOLD)
}
