//! Push mode beside curl: one large file, and many small ones, to the same server. What counts is
//! the client's processor time, and the time.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::{
    Plan,
    error::{Context, Error, Result},
    measure::{best_quarter, output},
    peers::{Kind, Server, program},
    report::{Report, Target, grouped},
};

/// Bytes of the large file.
const LARGE: u64 = 1 << 30;
/// Small files, and the bytes of each.
const SMALL: (usize, usize) = (5000, 4 << 10);
const LIMIT: Duration = Duration::from_secs(120);

/// What a client took, in seconds.
#[derive(Clone, Copy, Debug)]
struct Took {
    wall: f64,
    cpu: f64,
}

/// Who uploads; `None` is curl.
type Client = Option<Kind>;

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let large = plan.lab.path("large");
    let file = fs::File::create(&large).context(large.display())?;
    file.set_len(LARGE).context(large.display())?;
    let small = plan.lab.path("small");
    fs::create_dir_all(&small).context(small.display())?;
    for number in 0..SMALL.0 {
        fs::write(small.join(name(number)), vec![b'x'; SMALL.1]).context(small.display())?;
    }
    let server = Server::start(Kind::Tokio, &plan.lab, &[])?;
    let clients: Vec<Client> =
        [None].into_iter().chain(plan.ours.iter().map(|&k| Some(k))).collect();
    let mut samples: Vec<(Vec<Took>, Vec<Took>)> = vec![Default::default(); clients.len()];
    // The first round is for warming up.
    for round in 0..=plan.rounds * 2 {
        for (&client, (larges, smalls)) in clients.iter().zip(&mut samples) {
            let took = (push_large(&server, client, &large)?, push_small(&server, client, &small)?);
            if round > 0 {
                larges.push(took.0);
                smalls.push(took.1);
            }
        }
    }
    let mut report = Report::new(
        format!(
            "push: {} MiB, and {} files of {} KiB, to httpout; the best quarter of {}",
            LARGE >> 20,
            SMALL.0,
            SMALL.1 >> 10,
            plan.rounds * 2
        ),
        &["client", "MB/s", "× curl", "MB/CPU s", "× curl", "files/CPU s", "× curl"],
    );
    let best = |took: &[Took], rate: &dyn Fn(&Took) -> f64| {
        best_quarter(&took.iter().map(rate).collect::<Vec<_>>())
    };
    let figures: Vec<[f64; 3]> = samples
        .iter()
        .map(|(large, small)| {
            let megabytes = LARGE as f64 / 1e6;
            [
                best(large, &|took| megabytes / took.wall),
                best(large, &|took| megabytes / took.cpu),
                best(small, &|took| SMALL.0 as f64 / took.cpu),
            ]
        })
        .collect();
    let curl = figures[0];
    for (client, own) in clients.iter().zip(&figures) {
        let name = client.map_or("curl", Kind::name);
        let times = |at: usize| own[at] / curl[at];
        let cell = |at: usize| [grouped(own[at]), format!("{:.2}", times(at))];
        report.row([vec![name.to_owned()], (0..3).flat_map(cell).collect()].concat());
        if client.is_some() {
            let what = |of: &str| format!("push, {name}, {of}");
            report.check(what("speed"), times(0), "× curl", Target::AtLeast(1.0));
            report.check(what("processor"), times(1), "× curl", Target::AtLeast(1.0));
            report.check(what("small files"), times(2), "× curl", Target::AtLeast(3.0));
        }
    }
    Ok(report)
}

fn name(number: usize) -> String {
    format!("s{number}")
}

fn push_large(server: &Server, client: Client, file: &Path) -> Result<Took> {
    let file_name = file.display().to_string();
    let url = server.url("large");
    let took = match client {
        None => timed("curl", &["-sS", "--fail", "--noproxy", "*", "-T", &file_name, &url], file)?,
        Some(kind) => ours(kind, &["-i", &file_name, "-o", &url], file)?,
    };
    let target = server.root.join("large");
    let len = fs::metadata(&target).context(target.display())?.len();
    fs::remove_file(&target).context(target.display())?;
    if len != LARGE {
        return Err(Error::new(format!("{}: {len} bytes", target.display())));
    }
    Ok(took)
}

fn push_small(server: &Server, client: Client, dir: &Path) -> Result<Took> {
    let url = server.url("small/");
    let took = match client {
        None => {
            let names: Vec<String> = (0..SMALL.0).map(name).collect();
            let all = format!("{{{}}}", names.join(","));
            timed("curl", &["-sS", "--fail", "--noproxy", "*", "-T", &all, &url], &dir.join("any"))?
        }
        Some(kind) => {
            let input = format!("{}/", dir.display());
            ours(kind, &["-i", &input, "-o", &url, "--quit"], dir)?
        }
    };
    let target = server.root.join("small");
    let stored = fs::read_dir(&target).context(target.display())?.count();
    fs::remove_dir_all(&target).context(target.display())?;
    if stored != SMALL.0 {
        return Err(Error::new(format!("{stored} of {} files were stored", SMALL.0)));
    }
    Ok(took)
}

fn ours(kind: Kind, args: &[&str], file: &Path) -> Result<Took> {
    let program = program(kind)?.display().to_string();
    timed(&program, &[&["--hmode", "push"], args].concat(), file)
}

/// Runs a program beside a file. bash knows to the millisecond what it took.
fn timed(program: &str, args: &[&str], file: &Path) -> Result<Took> {
    let mut command = Command::new("bash");
    let script = r#"TIMEFORMAT="%R %U %S"; { time "$@" >/dev/null 2>/dev/null; } 2>&1"#;
    command.args(["-c", script, "bash", program]).args(args);
    command.env("LC_ALL", "C").current_dir(file.parent().context("a directory")?);
    let text = output(&mut command, "bash", LIMIT)?;
    let times: Vec<f64> = text.split_whitespace().filter_map(|time| time.parse().ok()).collect();
    match times[..] {
        [wall, user, system] => Ok(Took { wall, cpu: user + system }),
        _ => Err(Error::new(format!("bash printed {text}"))),
    }
}
