//! Live resources, by the thousand.

use httpout_simulation::listen;

#[test]
fn everybody_gets_whole_packets_whoever_comes_and_goes() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = number("HTTPOUT_LIVE_SEED").unwrap_or(0);
    let count = number("HTTPOUT_LIVE_SEEDS").unwrap_or(300);
    for seed in first..first + count {
        if let Err(account) = listen(seed) {
            panic!("{account}");
        }
    }
}
