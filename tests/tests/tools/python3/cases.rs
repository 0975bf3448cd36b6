//! The raw cases of `tests/cases`: one request a line with the responses that the RFCs allow, sent
//! by their own runner.

use std::fs;
use std::path::{Path, PathBuf};

use httpout_tests::{Kind, Server, Tree, both, run};

both! { raw_cases, raw_cases_over_a_plain_directory }

/// Cases that take what lies outside of `/up/` for read-only, which it is not where the write
/// directory is the whole root.
const NEED_RULES: [&str; 5] = ["METH-08", "EXP-06", "PATH-46", "PATH-50", "PATH-57"];

/// They may write into `up/` and nowhere else.
const RULES: &str = "\
[root]
[root/up]
wu=$ALL
";

/// The directory of the cases.
fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

fn raw_cases(kind: Kind) {
    let tree = fixtures();
    tree.write("rules.ini", RULES);
    pass(kind, &["--rdirs", &tree.arg("rules.ini")], &[]);
}

fn raw_cases_over_a_plain_directory(kind: Kind) {
    let tree = fixtures();
    let root = tree.arg("root");
    pass(kind, &["--rdirs", &root, "--wdir", &root], &NEED_RULES);
}

/// The files that the cases ask for.
fn fixtures() -> Tree {
    let tree = Tree::new();
    let runner = cases().join("run_cases.py").to_string_lossy().into_owned();
    run("python3", &[&runner, "--setup", &tree.arg("")], b"").ok();
    tree
}

/// A server with these directories passes all cases but those that are left out.
#[track_caller]
fn pass(kind: Kind, directories: &[&str], left_out: &[&str]) {
    let dir = cases();
    let runner = dir.join("run_cases.py").to_string_lossy().into_owned();
    let list = dir.join("http1_cases.jsonl").to_string_lossy().into_owned();
    let options = ["--maxc", "0", "--maxp", "0", "--multirange", "multipart"];
    let server = Server::start(kind, &[directories, &options].concat());
    let port = server.address().port().to_string();
    let skip = format!("/({})$", left_out.join("|"));
    // A generous time for each answer: nothing that is right waits for it.
    let args = [&runner, "127.0.0.1", &port, &list, "--strict", "--timeout", "20", "--skip", &skip];
    let report = run("python3", &args, b"").ok();
    let last = report.lines().last().unwrap_or_default();
    let cases = fs::read_to_string(&list).expect("the list of cases").lines().count();
    assert_eq!(last, format!("{} passed, 0 failed", cases - left_out.len()), "{report}");
    assert!(
        report.contains("skipped 0"),
        "cases were skipped because the server lacks what they need:\n{report}"
    );
}
