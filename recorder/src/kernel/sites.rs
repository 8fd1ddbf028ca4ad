//! What the program knows of each site, and what it lost there: two maps of pages, so that there can be as many sites as a raw event
//! can name, and memory is taken for those that there are.

use std::collections::HashSet;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::abi::{IN_MEMORY, IS_STRING, SITE_BITS, SITE_PAGE_BITS, SiteSpec};
use crate::error::{Error, Result};
use crate::kernel::bpf::{Map, MapLayout, MapType, bytes_of};
use crate::kernel::program::{create, layout, set};
use tracer_format::SiteId;

/// Sites of one page.
const PAGE_SITES: u32 = 1 << SITE_PAGE_BITS;
/// Most pages.
const PAGES: u32 = 1 << (SITE_BITS - SITE_PAGE_BITS);
/// Most sites of one recording.
pub(crate) const MAX_SITES: u32 = 1 << SITE_BITS;

/// The sites of a program.
#[derive(Debug)]
pub(crate) struct Sites {
    /// The maps that the program refers to; their values are the maps of the pages.
    pub(crate) specs: Map,
    pub(crate) drops: Map,
    pages: Mutex<Vec<SitePage>>,
    /// Sites whose arguments are in memory.
    of_memory: Mutex<HashSet<SiteId>>,
    count: AtomicU32,
    cpus: u32,
}

/// `PAGE_SITES` sites.
#[derive(Debug)]
struct SitePage {
    specs: Map,
    drops: Map,
}

impl SitePage {
    fn new(cpus: u32) -> Result<Self> {
        let specs = create(&layout(MapType::Array, 4, bytes_of::<SiteSpec>(), PAGE_SITES), cpus)?;
        let drops = create(&layout(MapType::PerCpuArray, 4, 8, PAGE_SITES), cpus)?;
        Ok(Self { specs, drops })
    }
}

impl Sites {
    /// Has none, and room for a page of them.
    pub(crate) fn new(cpus: u32) -> Result<Self> {
        let first = SitePage::new(cpus)?;
        let outer = |inner: &Map| {
            let inner = Some(inner.as_fd());
            create(&MapLayout { inner, ..layout(MapType::ArrayOfMaps, 4, 4, PAGES) }, cpus)
        };
        let (specs, drops) = (outer(&first.specs)?, outer(&first.drops)?);
        let (pages, of_memory) = (Mutex::default(), Mutex::default());
        let sites = Self { specs, drops, pages, of_memory, count: AtomicU32::new(0), cpus };
        sites.put(&mut sites.pages(), first)?;
        Ok(sites)
    }

    /// Adds a site; gives its number. To be called by one thread at a time.
    ///
    /// # Errors
    /// [`Error::Sites`] when there are [`MAX_SITES`] already.
    pub(crate) fn add(&self, spec: &SiteSpec) -> Result<SiteId> {
        let site = self.count();
        if site == MAX_SITES {
            return Err(Error::Sites { found: u64::from(site) + 1, max: MAX_SITES.into() });
        }
        let mut pages = self.pages();
        let page = (site / PAGE_SITES) as usize;
        if page == pages.len() {
            let next = SitePage::new(self.cpus)?;
            self.put(&mut pages, next)?;
        }
        set(&pages[page].specs, site % PAGE_SITES, &spec_bytes(spec))?;
        let read = &spec.arguments[..usize::from(spec.count)];
        if read.iter().any(|argument| argument.flags & (IN_MEMORY | IS_STRING) != 0) {
            self.of_memory.lock().unwrap_or_else(PoisonError::into_inner).insert(SiteId(site));
        }
        self.count.store(site + 1, Ordering::Release);
        Ok(SiteId(site))
    }

    /// Whether arguments of a site are in memory.
    pub(crate) fn is_of_memory(&self, site: SiteId) -> bool {
        self.of_memory.lock().unwrap_or_else(PoisonError::into_inner).contains(&site)
    }

    /// Whether there is a site with arguments in memory.
    pub(crate) fn has_of_memory(&self) -> bool {
        !self.of_memory.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Reads how many events were lost at a site: a number of 8 bytes for each CPU.
    pub(crate) fn drops(&self, SiteId(site): SiteId, value: &mut [u8]) -> std::io::Result<()> {
        let pages = self.pages();
        let page = pages.get((site / PAGE_SITES) as usize).ok_or(std::io::ErrorKind::NotFound)?;
        page.drops.lookup(&(site % PAGE_SITES).to_le_bytes(), value)
    }

    fn put(&self, pages: &mut Vec<SitePage>, page: SitePage) -> Result<()> {
        let index = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        set(&self.specs, index, &page.specs.as_fd().as_raw_fd().to_le_bytes())?;
        set(&self.drops, index, &page.drops.as_fd().as_raw_fd().to_le_bytes())?;
        pages.push(page);
        Ok(())
    }

    fn pages(&self) -> MutexGuard<'_, Vec<SitePage>> {
        // A page is complete before it is put there.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A spec as the bytes of its map value.
fn spec_bytes(spec: &SiteSpec) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of::<SiteSpec>());
    bytes.extend([spec.count, spec.shape]);
    bytes.extend(spec.no_mask.to_le_bytes());
    bytes.extend(spec.reserved);
    for argument in &spec.arguments {
        bytes.extend(argument.displacement.to_le_bytes());
        bytes.extend([
            argument.flags,
            argument.base,
            argument.index,
            argument.scale_log2,
            argument.size_bytes,
            argument.length_unused_bits,
        ]);
        bytes.extend(argument.max_bytes.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::ArgumentSpec;

    #[test]
    fn a_spec_has_the_bytes_of_its_layout() {
        let mut spec = SiteSpec { count: 1, shape: 2, ..Default::default() };
        spec.arguments[0] = ArgumentSpec {
            displacement: -4,
            flags: 5,
            base: 7,
            index: 8,
            scale_log2: 3,
            size_bytes: 2,
            length_unused_bits: 48,
            max_bytes: 0x123,
        };
        let bytes = spec_bytes(&spec);
        assert_eq!(bytes.len(), size_of::<SiteSpec>());
        assert_eq!(bytes[..8], [1, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            bytes[8..24],
            [0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 5, 7, 8, 3, 2, 48, 0x23, 1]
        );
        assert_eq!(bytes[24..], [0; 16 * 11]);
    }
}
