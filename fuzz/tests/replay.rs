//! Every input of the corpora goes through its target.

use std::{fs, io, path::Path};

use httpout_fuzz::TARGETS;

#[test]
fn the_corpora_raise_nothing() -> io::Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut failures = Vec::new();
    for (name, run) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpora.join(name))? {
            let path = entry?.path();
            let data = fs::read(&path)?;
            // The panic does not tell which input it was.
            if std::panic::catch_unwind(|| run(&data)).is_err() {
                failures.push(path);
            }
            inputs += 1;
        }
        assert!(inputs >= 5, "{name} has next to no corpus");
    }
    assert!(failures.is_empty(), "these fail: {failures:#?}");
    Ok(())
}

#[test]
fn nothing_is_an_input_too() {
    for (_, run) in TARGETS {
        run(b"");
    }
}
