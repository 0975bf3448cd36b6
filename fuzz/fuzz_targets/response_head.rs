//! See `httpout_fuzz::response_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| httpout_fuzz::response_head::run(data));
