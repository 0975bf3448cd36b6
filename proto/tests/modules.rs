//! The imports of the modules of this crate make no circle. `cargo test -p httpout-proto --test
//! modules -- --nocapture` prints the graph.

#![allow(clippy::print_stdout, reason = "the graph is for people")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The files below a directory, but for tests.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the sources are there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The code of a file, without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("UTF-8");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect()
}

/// The first names of what follows `crate::`: one name, or the names of a group.
fn names(rest: &str) -> Vec<&str> {
    let name = |text: &str| {
        text.len() - text.trim_start_matches(|c: char| c == '_' || c.is_alphanumeric()).len()
    };
    let Some(group) = rest.strip_prefix('{') else { return vec![&rest[..name(rest)]] };
    let (mut depth, mut names, mut at_name) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_name = true,
            c if depth == 0 && at_name && !c.is_whitespace() => {
                names.push(&group[at..at + name(&group[at..])]);
                at_name = false;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn no_module_imports_itself_by_way_of_others() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let module = |path: &Path| {
        let path = path.strip_prefix(&src).expect("below src");
        let first = path.iter().next().and_then(|name| name.to_str()).expect("UTF-8");
        first.trim_end_matches(".rs").to_owned()
    };
    let modules: BTreeSet<_> = files.iter().map(|path| module(path)).collect();
    let mut graph: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for path in files.iter().filter(|path| !path.ends_with("lib.rs")) {
        let (from, code) = (module(path), code(path));
        let to = code.split("crate::").skip(1).flat_map(names).filter(|to| modules.contains(*to));
        graph
            .entry(from.clone())
            .or_default()
            .extend(to.filter(|to| *to != from).map(str::to_owned));
    }
    for (from, to) in &graph {
        println!("{from} -> {}", to.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    }
    assert!(
        graph["exchange"].contains("http") && graph["session"].contains("exchange"),
        "it is read"
    );
    // Modules whose imports are all taken away already are taken away, until a circle is left.
    while let Some(base) = graph.iter().find(|(_, imports)| imports.is_empty()) {
        let base = base.0.clone();
        graph.remove(&base);
        graph.values_mut().for_each(|imports| {
            imports.remove(&base);
        });
    }
    assert!(graph.is_empty(), "these import each other, or a module that does: {graph:?}");
}
