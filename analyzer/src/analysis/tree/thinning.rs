//! Some of very many things, spread evenly over all of them: chosen by when they came, so that parts of one thing are chosen together.

/// Which times are chosen: all at first, then half of them, and so on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::analysis) struct Thinning {
    /// A time is chosen if these bits of it, mixed, are zero.
    mask: u32,
}

impl Thinning {
    /// Whether what came at `time_ns` is chosen.
    pub(in crate::analysis) fn wants(self, time_ns: u64) -> bool {
        mixed(time_ns) & self.mask == 0
    }

    /// A mask for [`is_chosen`](Self::is_chosen) by which no time is.
    pub(in crate::analysis) const NEVER: u64 = 1 << u32::BITS;

    /// These times, for [`is_chosen`](Self::is_chosen).
    pub(in crate::analysis) fn mask(self) -> u64 {
        self.mask.into()
    }

    /// Whether what came at `time_ns` is chosen by a mask.
    #[inline]
    pub(in crate::analysis) fn is_chosen(time_ns: u64, mask: u64) -> bool {
        (u64::from(mixed(time_ns)) | Self::NEVER) & mask == 0
    }

    /// Chooses fewer times until at most `most` of `kept` are left. Of times that no bit tells apart, the first are.
    pub(in crate::analysis) fn thin<T>(
        &mut self,
        kept: &mut Vec<T>,
        most: usize,
        time_ns: impl Fn(&T) -> u64,
    ) {
        while kept.len() > most {
            if self.mask == u32::MAX {
                kept.truncate(most);
                return;
            }
            self.mask = self.mask << 1 | 1;
            kept.retain(|one| self.wants(time_ns(one)));
        }
    }
}

/// Spreads times evenly.
fn mixed(time_ns: u64) -> u32 {
    // The high half is mixed best.
    (time_ns.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_all_times_are_left() {
        let (mut thinning, mut kept) = (Thinning::default(), Vec::new());
        for time_ns in (0..100_000).step_by(7) {
            if thinning.wants(time_ns) {
                kept.push(time_ns);
                thinning.thin(&mut kept, 500, |&time_ns| time_ns);
            }
        }
        assert!((150..=500).contains(&kept.len()), "{}", kept.len());
        let early = kept.iter().filter(|&&time_ns| time_ns < 50_000).count();
        assert!(early.abs_diff(kept.len() - early) < kept.len() / 3, "{early} of {}", kept.len());
    }

    /// No mask parts them: it went on for ever.
    #[test]
    fn many_things_at_one_time_come_to_an_end() {
        for time_ns in [0, 1, 1000, u64::MAX] {
            let (mut thinning, mut kept) = (Thinning::default(), Vec::new());
            for number in 0..2000 {
                if thinning.wants(time_ns) {
                    kept.push(number);
                    thinning.thin(&mut kept, 100, |_| time_ns);
                }
            }
            assert!(
                kept.len() <= 100 && kept.iter().enumerate().all(|(at, &number)| at == number),
                "{kept:?}"
            );
        }
    }
}
