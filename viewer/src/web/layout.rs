//! What all pages have around them.

use maud::{DOCTYPE, Markup, html};

/// Where in the site a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Traces,
    Endpoints,
    Errors,
    None,
}

const TABS: [(Tab, &str, &str); 3] =
    [(Tab::Traces, "/", "Traces"), (Tab::Endpoints, "/endpoints", "Endpoints"), (Tab::Errors, "/errors", "Errors")];

/// A whole page.
pub(super) fn page(title: &str, tab: Tab, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · FlameOn" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/app.css";
                script type="module" src="/assets/app.js" {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.site {
                    a.brand href="/" { img src="/assets/icon.svg" alt="" width="22" height="22"; "FlameOn" }
                    nav aria-label="Pages" {
                        @for (of, href, name) in TABS {
                            a href=(href) aria-current=[(of == tab).then_some("page")] { (name) }
                        }
                    }
                }
                main id="main" { (body) }
                footer { a href="/assets/licenses.txt" { "Licences of what draws the graphs" } }
            }
        }
    }
}
