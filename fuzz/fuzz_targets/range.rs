//! See `httpout_fuzz::range`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| httpout_fuzz::range::run(data));
