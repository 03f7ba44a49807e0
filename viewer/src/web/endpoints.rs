//! Endpoints: all of them, and one with its merged graph or a comparison of two sides.

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Tab};
use super::respond::PageError;
use super::{App, format, parts, query};
use crate::graph::heaviest::{heaviest, most_changed};
use crate::graph::picture::Picture;
use crate::graph::tree::{Side, Tree};
use crate::ingest::trace::stored_stacks;
use crate::store::retention::now_us;
use crate::store::{Arrivals, Durations, Endpoint, Store, TraceFilter};
use crate::text;

/// Endpoints of the list.
const MAX_ENDPOINTS: u32 = 500;
/// Traces of a side that are merged, the newest.
const MAX_MERGED: u32 = 2_000;

pub(super) async fn list(State(app): State<App>) -> Result<Markup, PageError> {
    let endpoints = app.read(|store| Ok(store.endpoints(&TraceFilter::default(), MAX_ENDPOINTS)?)).await?;
    let body = html! {
        h1 { "Endpoints" }
        @if endpoints.is_empty() { p.empty { "Nothing has arrived yet: see " a href="/" { "Traces" } "." } }
        @else {
            p.dim { "The one whose shipped traces took most of the time stands first." }
            div.scroll { table {
                thead { tr { th { "What" } th.n { "Traces" } th.n { "Mean" } th.n { "Longest" } th.wide { "Last (UTC)" } } }
                tbody { @for endpoint in &endpoints { (row(endpoint)) } }
            } }
        }
    };
    Ok(layout::page("Endpoints", Tab::Endpoints, body))
}

fn row(endpoint: &Endpoint) -> Markup {
    let mean = endpoint.sum_us / i64::try_from(endpoint.count.max(1)).unwrap_or(i64::MAX);
    html! {
        tr {
            td.name {
                a href=(query::endpoint_url(&endpoint.event, &endpoint.identifier)) {
                    (parts::untrusted(if endpoint.identifier.is_empty() { &endpoint.event } else { &endpoint.identifier }))
                } " " span.dim { (parts::untrusted(&endpoint.event)) }
            }
            td.n { (format::number(endpoint.count)) } td.n { (format::duration(mean)) }
            td.n { (format::duration(endpoint.max_us)) } td.wide.time { (format::time(endpoint.last_us)) }
        }
    }
}

/// Which endpoint, which of its traces, and what they are compared with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    event: String,
    identifier: String,
    last: String,
    from: String,
    to: String,
    release: String,
    /// Not empty: there is another side.
    compare: String,
    other_from: String,
    other_to: String,
    other_release: String,
}

impl Asked {
    fn is_comparison(&self) -> bool {
        !self.compare.is_empty()
    }

    fn sides(&self) -> Result<[TraceFilter; 2], PageError> {
        let of = |from: &str, to: &str, release: &str| {
            Ok::<_, PageError>(TraceFilter {
                event: query::bounded(&self.event)?.to_owned(),
                identifier: Some(query::bounded(&self.identifier)?.to_owned()),
                release: query::bounded(release)?.to_owned(),
                from_us: query::time(from)?,
                to_us: query::time(to)?,
                ..TraceFilter::default()
            })
        };
        let mut this = of(&self.from, &self.to, &self.release)?;
        this.from_us = this.from_us.or(query::since(&self.last, now_us())?);
        Ok([this, of(&self.other_from, &self.other_to, &self.other_release)?])
    }

    fn graph_url(&self) -> String {
        let mut url = String::from("/endpoint/graph.json?");
        for (name, value) in [
            ("event", &self.event),
            ("identifier", &self.identifier),
            ("last", &self.last),
            ("from", &self.from),
            ("to", &self.to),
            ("release", &self.release),
            ("compare", &self.compare),
            ("other_from", &self.other_from),
            ("other_to", &self.other_to),
            ("other_release", &self.other_release),
        ] {
            query::push(&mut url, name, value);
        }
        url
    }
}

/// The traces of both sides as one tree.
struct Merged {
    tree: Tree,
    traces: [u64; 2],
}

fn merge(store: &Store, sides: &[TraceFilter; 2], is_comparison: bool) -> Result<Merged, PageError> {
    let mut merged = Merged { tree: Tree::default(), traces: [0; 2] };
    for (side, filter) in [Side::This, Side::Other].into_iter().zip(sides) {
        if side == Side::Other && !is_comparison {
            continue;
        }
        for key in store.newest(filter, MAX_MERGED)? {
            // Meanwhile one may have made room for others.
            let Some(pprof_gz) = store.profile(key)? else { continue };
            merged.tree.add(&stored_stacks(&pprof_gz)?, side);
            merged.traces[side as usize] += 1;
        }
    }
    merged.tree.finish();
    Ok(merged)
}

