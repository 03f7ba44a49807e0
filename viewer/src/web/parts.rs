//! Pieces that several pages show.

use maud::{Markup, html};

use super::format;
use crate::graph::heaviest::Heavy;
use crate::graph::kind::Kind;
use crate::graph::split::Split;
use crate::graph::tree::Tree;
use crate::store::Arrivals;
use crate::text;

/// Bars of a sparkline.
pub(super) const BARS: usize = 60;
/// Rows of the table of functions.
const MAX_FUNCTIONS: usize = 30;
/// Characters of a name in a table.
const MAX_NAME: usize = 160;

/// Untrusted text in a line: escaped, bounded, and kept from turning what surrounds it.
pub(super) fn untrusted(content: &str) -> Markup {
    html! { bdi { (text::shown(content, MAX_NAME)) } }
}

/// Untrusted text, or what stands for none.
pub(super) fn or_dash(content: &str) -> Markup {
    if content.is_empty() {
        html! { span.dim { "–" } }
    } else {
        untrusted(content)
    }
}

/// How a duration is divided. Widths are attributes of SVG: a style would need a weaker policy.
pub(super) fn bar(split: &Split, whole: i64) -> Markup {
    let mut at = 0.0;
    let parts: Vec<_> = split
        .parts()
        .into_iter()
        .filter(|(_, _, micros)| *micros > 0)
        .map(|(name, class, micros)| {
            let width = 100.0 * micros as f64 / whole.max(1) as f64;
            at += width;
            (name, class, micros, at - width, width)
        })
        .collect();
    let said: Vec<_> =
        parts.iter().map(|(name, _, micros, ..)| format!("{name} {}", format::duration(*micros))).collect();
    let said = said.join(", ");
    html! {
        svg.split viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=(said) {
            title { (said) }
            @for (_, class, _, at, width) in &parts {
                rect class=(format!("k-{class}")) x=(format!("{at:.2}")) width=(format!("{width:.2}")) y="0" height="10" {}
            }
        }
    }
}

/// What the colours of [`bar`] mean, with each part's time.
pub(super) fn split_legend(split: &Split, whole: i64) -> Markup {
    html! {
        ul.legend {
            @for (name, class, micros) in split.parts() {
                @if micros > 0 {
                    li { span class=(format!("swatch k-{class}")) {} (name) " " b { (format::duration(micros)) } " "
                        span.dim { (format::share(micros, whole)) } }
                }
            }
        }
    }
}

/// Counts over time.
pub(super) fn sparkline(arrivals: &Arrivals, what: &str) -> Markup {
    let highest = arrivals.counts.iter().copied().max().unwrap_or_default().max(1);
    let said = format!(
        "{} {what} from {} to {} UTC, at most {highest} a bar",
        arrivals.total(),
        format::time(arrivals.from_us),
        format::time(arrivals.to_us)
    );
    html! {
        svg.sparkline viewBox=(format!("0 0 {} 40", BARS * 10)) preserveAspectRatio="none" role="img" aria-label=(said) {
            title { (said) }
            @for (at, count) in arrivals.counts.iter().enumerate() {
                @if *count > 0 {
                    // The smallest can still be seen.
                    @let height = (36.0 * *count as f64 / highest as f64).max(3.0);
                    rect x=(at * 10 + 1) width="8" y=(format!("{:.1}", 40.0 - height)) height=(format!("{height:.1}")) {}
                }
            }
        }
    }
}

/// The place where the page's script draws a flame graph, and what belongs to it.
pub(super) fn flame(src: &str, is_comparison: bool) -> Markup {
    html! {
        section.flame data-src=(src) data-compare=[is_comparison.then_some("yes")] aria-label="Flame graph" {
            div.flame-tools {
                label { span { "Search" } input.flame-search type="search" placeholder="name or part of it" autocomplete="off"; }
                output.flame-found {}
                button.flame-reset type="button" { "Reset zoom" }
            }
            nav.flame-path aria-label="Zoom" {}
            div.flame-chart tabindex="0" role="application"
                aria-label="Flame graph. Arrow keys move, Enter zooms, Escape goes back." {
                p.dim { "Loading the graph …" }
            }
            output.flame-details aria-live="polite" { "Point at a frame, or move with the arrow keys." }
            @if is_comparison {
                ul.legend {
                    li { span.swatch.k-more {} "takes more than on the other side" }
                    li { span.swatch.k-less {} "takes less" }
                    li { span.swatch.k-same {} "the same" }
                }
            } @else {
                ul.legend {
                    @for kind in Kind::ALL {
                        li { span class=(format!("swatch k-{}", kind.css())) {} (kind.meaning()) }
                    }
                }
            }
            noscript { p { "The graph needs JavaScript; the table below does not." } }
        }
    }
}

/// The functions that took most of the time.
pub(super) fn functions(tree: &Tree, heaviest: &[Heavy]) -> Markup {
    let whole = tree.total()[0];
    html! {
        h2 { "Heaviest functions" }
        div.scroll { table.functions {
            thead { tr { th { "Function" } th.n { "Own" } th.n.wide { "" } th.n { "Total" } th.n.wide { "" } } }
            tbody {
                @for heavy in heaviest.iter().take(MAX_FUNCTIONS) {
                    tr {
                        td.name { span class=(format!("swatch k-{}", heavy.kind.css())) {} (untrusted(tree.name(heavy.frame))) }
                        td.n { (format::duration(heavy.own[0])) } td.n.dim.wide { (format::share(heavy.own[0], whole)) }
                        td.n { (format::duration(heavy.total[0])) } td.n.dim.wide { (format::share(heavy.total[0], whole)) }
                    }
                }
            }
        } }
    }
}

/// The functions whose own time differs most between the mean traces of both sides.
pub(super) fn changes(tree: &Tree, changed: &[Heavy]) -> Markup {
    html! {
        h2 { "Most changed functions" }
        p.dim { "Own time in the mean trace of each side." }
        div.scroll { table.functions {
            thead { tr { th { "Function" } th.n { "This" } th.n { "Other" } th.n { "Difference" } } }
            tbody {
                @for heavy in changed.iter().filter(|heavy| heavy.own[0] != heavy.own[1]).take(MAX_FUNCTIONS) {
                    @let more = heavy.own[0] - heavy.own[1];
                    tr {
                        td.name { span class=(format!("swatch k-{}", heavy.kind.css())) {} (untrusted(tree.name(heavy.frame))) }
                        td.n { (format::duration(heavy.own[0])) } td.n { (format::duration(heavy.own[1])) }
                        td.n class=(if more > 0 { "n more" } else { "n less" }) {
                            (if more > 0 { "+" } else { "" }) (format::duration(more))
                        }
                    }
                }
            }
        } }
    }
}
