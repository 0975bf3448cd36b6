//! Uploads, by the thousand.

use httpout_simulation::{Calm, Recorded, upload, upload_by};

#[test]
fn what_the_client_reports_as_stored_is_stored_and_nothing_hangs() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = number("HTTPOUT_PUSH_SEED").unwrap_or(0);
    let count = number("HTTPOUT_PUSH_SEEDS").unwrap_or(600);
    let mut steps = 0;
    for seed in first..first + count {
        match upload(seed) {
            Ok(taken) => steps += taken,
            Err(account) => panic!(
                "{account}\n\n    HTTPOUT_PUSH_SEED={seed} HTTPOUT_PUSH_SEEDS=1 cargo test -p httpout-simulation --test push\n"
            ),
        }
    }
    println!("{count} worlds, {steps} steps");
}

/// A fuzzer's input may be short, and then every further choice is the calm one.
#[test]
fn worlds_of_few_choices_end() {
    upload_by(&mut Calm).unwrap();
    for byte in 0..=255 {
        upload_by(&mut Recorded::new(&[byte; 40])).unwrap();
        upload_by(&mut Recorded::new(&[byte, 0, 99, byte, 7].repeat(100))).unwrap();
    }
}
