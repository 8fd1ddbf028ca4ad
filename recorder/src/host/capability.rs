//! What each part of a recording may do: a thread has its own capabilities, and gives up what it does not need once a recording runs.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Looking into processes and files of others.
pub(crate) const LOOKING: CapabilitySet =
    CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH).union(CapabilitySet::CHECKPOINT_RESTORE);
/// That, and attaching to what is found. The kernel gives perf events for uprobes to CAP_SYS_ADMIN only: each site has one before Linux
/// 6.6, and they tell whether two files are one.
pub(crate) const ATTACHING: CapabilitySet = LOOKING
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_RESOURCE)
    .union(CapabilitySet::SYS_ADMIN);
/// Writing where the user may, giving files to the user of `sudo`, ending a command of another user.
pub(crate) const WRITING: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SYS_NICE);

/// Gives up all capabilities of this thread but these, for good. What one of them replaces since Linux 5.9 is kept where it is not there.
pub(crate) fn keep(needed: CapabilitySet) {
    let Ok(own) = capabilities(None) else { return };
    let mut kept = own.permitted & needed;
    let is_lacking = |set: CapabilitySet| needed.contains(set) && !own.permitted.contains(set);
    if [CapabilitySet::CHECKPOINT_RESTORE, CapabilitySet::BPF, CapabilitySet::PERFMON]
        .into_iter()
        .any(is_lacking)
    {
        kept |= own.permitted & CapabilitySet::SYS_ADMIN;
    }
    // Refused only where nothing is to be given up.
    let _ = set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: own.inheritable & kept },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_what_it_needs_and_the_others_keep_theirs() {
        let before = capabilities(None).unwrap().permitted;
        let kept = std::thread::spawn(|| {
            keep(ATTACHING);
            capabilities(None).unwrap()
        });
        let kept = kept.join().unwrap();
        let admin =
            if before.contains(ATTACHING) { CapabilitySet::empty() } else { CapabilitySet::SYS_ADMIN };
        assert_eq!(kept.permitted, before & (ATTACHING | admin));
        assert_eq!(kept.effective, kept.permitted);
        assert_eq!(capabilities(None).unwrap().permitted, before);
    }
}
