//! See `httpout_fuzz::users_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| httpout_fuzz::users_file::run(data));
