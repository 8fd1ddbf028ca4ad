//! OpenJDK, Ruby and PHP: what `analyze` says of their calls is what each of their threads did.

use std::path::Path;

use serde_json::Value;

use crate::threads::{agrees, analyzed, calls, threads};
use crate::tool::{Folder, answer, live, stderr};

/// Records a command of the package `package`.
fn record(folder: &Folder, package: &str, events: &[&str], command: &[&str]) {
    assert!(Path::new(command[0]).exists(), "needs the package {package}");
    let events = events.iter().flat_map(|events| ["-e", events]);
    let args: Vec<&str> =
        ["record", "-q", "-o", "run.trace"].into_iter().chain(events).chain(["--"]).collect();
    let output = folder.command(&args).args(command).env("USE_ZEND_DTRACE", "1").output().expect("it runs");
    // The program of OpenJDK loads what has its probes: they are attached before that.
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let info = answer(&folder.tracer(&["info", "run.trace"]));
    assert!(info.contains("no events"), "nothing is lost: {info}");
}

/// Where OpenJDK is.
const JAVA: &str = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java";

/// The argument that tells which call a return belongs to, as `analyze` chose it for `stage`.
fn unwinding(folder: &Folder, stage: &str) -> usize {
    answer(&folder.tracer(&["analyze", "run.trace", "--force", "--stages-out", "stages.toml"]));
    let stages = std::fs::read_to_string(folder.path("stages.toml")).expect("read");
    let line = stages.lines().find(|line| line.contains(&format!("{stage}__entry"))).expect("the stage");
    let (_, arg) = line.split_once("by tid unwinding arg").unwrap_or_else(|| panic!("{line}"));
    arg.trim_end_matches('"').parse().expect("a number")
}

/// Calls are no pipeline: nothing is said to be lost or to stand still.
#[track_caller]
fn is_no_pipeline(report: &Value) {
    let findings = report["findings"].as_array().expect("a list");
    let of_spans = |it: &Value| it["kind"] == "one_value" || it["kind"] == "set_apart";
    assert!(findings.iter().all(of_spans), "{findings:?}");
}

#[test]
#[ignore = "needs root, eBPF and OpenJDK 17"]
fn calls_of_openjdk_are_those_of_its_threads() {
    let _alone = live();
    let folder = Folder::new("openjdk");
    let command = [JAVA, "-XX:+ExtendedDTraceProbes", "-version"];
    record(
        &folder,
        "openjdk-17-jre-headless",
        &["hotspot:method__entry", "hotspot:method__return"],
        &command,
    );
    let (threads, report) = (threads(&folder, "hotspot", &[]), analyzed(&folder, &[]));
    let arg = unwinding(&folder, "method");
    assert!(arg > 0, "the number of the thread tells no call from another");
    let methods = calls(&threads, "method__entry", &["method__return"], Some(arg));
    assert!(methods.len() > 1000, "{} calls", methods.len());
    agrees(&report, "method", "tid", &methods);
    is_no_pipeline(&report);
}

#[test]
#[ignore = "needs root, eBPF and OpenJDK 17"]
fn collections_of_openjdk_are_those_of_its_threads() {
    let _alone = live();
    let folder = Folder::new("collections");
    // So small a heap is full many times before all modules are listed.
    let options = ["-XX:+UseSerialGC", "-Xshare:off", "-Xmx8m", "-Xmn512k", "--list-modules"];
    record(&folder, "openjdk-17-jre-headless", &["hotspot:gc__*"], &[&[JAVA], &options[..]].concat());
    let (threads, report) = (threads(&folder, "hotspot", &[]), analyzed(&folder, &[]));
    let collections = calls(&threads, "gc__begin", &["gc__end"], None);
    assert!(!collections.is_empty(), "a collection");
    agrees(&report, "gc", "", &collections);
    is_no_pipeline(&report);
}

#[test]
#[ignore = "needs root, eBPF and Ruby 3.1"]
fn calls_of_ruby_are_those_of_its_threads_though_some_are_left() {
    let _alone = live();
    let folder = Folder::new("ruby");
    let script = "
        def failed(text) = Integer(text) rescue 0
        ready = Thread.new { 300.times { |at| [at, at + 1].map { |it| failed(it.odd? ? 'x' : '7') } } }
        300.times { |at| [3, 1, 2].sort_by { |it| -it }.each { |it| failed('x' * it) } }
        ready.join";
    record(&folder, "ruby3.1", &["ruby:cmethod__*"], &["/usr/bin/ruby3.1", "--disable-gems", "-e", script]);
    let (threads, report) = (threads(&folder, "ruby", &[]), analyzed(&folder, &[]));
    let methods =
        calls(&threads, "cmethod__entry", &["cmethod__return"], Some(unwinding(&folder, "cmethod")));
    assert!(methods.len() > 3000, "{} calls", methods.len());
    agrees(&report, "cmethod", "tid", &methods);
    is_no_pipeline(&report);
}

#[test]
#[ignore = "needs root, eBPF and PHP 8.2"]
fn calls_of_php_are_those_of_its_threads() {
    let _alone = live();
    let folder = Folder::new("php");
    let script = folder.write(
        "script.php",
        "<?php
        function leaf($n) { if ($n % 7 == 0) throw new Exception('seven'); return $n; }
        function outer($n) { try { return leaf($n) + ($n > 0 ? outer($n - 1) : 0); } catch (Exception $e) { return 0; } }
        for ($i = 0; $i < 300; $i++) outer($i % 20);",
    );
    let script = script.display().to_string();
    record(&folder, "php8.2-cli", &["php:function__*", "php:request__*"], &["/usr/bin/php8.2", &script]);
    let (threads, report) = (threads(&folder, "php", &[]), analyzed(&folder, &[]));
    let functions = calls(&threads, "function__entry", &["function__return"], None);
    assert!(functions.len() > 2000, "{} calls", functions.len());
    agrees(&report, "function", "tid", &functions);
    assert_eq!(calls(&threads, "request__startup", &["request__shutdown"], None).len(), 1);
    is_no_pipeline(&report);
}
