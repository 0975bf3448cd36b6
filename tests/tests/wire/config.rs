//! Options from variables and a file, the tasks besides serving, and what systemd passes and is
//! told.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use rustix::process::Signal;

use httpout_tests::{Exit, Kind, PATIENCE, Server, Tree, both, get, put, run};

#[cfg(feature = "tools")]
mod python3;

both! {
    a_server_runs_from_a_file_alone,
    a_flag_goes_before_a_variable_before_the_file,
    a_list_replaces_the_weaker_one,
    the_one_string_form_counts_as_flags,
    an_unknown_key_is_refused_with_the_nearest,
    an_unknown_variable_is_warned_of,
    a_wrong_value_names_its_source,
    a_file_that_cannot_be_read_is_named,
    a_wrong_directory_names_its_source,
    the_log_is_text_or_json,
    bash_completes_options_and_values,
    every_shell_has_completions,
    the_manual_page_is_whole,
    the_service_manager_is_told,
}

/// A command line in an environment.
fn command(kind: Kind, args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Server::command(kind, args);
    command.envs(variables.iter().copied());
    command
}

/// A tree with a file of options, and a directory `www` with `a.bin` in it, which holds `content`.
fn tree(options: &str) -> Tree {
    let tree = Tree::new();
    tree.write("www/a.bin", "content");
    let place = format!("rdirs = [{:?}]\nport = \"auto\"\nifce = \"127.0.0.1\"\n", tree.arg("www"));
    tree.write("httpout.toml", place + options);
    tree
}

/// The options are refused with status 2, and with this on standard error.
#[track_caller]
fn refuses(command: Command, message: &str) {
    let shown = format!("{command:?}");
    let exit = Server::ends(command);
    assert_eq!(exit.code, Some(2), "{shown}: {exit:?}");
    let told = exit.stderr.strip_prefix("error: ").unwrap_or_else(|| panic!("{shown}: {exit:?}"));
    assert!(told.starts_with(message), "{shown}: {message} is not told: {exit:?}");
}

fn a_server_runs_from_a_file_alone(kind: Kind) {
    let tree = tree("norange = true\ncache-control = \"no-store\"\nmaxs = \"1k\"\nwdir = \"up\"\n");
    let mut by_variable = command(kind, &[], &[("HTTPOUT_CONFIG", "httpout.toml")]);
    by_variable.current_dir(tree.root());
    for command in [by_variable, command(kind, &["--config", &tree.arg("httpout.toml")], &[])] {
        let mut command = command;
        // Paths in the file are relative to the working directory.
        command.current_dir(tree.root());
        let server = Server::run(command);
        let answer = server.ask(&get("/a.bin").field("Range", "bytes=0-2"));
        answer.is(200, "content").field_is("cache-control", "no-store");
        server.ask(&put("/b.bin", [0; 1025])).status_is(413);
        server.ask(&put("/b.bin", [0; 1024]));
        assert_eq!(tree.read("up/b.bin"), Some(vec![0; 1024]));
        let exit = server.stop();
        assert!(!exit.stderr.contains("WARN"), "{exit:?}");
    }
}

fn a_flag_goes_before_a_variable_before_the_file(kind: Kind) {
    let tree = tree("norange = true\nuser_agent = \"file\"\ncache_control = \"file\"\n");
    let flags = ["--config", &tree.arg("httpout.toml"), "--cache-control", "flag"];
    let variables = [("HTTPOUT_CACHE_CONTROL", "variable"), ("HTTPOUT_USER_AGENT", "variable")];
    let server = Server::run(command(kind, &flags, &variables));
    let answer = server.ask(&get("/a.bin").field("Range", "bytes=0-2"));
    answer.is(200, "content").field_is("cache-control", "flag").field_is("server", "variable");
    let server = Server::run(command(kind, &[&flags[..], &["--norange=false"]].concat(), &[]));
    let answer = server.ask(&get("/a.bin").field("Range", "bytes=0-2"));
    answer.is(206, "con").field_is("server", "file");
}

fn a_list_replaces_the_weaker_one(kind: Kind) {
    let tree = tree("");
    for name in ["one/a.bin", "two/a.bin", "three/a.bin"] {
        tree.write(name, name);
    }
    let file = tree.arg("httpout.toml");
    let two = [tree.arg("one"), tree.arg("two")].join(",");
    let variables = [("HTTPOUT_RDIRS", two.as_str()), ("HTTPOUT_CONFIG", file.as_str())];
    let server = Server::run(command(kind, &[], &variables));
    server.ask(&get("/one/a.bin")).is(200, "one/a.bin");
    server.ask(&get("/two/a.bin")).is(200, "two/a.bin");
    server.ask(&get("/www/a.bin")).status_is(404);
    let server = Server::run(command(kind, &["--rdirs", &tree.arg("three")], &variables));
    server.ask(&get("/a.bin")).is(200, "three/a.bin");
}