pub(super) async fn graph(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    let sides = asked.sides()?;
    let draw = move |store: &Store| {
        let merged = merge(store, &sides, asked.is_comparison())?;
        Ok(Picture::of(&merged.tree, merged.traces).to_json())
    };
    let json = app.draw(draw).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// What the page shows.
struct Found {
    merged: Merged,
    durations: [Durations; 2],
    arrivals: Arrivals,
    releases: Vec<String>,
}

pub(super) async fn page(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Markup, PageError> {
    let sides = asked.sides()?;
    let of = asked.clone();
    let found = app
        .draw(move |store| {
            let everything = TraceFilter { from_us: None, to_us: None, release: String::new(), ..sides[0].clone() };
            Ok(Found {
                durations: [store.durations(&sides[0])?, store.durations(&sides[1])?],
                arrivals: store.trace_arrivals(&everything, parts::BARS)?,
                releases: store.releases(&of.event, &of.identifier)?,
                merged: merge(store, &sides, of.is_comparison())?,
            })
        })
        .await?;
    let title = if asked.identifier.is_empty() { &asked.event } else { &asked.identifier };
    Ok(layout::page(&text::shown(title, 80), Tab::Endpoints, body(&asked, &found, title)))
}

fn body(asked: &Asked, found: &Found, title: &str) -> Markup {
    let (merged, [this, other]) = (&found.merged, &found.durations);
    let is_comparison = asked.is_comparison();
    html! {
        p.crumbs { a href="/endpoints" { "Endpoints" } " / " (parts::untrusted(&asked.event)) }
        h1 { (parts::untrusted(title)) }
        div.summary { p { b.count { (format::number(found.arrivals.total())) } " traces kept" }
            (parts::sparkline(&found.arrivals, "traces")) }
        (form(asked, found))
        div.scroll { table.spread {
            thead { tr { th { "" } th.n { "Traces" } th.n { "p50" } th.n { "p95" } th.n { "Longest" } th.n { "Drawn" } } }
            tbody {
                (spread(if is_comparison { "This side" } else { "Shipped" }, this, merged.traces[0]))
                @if is_comparison { (spread("Other side", other, merged.traces[1])) }
            }
        } }
        @if (0..2).any(|side| found.durations[side].count > u64::from(MAX_MERGED) && (side == 0 || is_comparison)) {
            p.dim { "The graph is of the newest " (MAX_MERGED) " of a side." }
        }
        @if merged.traces == [0, 0] { p.empty { "No trace of it is like that." } }
        @else if is_comparison && merged.traces.contains(&0) { p.empty { "One side has no traces: there is nothing to compare." } }
        @else {
            (parts::flame(&asked.graph_url(), is_comparison))
            p.dim { "All drawn traces together: " b.sum data-micros=(merged.tree.total()[0]) { (format::duration(merged.tree.total()[0])) } }
            @if is_comparison { (parts::changes(&merged.tree, &most_changed(&merged.tree, merged.traces))) }
            @else { (parts::functions(&merged.tree, &heaviest(&merged.tree))) }
        }
    }
}

fn spread(name: &str, durations: &Durations, drawn: u64) -> Markup {
    html! {
        tr { th { (name) } td.n { (format::number(durations.count)) } td.n { (format::duration(durations.p50)) }
            td.n { (format::duration(durations.p95)) } td.n { (format::duration(durations.max)) } td.n { (format::number(drawn)) } }
    }
}

fn form(asked: &Asked, found: &Found) -> Markup {
    let release = |name: &str, chosen: &str| {
        html! {
            label { span { "Release" } select name=(name) {
                option value="" { "any" }
                @for release in found.releases.iter().filter(|release| !release.is_empty()) {
                    option value=(release) selected[release == chosen] { (text::shown(release, 60)) }
                }
            } }
        }
    };
    let time = |label: &str, name: &str, value: &str| {
        html! {
            label { span { (label) } input type="datetime-local" step="1" name=(name) value=(value); }
        }
    };
    let range =
        format!("{} … {}", format::input_time(found.arrivals.from_us), format::input_time(found.arrivals.to_us));
    html! {
        form.filters method="get" action="/endpoint" {
            input type="hidden" name="event" value=(asked.event);
            input type="hidden" name="identifier" value=(asked.identifier);
            fieldset { legend { "This side" }
                (time("From (UTC)", "from", &asked.from)) (time("To (UTC)", "to", &asked.to)) (release("release", &asked.release))
            }
            fieldset { legend { label.check { input type="checkbox" name="compare" value="yes" checked[asked.is_comparison()]; "Compare with" } }
                (time("From (UTC)", "other_from", &asked.other_from)) (time("To (UTC)", "other_to", &asked.other_to))
                (release("other_release", &asked.other_release))
            }
            button type="submit" { "Show" }
            p.dim.range { "Traces are kept from " (range) "." }
        }
    }
}
