//! Sites of real programs, against what `readelf` says of the same file.

mod target;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use target::{Folder, compile};
use tracer_format::ArgKind;
use tracer_recorder::arch::nop::NopForm;
use tracer_recorder::find::binary::{Binary, Site};
use tracer_recorder::find::discover;
use tracer_recorder::site::argument::Location;

/// Provider, probe, address, whether there is a semaphore, argument text.
type Known = (String, String, u64, bool, String);

fn output(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(path).output().unwrap();
    assert!(output.status.success(), "{program} {}", path.display());
    String::from_utf8(output.stdout).unwrap()
}

fn readelf_sites(path: &Path) -> Vec<Known> {
    let text = output("readelf", &["-nW"], path);
    let mut sites = Vec::new();
    let mut names = (String::new(), String::new());
    let (mut address, mut semaphore) = (0, false);
    for line in text.lines() {
        // In wide output the provider stands on the line of the note's owner.
        let line = line.find("Provider: ").map_or(line.trim(), |start| &line[start..]);
        let Some((title, value)) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))
        else {
            continue;
        };
        match title {
            "Provider" => names.0 = value.to_owned(),
            "Name" => names.1 = value.to_owned(),
            "Location" => {
                let number = |title| {
                    let digits = line.split(", ").find_map(|part| part.strip_prefix(title)).unwrap();
                    u64::from_str_radix(digits.trim_start_matches("0x"), 16).unwrap()
                };
                (address, semaphore) = (number("Location: "), number("Semaphore: ") != 0);
            }
            "Arguments" => {
                sites.push((names.0.clone(), names.1.clone(), address, semaphore, value.to_owned()))
            }
            _ => {}
        }
    }
    sites
}

fn read(path: &Path) -> Binary {
    let (binary, problem) = discover::file(path, &["*".parse().unwrap()]).unwrap();
    assert_eq!(problem, None);
    binary.unwrap()
}

/// Compares all sites with `readelf`, file offsets with the program headers, and the build id.
fn agrees_with_readelf(path: &Path) -> Vec<Site> {
    let binary = read(path);
    let known = |site: &Site| {
        let names = (site.provider.clone(), site.probe.clone());
        (names.0, names.1, site.address, site.semaphore_offset != 0, site.spec.clone())
    };
    assert_eq!(binary.sites.iter().map(known).collect::<Vec<_>>(), readelf_sites(path), "{}", path.display());
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(output("readelf", &["-nW"], path).contains(&format!("Build ID: {}", hex(&binary.build_id))));
    let loads: Vec<[u64; 4]> = output("readelf", &["-lW"], path)
        .lines()
        .filter_map(|line| line.trim().strip_prefix("LOAD"))
        .map(|line| {
            let mut numbers =
                line.split_whitespace().map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16));
            std::array::from_fn(|_| numbers.next().unwrap().unwrap())
        })
        .collect();
    for site in &binary.sites {
        let covered = |load: &&[u64; 4]| load[1] <= site.address && site.address - load[1] < 0x1000_0000;
        let load = loads.iter().rev().find(covered).unwrap();
        assert_eq!(site.offset, site.address - load[1] + load[0]);
    }
    binary.sites
}

#[test]
#[ignore = "needs readelf and Debian's python3.11"]
fn python_agrees_with_readelf() {
    let path = Path::new("/usr/bin/python3.11");
    let sites = agrees_with_readelf(path);
    let entry = sites.iter().find(|site| site.probe == "function__entry").unwrap();
    assert_eq!(
        entry.arguments.iter().map(|argument| argument.kind).collect::<Vec<_>>(),
        [ArgKind::Unsigned(8), ArgKind::Unsigned(8), ArgKind::Signed(4)]
    );
    assert!(
        sites.len() >= 8 && sites.iter().all(|site| site.semaphore_offset != 0 && site.nop == NopForm::Nop)
    );
}

