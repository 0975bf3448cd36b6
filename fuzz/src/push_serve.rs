//! Client against server: a world of the simulation, whose every choice is the fuzzer's.

use httpout_simulation::{Recorded, upload_by};

/// One input: the choices.
pub fn run(data: &[u8]) {
    if let Err(what) = upload_by(&mut Recorded::new(data)) {
        panic!("{what}");
    }
}
