//! The pages of the documentation, taken apart into their code blocks.
//!
//! The info string of a block begins with its language. Words behind it say how the block is
//! tested:
//!
//! * `sh`: bash runs it to its end; it must end with status 0
//! * `sh server`: each line that is not a comment is a command. Commands other than httpout run to
//!   their end. httpout is started, must print its URL, and serves until the next such command, or
//!   the end of the page
//! * `sh background`: it runs beside the rest of the page, and must not fail
//! * `sh eventually`: it is repeated until it ends with status 0
//! * `LANGUAGE file=NAME`: the block is written to this file; a later block of the page uses it
//! * `LANGUAGE skip: REASON`: it is not tested, for this reason

use std::fs;
use std::path::{Path, PathBuf};

/// A page of the documentation.
#[derive(Debug)]
pub struct Page {
    /// Its path below the root of the repository.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// A code block of a page.
#[derive(Debug)]
pub struct Block {
    /// The first word of the info string.
    pub language: String,
    /// How it is tested.
    pub test: How,
    /// What it holds.
    pub text: String,
    /// The line in the page where it begins, counted from 1.
    pub line: usize,
}

/// How a block is tested.
#[derive(Debug, PartialEq, Eq)]
pub enum How {
    /// Nothing is said of it.
    Plain,
    /// It starts servers.
    Server,
    /// It runs beside the rest of the page.
    Background,
    /// It is repeated until it succeeds.
    Eventually,
    /// It is written to this file.
    File(String),
    /// It is not tested, for this reason.
    Skip(String),
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the repository is there")
}

/// All pages for readers: those in the repository's root and those in `docs`.
pub fn pages() -> Vec<Page> {
    let root = repository();
    let mut names: Vec<String> = ["", "docs"]
        .into_iter()
        .flat_map(|dir| {
            let entries = fs::read_dir(root.join(dir)).expect("the directory can be read");
            entries.flatten().map(move |entry| {
                Path::new(dir).join(entry.file_name()).to_str().expect("UTF-8").to_owned()
            })
        })
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.sort();
    assert!(names.len() > 10, "the documentation is not where it was: {names:?}");
    names.into_iter().map(|name| Page::read(&name)).collect()
}

impl Page {
    /// Reads a page.
    #[track_caller]
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(repository().join(name))
            .unwrap_or_else(|e| panic!("{name} cannot be read: {e}"));
        Self { name: name.to_owned(), text }
    }

    /// Its code blocks, in order.
    #[track_caller]
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open = false;
        for (at, line) in self.text.lines().enumerate() {
            match (line.strip_prefix("```"), open) {
                (Some(info), false) => {
                    let (language, words) = info.split_once(' ').unwrap_or((info, ""));
                    let test = How::parse(words)
                        .unwrap_or_else(|| panic!("{}:{}: what is {words:?}?", self.name, at + 1));
                    let language = language.to_owned();
                    blocks.push(Block { language, test, text: String::new(), line: at + 1 });
                    open = true;
                }
                (Some(_), true) => open = false,
                (None, true) => {
                    if let Some(block) = blocks.last_mut() {
                        block.text.push_str(line);
                        block.text.push('\n');
                    }
                }
                (None, false) => {}
            }
        }
        assert!(!open, "{}: a code block does not end", self.name);
        blocks
    }

    /// Its lines that are no code, with their numbers.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut open = false;
        let mut prose = Vec::new();
        for (at, line) in self.text.lines().enumerate() {
            if line.starts_with("```") {
                open = !open;
            } else if !open {
                prose.push((at + 1, line));
            }
        }
        prose
    }
}

impl How {
    fn parse(words: &str) -> Option<Self> {
        if let Some(reason) = words.strip_prefix("skip:") {
            return Some(Self::Skip(reason.trim().to_owned()));
        }
        if let Some(name) = words.strip_prefix("file=") {
            return Some(Self::File(name.to_owned()));
        }
        Some(match words {
            "" => Self::Plain,
            "server" => Self::Server,
            "background" => Self::Background,
            "eventually" => Self::Eventually,
            _ => return None,
        })
    }
}
