//! An event, or a place where events are missing, as a line of JSON.

use serde_json::{Value, json};
use tracer_format::{Arg, Columns, Gap, Trace};

use crate::report::plain_json;
use crate::select::clock::{WallClock, rfc3339};

/// Makes the lines.
pub(super) struct JsonLines {
    clocks: Vec<WallClock>,
    pub(super) made: Vec<u8>,
}

impl JsonLines {
    pub(super) fn new(trace: &Trace<'_>) -> Self {
        Self { clocks: WallClock::of_hosts(trace), made: Vec::new() }
    }

    pub(super) fn event(&mut self, trace: &Trace<'_>, columns: &Columns, row: usize) {
        let (definitions, event) = (&trace.definitions, columns.event(row));
        let thread = definitions.thread(event.thread);
        let process = thread.and_then(|thread| definitions.process(thread.process));
        let site = definitions.site(event.site);
        let host = process.map_or(0, |process| process.host.index());
        let micros = self.clocks.get_mut(host).and_then(|clock| clock.micros(event.time_ns));
        let args: Vec<Value> = event.args(definitions).map(|arg| argument(&arg)).collect();
        let seq = site.and_then(|site| args.get(site.key_index()?)).filter(|arg| arg.is_number());
        self.push(&json!({
            "time_ns": event.time_ns,
            "time": micros.map(|micros| rfc3339(micros.saturating_mul(1000))),
            "host": definitions.hosts.get(host).map(|host| &host.name),
            "cpu": event.cpu,
            "pid": process.map(|process| process.pid),
            "tid": thread.map(|thread| thread.tid),
            "program": process.map(|process| &process.program),
            "provider": site.map(|site| &site.provider),
            "probe": site.map(|site| &site.probe),
            "seq": seq,
            "args": args,
        }));
    }

    pub(super) fn gap(&mut self, trace: &Trace<'_>, gap: &Gap) {
        self.push(&json!({
            "lost": gap.count,
            "from_ns": gap.from_ns,
            "to_ns": gap.to_ns,
            "cpu": (gap.cpu != Gap::ANY_CPU).then_some(gap.cpu),
            "probe": trace.definitions.site(gap.site).map(tracer_format::Site::name),
        }));
    }

    fn push(&mut self, line: &Value) {
        self.made.extend_from_slice(plain_json(&line.to_string()).as_bytes());
        self.made.push(b'\n');
    }
}

/// Null where the recorder could not read it, and for floats that are no numbers.
fn argument(arg: &Arg<'_>) -> Value {
    match arg {
        Arg::Signed(number) => Value::from(*number),
        Arg::Unsigned(number) => Value::from(*number),
        Arg::Float(number) => Value::from(*number),
        Arg::Str(_) | Arg::CutStr(_) => Value::from(arg.text()),
        Arg::Unreadable => Value::Null,
    }
}
