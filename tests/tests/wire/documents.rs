//! The documentation agrees with the program, and holds together.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use httpout_proto::Limits;
use httpout_tests::page::{How, Page, pages, repository};
use httpout_tests::{Kind, Server, both};

both! {
    each_option_stands_in_the_table_with_its_default,
}

/// The rows of all tables of a page, each as its cells.
fn rows(page: &Page) -> Vec<Vec<String>> {
    let lines = page.prose().into_iter().filter_map(|(_, line)| line.strip_prefix('|'));
    let lines = lines.filter(|line| !line.starts_with("---"));
    let cells = |line: &str| {
        line.trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    lines.map(cells).collect()
}

fn each_option_stands_in_the_table_with_its_default(kind: Kind) {
    let rows = rows(&Page::read("docs/operation.md"));
    let help = Server::fails(kind, &["--help"]).stdout;
    let mut options: Vec<(String, String)> = Vec::new();
    for line in help.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let long = words.iter().take(2).find_map(|word| word.strip_prefix("--"));
        match (long, words.first()) {
            (Some(long), Some(first)) if first.starts_with('-') && line.starts_with("  ") => {
                let end = long.find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
                options.push((long[..end.unwrap_or(long.len())].to_owned(), String::new()));
            }
            _ => {
                if let Some((_, text)) = options.last_mut() {
                    let _ = write!(text, " {}", line.trim());
                }
            }
        }
    }
    assert!(options.len() > 60, "{options:?}");
    let mut wrong = Vec::new();
    for (name, text) in &options {
        let quoted = format!("`--{name}`");
        let Some(row) = rows.iter().find(|row| row[0].contains(&quoted)) else {
            wrong.push(format!("there is no row of {quoted}"));
            continue;
        };
        let default = text.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
        let agrees = match default {
            // What is told in words there is told in words here.
            Some((default, _)) if default.contains(' ') => {
                !row[1].starts_with('`') && row[1] != "none"
            }
            Some((default, _)) => row[1] == format!("`{default}`"),
            None => !row[1].starts_with('`'),
        };
        if !agrees {
            wrong.push(format!("{quoted}: {:?} is not {default:?}", row[1]));
        }
    }
    for row in &rows {
        let names = row[0].split('`').filter_map(|word| word.strip_prefix("--"));
        for name in names.filter(|_| row.len() == 4) {
            if options.iter().all(|(option, _)| option != name) {
                wrong.push(format!("there is no option --{name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/operation.md:\n{}", wrong.join("\n"));
}

/// A number of the table: `16 KiB`, `30 s`, `500 B/s`, `10000`; `none`.
fn number(cell: &str) -> Option<u64> {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let number: u64 = number.parse().ok()?;
    let factor = match unit {
        "" | "B" | "B/s" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "s" => 1_000_000_000,
        _ => panic!("what is {unit:?}?"),
    };
    Some(number * factor)
}

#[test]
fn each_limit_stands_in_the_table_with_its_default() {
    let rows = rows(&Page::read("docs/operation.md"));
    // `Limits { request_line: 16384, …, idle_time: Some(30s), … }`
    let all = format!("{:?}", Limits::default());
    let all = all.trim_start_matches("Limits { ").trim_end_matches([' ', '}', '.', ',']);
    let fields: Vec<(&str, &str)> = all
        .split(", ")
        .map(|field| field.split_once(": ").expect("a name and a value"))
        .map(|(name, value)| (name, value.trim_start_matches("Some(").trim_end_matches(')')))
        .collect();
    assert!(fields.len() > 20, "{fields:?}");
    for (name, value) in &fields {
        let row = rows.iter().find(|row| row[0] == format!("`{name}`"));
        let row = row.unwrap_or_else(|| panic!("docs/operation.md has no row of {name}"));
        if value.parse::<bool>().is_ok() {
            assert_eq!(row[1], format!("`{value}`"), "{name}");
            continue;
        }
        let expected = match value.strip_suffix('s') {
            _ if *value == "None" => None,
            Some(seconds) => Some(seconds.parse::<u64>().expect("seconds") * 1_000_000_000),
            None => Some(value.parse().expect("a number")),
        };
        assert_eq!(number(&row[1]), expected, "{name}: {:?} is not {value}", row[1]);
    }
}

#[test]
fn each_code_block_is_tested_or_says_why_not() {
    for page in pages() {
        let blocks = page.blocks();
        for (at, block) in blocks.iter().enumerate() {
            let place = format!("{}:{}", page.name, block.line);
            match &block.test {
                How::Skip(reason) => {
                    let words = reason.split_whitespace().count();
                    assert!(words >= 4, "{place}: {reason:?} is no reason");
                }
                How::File(name) => {
                    let used = blocks[at..].iter().any(|later| {
                        later.language == "sh"
                            && !matches!(later.test, How::Skip(_))
                            && later.text.contains(name.as_str())
                    });
                    assert!(used, "{place}: nothing on the page uses {name}");
                }
                How::Server | How::Background | How::Eventually => {
                    assert_eq!(block.language, "sh", "{place}");
                }
                How::Plain => match &*block.language {
                    // Commands are run by the suite `tools`, Rust is compiled as documentation.
                    "sh" | "text" => {}
                    language if language.starts_with("rust") => {}
                    "json" => {
                        serde_json::from_str::<serde_json::Value>(&block.text)
                            .unwrap_or_else(|e| panic!("{place}: {e}"));
                    }
                    language => panic!("{place}: {language:?} is not tested and gives no reason"),
                },
            }
        }
    }
}

/// The anchor that forges make of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn each_link_leads_somewhere() {
    let pages = pages();
    for page in &pages {
        let dir = repository().join(&page.name);
        let dir = dir.parent().expect("a file lies in a directory");
        for (number, line) in page.prose() {
            for rest in line.split("](").skip(1) {
                let target = rest.split(')').next().unwrap_or_default();
                if target.contains("://") {
                    continue;
                }
                let place = format!("{}:{number}: {target}", page.name);
                let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
                let path =
                    if file.is_empty() { repository().join(&page.name) } else { dir.join(file) };
                assert!(path.exists(), "{place}: there is no such file");
                if !fragment.is_empty() {
                    let text = fs::read_to_string(path).expect("the page can be read");
                    let there = text.lines().any(|l| l.starts_with('#') && anchor(l) == fragment);
                    assert!(there, "{place}: there is no such heading");
                }
            }
        }
    }
}

/// Directories of the repository that pages name files in.
const DIRECTORIES: [&str; 9] = [
    "benches/",
    "contrib/",
    "docs/",
    "fuzz/",
    "proto/",
    "runtime-smol/",
    "runtime-tokio/",
    "runtime/",
    "tests/",
];

#[test]
fn each_file_that_a_page_names_is_there() {
    for page in pages() {
        for (number, line) in page.prose() {
            for code in line.split('`').skip(1).step_by(2) {
                let is_path = DIRECTORIES.iter().any(|dir| code.starts_with(dir))
                    && !code.contains([' ', '*', '<']);
                let exists = repository().join(code).exists();
                assert!(!is_path || exists, "{}:{number}: there is no {code}", page.name);
            }
        }
    }
}

#[test]
fn comments_are_readable() {
    fn check(dir: &Path, checked: &mut usize) {
        for entry in fs::read_dir(dir).expect("the sources are there") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !matches!(name, "target" | "node_modules" | ".git") {
                check(&path, checked);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                *checked += 1;
                let text = fs::read_to_string(&path).expect("UTF-8");
                let mut comments = text.lines().filter(|line| line.trim_start().starts_with("//"));
                let long = comments.find(|line| line.chars().count() > 100);
                assert_eq!(long, None, "{} has a comment beyond 100 columns", path.display());
            }
        }
    }
    let mut checked = 0;
    check(&repository(), &mut checked);
    assert!(checked > 300, "{checked} files");
}

#[test]
fn pages_are_readable() {
    let readme = Page::read("README.md").text.split_whitespace().count();
    assert!(readme <= 1200, "README.md has {readme} words");
    for page in pages() {
        for (number, line) in page.prose() {
            let long = line.chars().count() > 100 && !line.starts_with('|');
            assert!(!long, "{}:{number} is longer than 100 columns", page.name);
        }
    }
}
