use proptest::prelude::*;

use super::*;

fn atom(name: &'static str) -> CallTerm {
    Shape::Atom(name.into()).into()
}

fn int(number: i128) -> CallTerm {
    Shape::Int(number).into()
}

fn elements(terms: impl IntoIterator<Item = CallTerm>) -> Elements {
    let mut elements = Elements::default();
    elements.extend(terms);
    elements
}

#[test]
fn a_label_names_the_process_and_shows_the_message() {
    let message = CallTerm::Tuple(elements([atom("query"), Shape::TEXT.into(), Shape::MAP.into()]));
    assert_eq!(call_label(Some("MyApp.Repo"), Some(&message)), r#"CALL MyApp.Repo {:query, "...", "%{...}"}"#);
}

#[test]
fn without_a_message_the_label_is_the_process_alone() {
    assert_eq!(call_label(Some("app::PriceActor"), None), "CALL app::PriceActor");
    assert_eq!(call_label(None, None), "CALL <process>");
}

#[test]
fn a_tuple_or_list_one_level_down_is_a_word() {
    let inner = || elements([int(1)]);
    let outer = elements([CallTerm::Tuple(inner()), CallTerm::List(inner()), atom("b")]);
    assert_eq!(CallTerm::List(outer).to_string(), r#"["tuple", "list", :b]"#);
}

#[test]
fn fifty_elements_are_shown_and_then_dots() {
    let numbers = |count: i128| CallTerm::List(elements((0..count).map(int))).to_string();
    assert!(numbers(50).ends_with(", 49]"), "{}", numbers(50));
    assert!(numbers(51).ends_with(", 49, ...]"), "{}", numbers(51));
    assert_eq!(numbers(51), numbers(5_000));
    assert_eq!(numbers(0), "[]");
}

#[test]
fn atoms_print_bare_as_alias_as_identifier_or_quoted() {
    for (name, printed) in [
        ("nil", "nil"),
        ("true", "true"),
        ("get_state", ":get_state"),
        ("Get", ":Get"),
        ("a@b", ":a@b"),
        ("empty?", ":empty?"),
        ("save!", ":save!"),
        ("?", ":\"?\""),
        ("a?b", ":\"a?b\""),
        ("1abc", ":\"1abc\""),
        ("", ":\"\""),
        ("Elixir", ":Elixir"),
        ("Elixir.", ":\"Elixir.\""),
        ("Elixir.A", "A"),
        ("Elixir.A.B_2", "A.B_2"),
        ("Elixir.A.b", ":\"Elixir.A.b\""),
        ("Elixir.A..B", ":\"Elixir.A..B\""),
        ("a\"b\\c", r#":"a\"b\\c""#),
        ("\n\t", r#":"\n\t""#),
        ("über", ":\"über\""),
    ] {
        assert_eq!(atom(name).to_string(), printed);
    }
}

#[test]
fn floats_print_plain_where_that_is_readable() {
    for (number, printed) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (0.001, "0.001"),
        (0.00012, "1.2e-4"),
        (1e-4, "0.0001"),
        (1e-5, "1.0e-5"),
        (-1.5, "-1.5"),
        (100_000.0, "100000.0"),
        (9_007_199_254_740_993.0, "9007199254740992.0"),
        (9.999_999_999_999_998e15, "9999999999999998.0"),
        (1e16, "1.0e16"),
        (123_456_789_012_345_680.0, "1.2345678901234568e17"),
        (f64::MAX, "1.7976931348623157e308"),
        (5e-324, "5.0e-324"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        assert_eq!(print_float(number), printed);
    }
}

#[test]
fn integers_of_every_width_print_whole() {
    assert_eq!(int(i128::MIN).to_string(), i128::MIN.to_string());
    assert_eq!(Shape::Uint(u128::MAX).to_string(), u128::MAX.to_string());
    assert_eq!(Shape::Byte(Some(255)).to_string(), "255");
}

#[test]
fn a_long_label_is_cut_at_a_character_and_marked() {
    let label = call_label(Some(&"ä".repeat(10_000)), Some(&int(1)));
    assert!(label.len() <= MAX_LABEL_BYTES && label.len() > MAX_LABEL_BYTES - 3, "{}", label.len());
    assert!(label.ends_with("ä…"));

    let widest = CallTerm::List(elements((0..60).map(|_| Shape::Uint(u128::MAX).into())));
    let label = call_label(None, Some(&widest));
    assert!(label.len() <= MAX_LABEL_BYTES && label.ends_with('…'), "{label}");
}

proptest! {
    #[test]
    fn a_float_reads_back_as_itself(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let printed = print_float(number);
        prop_assert!(printed.contains('.'));
        prop_assert_eq!(printed.parse::<f64>().map(f64::to_bits), Ok(bits));
    }
}
