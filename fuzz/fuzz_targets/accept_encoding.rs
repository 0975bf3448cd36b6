//! See `httpout_fuzz::accept_encoding`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| httpout_fuzz::accept_encoding::run(data));