#[test]
#[ignore = "needs readelf and libstdc++.so.6"]
fn the_cxx_library_agrees_with_readelf() {
    let output = Command::new("cc").arg("-print-file-name=libstdc++.so.6").output().unwrap();
    let path = Path::new(str::from_utf8(&output.stdout).unwrap().trim()).to_owned();
    let sites = agrees_with_readelf(&path);
    let mut names: Vec<&str> = sites.iter().map(|site| site.probe.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["catch", "rethrow", "throw"]);
    assert!(sites.iter().all(|site| site.provider == "libstdcxx" && site.semaphore_offset == 0));
}

const EVERY_KIND: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
__extension__ unsigned short app_all_semaphore __attribute__((unused, section(".probes")));
#define app_twice_semaphore app_all_semaphore
static long table[64];
long counter = 7;
static __attribute__((noinline)) void fire(long a, unsigned b, short c, signed char d, unsigned char *text, long i) {
    STAP_PROBE12(app, all, a, b, c, d, text, table[i], counter, 1, -1L, 'x', (unsigned short)i, &counter);
    STAP_PROBE(app, twice);
    counter += a;
    STAP_PROBE(app, twice);
}
int main(int argc, char **argv) {
    fire(argc, argc, argc, argc, (unsigned char *)argv[0], argc);
    return 0;
}
"#;

#[test]
#[ignore = "needs readelf and sys/sdt.h"]
fn a_compiled_program_agrees_with_readelf_and_all_its_arguments_are_understood() {
    let folder = Folder::new("readelf");
    for options in [&["-fPIE", "-pie"][..], &["-fno-pie", "-no-pie"], &["-O0"], &["-O3", "-march=native"]] {
        let path = compile(&folder, "app", EVERY_KIND, options);
        let sites = agrees_with_readelf(&path);
        assert_eq!(sites.iter().filter(|site| site.probe == "twice").count(), 2, "{options:?}");
        let all = sites.iter().find(|site| site.probe == "all").unwrap();
        let kinds: Vec<ArgKind> = all.arguments.iter().map(|argument| argument.kind).collect();
        use ArgKind::{Signed, Unsigned};
        let expected = [
            Signed(8),
            Unsigned(4),
            Signed(2),
            Signed(1),
            Unsigned(8),
            Signed(8),
            Signed(8),
            Signed(4),
            Signed(8),
        ];
        assert_eq!(kinds[..9], expected, "{options:?}: {}", all.spec);
        assert_eq!(all.arguments[8].location, Location::Constant(-1));
        assert!(
            all.arguments.iter().all(|argument| argument.location != Location::Unreadable),
            "{}",
            all.spec
        );
    }
}

#[test]
#[ignore = "needs readelf and sys/sdt.h"]
fn a_symbol_relative_to_the_program_counter_is_where_nm_says() {
    let folder = Folder::new("symbol");
    // A constraint that allows memory only, so that the variable itself is the argument.
    let source = r#"
#include <sys/sdt.h>
long before[5];
long counter[8] = {1};
int main(void) { STAP_PROBE1(app, one, counter[5]); return 0; }
"#;
    let path = compile(&folder, "app", source, &["-fPIE", "-pie", "-DSTAP_SDT_ARG_CONSTRAINT=m"]);
    let site = &agrees_with_readelf(&path)[0];
    assert!(site.spec.contains("counter(%rip)"), "{}", site.spec);
    let symbols: HashMap<String, u64> = output("nm", &[], &path)
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((words.nth(1)?.to_owned(), address))
        })
        .collect();
    let displacement = (symbols["counter"] + 40).wrapping_sub(site.address).cast_signed();
    let expected =
        Location::Memory { base: Some(16), index: None, scale_log2: 0, displacement, of_thread: false };
    assert_eq!(site.arguments[0].location, expected);
    Command::new("strip").arg(&path).status().unwrap();
    let (binary, problem) = discover::file(&path, &["app".parse().unwrap()]).unwrap();
    assert_eq!(binary.unwrap().sites[0].arguments[0].location, Location::Unreadable);
    assert!(problem.unwrap().ends_with("(%rip)' cannot be read"));
}
