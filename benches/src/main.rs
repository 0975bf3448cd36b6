//! Measures httpout beside nginx, icecast2 and a server that does as little as can be done, and
//! says whether it keeps its promises of speed, latency and memory.
//!
//! `cargo run --release -p httpout-benches -- all`. Everything runs on the loopback interface, in a
//! temporary directory; nginx, icecast2, wrk and curl are taken from the system.

mod broadcast;
mod client;
mod crowd;
mod error;
mod fanout;
mod floor;
mod floor_live;
mod floor_source;
mod get;
mod icecast;
mod idle;
mod js;
mod live;
mod measure;
mod memory;
mod peers;
mod push;
mod put;
mod report;
mod rights;
mod source;
mod tap;
mod tls;

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    error::{Context, Result},
    peers::{Kind, Lab},
    report::Report,
};

#[derive(Debug, Parser)]
#[command(about = "Measures httpout beside other servers", version)]
struct Args {
    #[command(subcommand)]
    what: What,
    /// How long one measurement takes, at least
    #[arg(long, global = true, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How often each measurement is made; the median counts
    #[arg(long, global = true, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Which of our servers
    #[arg(long, global = true, value_enum, default_value_t = Ours::Both)]
    server: Ours,
    /// Exit with status 0 even if a target is missed
    #[arg(long, global = true)]
    report_only: bool,
    /// Take the binaries that are there instead of building them
    #[arg(long, global = true)]
    no_build: bool,
    /// Where files are read and written; a sub-directory is made and removed [default: the system's
    /// temporary directory]
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum What {
    /// Downloads of small and large files: requests per CPU second, beside nginx
    Get,
    /// Uploads: bytes per CPU second, beside nginx and the floor
    Put,
    /// Uploads to another server: speed and processor time, beside curl
    Push,
    /// From an uploader's write to a reader's read
    Live,
    /// The same where uploads are kept in memory
    Gmem,
    /// One live stream to many listeners: processor time, latency and memory, beside icecast2
    Fanout,
    /// Memory of connections that rest, beside nginx
    Idle,
    /// Memory of a large download and a large upload, beside nginx
    Memory,
    /// What rules, passwords and compression cost
    Rights,
    /// Uploads handed on to standard output: bytes per second, beside a copy from socket to pipe
    Source,
    /// What a script costs that is asked about each request
    Js,
    /// TLS: downloads, full handshakes, and connections that rest, beside nginx
    Tls,
    /// All of them
    All,
    /// Be the floor server: the least that an upload can cost
    #[command(hide = true)]
    Floor {
        /// Where the uploaded file goes
        file: PathBuf,
    },
    /// Be the floor server of live streams
    #[command(hide = true)]
    FloorLive,
    /// Be the floor server of uploads that are handed on
    #[command(hide = true)]
    FloorSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ours {
    Tokio,
    Smol,
    Both,
    /// The others alone
    None,
}

impl Ours {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Tokio => &[Kind::Tokio],
            Self::Smol => &[Kind::Smol],
            Self::Both => &[Kind::Tokio, Kind::Smol],
            Self::None => &[],
        }
    }
}

/// What every comparison is told.
#[derive(Debug)]
struct Plan {
    lab: Lab,
    ours: &'static [Kind],
    seconds: Duration,
    rounds: u32,
}

type Comparison = fn(&Plan) -> Result<Report>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to be done about a standard error that is closed.
            let _ = writeln!(std::io::stderr().lock(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let comparisons: &[Comparison] = match &args.what {
        What::Floor { file } => {
            floor::serve(file)?;
            return Ok(true);
        }
        What::FloorLive => {
            floor_live::serve()?;
            return Ok(true);
        }
        What::FloorSource => {
            floor_source::serve()?;
            return Ok(true);
        }
        What::Get => &[get::run],
        What::Put => &[put::run],
        What::Push => &[push::run],
        What::Live => &[live::run],
        What::Gmem => &[live::in_memory],
        What::Fanout => &[fanout::run, fanout::hold],
        What::Idle => &[idle::run],
        What::Memory => &[memory::run],
        What::Rights => &[rights::run],
        What::Source => &[source::run],
        What::Js => &[js::run],
        What::Tls => &[tls::run],
        What::All => &[
            get::run,
            put::run,
            push::run,
            live::run,
            fanout::run,
            fanout::hold,
            idle::run,
            memory::run,
            rights::run,
            source::run,
            js::run,
            tls::run,
        ],
    };
    let ours = args.server.kinds();
    if !args.no_build && !ours.is_empty() {
        peers::build()?;
    }
    // Children inherit it, so the servers can hold as many connections as this program opens.
    measure::raise_file_limit();
    let dir = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let plan = Plan {
        lab: Lab::new(&dir)?,
        ours,
        seconds: Duration::from_secs(args.seconds),
        rounds: args.rounds,
    };
    let mut good = true;
    for comparison in comparisons {
        let report = comparison(&plan)?;
        write!(std::io::stdout().lock(), "{report}").context("standard output")?;
        good &= report.is_good();
    }
    Ok(good || args.report_only)
}
