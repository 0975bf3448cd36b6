//! The raw cases that stand beside the repository: one request a line with the answers that the RFCs allow, sent by their own runner.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use httpout_tests::{Kind, Server, Tree, both, run};

both! { raw_cases }

/// Cases that are left out, each with the reason.
const LEFT_OUT: [(&str, &str); 3] = [
    // Until rule files can make `/up/` alone writable, the write directory is the whole root, so these writes are allowed.
    ("METH-08", "a PUT on /hello.txt, which it takes for read-only"),
    ("EXP-06", "the same with Expect: 100-continue"),
    ("PATH-50", "a PUT into /up-private/, which it takes for read-only"),
];

/// The directory of the cases: `HTTPOUT_CASES`, or `shared/cases` beside the repository.
fn cases() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    let dir = env::var_os("HTTPOUT_CASES").map_or_else(beside, PathBuf::from);
    let runner = dir.join("run_cases.py");
    assert!(
        runner.is_file(),
        "the raw cases are not at {}: put them there, or name their directory in HTTPOUT_CASES",
        dir.display()
    );
    dir
}

fn raw_cases(kind: Kind) {
    let dir = cases();
    let runner = dir.join("run_cases.py").to_string_lossy().into_owned();
    let list = dir.join("http1_cases.jsonl").to_string_lossy().into_owned();
    let tree = Tree::new();
    run("python3", &[&runner, "--setup", &tree.arg("")], b"").ok();
    let root = tree.arg("root");
    let server = Server::start(
        kind,
        &[
            "--rdirs",
            &root,
            "--wdir",
            &root,
            "--maxc",
            "0",
            "--maxp",
            "0",
            "--multirange",
            "multipart",
        ],
    );
    let port = server.address().port().to_string();
    let skip = format!("/({})$", LEFT_OUT.map(|(id, _)| id).join("|"));
    // A generous time for each answer: nothing that is right waits for it.
    let args = [&runner, "127.0.0.1", &port, &list, "--strict", "--timeout", "20", "--skip", &skip];
    let ran = run("python3", &args, b"");
    let report = ran.ok();
    let last = report.lines().last().unwrap_or_default();
    let cases = fs::read_to_string(&list).expect("the list of cases").lines().count();
    assert_eq!(last, format!("{} passed, 0 failed", cases - LEFT_OUT.len()), "{report}");
    assert!(
        report.contains("skipped 0"),
        "cases were skipped because the server lacks what they need:\n{report}"
    );
}
