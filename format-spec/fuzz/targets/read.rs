//! Any bytes, also under sound checksums, are read without a panic, in bounded time and memory, and in order of time.
#![no_main]

mod sound;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    sound::read(bytes);
    let mut sealed = bytes.to_vec();
    sound::make_sound(&mut sealed);
    sound::read(&sealed);
});
