//! The document around the parts of a page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::svg::put;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The document of sections, each with the name that its link has, its title and its markup; `name` is escaped.
pub(super) fn document(name: &str, sections: &[(&str, &str, String)]) -> String {
    let (style, script) = (digest(STYLE), digest(SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
    );
    let mut out = format!(
        r##"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer"><title>{name} - tracer</title><style>{STYLE}</style></head>
<body><a class="skip" href="#main">Skip to the report</a><header><h1><bdi dir="ltr">{name}</bdi></h1><nav aria-label="Sections"><ul>"##
    );
    for (id, title, _) in sections {
        put(&mut out, format_args!(r##"<li><a href="#{id}">{title}</a></li>"##));
    }
    out.push_str("</ul></nav></header><main id=\"main\">\n");
    for (id, title, text) in sections {
        put(&mut out, format_args!("<section id=\"{id}\"><h2>{title}</h2>{text}</section>\n"));
    }
    put(
        &mut out,
        format_args!(
            "</main><output id=\"shown\" aria-live=\"polite\" hidden></output><footer>tracer {}</footer><script>{SCRIPT}</script></body></html>\n",
            env!("CARGO_PKG_VERSION")
        ),
    );
    out
}

fn digest(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}
