//! See `httpout_fuzz::patch_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| httpout_fuzz::patch_body::run(data));
