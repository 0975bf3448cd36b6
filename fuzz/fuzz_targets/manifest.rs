//! See `httpout_fuzz::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| httpout_fuzz::manifest::run(data));
