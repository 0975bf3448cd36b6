//! See `httpout_fuzz::request_target`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| httpout_fuzz::request_target::run(data));
