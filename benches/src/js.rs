//! What a script costs: one that only passes on, and one that answers by itself, beside none.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::{
    Plan,
    error::{Context, Result},
    get,
    measure::median,
    peers::{Server, program},
    report::{Report, Target, grouped},
};

const LEN: usize = 1 << 10;
/// The least part of the requests that are left where a script passes them on.
const LEAST: f64 = 0.5;

const PASS: &str = "httpout.on_request = (req) => req.send();\n";
const BODY: &str = "const body = 'x'.repeat(1024); \
    httpout.on_request = (req) => { req.reply = 200; req.body = body; req.send() };\n";

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let mut report = Report::new(
        format!("js: a file of 1 KiB, {} rounds of {:?}", plan.rounds, plan.seconds),
        &["server", "script", "requests/CPU s", "of those without"],
    );
    let scripts = plan.lab.path("scripts");
    let root = scripts.join("www");
    fs::create_dir_all(&root).context(root.display())?;
    let file = root.join("small.bin");
    fs::write(&file, vec![b'x'; LEN]).context(file.display())?;
    let (pass, body) = (scripts.join("pass.js"), scripts.join("body.js"));
    fs::write(&pass, PASS).context(pass.display())?;
    fs::write(&body, BODY).context(body.display())?;
    for &kind in plan.ours {
        let rows = [("none", None), ("passes on", Some(&pass)), ("answers", Some(&body))];
        let mut servers = Vec::new();
        for (name, script) in rows {
            let mut command = Command::new(program(kind)?);
            command.arg("--rdirs").arg(&root).args(["--port", "auto", "--ifce", "127.0.0.1"]);
            command.args(["--maxc", "0", "--maxp", "0"]).stdin(Stdio::null());
            if let Some(script) = script {
                command.arg("--js").arg(script);
            }
            let log = scripts.join(format!("{name} {}", kind.name()));
            servers.push(Server::start_with(kind, &mut command, root.clone(), &log)?);
        }
        let mut samples = vec![Vec::new(); rows.len()];
        for _ in 0..plan.rounds {
            for (server, samples) in servers.iter().zip(&mut samples) {
                samples.push(get::sample(server, "small.bin", &[], plan.seconds)?.per_cpu_second);
            }
        }
        let figures: Vec<f64> = samples.iter().map(|samples| median(samples)).collect();
        for ((script, _), figure) in rows.into_iter().zip(&figures) {
            let part = figure / figures[0];
            let name = kind.name();
            report.row([name.into(), script.into(), grouped(*figure), format!("{part:.2}")]);
            if script == "passes on" {
                report.check(
                    format!("passes on, {name}"),
                    part,
                    "of those without",
                    Target::AtLeast(LEAST),
                );
            }
        }
    }
    Ok(report)
}
