//! Worlds by the thousand.

use httpout_simulation::{Calm, Recorded, replay, run};

/// Runs the seeds from `first` on; the steps that were taken.
fn seeds(first: u64, count: u64) -> u64 {
    let mut steps = 0;
    for seed in first..first + count {
        match replay(seed) {
            Ok(taken) => steps += taken,
            Err(account) => panic!("{account}"),
        }
    }
    steps
}

#[test]
fn worlds_of_the_first_half() {
    seeds(0, 2500);
}

#[test]
fn worlds_of_the_second_half() {
    seeds(1_000_000, 2500);
}

/// A fuzzer's input may be short, and then every further choice is the calm one.
#[test]
fn worlds_of_few_choices_end() {
    run(&mut Calm).unwrap();
    for byte in 0..=255 {
        run(&mut Recorded::new(&[byte; 40])).unwrap();
        run(&mut Recorded::new(&[byte, 0, 99, byte, 7].repeat(100))).unwrap();
    }
}

/// The one world of `HTTPOUT_SEED`, or a number of them from there on: `HTTPOUT_SEEDS`.
#[test]
fn replay_of_a_seed() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    if let Some(seed) = number("HTTPOUT_SEED") {
        let count = number("HTTPOUT_SEEDS").unwrap_or(1);
        println!("{count} worlds, {} steps", seeds(seed, count));
    }
}
