//! What was read lately and is kept once, however often it comes again: the texts of most definitions are those of others, and a file
//! may have very many that are alike, which take a byte or two of it each.

use std::borrow::Borrow;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::model::{ArgKind, Definition, Host, Process, Site};

/// Values that are remembered of each type, at most: one takes the place of another.
const SLOTS: usize = 1 << 10;
/// Bytes of a text that is remembered, at most.
const MAX_TEXT_BYTES: usize = 256;
/// Weight of a definition that is remembered, at most.
const MAX_WEIGHT: usize = 512;

/// What was read lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    texts: Recent<str>,
    bytes: Recent<[u8]>,
    kinds: Recent<[ArgKind]>,
    hosts: Recent<Host>,
    processes: Recent<Process>,
    sites: Recent<Site>,
}

impl Shared {
    pub(crate) fn text(&mut self, text: &str) -> Arc<str> {
        if text.len() > MAX_TEXT_BYTES { text.into() } else { self.texts.share(text, |text| text.into()) }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Arc<[u8]> {
        if bytes.len() > MAX_TEXT_BYTES {
            bytes.into()
        } else {
            self.bytes.share(bytes, |bytes| bytes.into())
        }
    }

    pub(crate) fn process(&mut self, process: Process) -> Arc<Process> {
        self.processes.share(process, Arc::new)
    }

    /// The same definition; one of this little weight is kept once with others that are alike.
    pub(crate) fn definition(&mut self, definition: Definition, weight: usize) -> Definition {
        match definition {
            definition if weight > MAX_WEIGHT => definition,
            Definition::Host(host) => Definition::Host(self.hosts.share(host, |same| same)),
            Definition::Process(process) => Definition::Process(self.processes.share(process, |same| same)),
            Definition::Site(site) => Definition::Site(self.sites.share(site, |same| same)),
            definition => definition,
        }
    }

    pub(crate) fn kinds(&mut self, kinds: &[ArgKind]) -> Arc<[ArgKind]> {
        self.kinds.share(kinds, |kinds| kinds.into())
    }
}

/// Values of one type.
#[derive(Debug)]
struct Recent<T: ?Sized>(Vec<Option<Arc<T>>>);

impl<T: ?Sized> Default for Recent<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: ?Sized> Clone for Recent<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized + Hash + Eq> Recent<T> {
    /// The same value, which is kept by `keep` unless it is remembered.
    fn share<V: Borrow<T>>(&mut self, value: V, keep: impl FnOnce(V) -> Arc<T>) -> Arc<T> {
        let mut hasher = DefaultHasher::new();
        value.borrow().hash(&mut hasher);
        self.0.resize(SLOTS, None);
        let slot = &mut self.0[usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or(0)];
        match slot {
            Some(known) if **known == *value.borrow() => known.clone(),
            _ => slot.insert(keep(value)).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_kept_once_and_what_is_long_is_not_remembered() {
        let mut shared = Shared::default();
        let texts = ["one", "two", "one"].map(|text| shared.text(text));
        assert_eq!(texts.each_ref().map(|text| &**text), ["one", "two", "one"]);
        assert!(Arc::ptr_eq(&texts[0], &texts[2]));
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        assert_eq!(*shared.text(&long), long);
        assert!(!Arc::ptr_eq(&shared.text(&long), &shared.text(&long)));
        assert_eq!(Arc::strong_count(&texts[0]), 3, "two of them, and the one that is remembered");
        for number in 0..100_000 {
            shared.text(&number.to_string());
        }
        assert_eq!(shared.texts.0.len(), SLOTS);
        assert_eq!(*shared.text("one"), *texts[0]);
    }
}
