use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use proptest::prelude::*;
use serde::Serialize;
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _, SerializeTuple as _};

use super::*;
use crate::model::call_term::{MAX_ELEMENTS, MAX_LABEL_BYTES, call_label};

fn shown<T: Serialize + ?Sized>(value: &T) -> String {
    call_term(value, true).to_string()
}

#[derive(Serialize)]
struct Options {
    timeout: u64,
}

#[derive(Serialize)]
struct Marker;

#[derive(Serialize)]
struct UserId(u64);

#[derive(Serialize)]
struct Point(i32, f64);

#[derive(Serialize)]
enum Msg {
    Query(String, Options),
    GetState,
    Find(UserId),
    Put { key: String, value: Vec<u8> },
    Move(Point, Marker),
    Many(Vec<String>, Option<Box<Msg>>),
}

#[test]
fn a_message_enum_shows_its_variant_and_the_shape_of_its_fields() {
    let query = Msg::Query("SELECT 1".to_owned(), Options { timeout: 5000 });
    assert_eq!(shown(&query), r#"{:query, "...", "%{...}"}"#);
    assert_eq!(shown(&Msg::GetState), ":get_state");
    assert_eq!(shown(&Msg::Find(UserId(42))), "{:find, 42}");
    assert_eq!(shown(&Msg::Put { key: "k".to_owned(), value: vec![1] }), r#"{:put, "%{...}"}"#);
    assert_eq!(shown(&Msg::Move(Point(1, 2.0), Marker)), r#"{:move, "tuple", :marker}"#);
    assert_eq!(shown(&Msg::Many(vec![], None)), r#"{:many, "list", nil}"#);
    let nested = Msg::Many(vec![], Some(Box::new(Msg::GetState)));
    assert_eq!(shown(&nested), r#"{:many, "list", :get_state}"#);
    let nested = Msg::Many(vec![], Some(Box::new(Msg::Put { key: String::new(), value: vec![] })));
    assert_eq!(shown(&nested), r#"{:many, "list", "tuple"}"#);
}

#[test]
fn plain_values_show_themselves_or_what_they_are() {
    assert_eq!(shown(&()), "nil");
    assert_eq!(shown(&None::<u8>), "nil");
    assert_eq!(shown(&Some(Some(1.5))), "1.5");
    assert_eq!(shown(&true), "true");
    assert_eq!(shown("text"), r#""...""#);
    assert_eq!(shown(&'c'), r#""...""#);
    assert_eq!(shown(&0.1_f32), "0.1");
    assert_eq!(shown(&u8::MAX), "255");
    assert_eq!(shown(&i128::MIN), i128::MIN.to_string());
    assert_eq!(shown(&u128::MAX), u128::MAX.to_string());
    assert_eq!(shown(&UserId(7)), "7");
    assert_eq!(shown(&Point(-1, 1e-5)), "{-1, 1.0e-5}");
    assert_eq!(shown(&Marker), ":marker");
    assert_eq!(shown(&Ok::<_, ()>(("a", 1))), r#"{:ok, "tuple"}"#);
    assert_eq!(shown(&HashMap::from([("key", 1)])), r#""%{...}""#);
    assert_eq!(shown(&[("a", 1), ("b", 2)].to_vec()), r#"["tuple", "tuple"]"#);
    assert_eq!(shown(&Some(vec![Some(vec![1]), None])), r#"["list", nil]"#);
    assert_eq!(shown(&std::net::Ipv4Addr::LOCALHOST), r#""...""#);
}

#[test]
fn json_shows_as_the_message_it_is() {
    assert_eq!(shown(&serde_json::json!({"password": "x"})), r#""%{...}""#);
    assert_eq!(
        shown(&serde_json::json!(["a", 1, null, true, [2], {"k": 3}])),
        r#"["...", 1, nil, true, "list", "%{...}"]"#
    );
    assert_eq!(shown(&serde_json::json!(1.0)), "1.0");
}

#[test]
fn a_list_of_nothing_but_u8_is_bytes() {
    assert_eq!(shown(&b"secret".to_vec()), r#""...""#);
    assert_eq!(shown(b"secret"), r#""...""#);
    assert_eq!(shown(&[7_u8; 1000].to_vec()), r#""...""#);
    assert_eq!(shown(&(1_u8, "x")), r#"{1, "..."}"#);
    assert_eq!(shown(&Vec::<u8>::new()), "[]");

    #[derive(Serialize)]
    struct Rgb(u8, u8, u8);
    assert_eq!(shown(&Rgb(1, 2, 3)), "{1, 2, 3}");
    assert_eq!(call_term(&Rgb(1, 2, 3), false).to_string(), r#"{"number", "number", "number"}"#);
}

#[test]
fn hidden_numbers_show_that_they_are_numbers() {
    let message = (1_i8, 2.5, u128::MAX, 3_u8, true, "s");
    let hidden = call_term(&message, false).to_string();
    assert_eq!(hidden, r#"{"number", "number", "number", "number", true, "..."}"#);
    assert_eq!(call_term(&7_u8, false).to_string(), r#""number""#);
}

#[test]
fn variant_names_become_snake_case() {
    for (name, snake) in [
        ("Get", "get"),
        ("GetState", "get_state"),
        ("HTTPServer", "http_server"),
        ("GetURL", "get_url"),
        ("Sha256Sum", "sha256_sum"),
        ("V2", "v2"),
        ("SCREAMING_CASE", "screaming_case"),
        ("already_snake", "already_snake"),
        ("with-dash", "with-dash"),
        ("Über", "über"),
        ("", ""),
    ] {
        assert_eq!(snake_case(name), snake);
    }
}

/// Counts how often it is asked for its shape.
struct Probe<'a>(&'a Cell<usize>);

impl Serialize for Probe<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.set(self.0.get() + 1);
        serializer.serialize_str("visited")
    }
}

#[test]
fn what_is_not_shown_is_not_visited() {
    #[derive(Serialize)]
    struct Outer<'a> {
        field: Probe<'a>,
    }
    let visits = Cell::new(0);
    let probe = || Probe(&visits);
    assert_eq!(shown(&Outer { field: probe() }), r#""%{...}""#);
    assert_eq!(shown(&BTreeMap::from([(1, probe())])), r#""%{...}""#);
    assert_eq!(shown(&(vec![probe()], (probe(), 1), Ok::<_, ()>(probe()))), r#"{"list", "tuple", "tuple"}"#);
    assert_eq!(visits.get(), 0);

    let many: Vec<_> = (0..10_000).map(|_| probe()).collect();
    assert!(shown(&many).ends_with(", ...]"));
    assert_eq!(visits.get(), MAX_ELEMENTS);
}

#[test]
fn a_sequence_is_left_at_the_first_element_that_is_not_shown() {
    struct Endless<'a>(&'a Cell<usize>);
    impl Serialize for Endless<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(std::iter::from_fn(|| {
                self.0.set(self.0.get() + 1);
                Some(1)
            }))
        }
    }
    let taken = Cell::new(0);
    assert!(shown(&Endless(&taken)).ends_with("1, ...]"));
    assert_eq!(taken.get(), MAX_ELEMENTS + 1);
}

#[test]
fn text_that_is_only_displayed_is_never_formatted() {
    struct Unprintable;
    impl fmt::Display for Unprintable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            unreachable!("a label does not format its message")
        }
    }
    impl Serialize for Unprintable {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }
    assert_eq!(shown(&Unprintable), r#""...""#);
}

struct Failing;

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("SECRET"))
    }
}

struct Panicking;

impl Serialize for Panicking {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        std::panic::resume_unwind(Box::new(PanicsOnDrop))
    }
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("dropped"));
    }
}

#[test]
fn a_value_that_cannot_be_serialized_is_opaque_and_its_neighbours_are_shown() {
    assert_eq!(shown(&Failing), r#""term""#);
    assert_eq!(shown(&(1, Failing, "x")), r#"{1, "term", "..."}"#);
    assert_eq!(shown(&Ok::<_, ()>(Failing)), r#"{:ok, "term"}"#);
    assert_eq!(shown(&Some(Failing)), r#""term""#);
}

#[test]
fn a_panic_in_serialize_does_not_reach_the_host_even_if_its_payload_panics_too() {
    assert_eq!(shown(&Panicking), r#""term""#);
    assert_eq!(shown(&(1, Panicking, "x")), r#"{1, "term", "..."}"#);
}

#[test]
fn a_list_that_fails_half_way_is_opaque() {
    struct Half;
    impl Serialize for Half {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_seq(None)?.serialize_element(&1)?;
            Err(S::Error::custom("the rest is locked"))
        }
    }
    assert_eq!(shown(&Half), r#""term""#);
}

#[test]
fn a_serialize_that_swallows_errors_changes_nothing() {
    struct Stubborn;
    impl Serialize for Stubborn {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut tuple = serializer.serialize_tuple(200)?;
            for number in 0..200 {
                tuple.serialize_element(&number).ok();
            }
            tuple.end()
        }
    }
    let label = shown(&Stubborn);
    assert!(label.starts_with("{0, 1,") && label.ends_with("49, ...}"), "{label}");
}

#[test]
fn a_serialize_that_replaces_errors_changes_nothing() {
    struct Replacing;
    impl Serialize for Replacing {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_map(None).and_then(|map| map.end()).map_err(|_| S::Error::custom("replaced"))
        }
    }
    assert_eq!(shown(&Replacing), r#""%{...}""#);
}

#[test]
fn a_long_chain_of_wrappers_ends_before_the_stack_does() {
    struct Chain(usize);
    impl Serialize for Chain {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 % 2 {
                0 => serializer.serialize_some(&Chain(self.0 + 1)),
                _ => serializer.serialize_newtype_struct("Chain", &Chain(self.0 + 1)),
            }
        }
    }
    assert_eq!(shown(&Chain(0)), r#""term""#);
    assert_eq!(shown(&(Chain(0), 1)), r#"{"term", 1}"#);
}

#[test]
fn a_deep_tree_is_left_at_its_second_level() {
    #[derive(Serialize)]
    enum Tree {
        Leaf,
        Node(Box<Tree>, Vec<Tree>),
    }
    let deep = (0..1_000_000).fold(Tree::Leaf, |inner, _| Tree::Node(Box::new(inner), vec![]));
    let label = shown(&deep);
    // Its drop would recurse.
    std::mem::forget(deep);
    assert_eq!(label, r#"{:node, "tuple", "list"}"#);
}

/// Any message that serde can express.
#[derive(Debug, Clone)]
enum Node {
    Unit,
    None,
    Bool(bool),
    Int(i64),
    Byte(u8),
    Float(f64),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    Shown(String),
    Fails,
    UnitVariant,
    Some(Box<Node>),
    Newtype(Box<Node>),
    NewtypeVariant(Box<Node>),
    Seq(Vec<Node>),
    Tuple(Vec<Node>),
    TupleStruct(Vec<Node>),
    TupleVariant(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Struct(Box<Node>),
    StructVariant(Box<Node>),
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{SerializeStruct as _, SerializeStructVariant as _};
        use serde::ser::{SerializeTupleStruct as _, SerializeTupleVariant as _};
        match self {
            Self::Unit => s.serialize_unit(),
            Self::None => s.serialize_none(),
            Self::Bool(value) => s.serialize_bool(*value),
            Self::Int(number) => s.serialize_i64(*number),
            Self::Byte(number) => s.serialize_u8(*number),
            Self::Float(number) => s.serialize_f64(*number),
            Self::Char(c) => s.serialize_char(*c),
            Self::Text(text) => s.serialize_str(text),
            Self::Bytes(bytes) => s.serialize_bytes(bytes),
            Self::Shown(text) => s.collect_str(text),
            Self::Fails => Err(S::Error::custom("SECRET_in_an_error")),
            Self::UnitVariant => s.serialize_unit_variant("Node", 0, "UnitVariant"),
            Self::Some(inner) => s.serialize_some(inner),
            Self::Newtype(inner) => s.serialize_newtype_struct("Newtype", inner),
            Self::NewtypeVariant(inner) => s.serialize_newtype_variant("Node", 0, "NewtypeVariant", inner),
            Self::Seq(nodes) => s.collect_seq(nodes),
            Self::Tuple(nodes) => {
                let mut tuple = s.serialize_tuple(nodes.len())?;
                nodes.iter().try_for_each(|node| tuple.serialize_element(node))?;
                tuple.end()
            }
            Self::TupleStruct(nodes) => {
                let mut tuple = s.serialize_tuple_struct("Record", nodes.len())?;
                nodes.iter().try_for_each(|node| tuple.serialize_field(node))?;
                tuple.end()
            }
            Self::TupleVariant(nodes) => {
                let mut tuple = s.serialize_tuple_variant("Node", 0, "TupleVariant", nodes.len())?;
                nodes.iter().try_for_each(|node| tuple.serialize_field(node))?;
                tuple.end()
            }
            Self::Map(pairs) => {
                let mut map = s.serialize_map(Some(pairs.len()))?;
                pairs.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Struct(inner) => {
                let mut fields = s.serialize_struct("Struct", 1)?;
                fields.serialize_field("field", inner)?;
                fields.end()
            }
            Self::StructVariant(inner) => {
                let mut fields = s.serialize_struct_variant("Node", 0, "StructVariant", 1)?;
                fields.serialize_field("field", inner)?;
                fields.end()
            }
        }
    }
}

/// As a list of numbers they would show as `83, 83, …`.
fn secret_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(Just(b'S'), 1..80)
}

fn node() -> impl Strategy<Value = Node> {
    let secret = || "SECRET_[a-z0-9]{0,40}";
    let leaf = prop_oneof![
        Just(Node::Unit),
        Just(Node::None),
        any::<bool>().prop_map(Node::Bool),
        any::<i64>().prop_map(Node::Int),
        any::<u8>().prop_map(Node::Byte),
        any::<f64>().prop_map(Node::Float),
        any::<char>().prop_map(Node::Char),
        secret().prop_map(Node::Text),
        secret_bytes().prop_map(Node::Bytes),
        secret_bytes().prop_map(|bytes| Node::Seq(bytes.into_iter().map(Node::Byte).collect())),
        secret().prop_map(Node::Shown),
        Just(Node::Fails),
        Just(Node::UnitVariant),
    ];
    leaf.prop_recursive(5, 300, 60, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let nodes = || prop::collection::vec(inner.clone(), 0..60);
        prop_oneof![
            boxed().prop_map(Node::Some),
            boxed().prop_map(Node::Newtype),
            boxed().prop_map(Node::NewtypeVariant),
            nodes().prop_map(Node::Seq),
            nodes().prop_map(Node::Tuple),
            nodes().prop_map(Node::TupleStruct),
            nodes().prop_map(Node::TupleVariant),
            prop::collection::vec((inner.clone(), inner.clone()), 0..8).prop_map(Node::Map),
            boxed().prop_map(Node::Struct),
            boxed().prop_map(Node::StructVariant),
        ]
    })
}

/// The rules of a label once more, on the tree itself.
fn expected(node: &Node, is_element: bool) -> String {
    let within = |nodes: &[Node], before: &[&str]| {
        let mut parts: Vec<String> = before.iter().map(|&atom| atom.to_owned()).collect();
        parts.extend(nodes.iter().map(|node| expected(node, true)));
        if parts.len() > MAX_ELEMENTS {
            parts.truncate(MAX_ELEMENTS);
            parts.push("...".to_owned());
        }
        parts.join(", ")
    };
    let all_bytes = |nodes: &[Node]| !nodes.is_empty() && nodes.iter().take(MAX_ELEMENTS).all(is_byte);
    let quoted = |word: &str| format!("\"{word}\"");
    match node {
        Node::Unit | Node::None => "nil".to_owned(),
        Node::Bool(value) => value.to_string(),
        Node::Int(number) => number.to_string(),
        Node::Byte(number) => number.to_string(),
        Node::Float(number) => Shape::Float(*number).to_string(),
        Node::Char(_) | Node::Text(_) | Node::Bytes(_) | Node::Shown(_) => quoted("..."),
        Node::Fails => quoted("term"),
        Node::UnitVariant => ":unit_variant".to_owned(),
        Node::Some(inner) | Node::Newtype(inner) => expected(inner, is_element),
        Node::Map(_) | Node::Struct(_) => quoted("%{...}"),
        Node::Seq(_) if is_element => quoted("list"),
        Node::Tuple(_) | Node::TupleStruct(_) | Node::TupleVariant(_) if is_element => quoted("tuple"),
        Node::NewtypeVariant(_) | Node::StructVariant(_) if is_element => quoted("tuple"),
        Node::Seq(nodes) | Node::Tuple(nodes) if all_bytes(nodes) => quoted("..."),
        Node::Seq(nodes) => format!("[{}]", within(nodes, &[])),
        Node::Tuple(nodes) | Node::TupleStruct(nodes) => format!("{{{}}}", within(nodes, &[])),
        Node::TupleVariant(nodes) => format!("{{{}}}", within(nodes, &[":tuple_variant"])),
        Node::NewtypeVariant(inner) => format!("{{{}}}", within(std::slice::from_ref(inner), &[":newtype_variant"])),
        Node::StructVariant(_) => r#"{:struct_variant, "%{...}"}"#.to_owned(),
    }
}

fn is_byte(node: &Node) -> bool {
    match node {
        Node::Byte(_) => true,
        Node::Some(inner) | Node::Newtype(inner) => is_byte(inner),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_label_shows_the_shape_and_no_secret_within_its_bound(message in node(), label_numbers: bool) {
        let label = call_label(Some("p"), Some(&call_term(&message, label_numbers)));
        prop_assert!(!label.to_lowercase().contains("secret"), "{}", label);
        prop_assert!(!label.contains("83, 83, 83"), "{}", label);
        prop_assert!(label.len() <= MAX_LABEL_BYTES);
        if !label_numbers {
            prop_assert!(!label.contains(|c: char| c.is_numeric()), "{}", label);
        }
    }

    #[test]
    fn a_label_is_what_the_rules_say(message in node()) {
        prop_assert_eq!(shown(&message), expected(&message, false));
    }
}