fn the_one_string_form_counts_as_flags(kind: Kind) {
    let tree = tree("cache_control = \"file\"\n");
    tree.write("one/a.bin", "one");
    let word = format!("rdirs={}:cache_control=flag", tree.arg("one"));
    let variables = [
        ("HTTPOUT_CONFIG", tree.arg("httpout.toml")),
        ("HTTPOUT_CACHE_CONTROL", "variable".into()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server = Server::run(command(kind, &[&word], &variables));
    server.ask(&get("/a.bin")).is(200, "one").field_is("cache-control", "flag");
}

fn an_unknown_key_is_refused_with_the_nearest(kind: Kind) {
    for (options, message) in [
        (
            "max_client_error = 5",
            " line 4: unknown option max_client_error; did you mean max_client_errors?",
        ),
        (
            "\n[limits]\nmaxc = 5",
            " line 5: limits: there are no tables in this file; write NAME = VALUE",
        ),
        ("maxc = \"5", " line 4, column 10: this is not TOML: "),
        ("durable = 1", " line 4: durable: a number is wrong here; write true or false"),
    ] {
        let tree = tree(options);
        let file = tree.arg("httpout.toml");
        refuses(command(kind, &["--config", &file], &[]), &format!("{file}{message}"));
    }
}

fn an_unknown_variable_is_warned_of(kind: Kind) {
    let tree = tree("");
    let variables = [("HTTPOUT_MAX_CLIENT_ERROR", "5"), ("HTTPOUT_SEED", "1")];
    let flags = ["--config", &tree.arg("httpout.toml")];
    let server = Server::run(command(kind, &flags, &variables));
    server.ask(&get("/a.bin")).is(200, "content");
    let exit = server.stop();
    for warning in [
        "WARN HTTPOUT_MAX_CLIENT_ERROR is no option; did you mean HTTPOUT_MAX_CLIENT_ERRORS?\n",
        "WARN HTTPOUT_SEED is no option; --help lists them\n",
    ] {
        assert!(exit.stderr.contains(warning), "{warning}: {exit:?}");
    }
}

fn a_wrong_value_names_its_source(kind: Kind) {
    let tree = tree("maxs = \"5X\"\n");
    let file = tree.arg("httpout.toml");
    refuses(
        command(kind, &["--config", &file], &[]),
        &format!("{file} line 4: maxs: invalid value '5X' for '--maxs <SIZE>': X is no unit"),
    );
    let port = "HTTPOUT_PORT: invalid value '70000' for '--port <PORT|auto>': 70000 is no port";
    refuses(command(kind, &[], &[("HTTPOUT_PORT", "70000")]), port);
    let flag = "invalid value '70000' for '--port <PORT|auto>': 70000 is no port";
    refuses(command(kind, &["--port", "70000"], &[]), flag);
}

fn a_file_that_cannot_be_read_is_named(kind: Kind) {
    let tree = Tree::new();
    let file = tree.arg("missing.toml");
    let message = format!("{file}: cannot be read: No such file or directory");
    refuses(command(kind, &[], &[("HTTPOUT_CONFIG", &file)]), &message);
    refuses(command(kind, &["--config", &file], &[]), &message);
}

fn a_wrong_directory_names_its_source(kind: Kind) {
    let tree = Tree::new();
    tree.write("file", "");
    let exit = Server::ends(command(kind, &[], &[("HTTPOUT_RDIRS", &tree.arg("file"))]));
    assert_eq!(exit.code, Some(78), "{exit:?}");
    assert!(exit.stderr.starts_with("error: HTTPOUT_RDIRS: rdirs: "), "{exit:?}");
}

fn the_log_is_text_or_json(kind: Kind) {
    let tree = tree("");
    let logged = |format| {
        let flags = ["--config", &tree.arg("httpout.toml"), "--log-format", format];
        let variables = [("HTTPOUT_A\x1b[2J\nERROR forged", ""), ("RUST_LOG", "info")];
        let exit = Server::run(command(kind, &flags, &variables)).stop();
        let lines: Vec<_> = exit.stderr.lines().map(str::to_owned).collect();
        let banner = usize::from(format == "json");
        assert_eq!(lines.len(), 2 + banner, "a line an event: {exit:?}");
        assert_eq!(exit.stdout.is_empty(), format == "json", "{exit:?}");
        assert!(!exit.stderr.contains('\x1b'), "{exit:?}");
        lines
    };
    let text = logged("text");
    assert!(text[0].contains("WARN HTTPOUT_A\\x1b[2J\\u000aERROR forged is no option"), "{text:?}");
    let json = logged("json");
    let messages: Vec<serde_json::Value> = json
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect();
    let first = messages[0]["message"].as_str().unwrap_or_default();
    assert!(first.starts_with("HTTPOUT_A\x1b[2J\nERROR forged is no option"), "{first}");
    assert!(json[2].starts_with('{') && json[2].contains("\"level\":\"INFO\""), "{json:?}");
    assert!(json[2].contains("\"connections\":0"), "{json:?}");
}

/// What a task prints; it succeeds, and says nothing on standard error.
#[track_caller]
fn printed(kind: Kind, args: &[&str]) -> String {
    let Exit { code, stdout, stderr } = Server::fails(kind, args);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{args:?}");
    stdout
}

fn bash_completes_options_and_values(kind: Kind) {
    let tree = Tree::new();
    let program = kind.program();
    tree.write("completions", printed(kind, &["completions", "bash"]));
    let script = format!(
        "source {} || exit 1\n\
         complete -p {program} || exit 1\n\
         function=$(complete -p {program} | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
         compopt() {{ :; }}\n\
         try() {{\n\
             COMP_WORDS=({program} \"$@\"); COMP_CWORD=$#; COMPREPLY=()\n\
             \"$function\" {program} \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"\n\
             echo \"$*: ${{COMPREPLY[*]}}\"\n\
         }}\n\
         try --max; try --cte ''; try --cte f; try --rdirs www --log-format ''; try comp; try completions ''\n",
        tree.arg("completions")
    );
    let done = run("bash", &["--norc", "-c", &script], b"");
    let shown = done.ok();
    assert_eq!(done.stderr, "", "{shown}");
    for line in [
        "--max: --maxs --max_cache_segs --maxc --maxp --max_client_errors --max_async_buf",
        "--cte : true false",
        "--cte f: false",
        "--rdirs www --log-format : text json",
        "comp: completions",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let shells = shown.lines().find(|line| line.starts_with("completions : "));
    assert!(shells.is_some_and(|line| line.contains("bash elvish fish powershell zsh")), "{shown}");
    assert!(shown.contains(&format!(" {program}\n")), "{shown}");
}

fn every_shell_has_completions(kind: Kind) {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(kind, &["completions", shell]);
        for text in [kind.program(), "max_client_errors", "log-format", "creds"] {
            assert!(script.contains(text), "{shell}: {text}");
        }
    }
    for args in [&["completions"][..], &["completions", "tcsh"], &["man", "bash"]] {
        let exit = Server::fails(kind, args);
        assert_eq!(exit.code, Some(2), "{args:?}: {exit:?}");
    }
    let help = printed(kind, &["--help"]);
    for task in ["\n  creds ", "\n  completions ", "\n  man "] {
        assert!(help.contains(task), "{task}: {help}");
    }
}

fn the_manual_page_is_whole(kind: Kind) {
    let page = printed(kind, &["man"]);
    let title = format!(".TH {} 1 ", kind.program().to_uppercase());
    assert!(page.starts_with(&title), "{page}");
    for section in [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "COMMANDS",
        "OPTIONS",
        "ENVIRONMENT",
        "FILES",
        "SIGNALS",
        "\"EXIT STATUS\"",
        "EXAMPLES",
    ] {
        let heading = format!("\n.SH {section}\n");
        assert_eq!(page.matches(&heading).count(), 1, "{section}");
    }
    assert_eq!(page.matches("\n.SH ").count(), 10, "the options are one section: {page}");
    for heading in ["Directories", "Listening", "Limits"] {
        assert_eq!(page.matches(&format!("\n.SS {heading}\n")).count(), 1, "{heading}");
    }
}

fn the_service_manager_is_told(kind: Kind) {
    let tree = tree("");
    let manager = UnixDatagram::bind(tree.path("notify")).expect("a socket in the tree");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout is allowed");
    let heard = || {
        let mut room = [0; 1000];
        let length = manager.recv(&mut room).expect("the server tells its state");
        String::from_utf8_lossy(&room[..length]).into_owned()
    };
    let variables =
        [("NOTIFY_SOCKET", tree.arg("notify")), ("HTTPOUT_CONFIG", tree.arg("httpout.toml"))];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server = Server::run(command(kind, &[], &variables));
    assert_eq!(heard(), "READY=1\n");
    server.signal(Signal::HUP);
    let reload = heard();
    assert!(reload.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reload}");
    assert_eq!(heard(), "READY=1\n");
    server.ask(&get("/a.bin")).is(200, "content");
    server.stop();
    assert_eq!(heard(), "STOPPING=1\n");
    // A manager that went away is no reason not to serve.
    let lost = [("NOTIFY_SOCKET", tree.arg("lost")), ("HTTPOUT_CONFIG", tree.arg("httpout.toml"))];
    let lost = lost.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server = Server::run(command(kind, &[], &lost));
    server.ask(&get("/a.bin")).is(200, "content");
    let exit = server.stop();
    assert!(exit.stderr.contains("the service manager cannot be told"), "{exit:?}");
}
