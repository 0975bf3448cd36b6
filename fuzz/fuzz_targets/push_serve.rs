//! See `httpout_fuzz::push_serve`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| httpout_fuzz::push_serve::run(data));
