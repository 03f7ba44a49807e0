//! The list of traces.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Tab};
use super::respond::PageError;
use super::{App, format, parts, query};
use crate::store::retention::now_us;
use crate::store::{Arrivals, Sort, Store, TraceFilter, TraceRow};

/// Rows of a page.
const ROWS: u32 = 50;
/// The last page that can be asked for: what is further back is found by filters.
const MAX_PAGE: u32 = 1_000;
/// The ranges that a click away.
const RANGES: [(&str, &str); 5] = [("", "any"), ("15m", "15 min"), ("1h", "1 h"), ("24h", "24 h"), ("7d", "7 days")];

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    event: String,
    q: String,
    last: String,
    from: String,
    to: String,
    min_ms: String,
    sort: String,
    page: u32,
}

impl Asked {
    fn filter(&self, now_us: i64) -> Result<TraceFilter, PageError> {
        let from = query::time(&self.from)?;
        Ok(TraceFilter {
            event: query::bounded(&self.event)?.to_owned(),
            contains: query::bounded(&self.q)?.to_owned(),
            from_us: from.or(query::since(&self.last, now_us)?),
            to_us: query::time(&self.to)?,
            min_us: query::millis(&self.min_ms)?,
            ..TraceFilter::default()
        })
    }

    fn sort(&self) -> Sort {
        if self.sort == "duration" { Sort::Duration } else { Sort::Time }
    }

    /// The URL of the same with another page or another order.
    fn url(&self, sort: &str, page: u32) -> String {
        let mut url = String::from("/?");
        for (name, value) in [
            ("event", &self.event),
            ("q", &self.q),
            ("last", &self.last),
            ("from", &self.from),
            ("to", &self.to),
            ("min_ms", &self.min_ms),
        ] {
            query::push(&mut url, name, value);
        }
        query::push(&mut url, "sort", sort);
        if page > 0 {
            query::push(&mut url, "page", &page.to_string());
        }
        url
    }

    fn is_filtered(&self) -> bool {
        [&self.event, &self.q, &self.last, &self.from, &self.to, &self.min_ms].iter().any(|value| !value.is_empty())
    }
}

/// What the page shows.
struct Found {
    rows: Vec<TraceRow>,
    arrivals: Arrivals,
    events: Vec<String>,
}

