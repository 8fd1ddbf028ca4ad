//! A sink that fails after any number of bytes, or takes a few at a time: what it took is the beginning of the trace, and
//! the writer refuses to go on.

mod sample;

use std::io;

use sample::Original;
use tracer_format::{
    ClockAnchor, Definition, Error, Firing, Gap, Result, SiteId, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

/// Takes `left` bytes, at most `step` at a time, and fails then, once; what comes later it would take.
#[derive(Debug)]
struct Failing {
    taken: Vec<u8>,
    left: usize,
    step: usize,
    failed: bool,
}

impl Failing {
    fn after(left: usize, step: usize) -> Self {
        Self { taken: Vec::new(), left, step, failed: false }
    }
}

impl io::Write for &mut Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 && !self.failed {
            self.failed = true;
            return Err(io::Error::from_raw_os_error(28));
        }
        let len = bytes.len().min(self.step).min(if self.failed { usize::MAX } else { self.left });
        self.left = self.left.saturating_sub(len);
        self.taken.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_fails_after_any_byte_holds_a_prefix_of_the_trace() {
    let original = Original::new(sample::one());
    for left in 0..original.bytes.len() {
        let mut sink = Failing::after(left, usize::MAX);
        let error = sample::write_to(&mut sink, 0xfeed, 1_000_000).err();
        assert!(
            matches!(&error, Some(Error::Io(error)) if error.raw_os_error() == Some(28)),
            "{left}: {error:?}"
        );
        assert_eq!(sink.taken, original.bytes[..left], "{left}");
        original.check_all_intact(&sink.taken, &format!("{left} bytes were taken"));
    }
}

#[test]
fn short_writes_change_nothing() {
    let whole = sample::one();
    for step in 1..=8 {
        let mut sink = Failing::after(usize::MAX, step);
        sample::write_to(&mut sink, 0xfeed, 1_000_000).expect("takes all");
        assert_eq!(sink.taken, whole, "{step} bytes at a time");
    }
}

#[test]
fn a_sink_that_takes_nothing_is_an_error() {
    let mut sink = Failing::after(usize::MAX, 0);
    let error = sample::write_to(&mut sink, 1, 1).expect_err("nothing was taken");
    assert_eq!(error.to_string(), "failed to write whole buffer");
}

#[test]
fn a_writer_that_failed_refuses_everything() -> Result<()> {
    let mut sink = Failing::after(100, usize::MAX);
    let mut writer = Writer::new(&mut sink, WriterOptions::default())?;
    let thread = writer.define(Definition::Thread(Thread::default()))?;
    assert!(matches!(writer.flush(), Err(Error::Io(_))));
    let poisoned = |result: Result<()>| {
        let text = result.expect_err("poisoned").to_string();
        assert_eq!(text, "the trace writer failed before: No space left on device (os error 28)");
    };
    let event =
        Firing { time_ns: 0, thread: ThreadId(thread), site: SiteId(0), cpu: 0, unreadable: 0, values: &[] };
    poisoned(writer.define(Definition::Thread(Thread::default())).map(drop));
    poisoned(writer.push(&event));
    poisoned(writer.push_unsealed(&event));
    poisoned(writer.gap(Gap::default()));
    poisoned(writer.clock(ClockAnchor::default()));
    poisoned(writer.flush());
    poisoned(writer.finish().map(drop));
    assert_eq!(sink.taken.len(), 100, "nothing was written after the failure");
    assert!(!Trace::open(&sink.taken)?.complete);
    Ok(())
}
