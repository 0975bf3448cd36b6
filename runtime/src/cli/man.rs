//! The manual page.

use std::io;

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

const DESCRIPTION: &[&str] = &[
    "Encoders and packagers upload media segments with PUT or POST. Players read them with GET while they are still being \
     written, from directories in which everything else is served too.",
    "An upload is written beside its target and put in its place when it is complete: a reader sees the old file or the \
     new one.",
];

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "HTTPOUT_NAME",
        "The option of that name, in capitals, and with _ for -: HTTPOUT_PORT=8080 is --port 8080.",
    ),
    ("RUST_LOG", "What is logged: error, warn, info (the default), debug or trace."),
    (
        "LISTEN_FDS, LISTEN_PID",
        "Sockets that are open already, as systemd passes them. They are listened on instead of --port, --ifce and --dst.",
    ),
    (
        "NOTIFY_SOCKET",
        "Where the service manager is told that the server is ready, reloads, or is stopping.",
    ),
];

const FILES: &[&str] = &[
    "The file that --config or HTTPOUT_CONFIG names is TOML: one option a line, without tables. Names may be written with _ or \
     with -; text and paths stand in quotes, a list in brackets. Paths are relative to the working directory. An \
     unknown name is an error.",
    "A flag goes before a variable, a variable before the file, the file before the default. A list replaces the weaker \
     one; it is not added to it.",
];

const FILE_EXAMPLE: &[&str] = &[
    "rdirs = [\"www\", \"/srv/archive\"]",
    "wdir = \"www\"",
    "port = 8080",
    "timeout = 1.5",
    "durable = true",
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGHUP",
        "Read the rule file and the users anew. If one of them is wrong, nothing is changed.",
    ),
    (
        "SIGTERM, SIGINT",
        "Take no more connections, and end when the requests under way are answered, at the latest after --grace seconds. A \
         second one ends at once. Uploads that are cut leave nothing behind.",
    ),
];

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "The server was ended by a signal, or by --quit."),
    (
        "1",
        "It could not serve: a port is taken, a part of it failed. Of a push or a source: something did not arrive.",
    ),
    ("2", "An option is wrong."),
    (
        "78",
        "The server cannot start with what the options name, such as a directory that is missing. A restart does not help.",
    ),
];

const EXAMPLES: &[(&str, &str)] = &[
    (
        "--rdirs www --wdir www --port 8080",
        "Serve www at http://localhost:8080/ and take uploads into it.",
    ),
    (
        "--config /etc/httpout/httpout.toml --port auto",
        "The options of a file, but on any free port.",
    ),
    ("'rdirs=outcoming:wdir=incoming:port=8080'", "A command line of GPAC's httpout."),
    ("completions bash > /etc/bash_completion.d/httpout", "Complete the options in bash."),
];

/// The page for the program with this name, for `man -l`.
pub(super) fn page(command: Command, program: &str) -> io::Result<Vec<u8>> {
    let mut command = command.display_name(program).bin_name(program);
    command.build();
    let forms = forms(&mut command, program);
    let man = Man::new(command.clone().override_usage(forms.join("\n")));
    // Written here, for an empty date is lost in clap's.
    let source = format!("httpout {}", command.get_version().unwrap_or_default());
    let title = format!(".TH {} 1 \"\" \"{source}\" \"User Commands\"\n", program.to_uppercase());
    let mut page = title.into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    let mut text = Roff::new();
    paragraphs(&mut text, "DESCRIPTION", DESCRIPTION);
    text.control("SH", ["COMMANDS"]);
    for task in command.get_subcommands() {
        text.control("TP", []);
        text.text([bold(task.get_name())]);
        text.text([roman(task.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
    text.to_writer(&mut page)?;
    page.extend(options(&man, &command)?);
    let mut text = Roff::new();
    terms(&mut text, "ENVIRONMENT", ENVIRONMENT);
    paragraphs(&mut text, "FILES", FILES);
    text.control("PP", []);
    text.control("EX", []);
    for line in FILE_EXAMPLE {
        text.text([roman(*line)]);
    }
    text.control("EE", []);
    terms(&mut text, "SIGNALS", SIGNALS);
    terms(&mut text, "EXIT STATUS", EXIT_STATUS);
    text.control("SH", ["EXAMPLES"]);
    for (words, meaning) in EXAMPLES {
        text.control("TP", []);
        text.text([bold(program), roman(" "), roman(*words)]);
        text.text([roman(*meaning)]);
    }
    text.to_writer(&mut page)?;
    Ok(page)
}

/// The forms of the command line, with the name of the program.
fn forms(command: &mut Command, program: &str) -> Vec<String> {
    let mut usages = vec![command.render_usage()];
    usages.extend(command.get_subcommands_mut().map(Command::render_usage));
    let text: Vec<String> = usages.iter().map(ToString::to_string).collect();
    let forms = text.iter().flat_map(|usage| usage.trim_start_matches("Usage:").lines());
    let renamed = forms.map(|form| match form.trim().split_once(' ') {
        Some((_, rest)) => format!("{program} {rest}"),
        None => program.to_owned(),
    });
    renamed.collect()
}

/// The options by heading. To clap each heading is a section; here it is a part of one.
fn options(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut section = Vec::new();
    man.render_options_section(&mut section)?;
    let mut section = String::from_utf8_lossy(&section).into_owned();
    for heading in command.get_arguments().filter_map(clap::Arg::get_help_heading) {
        let (mut own, mut part) = (Roff::new(), Roff::new());
        own.control("SH", [heading.to_uppercase().as_str()]);
        part.control("SS", [heading]);
        section = section.replace(&own.to_roff(), &part.to_roff());
    }
    Ok(section.into_bytes())
}

fn paragraphs(text: &mut Roff, title: &str, paragraphs: &[&str]) {
    text.control("SH", [title]);
    for paragraph in paragraphs {
        text.control("PP", []);
        text.text([roman(*paragraph)]);
    }
}

fn terms(text: &mut Roff, title: &str, terms: &[(&str, &str)]) {
    text.control("SH", [title]);
    for (term, meaning) in terms {
        text.control("TP", []);
        text.text([bold(*term)]);
        text.text([roman(*meaning)]);
    }
}
