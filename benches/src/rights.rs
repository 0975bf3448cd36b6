//! What rules, passwords and compression cost: a text that is guarded and compressed, beside the
//! same one as it is.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Plan,
    error::{Context, Result},
    get,
    measure::{median, output},
    peers::{Kind, Server, free_port, program},
    report::{Report, Target, grouped},
};

const LEN: u64 = 20 << 10;
/// How many times the plain answer one with rules and compression may cost.
const MOST: f64 = 1.3;
const PASSWORD: &str = "correct horse";
/// `alice:` and the password, in base64.
const CREDENTIALS: &str = "Authorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZQ==";

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let mut report = Report::new(
        format!("rights: a text of 20 KiB, {} rounds of {:?}", plan.rounds, plan.seconds),
        &["server", "answer", "requests/CPU s", "cost, × plain"],
    );
    let nginx = Server::start(Kind::Nginx, &plan.lab, &[])?;
    write_text(&nginx)?;
    let figure = figures(plan, &[(&nginx, &[])])?[0];
    report.row(["nginx".into(), "plain".into(), grouped(figure), String::new()]);
    drop(nginx);
    for &kind in plan.ours {
        compare(plan, kind, &mut report)?;
    }
    Ok(report)
}

fn compare(plan: &Plan, kind: Kind, report: &mut Report) -> Result<()> {
    let plain = Server::start(kind, &plan.lab, &[])?;
    write_text(&plain)?;
    let dir = plan.lab.path("guarded");
    let root = dir.join(kind.name());
    fs::create_dir_all(&root).context(root.display())?;
    let (rules, users) = (dir.join("rules.ini"), dir.join("users.cfg"));
    fs::write(&rules, format!("[{}]\nru=alice\nwu=alice\n", root.display())).context("rules")?;
    if !users.exists() {
        let mut creds = Command::new(program(kind)?);
        creds.arg("creds").arg("--users").arg(&users).arg(format!("+alice:password={PASSWORD}"));
        output(&mut creds, kind.name(), Duration::from_secs(20))?;
    }
    let admin = free_port()?;
    let mut command = Command::new(program(kind)?);
    command.arg("--rdirs").arg(&rules).arg("--users").arg(&users);
    command.args(["--port", "auto", "--ifce", "127.0.0.1", "--maxc", "0", "--maxp", "0"]);
    command.args(["--admin", &admin.to_string()]).stdin(Stdio::null());
    let guarded = Server::start_with(kind, &mut command, root, &dir.join("log"))?;
    write_text(&guarded)?;
    let began = Instant::now();
    let coded = [CREDENTIALS, "Accept-Encoding: gzip"];
    let asked: [(&Server, &[&str]); 3] =
        [(&plain, &[]), (&guarded, &[CREDENTIALS]), (&guarded, &coded)];
    let figures = figures(plan, &asked)?;
    let rows = ["plain", "rules", "rules, gzip"];
    for (answer, figure) in rows.into_iter().zip(&figures) {
        let cost = figures[0] / figure;
        let name = kind.name();
        report.row([name.into(), answer.into(), grouped(*figure), format!("{cost:.2}")]);
        if answer != "plain" {
            report.check(format!("{answer}, {name}"), cost, "× plain", Target::AtMost(MOST));
        }
    }
    let minutes = began.elapsed().as_secs() / 60 + 1;
    let what = format!("argon2 checks in {minutes} min, {}", kind.name());
    report.check(what, checks(admin)?, "", Target::AtMost(minutes as f64));
    Ok(())
}

/// Requests per second of processor time, the median of each server's rounds; the servers take
/// turns.
fn figures(plan: &Plan, asked: &[(&Server, &[&str])]) -> Result<Vec<f64>> {
    let mut samples: Vec<Vec<f64>> = asked.iter().map(|_| Vec::new()).collect();
    for _ in 0..plan.rounds {
        for ((server, fields), samples) in asked.iter().zip(&mut samples) {
            samples.push(get::sample(server, "text.txt", fields, plan.seconds)?.per_cpu_second);
        }
    }
    Ok(samples.iter().map(|samples| median(samples)).collect())
}

/// A playlist, more or less.
fn write_text(server: &Server) -> Result<()> {
    let mut text = String::new();
    for number in 0.. {
        text.push_str(&format!("#EXTINF:2.000,\nvideo/segment-{number:05}.m4s\n"));
        if text.len() as u64 >= LEN {
            break;
        }
    }
    text.truncate(LEN as usize);
    let path = server.root.join("text.txt");
    fs::write(&path, text).context(path.display())
}

/// Passwords that were checked, by the server's own count.
fn checks(admin: SocketAddr) -> Result<f64> {
    let url = format!("http://{admin}/metrics");
    let text = output(Command::new("curl").args(["-sf", &url]), "curl", Duration::from_secs(10))?;
    let count = |result: &str| {
        let name = format!("httpout_password_checks_total{{result=\"{result}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok())
    };
    count("right").zip(count("wrong")).map(|(right, wrong)| right + wrong).context("metrics")
}
