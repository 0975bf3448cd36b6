//! Which options mean something in which mode. One that means nothing is told of and left aside, as
//! GPAC does; so a command line can be carried from one mode to another.

use super::{Options, mode::HMode};

/// What the program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Serves files, and takes uploads.
    Files = 1,
    /// Sends inputs to listeners, beside that.
    Sink = 2,
    /// Writes inputs to files, beside that.
    FileSink = 4,
    /// Hands uploads on.
    Source = 8,
    /// Uploads to another server.
    Push = 16,
}

const FILES: u8 = Mode::Files as u8;
const SINK: u8 = Mode::Sink as u8;
const FILE_SINK: u8 = Mode::FileSink as u8;
const SOURCE: u8 = Mode::Source as u8;
const PUSH: u8 = Mode::Push as u8;

const STORES: u8 = FILES | SINK | FILE_SINK;
const SERVES: u8 = STORES | SOURCE;
const ALL: u8 = SERVES | PUSH;
const INPUTS: u8 = SINK | FILE_SINK;

/// The modes that options mean something in. What is not here is for servers.
const USED: &[(u8, &[&str])] = &[
    (
        ALL,
        &[
            "dst",
            "hmode",
            "input",
            "cert",
            "pkey",
            "user_agent",
            "hdrs",
            "timeout",
            "send-timeout",
            "close",
            "block_size",
            "reqlog",
            "quit",
            "grace",
            "config",
            "log-format",
        ],
    ),
    (
        STORES,
        &[
            "wdir",
            "dlist",
            "index",
            "symlinks",
            "zmax",
            "no_z",
            "norange",
            "multirange",
            "wait-missing",
            "gmem-max",
            "max_cache_segs",
        ],
    ),
    // A source takes the rights of a rule file, which stands in rdirs; of directories, it tells
    // apart.
    (SERVES, &["rdirs"]),
    (STORES | PUSH, &["cte"]),
    (INPUTS | PUSH, &["mime"]),
    (INPUTS, &["prop", "ext", "rt", "hold", "reopen"]),
    (SINK, &["max_async_buf", "burst", "ice"]),
    // What is pushed or handed on waits for its reader anyway.
    (SINK | SOURCE | PUSH, &["blockio"]),
    (PUSH, &["post", "ka", "patch", "verify", "ca", "insecure", "auth-file"]),
];

/// Options that mean something beside another one only.
const NEEDED: &[(&str, &[&str])] = &[
    ("js", &["js-dirs", "js-time", "js-wait", "js-memory"]),
    ("access-log", &["access-log-format"]),
];

fn used(option: &str) -> u8 {
    let row = USED.iter().find(|(_, names)| names.contains(&option));
    row.map_or(SERVES, |(modes, _)| *modes)
}

impl Options {
    /// True if inputs are uploaded to another server.
    pub(super) fn is_push(&self) -> bool {
        self.mode.hmode == HMode::Push && self.wdir.is_none()
    }

    fn what_it_does(&self) -> Mode {
        match (self.is_push(), self.is_source(), self.live.input.is_empty()) {
            (true, ..) => Mode::Push,
            (_, true, _) => Mode::Source,
            (.., true) => Mode::Files,
            (.., false) if self.rdirs.is_empty() => Mode::Sink,
            (.., false) => Mode::FileSink,
        }
    }

    /// Why an option that is given is not used, one line for each.
    pub(super) fn unused(&self) -> Vec<String> {
        let mode = self.what_it_does();
        // An Icecast source is an input, and comes in beside any other.
        let sends = self.live.icecast && mode as u8 & STORES != 0;
        let modes = mode as u8 | if sends { SINK } else { 0 };
        let mut unused = Vec::new();
        if self.mode.hmode != HMode::Default && self.wdir.is_some() {
            unused.push("hmode is not used: there is a write directory (wdir)".to_owned());
        }
        for name in self.given.keys() {
            let needed = NEEDED.iter().find(|(_, names)| names.contains(&&**name));
            if used(name) & modes == 0 {
                unused.push(format!("{name} is not used: {}", reason(mode, used(name))));
            } else if let Some((needed, _)) = needed
                && !self.given.contains_key(*needed)
            {
                unused.push(format!("{name} is not used: {needed} is not given"));
            }
        }
        if mode == Mode::Source && self.rdirs.iter().any(|dir| !dir.is_file()) {
            unused.push("rdirs is not used: a source serves nothing (hmode)".to_owned());
        }
        unused
    }
}

fn reason(mode: Mode, used: u8) -> &'static str {
    match mode {
        _ if used == PUSH => "it is for uploads to another server (hmode=push)",
        Mode::Push => "it is for a server, and this is an upload to another one (hmode=push)",
        Mode::Source => "a source serves nothing (hmode)",
        Mode::Files => "there is no input (-i)",
        Mode::Sink | Mode::FileSink => "inputs are written to files (rdirs)",
    }
}
