//! A short, seeded fuzz run: logs and stages changed at random are refused by name or understood, and what was understood
//! comes back. `format-spec/fuzz` is the long one.

use std::collections::BTreeSet;

use tracer_analyzer::file::import;
use tracer_analyzer::replay::replay;
use tracer_analyzer::stage::{Draft, learn};
use tracer_analyzer::{Error, Selection};
use tracer_format::{Definitions, Site, StageDef, Trace, Writer, WriterOptions};

/// A small generator of numbers (xorshift64*): every run has the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end as u64).expect("below a usize")
    }

    /// Changes a few places of `text`: mostly to what means something there.
    fn mutate(&mut self, text: &mut Vec<u8>) {
        const TELLING: &[u8] = b"[]|:\"\\ \n=->,0123456789-?._\x00\x1b\xff";
        for _ in 0..=self.below(4) {
            let at = self.below(text.len());
            let len = 1 + self.below(20).min(text.len() - at - 1);
            match self.below(4) {
                0 => text[at] = TELLING[self.below(TELLING.len())],
                1 => drop(text.drain(at..(at + len).min(text.len() - 1))),
                2 => text.insert(at, TELLING[self.below(TELLING.len())]),
                _ => {
                    let copy = text[at..at + len].to_vec();
                    let to = self.below(text.len());
                    text.splice(to..to, copy);
                }
            }
        }
    }
}

const LOG: &str = r#"[   0] Found probe beg_work                            in 'worker'
[   1] Found probe end_work                            in 'worker'

Trace started. Ctrl-C to stop.

[            1000] [PID:     17] worker       demo:beg_work                  | Seq: 1
[            2500] [PID:     17] worker       demo:end_work                  | Seq: 1 | arg1: -0.5
[            4000] [PID:     18] my worker    demo:beg_work                  | Seq: - | arg0: "a\"b"
[            4100] Lost 12 events of demo:end_work on CPU 3 since 4050
[            4200] [PID:     18] worker       demo:beg_work                  | Seq: ? | arg1: 7
"#;

/// The log that the trace of a log is replayed to.
fn round(log: &[u8]) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    import(log, &mut writer)?;
    let bytes = writer.finish().unwrap();
    let trace = Trace::open(&bytes).unwrap();
    assert!(trace.complete && trace.damage.is_empty());
    let mut out = Vec::new();
    replay(&trace, &Selection::all(), &mut out).unwrap();
    Ok(out)
}

#[test]
fn a_changed_log_is_refused_by_line_or_comes_back() {
    assert_eq!(String::from_utf8(round(LOG.as_bytes()).unwrap()).unwrap(), LOG);
    let mut random = Random(0x5eed);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..4000 {
        let mut log = LOG.as_bytes().to_vec();
        random.mutate(&mut log);
        match round(&log) {
            Ok(first) => {
                assert_eq!(round(&first).expect("its own log"), first, "{}", String::from_utf8_lossy(&log));
                read += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("line "), "{error}");
                refused += 1;
            }
        }
    }
    // Otherwise the runs would prove nothing.
    assert!(read > 200 && refused > 200, "{read} read, {refused} refused");
}

#[test]
fn a_changed_stage_is_refused_or_comes_back() {
    let mut random = Random(0x57a9e);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..20_000 {
        let mut text = b"total = camera:grab -> display:show by seq,arg2,pid,tid".to_vec();
        random.mutate(&mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        match text.parse::<Draft>() {
            Ok(stage) => {
                assert_eq!(stage.to_string().parse::<Draft>().expect("its own text"), stage, "{text:?}");
                assert_eq!(Draft::try_from(&StageDef::from(&stage)).expect("as stored"), stage, "{text:?}");
                read += 1;
            }
            Err(error) => {
                assert!(matches!(error, Error::Usage { .. }), "{error}");
                refused += 1;
            }
        }
    }
    assert!(read > 2000 && refused > 2000, "{read} read, {refused} refused");
}

#[test]
fn stages_learned_from_changed_names_are_told_apart() {
    let mut random = Random(0x1ea2);
    let mut stages = 0;
    for _ in 0..4000 {
        let mut names =
            b"a:beg_x a:end_x b:beg_x b:end_x a:x__start a:x__done a:x_start a:x_stop a:x_end".to_vec();
        random.mutate(&mut names);
        let names = String::from_utf8_lossy(&names).into_owned();
        let site = |name: &str| {
            let (provider, probe) = name.split_once(':')?;
            Some(Site { provider: provider.into(), probe: probe.into(), ..Site::default() }.into())
        };
        let sites = names.split(' ').filter_map(site).collect();
        let learned = learn(&Definitions { sites, ..Definitions::default() });
        let different: BTreeSet<_> = learned.iter().map(|draft| &draft.stage.name).collect();
        assert_eq!(different.len(), learned.len(), "{names:?}: {learned:?}");
        stages += learned.len();
    }
    assert!(stages > 4000, "{stages} stages");
}
