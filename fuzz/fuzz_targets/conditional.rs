//! See `httpout_fuzz::conditional`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| httpout_fuzz::conditional::run(data));
