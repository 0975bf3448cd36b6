use std::{
    fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use clap::CommandFactory as _;

use super::*;
use crate::cli::{
    Options,
    tests::{EFFECTS, parse_with, shown},
};

/// A file of options, removed on drop.
struct File(PathBuf);

impl File {
    fn new(text: impl AsRef<[u8]>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("httpout-options-{}-{number}.toml", process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// What comes of this file, these variables and these flags.
    fn with(&self, variables: &[(&str, &str)], flags: &[&str]) -> Result<String, String> {
        let flags = [&["--config", self.path()], flags].concat();
        let options = parse_with(&flags, variables)?;
        // The file's name is no matter here.
        Ok(shown(&options).replace(self.path(), "FILE"))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// The error of a file, without the path's directory.
fn refused(text: impl AsRef<[u8]>) -> String {
    let file = File::new(text);
    let error = file.with(&[], &[]).unwrap_err();
    let error = error.strip_prefix("error: ").unwrap();
    error.replace(file.path(), "FILE").trim_end().to_owned()
}

/// A value as it is written in a file.
fn toml(arg: &Arg, value: &str) -> String {
    let is_number = !file::is_text(arg) && value.parse::<f64>().is_ok();
    match arg.get_value_delimiter() {
        Some(delimiter) => format!("{:?}", value.split(delimiter).collect::<Vec<_>>()),
        None if normalize::is_boolean(arg) || is_number => value.to_owned(),
        None => format!("{value:?}"),
    }
}

#[test]
fn every_option_is_reached_by_flag_variable_and_file() {
    let command = Options::command();
    for arg in command.get_arguments() {
        let long = normalize::long(arg);
        let row = EFFECTS.iter().find(|(name, ..)| *name == long);
        let (_, value, effect) = row.unwrap_or_else(|| panic!("{long} needs a row in EFFECTS"));
        let flag = shown(&parse_with(&[&format!("--{long}={value}")], &[]).unwrap());
        assert!(flag.contains(effect), "{long}: {flag}");
        assert_eq!(shown(&parse_with(&[], &[(&variable(arg), value)]).unwrap()), flag, "{long}");
        if long == FILE {
            continue;
        }
        let flag = File::new("").with(&[], &[&format!("--{long}={value}")]);
        for name in [long.replace('-', "_"), long.replace('_', "-")] {
            let text = format!("{name} = {}", toml(arg, value));
            assert_eq!(File::new(&text).with(&[], &[]), flag, "{text}");
        }
    }
}

#[test]
fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
    let file = File::new("maxc = 1\nmaxp = 1\ngrace = 1\ncte = false\n");
    let shown = file
        .with(&[("HTTPOUT_MAXC", "2"), ("HTTPOUT_MAXP", "2"), ("HTTPOUT_CTE", "no")], &["maxc=3"])
        .unwrap();
    for effect in
        ["max_connections: 3,", "max_connections_per_peer: 2,", "grace: 1s", "chunked: false"]
    {
        assert!(shown.contains(effect), "{effect}: {shown}");
    }
    for flags in [&["--cte"][..], &["cte"], &["--cte", "true"], &["httpout:close=0:cte=on"]] {
        let shown = file.with(&[("HTTPOUT_CTE", "false")], flags).unwrap();
        assert!(shown.contains("chunked: true"), "{flags:?}: {shown}");
    }
    // What is wrong but not used does no harm.
    let shown = file.with(&[("HTTPOUT_MAXC", "many")], &["--maxc=3"]).unwrap();
    assert!(shown.contains("max_connections: 3,"), "{shown}");
}

#[test]
fn a_stronger_list_replaces_a_weaker_one() {
    let file = File::new(r#"rdirs = ["a", "b,c"]"#);
    let rdirs = |variables: &[_], flags: &[_]| {
        let shown = file.with(variables, flags).unwrap();
        shown.split("read_dirs: ").nth(1).unwrap().split(']').next().unwrap().to_owned()
    };
    assert_eq!(rdirs(&[], &[]), r#"["a", "b,c""#);
    assert_eq!(rdirs(&[("HTTPOUT_RDIRS", "d,e")], &[]), r#"["d", "e""#);
    assert_eq!(
        rdirs(&[("HTTPOUT_RDIRS", "d,e")], &["--rdirs", "f,g", "--rdirs=h"]),
        r#"["f", "g", "h""#
    );
    assert_eq!(rdirs(&[], &["rdirs=f:close"]), r#"["f""#);
    let one = File::new("rdirs = 'a,b'").with(&[], &[]).unwrap();
    assert!(one.contains(r#"read_dirs: ["a", "b"]"#), "{one}");
    let none = File::new("rdirs = []").with(&[], &[]).unwrap();
    assert!(none.contains("read_dirs: []"), "{none}");
}

#[test]
fn a_variable_names_the_file_and_a_flag_another() {
    let (one, two) = (File::new("maxc = 1"), File::new("maxc = 2"));
    let variable = [("HTTPOUT_CONFIG", one.path())];
    assert!(shown(&parse_with(&[], &variable).unwrap()).contains("max_connections: 1,"));
    assert!(two.with(&variable, &[]).unwrap().contains("max_connections: 2,"));
    let error = parse_with(&[], &[("HTTPOUT_CONFIG", "")]).unwrap_err();
    assert!(error.starts_with("error: HTTPOUT_CONFIG: a value is required"), "{error}");
}

#[test]
fn values_have_the_types_of_the_file() {
    for (text, effect) in [
        ("timeout = 1.5", "idle_time: Some(1.5s)"),
        ("timeout = 2", "idle_time: Some(2s)"),
        ("timeout = '2.5'", "idle_time: Some(2.5s)"),
        ("port = 0x1F90", "ifce: None, port: Number(8080)"),
        ("port = 'auto'", "ifce: None, port: Auto"),
        ("maxs = '50M'", "upload: Some(52428800)"),
        ("maxs = 1_000", "upload: Some(1000)"),
        ("user_agent = ''", r#"server_header: """#),
        ("close = true # indeed", "close_connections: true"),
        ("\u{feff}close = true", "close_connections: true"),
        ("wdir = \"a:b=c\"", r#"write_dir: Some("a:b=c")"#),
    ] {
        let shown = File::new(text).with(&[], &[]).unwrap();
        assert!(shown.contains(effect), "{text}: {shown}");
    }
    for (text, error) in [
        ("close = 1", "close: a number is wrong here; write true or false"),
        ("close = 'true'", "close: a string is wrong here; write true or false"),
        ("user_agent = 5", "user_agent: a number is wrong here; write it in quotes"),
        ("rdirs = ['a', 5]", "rdirs: a number is wrong here; write it in quotes"),
        ("rdirs = [['a']]", "rdirs: an array is wrong here; write it in quotes"),
        ("maxc = true", "maxc: a boolean is wrong here; write a number, or a string in quotes"),
        ("grace = 07:32:00", "grace: a date is wrong here; write a number, or a string in quotes"),
        ("wdir = ['a']", "wdir: this option has one value, not an array; write it in quotes"),
    ] {
        assert_eq!(refused(format!("\n{text}\n")), format!("FILE line 2: {error}"), "{text}");
    }
}

#[test]
fn a_wrong_value_is_told_as_of_the_flag_with_its_source() {
    for (name, value, text) in [
        ("port", "70000", "port = 70000"),
        ("maxc", "-1", "maxc = -1"),
        ("multirange", "all", "multirange = 'all'"),
        ("maxs", "5X", "maxs = '5X'"),
        ("grace", "inf", "grace = inf"),
        ("wdir", "", "wdir = ''"),
        ("rdirs", "", "rdirs = ['a', '']"),
    ] {
        let flag = parse_with(&[&format!("--{name}={value}")], &[]).unwrap_err();
        let flag = flag.strip_prefix("error: ").unwrap().trim_end();
        let variable = format!("HTTPOUT_{}", name.to_uppercase());
        let error = parse_with(&[], &[(&variable, value)]).unwrap_err();
        assert_eq!(error.trim_end(), format!("error: {variable}: {flag}"));
        assert_eq!(refused(format!("#\n#\n{text}")), format!("FILE line 3: {name}: {flag}"));
    }
    let error = parse_with(&[], &[("HTTPOUT_CLOSE", "maybe")]).unwrap_err();
    assert!(
        error.starts_with("error: HTTPOUT_CLOSE: invalid value 'maybe' for '--close"),
        "{error}"
    );
    let error = parse_with(&["--port", "x"], &[("HTTPOUT_MAXC", "x")]).unwrap_err();
    assert!(error.starts_with("error: invalid value 'x' for '--port"), "{error}");
}

#[test]
fn what_a_later_check_finds_has_its_source_too() {
    let file = File::new("dst = 'ftp://h/'");
    let options = parse_with(&["--config", file.path()], &[]).unwrap();
    let text = options.explain(&options.config().unwrap_err());
    assert!(text.starts_with(&format!("{} line 1: dst: dst: ftp", file.path())), "{text}");
    let options = parse_with(&["-o", "ftp://h/"], &[]).unwrap();
    assert!(options.explain(&options.config().unwrap_err()).starts_with("dst: ftp"));
}

#[test]
fn what_is_unknown_in_the_file_is_refused_with_the_nearest_name() {
    for (text, error) in [
        (
            "#\n\nmax_client_error = 5",
            "line 3: unknown option max_client_error; did you mean max_client_errors?",
        ),
        ("wait-missin = 1", "line 1: unknown option wait-missin; did you mean wait_missing?"),
        ("close = true\nzzz = 1", "line 2: unknown option zzz; --help lists them"),
        ("help = true", "line 1: unknown option help; --help lists them"),
        ("\"\" = 1", "line 1: unknown option ; --help lists them"),
        ("\"a\\nb\" = 1", "line 1: unknown option a\\nb; --help lists them"),
        ("config = 'a'", "line 1: config: a file cannot name another; leave it out"),
        (
            "wait-missing = 1\nwait_missing = 1",
            "line 2: wait_missing: given on line 1 already; keep one of them",
        ),
        (
            "maxc = 1\n\n[server]\nport = 1",
            "line 3: server: there are no tables in this file; write NAME = VALUE, outside of any",
        ),
        (
            "[[port]]\na = 1",
            "line 1: port: there are no tables in this file; write NAME = VALUE, outside of any",
        ),
        (
            "port.a = 1",
            "line 1: port: there are no tables in this file; write NAME = VALUE, outside of any",
        ),
        (
            "port = { a = 1 }",
            "line 1: port: there are no tables in this file; write NAME = VALUE, outside of any",
        ),
    ] {
        assert_eq!(refused(text), format!("FILE {error}"), "{text}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    let help = "; write NAME = VALUE, with text and paths in quotes";
    for (text, place) in [
        ("port = 1\nwdir = in\n", "line 2, column 8"),
        ("port 8080", "line 1, column"),
        ("wdir = \"ä\" x", "line 1, column 12"),
        ("port = 1\nport = 2", "line 2, column 1"),
        ("wdir = 'a", "line 1, column"),
    ] {
        let error = refused(text);
        let told = error.starts_with(&format!("FILE {place}")) && error.ends_with(help);
        assert!(told && error.contains(": this is not TOML: "), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let error = refused(b"port = 1\nwdir = '\xff'");
    assert_eq!(error, "FILE line 2: this is not UTF-8; save the file in that encoding");
    for path in ["/nowhere/httpout.toml", "/"] {
        let error = parse_with(&["--config", path], &[]).unwrap_err();
        assert!(error.starts_with(&format!("error: {path}: cannot be read: ")), "{error}");
        assert!(error.contains("--config or HTTPOUT_CONFIG"), "{error}");
    }
}

#[test]
fn unknown_variables_are_warned_of() {
    let variables = [
        ("HTTPOUT_PROT", "80"),
        ("HTTPOUT_SEED", "1"),
        ("HTTPOUT_port", "80"),
        ("HTTPOUT_HELP", "1"),
        ("HTTPOUT_", ""),
        ("HTTP_PORT", "80"),
    ];
    let options = parse_with(&["--maxc=3"], &variables).unwrap();
    assert!(shown(&options).contains("max_connections: 3,"));
    let port = |name| format!("{name} is no option; did you mean HTTPOUT_PORT?");
    let none = |name| format!("{name} is no option; --help lists them");
    let warnings = [
        none("HTTPOUT_"),
        none("HTTPOUT_HELP"),
        port("HTTPOUT_PROT"),
        none("HTTPOUT_SEED"),
        port("HTTPOUT_port"),
    ];
    assert_eq!(options.warnings(), warnings);
}

#[test]
fn help_is_shown_whatever_the_sources_say() {
    let file = File::new("[broken");
    for flag in ["--help", "-h", "--version"] {
        let text = file.with(&[("HTTPOUT_PORT", "x")], &[flag]).unwrap_err();
        assert!(!text.starts_with("error"), "{text}");
    }
}