pub(super) async fn page(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Markup, PageError> {
    let filter = asked.filter(now_us())?;
    let (sort, page) = (asked.sort(), asked.page.min(MAX_PAGE));
    let found = app.read(move |store| find(store, &filter, sort, page)).await?;
    let body = html! {
        h1 { "Traces" }
        // The script fetches the page anew when something has arrived, and takes this part of it.
        div id="live" data-live=[(asked.page == 0).then_some("yes")] {
            @if found.events.is_empty() {
                (empty(&app))
            } @else {
                (form(&asked, &found.events))
                (summary(&found))
                (table(&asked, &found.rows))
                (pages(&asked, found.rows.len()))
            }
        }
    };
    Ok(layout::page("Traces", Tab::Traces, body))
}

fn find(store: &Store, filter: &TraceFilter, sort: Sort, page: u32) -> Result<Found, PageError> {
    let arrivals = store.trace_arrivals(filter, parts::BARS)?;
    let first = page * ROWS;
    // Counted already: to look for what is not there takes as long as to count.
    let has_rows = arrivals.total() > u64::from(first);
    let rows = if has_rows { store.traces(filter, sort, ROWS, first)? } else { Vec::new() };
    Ok(Found { rows, arrivals, events: store.events()? })
}

fn form(asked: &Asked, events: &[String]) -> Markup {
    html! {
        form.filters method="get" action="/" {
            label { span { "Event" } select name="event" {
                option value="" { "any" }
                @for event in events {
                    option value=(event) selected[*event == asked.event] { (crate::text::shown(event, 80)) }
                }
            } }
            label.grow { span { "Identifier or id" } input type="search" name="q" value=(asked.q) placeholder="GET /users"; }
            label { span { "Last" } select name="last" {
                @for (value, name) in RANGES { option value=(value) selected[value == asked.last] { (name) } }
            } }
            label { span { "From (UTC)" } input type="datetime-local" name="from" value=(asked.from); }
            label { span { "To (UTC)" } input type="datetime-local" name="to" value=(asked.to); }
            label { span { "At least, ms" } input.short type="number" name="min_ms" min="0" step="any" value=(asked.min_ms); }
            @if asked.sort() == Sort::Duration { input type="hidden" name="sort" value="duration"; }
            button type="submit" { "Filter" }
            @if asked.is_filtered() { a.button href="/" { "Clear" } }
        }
    }
}

fn summary(found: &Found) -> Markup {
    html! {
        div.summary {
            p { b.count { (format::number(found.arrivals.total())) } " traces" span.live-mark { "live" } }
            (parts::sparkline(&found.arrivals, "traces"))
        }
    }
}

fn table(asked: &Asked, rows: &[TraceRow]) -> Markup {
    let sort = asked.sort();
    let head = |of, name: &str, value: &str, class: &str| {
        html! {
            th class=(class) aria-sort=[(sort == of).then_some("descending")] {
                a href=(asked.url(value, 0)) { (name) @if sort == of { " ↓" } }
            }
        }
    };
    html! {
        @if rows.is_empty() { p.empty { "No trace is like that." } }
        @else {
            div.scroll { table.traces {
                thead { tr {
                    (head(Sort::Time, "Began (UTC)", "", ""))
                    th { "What" }
                    (head(Sort::Duration, "Duration", "duration", "n"))
                    th { "Where the time went" }
                    th.wide { "Service" }
                } }
                tbody { @for row in rows { (trace(row)) } }
            } }
        }
    }
}

fn trace(row: &TraceRow) -> Markup {
    html! {
        tr {
            td.time { (format::time(row.started_us)) }
            td.name {
                a href=(format!("/trace/{}", row.trace_id)) { (parts::untrusted(label(row))) }
                " " a.dim href=(query::endpoint_url(&row.event, &row.identifier)) title="All traces of this endpoint" {
                    (parts::untrusted(&row.event))
                }
            }
            td.n { (format::duration(row.duration_us)) }
            td.bar { (parts::bar(&row.split, row.duration_us)) }
            td.wide.dim { (parts::or_dash(&row.service)) " " (parts::untrusted(&row.release)) }
        }
    }
}

/// What a trace is called: its identifier, else its event.
pub(super) fn label(row: &TraceRow) -> &str {
    if row.identifier.is_empty() { &row.event } else { &row.identifier }
}

fn pages(asked: &Asked, rows: usize) -> Markup {
    let has_next = rows == ROWS as usize && asked.page < MAX_PAGE;
    html! {
        nav.pages aria-label="Pages of the list" {
            @if asked.page > 0 { a.button href=(asked.url(&asked.sort, asked.page - 1)) { "← Newer" } }
            @if has_next { a.button href=(asked.url(&asked.sort, asked.page + 1)) { "Older →" } }
        }
    }
}

fn empty(app: &App) -> Markup {
    let code = format!(
        "use flame_on::{{Config, FlameOn}};\n\nlet flame_on = FlameOn::start(\n    Config::builder()\n        .service(\"shop\")\n        \
         .capture(true)\n        .sample_rate(1.0)\n        .server_url(\"{}\")\n        .use_ssl(false)\n        .build()?,\n)?;\n\n\
         let app = Router::new()\n    .route(\"/users/{{id}}\", get(show_user))\n    .layer(flame_on.layer());",
        app.grpc
    );
    html! {
        section.empty-state {
            p { "Nothing has arrived yet. Paste this into your service and send it a request that takes longer than half a second:" }
            pre { code { (code) } }
            p { "In " code { "Cargo.toml" } ": " code { "flame-on = { version = \"0.1\", features = [\"axum\"] }" } }
            p.dim { "If this viewer was started with a key, add " code { ".api_key(…)" } ". This page fills by itself." }
        }
    }
}
