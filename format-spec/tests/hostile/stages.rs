//! Traces with very many stages, or with much for each of their probes.

use tracer_format::{ArgKind, Site, SiteId};

use super::Making;

/// A number that looks like chance, and is the same each time.
pub(super) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

pub(super) fn chained_stages(it: &mut Making, count: u32) {
    let thread = it.process(1, "p", 0);
    let sites: Vec<SiteId> = (0..=count).map(|number| it.number_site(&format!("p{number}"))).collect();
    for number in 0..count {
        it.stage(&format!("s{number}"), &format!("a:p{number}"), &format!("a:p{}", number + 1), "seq");
    }
    for key in 0..40 {
        sites.iter().for_each(|&site| it.fire(thread, site, key));
    }
}

pub(super) fn stages_of_one_probe(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    (0..count).for_each(|number| it.stage(&format!("s{number}"), "a:beg_s", "a:end_s", "seq"));
    it.spans(thread, begin, end, 4000);
}

pub(super) fn stages_of_many_keys(it: &mut Making, count: u32) {
    let thread = it.process(1, "p", 0);
    let scopes = ["", "pid,", "tid,", "ppid,"];
    for number in 0..count {
        let (begin, end) = (format!("b{number}"), format!("e{number}"));
        let (first, last) = (it.number_site(&begin), it.number_site(&end));
        let scope = scopes[number as usize % 4];
        let key = format!("{scope}{}", ["seq", "arg0", "arg0=arg0"][number as usize % 3]);
        it.stage(&format!("s{number}"), &format!("a:{begin}"), &format!("a:{end}"), &key);
        it.spans(thread, first, last, 10);
    }
}

pub(super) fn alternatives(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    let names: Vec<String> = (0..count).map(|number| format!("e{number}")).collect();
    it.stage("s", "a:beg_s", &format!("a:end_s|{}", names.join("|"))[..4000], "seq");
    for name in &names {
        it.number_site(name);
    }
    it.spans(thread, begin, end, 1000);
}

pub(super) fn learned_stages(it: &mut Making, count: u32) {
    let thread = it.process(1, "p", 0);
    for number in 0..count {
        let begin = it.number_site(&format!("s{number}_start"));
        let end = it.number_site(&format!("s{number}_done"));
        it.spans(thread, begin, end, 2);
    }
}

fn many_stages(it: &mut Making, count: u32, key: &str) -> Vec<[SiteId; 2]> {
    let stage = |number| {
        let names = [format!("b{number}"), format!("e{number}")];
        it.stage(&format!("s{number}"), &format!("a:{}", names[0]), &format!("a:{}", names[1]), key);
        names.map(|name| it.number_site(&name))
    };
    (0..count).map(stage).collect()
}

/// Every hand-off goes another way.
pub(super) fn any_order(it: &mut Making, count: u32) {
    let thread = it.process(1, "p", 0);
    let stages = many_stages(it, count, "seq");
    for at in 0..80_000 {
        let [begin, end] = stages[usize::try_from(mixed(at) % stages.len() as u64).expect("fits")];
        it.fire(thread, begin, at % 50);
        it.fire(thread, end, at % 50);
    }
}

pub(super) fn all_latencies(it: &mut Making, count: u32) {
    let thread = it.process(1, "p", 0);
    let stages = many_stages(it, count, "seq");
    for round in 0..40_u64 {
        stages.iter().for_each(|[begin, _]| it.fire(thread, *begin, round));
        it.now_ns += 1 << round;
        stages.iter().for_each(|[_, end]| it.fire(thread, *end, round));
    }
}

/// Half of the stages lead from thread to thread, half stay on one, and no two have a number in common.
pub(super) fn stages_without_keys(it: &mut Making, count: u32) {
    let (one, two) = (it.process(1, "p", 0), it.process(2, "q", 0));
    for number in 0..count {
        let (begin, end) =
            (it.number_site(&format!("beg_s{number}")), it.number_site(&format!("end_s{number}")));
        for round in 0..10 {
            let key = u64::from(number) * 100 + round;
            it.fire(one, begin, key);
            it.fire(if number % 2 == 0 { one } else { two }, end, key);
        }
    }
}

pub(super) fn sites_of_many_stages(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    (0..64).for_each(|number| it.stage(&format!("s{number}"), "a:beg_s", "a:end_s", "seq"));
    it.spans(thread, begin, end, 100);
    for number in 0..count {
        let site = it.number_site("beg_s");
        if number % 100 == 0 {
            it.fire(thread, site, (1000 + number).into());
        }
    }
}

pub(super) fn forms_of_arguments(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    (0..64).for_each(|number| it.stage(&format!("s{number}"), "a:beg_s", "a:end_s", "seq"));
    it.spans(thread, begin, end, 100);
    let kinds = [
        ArgKind::Signed(1),
        ArgKind::Signed(2),
        ArgKind::Signed(4),
        ArgKind::Signed(8),
        ArgKind::Unsigned(8),
    ];
    for number in 0..count {
        let digits = (0..6).map(|at| kinds[number as usize / 5_usize.pow(at) % 5]);
        let args = [ArgKind::Signed(8)].into_iter().chain(digits).collect();
        let (provider, probe) = ("a".to_owned(), "beg_s".to_owned());
        it.writer
            .site(Site {
                provider: provider.into(),
                probe: probe.into(),
                args,
                announced: true,
                ..Site::default()
            })
            .expect("written");
    }
}
