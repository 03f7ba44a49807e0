//! labels.json: a message term becomes the text of a `CALL` frame.
//!
//! Each term is printed as it is, and once more by way of serde where a Rust message can say the same. What one
//! cannot say, by rule: processes, references and functions, and atoms with a capital letter (a variant's name
//! becomes snake case).

use std::path::Path;

use flame_on::__vectors_labels::{Term, label_of_message, label_of_term};
use serde::ser::{Serialize, SerializeTuple as _, Serializer};
use serde_json::Value;

const FILE: &str = "labels.json";

/// One line for each case that fails.
pub(crate) fn run(dir: &Path) -> Vec<String> {
    let cases = match super::terms::read_cases(dir, FILE) {
        Ok(cases) => cases,
        Err(failure) => return vec![failure],
    };
    let mut failures = Vec::new();
    for case in &cases {
        let name = format!("{FILE} {}", case["id"]);
        let (Some(term), Some(expected)) = (read_term(&case["message"]), case["label"].as_str()) else {
            failures.push(format!("{name}: cannot be read"));
            continue;
        };
        let process = case["process_name"].as_str();
        let mut check = |way: &str, label: String| {
            if label != expected {
                failures.push(format!("{name} {way}: expected {expected} got {label}"));
            }
        };
        check("as a term", label_of_term(process, term.clone()));
        if let Some(message) = Message::new(&term) {
            check("as a message", label_of_message(process, &message));
        }
    }
    failures
}

fn read_term(term: &Value) -> Option<Term> {
    let value = &term["v"];
    let terms = || value.as_array()?.iter().map(read_term).collect::<Option<Vec<_>>>();
    Some(match term["t"].as_str()? {
        "atom" => Term::Atom(value.as_str()?.to_owned()),
        "int" => Term::Int(value.as_str()?.parse().ok()?),
        "float" => Term::Float(f64::from_bits(u64::from_str_radix(term["bits"].as_str()?, 16).ok()?)),
        "str" | "bytes" => Term::Text,
        "map" | "struct" => Term::Map,
        "tuple" => Term::Tuple(terms()?),
        "list" => Term::List(terms()?),
        "pid" => Term::Named("pid"),
        "ref" => Term::Named("ref"),
        "fun" => Term::Named("fn"),
        _ => return None,
    })
}

/// A term as the Rust message that says the same.
struct Message<'a>(&'a Term);

impl<'a> Message<'a> {
    fn new(term: &'a Term) -> Option<Self> {
        can_be_said(term).then_some(Self(term))
    }
}

fn can_be_said(term: &Term) -> bool {
    match term {
        Term::Atom(name) => !name.contains(char::is_uppercase),
        Term::Named(_) => false,
        Term::Tuple(terms) | Term::List(terms) => terms.iter().all(can_be_said),
        Term::Int(_) | Term::Float(_) | Term::Text | Term::Map => true,
    }
}

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Term::Atom(name) if name == "nil" => serializer.serialize_unit(),
            Term::Atom(name) if name == "true" || name == "false" => serializer.serialize_bool(name == "true"),
            Term::Atom(name) => serializer.serialize_unit_variant("Message", 0, name.clone().leak()),
            Term::Int(number) => serializer.serialize_i128(*number),
            Term::Float(number) => serializer.serialize_f64(*number),
            Term::Text => serializer.serialize_str("content"),
            Term::Map => serializer.collect_map([("key", "value")]),
            Term::List(terms) => serializer.collect_seq(terms.iter().map(Message)),
            Term::Tuple(terms) => {
                let mut tuple = serializer.serialize_tuple(terms.len())?;
                terms.iter().try_for_each(|term| tuple.serialize_element(&Message(term)))?;
                tuple.end()
            }
            Term::Named(name) => Err(serde::ser::Error::custom(name)),
        }
    }
}
