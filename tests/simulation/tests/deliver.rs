//! Uploads that are handed on, by the thousand.

use httpout_simulation::deliver;

#[test]
fn what_is_handed_on_is_what_was_sent_and_told_to_be_whole_when_it_is() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = number("HTTPOUT_DELIVER_SEED").unwrap_or(0);
    let count = number("HTTPOUT_DELIVER_SEEDS").unwrap_or(2000);
    for seed in first..first + count {
        if let Err(account) = deliver(seed) {
            panic!("{account}");
        }
    }
}
