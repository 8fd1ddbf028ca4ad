//! Manual pages: every page that one names can be made.

use crate::tool::{Folder, stderr, stdout};

#[test]
fn every_page_that_the_manual_names_can_be_made() {
    let folder = Folder::new("manual");
    let manual = stdout(&folder.tracer(&["man"]), 0);
    let named: Vec<&str> =
        manual.lines().filter_map(|line| line.strip_prefix("tracer\\-")?.strip_suffix("(1)")).collect();
    assert!(named.len() > 10, "{manual}");
    for verb in named {
        let page = stdout(&folder.tracer(&["man", verb]), 0);
        assert!(page.contains(&format!(".TH tracer-{verb} 1  \"tracer ")), "{verb}: {page}");
        assert!(page.contains(".SH DESCRIPTION"), "{verb}: {page}");
    }
    let output = folder.tracer(&["man", "recrod"]);
    assert_eq!(stdout(&output, 2), "");
    let said = stderr(&output);
    assert!(said.starts_with("tracer: there is no verb recrod; the nearest are record, "), "{said}");
}
