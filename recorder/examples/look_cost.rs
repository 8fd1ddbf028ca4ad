//! How long looking for probes in all running processes takes.
//!
//! usage: `look_cost [ROUNDS]` as root; prints milliseconds of each round.

use std::time::Instant;

use tracer_recorder::find::discover::{Discovery, Filter};

fn main() {
    let rounds = std::env::args().nth(1).map_or(11, |text| text.parse().expect("a number"));
    let requests = vec!["look_cost:*".parse().expect("a request")];
    for _ in 0..rounds {
        let mut discovery = Discovery::new(Filter { requests: requests.clone(), ..Filter::default() });
        let begun = Instant::now();
        let scan = discovery.scan();
        println!("{:.1} ms, {} skipped", begun.elapsed().as_secs_f64() * 1e3, scan.skipped.len());
    }
}
