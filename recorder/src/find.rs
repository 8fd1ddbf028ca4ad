//! From files with probes to attached sites: once before the recording begins, and again for what is started meanwhile.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tracer_format::Site;
use tracer_format::log::escape;

use crate::attach::{self, Link, Place};
use crate::binary::{self, Binary};
use crate::discover::{Discovery, Found, Scan};
use crate::error::{Error, Result};
use crate::host;
use crate::nop::{self, Hazard};
use crate::pattern;
use crate::plan::Plan;
use crate::program::Program;
use crate::record::RecordOptions;
use crate::write::WrittenSite;

/// A file whose sites the program knows, but is not attached to yet.
pub(crate) struct Prepared {
    binary: Binary,
    places: Vec<Place>,
    /// The sites, by the index that their events carry.
    pub(crate) sites: Vec<WrittenSite>,
}

impl Prepared {
    /// Probes in the file; a probe may have several sites.
    pub(crate) fn probes(&self) -> usize {
        let mut names: Vec<String> = self.sites.iter().map(|site| site.site.name()).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }
}

/// Finds probes and attaches to them.
pub(crate) struct Finder<'a> {
    options: &'a RecordOptions,
    program: &'a Program,
    discovery: Discovery,
    kernel: (u32, u32),
    /// Sites so far; the draining thread asks for the losses of so many.
    sites: &'a AtomicU32,
    max_sites: u32,
    /// By device and inode: a file that was written anew is attached to instead of what it was.
    links: HashMap<(u64, u64), Link>,
}

/// How soon a new program is found: soon after a command was started, which starts others; later on with less effort.
const SOON: Duration = Duration::from_millis(10);
const LATER: Duration = Duration::from_millis(200);
const SOON_FOR: Duration = Duration::from_secs(2);

impl<'a> Finder<'a> {
    pub(crate) fn new(
        options: &'a RecordOptions,
        program: &'a Program,
        discovery: Discovery,
        sites: &'a AtomicU32,
        max_sites: u32,
    ) -> Self {
        let kernel = host::kernel_version();
        Self { options, program, discovery, kernel, sites, max_sites, links: HashMap::new() }
    }

    /// Tells the program of the sites that were found; those that would do harm are left out.
    pub(crate) fn prepare(
        &mut self,
        found: Vec<Found>,
        tell: &mut dyn FnMut(String),
    ) -> Result<Vec<Prepared>> {
        let mut prepared = Vec::with_capacity(found.len());
        for Found { binary, .. } in found {
            let (mut places, mut sites) = (Vec::new(), Vec::new());
            for site in &binary.sites {
                if self.is_harmful(site, &binary, tell) {
                    continue;
                }
                let id = self.sites.load(Ordering::Relaxed);
                if id >= self.max_sites {
                    return Err(Error::Sites { found: u64::from(id) + 1, max: self.max_sites.into() });
                }
                let (plan, spec) = Plan::new(&site.arguments);
                self.program.set_site(id, &spec)?;
                self.sites.store(id + 1, Ordering::Relaxed);
                places.push(Place { offset: site.offset, semaphore_offset: site.semaphore_offset, site: id });
                sites.push(WrittenSite { plan, site: self.definition(site, &binary), recorded: 0, lost: 0 });
            }
            if !places.is_empty() {
                prepared.push(Prepared { binary, places, sites });
            }
        }
        Ok(prepared)
    }

    /// Attaches to a file; false, and a word about it, if the kernel refuses.
    pub(crate) fn attach(&mut self, prepared: &Prepared, tell: &mut dyn FnMut(String)) -> Result<bool> {
        let binary = &prepared.binary;
        let file = (binary.dev, binary.ino);
        self.links.remove(&file);
        let path = PathBuf::from(format!("/proc/self/fd/{}", binary.file.as_raw_fd()));
        match attach::attach(self.program, self.options.attach, &path, &prepared.places) {
            Ok(link) => {
                self.links.insert(file, link);
                Ok(true)
            }
            Err(Error::Attach { source, .. }) => {
                tell(format!("cannot attach to {}: {source}", escape(&binary.path.to_string_lossy())));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks again and again for programs that were started meanwhile, until `ended` says so. New sites are handed to
    /// `announce` before they are attached, so that they are known when their first event comes.
    pub(crate) fn keep_looking(
        &mut self,
        ended: &dyn Fn(Duration) -> bool,
        announce: &mut dyn FnMut(&[WrittenSite]),
        tell: &mut dyn FnMut(String),
    ) -> Result<()> {
        let begun = Instant::now();
        let soon = || !self.options.command.is_empty() && begun.elapsed() < SOON_FOR;
        while !ended(if soon() { SOON } else { LATER }) {
            let Scan { found, problems, .. } = self.discovery.scan();
            problems.into_iter().for_each(&mut *tell);
            for prepared in self.prepare(found, tell)? {
                announce(&prepared.sites);
                self.attach(&prepared, tell)?;
            }
        }
        Ok(())
    }

    fn is_harmful(&self, site: &binary::Site, binary: &Binary, tell: &mut dyn FnMut(String)) -> bool {
        let hazard = nop::hazard(site.nop).filter(|hazard| hazard.applies_to(self.kernel.0, self.kernel.1));
        let Some(hazard) = hazard else { return false };
        let harmful = hazard == Hazard::RedZone;
        let left_out = if harmful { "; left out" } else { "" };
        let (provider, probe, path) = (&site.provider, &site.probe, binary.path.to_string_lossy());
        tell(format!("{}:{} in {}: {hazard}{left_out}", escape(provider), escape(probe), escape(&path)));
        harmful
    }

    fn definition(&self, site: &binary::Site, binary: &Binary) -> Site {
        Site {
            provider: site.provider.clone(),
            probe: site.probe.clone(),
            program: binary.program.clone(),
            path: binary.path.to_string_lossy().into_owned(),
            build_id: binary.build_id.clone(),
            offset: site.offset,
            semaphore_offset: site.semaphore_offset,
            spec: site.spec.clone(),
            args: site.arguments.iter().map(|argument| argument.kind).collect(),
            key_arg: pattern::key_argument(&self.options.keys, &site.provider, &site.probe),
            announced: true,
            found_ns: 0,
        }
    }
}
