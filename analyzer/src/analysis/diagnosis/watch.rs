//! Watches the spans and events of stages that buffers pass one after the other.

pub(crate) mod course;

use std::io;
use std::ops::Range;
use std::slice;
use std::sync::Arc;

use tracer_format::{Columns, Definitions, Gap, ProcessId};

use super::path::fan::PartCounts;
use super::path::passage::MAX_STAGES;
use crate::pair::{Found, Side, Sink, Span, SpanRow, UsualKeys};
use crate::stage::{MAX_WORDS, Roles, Scope, Stage};
use course::Course;

/// Groups of stages that are watched.
const MAX_GROUPS: usize = 16;
/// Where there is no course.
const NO_COURSE: usize = usize::MAX;

/// What is kept of each group of stages while its events pass.
#[derive(Debug)]
pub struct Watch<'a> {
    pub(crate) definitions: &'a Definitions,
    pub(crate) courses: Vec<Course>,
    /// Course of each stage of the analysis, and its position there; [`NO_COURSE`] if it is in none.
    of_stages: Vec<(usize, usize)>,
    /// Course of each site, and process of each thread.
    of_sites: Vec<usize>,
    /// Whether all sites are of one course.
    is_one: bool,
    of_threads: Vec<ProcessId>,
    /// Stages that work on parts of the buffers of a course.
    pub(crate) parts: Vec<PartCounts>,
    pub(crate) gaps: Vec<(u64, u64)>,
}

impl<'a> Watch<'a> {
    /// Watches the groups among `stages`; `time_ns` are the first and the last event of the trace.
    #[must_use]
    pub fn new(stages: &[Stage], definitions: &'a Definitions, time_ns: (u64, u64)) -> Self {
        let groups = groups(stages);
        let mut of_stages = vec![(NO_COURSE, 0); stages.len()];
        for (group, members) in groups.iter().enumerate() {
            for (position, &stage) in members.iter().enumerate() {
                of_stages[stage as usize] = (group, position);
            }
        }
        let roles = Roles::new(stages);
        let of_site = |site: &Arc<tracer_format::Site>| {
            roles.of(site).iter().map(|role| of_stages[role.stage].0).min().unwrap_or(NO_COURSE)
        };
        let of_sites: Vec<usize> = definitions.sites.iter().map(of_site).collect();
        Self {
            parts: PartCounts::of(stages, &groups),
            definitions,
            is_one: of_sites.iter().all(|&course| course == 0),
            of_sites,
            of_threads: definitions.threads.iter().map(|thread| thread.process).collect(),
            of_stages,
            courses: groups
                .into_iter()
                .map(|members| {
                    let words = members.first().map_or(0, |&first| stages[first as usize].key.words());
                    Course::new(members, words.min(MAX_WORDS), definitions.threads.len(), time_ns)
                })
                .collect(),
            gaps: Vec::new(),
        }
    }

    #[inline(always)]
    fn span_of(&mut self, span: &SpanRow, key: &[i64]) {
        let (course, position) = self.of_stages[span.stage as usize];
        if let Some(course) = self.courses.get_mut(course) {
            course.span(position, span, key);
        }
        for parts in &mut self.parts {
            parts.span(span, key);
        }
    }

    /// The same for all that these keys did.
    fn usual_keys(&mut self, keys: UsualKeys<'_>) {
        let place = |stage: u32| self.of_stages[stage as usize];
        let course = place(keys.order.spans[0].stage).0;
        if keys.order.spans.iter().any(|span| place(span.stage).0 != course) {
            for row in 0..keys.len() {
                for span in &keys.order.spans {
                    self.span_of(&keys.span(row, span), keys.key(row));
                }
            }
            return;
        }
        let passed: Vec<(usize, Side)> =
            keys.order.moments.iter().map(|edge| (place(edge.stage).1, edge.side)).collect();
        if let Some(course) = self.courses.get_mut(course) {
            course.usual_keys(&passed, keys);
        }
        for parts in &mut self.parts {
            if let Some(span) = keys.order.spans.iter().find(|span| parts.is_of(span.stage)) {
                (0..keys.len()).for_each(|row| parts.span(&keys.span(row, span), keys.key(row)));
            }
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        self.courses.iter_mut().for_each(Course::finish);
        self.parts.iter_mut().for_each(PartCounts::finish);
    }
}

/// The stages that buffers may pass one after the other: those with one key that is not the thread's, and a provider in
/// common.
fn groups(stages: &[Stage]) -> Vec<Vec<u32>> {
    let mut groups: Vec<(&Stage, Vec<u32>)> = Vec::new();
    for (number, stage) in (0..).zip(stages) {
        if stage.key.scope == Scope::Tid || stage.key.parts.is_empty() {
            continue;
        }
        let related = |(first, members): &&mut (&Stage, Vec<u32>)| {
            first.key == stage.key
                && first.begins[0].provider == stage.begins[0].provider
                && members.len() < MAX_STAGES
        };
        match groups.iter_mut().find(related) {
            Some((_, members)) => members.push(number),
            None => groups.push((stage, vec![number])),
        }
    }
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    groups.truncate(MAX_GROUPS);
    groups.into_iter().map(|(_, members)| members).collect()
}

impl Sink for Watch<'_> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        if self.courses.is_empty() {
            return Ok(());
        }
        let (times, threads) = (&columns.time_ns[rows.clone()], &columns.thread[rows.clone()]);
        if let ([course], true) = (&mut self.courses[..], self.is_one) {
            course.events(times, threads, &self.of_threads);
            return Ok(());
        }
        for ((site, thread), time_ns) in columns.site[rows].iter().zip(threads).zip(times) {
            let course = self.of_sites.get(site.index()).and_then(|&course| self.courses.get_mut(course));
            if let Some(course) = course {
                course.events(slice::from_ref(time_ns), slice::from_ref(thread), &self.of_threads);
            }
        }
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.span_of(&SpanRow::new(span), span.key.words());
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        let (mut spans, mut seen) = (found.spans(), 0);
        for keys in found.usual_keys() {
            spans.by_ref().take(keys.after() - seen).for_each(|(span, key)| self.span_of(span, key));
            seen = keys.after();
            self.usual_keys(keys);
        }
        spans.for_each(|(span, key)| self.span_of(span, key));
        Ok(())
    }

    fn takes_usual_keys(&self) -> bool {
        true
    }

    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        self.gaps.push((gap.from_ns, gap.to_ns));
        Ok(())
    }
}
