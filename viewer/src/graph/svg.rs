//! A flame graph as one SVG file that opens anywhere, with its own zoom and search. For download: the page draws itself.

use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{self, Options};

use super::kind::Kind;
use super::stacks::Stacks;
use crate::text;

/// Characters of a name in a picture.
const MAX_NAME: usize = 300;

/// Draws the stacks of one trace.
///
/// # Errors
/// When there is no time to draw.
pub(crate) fn svg(title: &str, stacks: &Stacks) -> std::io::Result<Vec<u8>> {
    let name = |index: &u32| text::shown(stacks.name(*index), MAX_NAME).replace(';', ":");
    let lines: Vec<String> = stacks
        .paths()
        .map(|(path, micros)| format!("{} {micros}", path.iter().map(name).collect::<Vec<_>>().join(";")))
        .collect();
    let mut colors = PaletteMap::default();
    // The row below the root, which inferno adds.
    colors.insert("all", rgb(0xeb_eb_eb));
    colors.insert("", rgb(0xeb_eb_eb));
    for (index, function) in (0..).zip(stacks.functions()) {
        colors.insert(name(&index), color_of(Kind::of(function)));
    }
    let mut options = Options::default();
    options.title = text::shown(title, MAX_NAME);
    options.count_name = "µs".into();
    options.min_width = 0.0;
    options.bgcolors = Some(BackgroundColor::Flat(rgb(0xff_ff_ff)));
    options.palette_map = Some(&mut colors);
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)?;
    Ok(svg)
}

/// As in the style sheet's light colours.
fn color_of(kind: Kind) -> Color {
    rgb(match kind {
        Kind::Root => 0xd9_d9_de,
        Kind::Own => 0xf2_94_4a,
        Kind::Marked => 0xf5_b8_6b,
        Kind::Library => 0xf0_d5_8c,
        Kind::Sleep => 0xb5_a8_dc,
        Kind::Queue => 0xe0_8f_b5,
        Kind::Call => 0x6f_c2_b4,
        Kind::Peer => 0xb4_bb_c4,
    })
}

fn rgb(hex: u32) -> Color {
    let [_, r, g, b] = hex.to_be_bytes();
    Color { r, g, b }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::svg;
    use crate::graph::testing::stacks;

    #[test]
    fn names_are_text_in_it() {
        let drawn = svg("<b>&", &stacks(&[("r;<script>alert(1)</script>\u{0}", 5), ("r;\"'&", 5)])).unwrap();
        let drawn = String::from_utf8(drawn).unwrap();
        assert!(drawn.contains("&lt;script&gt;alert(1)&lt;/script&gt;\\u{0}"), "{drawn}");
        assert!(!drawn.contains("<script>alert") && !drawn.contains("<b>"));
    }

    #[test]
    fn a_trace_without_any_time_is_an_error() {
        assert!(svg("", &stacks(&[("r", 0)])).is_err());
    }
}
