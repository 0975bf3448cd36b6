use std::{collections::HashSet, ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use clap::CommandFactory as _;

use super::*;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (none)");

pub(super) fn parse(args: &[&str]) -> Result<Options, String> {
    parse_with(args, &[])
}

pub(super) fn parse_with(args: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
    let args = ["httpout"].iter().chain(args).map(OsString::from);
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Options::parse_args(args, variables, VERSION).map_err(|error| error.to_string())
}

/// All that the options say, as text.
pub(super) fn shown(options: &Options) -> String {
    let config = options.config().unwrap();
    let (bind, live, push) = (options.places(), &options.live, &options.push);
    let rest = (options.log_format(), options.config_file());
    let (users, admin) = (options.users_file(), options.admin());
    format!(
        "{config:?} {:?} {bind:?} {live:?} {push:?} {:?} grace: {:?} {rest:?} users: {users:?} admin: {admin:?} tls: {:?} {:?}",
        options.runtime(),
        options.script,
        options.grace(),
        options.tls_port,
        options.tls(),
    )
}

fn parsed(args: &[&str]) -> String {
    shown(&parse(args).unwrap_or_else(|error| panic!("{args:?}: {error}")))
}

/// Options, and what each of them must change.
pub(super) const EFFECTS: &[(&str, &str, &str)] = &[
    ("rdirs", "a,b", r#"read_dirs: ["a", "b"]"#),
    ("wdir", "in", r#"write_dir: Some("in")"#),
    ("dst", "http://127.0.0.1:81/x", r#"ifce: Some("127.0.0.1"), port: Number(81)"#),
    ("port", "8080", "ifce: None, port: Number(8080)"),
    ("ifce", "eth0", r#"ifce: Some("eth0"), port: Number(80)"#),
    ("block_size", "64k", "block_size: 65536"),
    ("index", "index.html", r#"index: Some("index.html")"#),
    ("symlinks", "all", "symlinks: All"),
    ("user_agent", "me/1", r#"server_header: "me/1""#),
    ("close", "true", "close_connections: true"),
    ("maxc", "7", "max_connections: 7"),
    ("maxp", "8", "max_connections_per_peer: 8"),
    ("maxs", "50M", "upload: Some(52428800)"),
    ("timeout", "0", "idle_time: None"),
    ("cache_control", "no-store", r#"cache_control: Some("no-store")"#),
    ("cte", "false", "chunked: false"),
    ("norange", "true", "ignore_ranges: true"),
    ("quit", "true", "quit: true"),
    ("hmode", "source", "source: true"),
    ("multirange", "merge", "multirange: Merge"),
    ("wait-missing", "1.5", "wait_missing: 1.5s"),
    ("durable", "true", "durable: true"),
    ("gmem-max", "1M", "memory_max: 1048576"),
    ("max_cache_segs", "-3", "kept_segments: -3"),
    ("js", "a.js", r#"js: Some("a.js")"#),
    ("js-dirs", "d,e", r#"hook_dirs: ["d", "e"]"#),
    ("js-time", "2.5", "js_time: 2.5s"),
    ("js-wait", "2", "hook_time: 2s"),
    ("js-memory", "8M", "js_memory: 8388608"),
    ("grace", "3", "grace: 3s"),
    ("log-format", "json", "(Json, "),
    ("config", "/dev/null", r#"Some("/dev/null"))"#),
    ("max_client_errors", "9", "client_errors: 9"),
    ("users", "/dev/null", r#"users: Some("/dev/null")"#),
    ("insecure-auth", "true", "insecure_auth: true"),
    ("dlist", "true", "list_directories: true"),
    ("sutc", "true", "server_utc: true"),
    ("cors", "on", "cors: On"),
    ("hdrs", "X-A,1,X-B,2", r#"extra_headers: [("X-A", "1"), ("X-B", "2")]"#),
    ("zmax", "1k", "compress_max: 1024"),
    ("no_z", "true", "compress_max: 0"),
    ("head-timeout", "3", "head_time: 3s"),
    ("body-timeout", "4", "body_time: 4s"),
    ("body-rate", "2k", "body_rate: 2048"),
    ("keepalive-requests", "7", "requests: 7"),
    ("keepalive-time", "7", "age: Some(7s)"),
    ("send-timeout", "6", "send_time: 6s"),
    ("reqlog", "-GET,REC", "methods: [Get], all: false, records: true, no_ends: true"),
    ("access-log", "a.log", r#"access: Some("a.log")"#),
    ("access-log-format", "json", "format: Json"),
    ("cert", "c.pem", r#"cert: Some("c.pem")"#),
    ("pkey", "k.pem", r#"pkey: Some("k.pem")"#),
    ("self-signed", "true", "self_signed: true"),
    ("tls-port", "8443", "tls: Some(Number(8443))"),
    ("client-ca", "ca.pem", r#"client_ca: Some("ca.pem")"#),
    ("client-auth", "optional", "client_auth: Optional"),
    ("input", "a.mp3", r#"input: ["a.mp3"]"#),
    ("prop", "ice-Genre=Rock", r#"prop: ["ice-Genre=Rock"]"#),
    ("ext", "mp3", r#"ext: Some("mp3")"#),
    ("mime", "audio/mpeg", r#"mime: Some("audio/mpeg")"#),
    ("rt", "true", "rt: true"),
    ("hold", "true", "hold: true"),
    ("reopen", "true", "reopen: true"),
    ("max_async_buf", "1M", "max_async_buf: 1048576"),
    ("blockio", "true", "blockio: true"),
    ("burst", "0", "burst: 0"),
    ("ice", "true", "icy: true"),
    ("icecast", "true", "icecast: true"),
    ("post", "true", "post: true"),
    ("ka", "false", "ka: false"),
    ("patch", "5-9", "patch: Some(UploadRange { first: 5, last: Some(9) })"),
    ("verify", "true", "verify: true"),
    ("ca", "ca.pem", r#"ca: Some("ca.pem")"#),
    ("insecure", "true", "insecure: true"),
    ("auth-file", "pw", r#"auth_file: Some("pw")"#),
    ("admin", "127.0.0.1:9", "admin: Some(127.0.0.1:9)"),
];

#[test]
fn every_option_changes_what_it_is_for() {
    let names: HashSet<_> =
        Options::command().get_arguments().map(|arg| arg.get_long().unwrap().to_owned()).collect();
    let tried: HashSet<_> = EFFECTS.iter().map(|(name, ..)| name.to_string()).collect();
    assert_eq!(names, tried, "each option needs a row in EFFECTS");
    let default = parsed(&[]);
    for (name, value, effect) in EFFECTS {
        assert!(!default.contains(effect), "{effect} is the default already");
        for name in [name.replace('-', "_"), name.replace('_', "-")] {
            for args in [
                vec![format!("--{name}={value}")],
                vec![format!("--{name}"), value.to_string()],
                vec![format!("{name}={value}")],
                vec![format!("httpout:{name}={value}")],
            ] {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let shown = parsed(&args);
                assert!(shown.contains(effect), "{args:?}: {effect} is not in {shown}");
            }
        }
    }
}

#[test]
fn defaults_are_those_of_the_seed() {
    let options = parse(&[]).unwrap();
    assert_eq!(format!("{:?}", options.config().unwrap()), format!("{:?}", Config::default()));
    assert_eq!(format!("{:?}", options.runtime()), format!("{:?}", RuntimeOptions::default()));
    let everywhere = Place { ifce: None, port: Port::Number(80), secure: false };
    assert_eq!((options.places(), options.tls()), (vec![everywhere], TlsOptions::default()));
    assert_eq!(options.live.options(), httpout_proto::live::LiveOptions::default());
    assert_eq!(options.grace(), Duration::from_secs(10));
}

#[test]
fn booleans_may_stand_alone() {
    for args in
        [&["--close"][..], &["--close", "yes"], &["--close=1"], &["close"], &["--close", "rdirs=x"]]
    {
        assert!(parsed(args).contains("close_connections: true"), "{args:?}");
    }
    for args in [&["--cte", "false"][..], &["--cte=false"], &["--cte", "off"], &["cte=no"]] {
        assert!(parsed(args).contains("chunked: false"), "{args:?}");
    }
    assert!(parsed(&["--cte", "--close"]).contains("chunked: true"));
    assert!(parse(&["--cte=maybe"]).unwrap_err().contains("--cte"));
}

#[test]
fn the_one_string_form_is_read() {
    for (word, same) in [
        ("rdirs=outcoming", &["--rdirs", "outcoming"][..]),
        ("httpout:rdirs=outcoming", &["--rdirs", "outcoming"]),
        ("httpout", &[]),
        (
            "rdirs=outcoming:wdir=incoming:port=8080",
            &["--rdirs", "outcoming", "--wdir", "incoming", "--port", "8080"],
        ),
        (
            "rdirs=a,b:close:quit=false",
            &["--rdirs", "a", "--rdirs", "b", "--close", "--quit=false"],
        ),
        ("dst=http://127.0.0.1:8080/x:rdirs=a", &["-o", "http://127.0.0.1:8080/x", "--rdirs=a"]),
        ("dst=http://[::1]:8080/x?y=z:rdirs=a", &["-o", "http://[::1]:8080/x?y=z", "--rdirs=a"]),
        ("wdir=/a:b/c:close", &["--wdir=/a:b/c", "--close"]),
        (
            "max-client-errors=1:wait_missing=2",
            &["--max_client_errors", "1", "--wait-missing", "2"],
        ),
        ("user_agent=a=b", &["--user_agent", "a=b"]),
    ] {
        assert_eq!(parsed(&[word]), parsed(same), "{word}");
    }
    let several = parsed(&["rdirs=a", "--wdir", "b", "port=auto"]);
    assert_eq!(several, parsed(&["--rdirs=a", "--wdir=b", "--port=auto"]));
}

#[test]
fn the_one_string_form_is_read_as_gpac_reads_it() {
    for (word, same) in [
        // A double colon takes an option as it is, up to the next one.
        ("httpout::user_agent=a:close", &["--user_agent=a:close"][..]),
        (
            "httpout:user_agent=a::cache_control=b:close::port=81",
            &["--user_agent=a", "--cache_control=b:close", "--port=81"],
        ),
        ("::wdir=/a:close::port=81", &["--wdir=/a:close", "--port=81"]),
        (
            "httpout::dst=http://127.0.0.1:81/a:port=82::close",
            &["--dst=http://127.0.0.1:81/a", "--close"],
        ),
        ("close::quit", &["--close", "--quit"]),
        ("port=81:", &["--port=81"]),
        ("port=81::", &["--port=81"]),
        // An exclamation mark negates.
        ("httpout:!cte:!close", &["--cte=false", "--close=false"]),
        ("!cte:port=81", &["--cte=false", "--port=81"]),
        ("httpout:!cte=false", &["--cte=true"]),
        // A value that only one option has names it.
        ("httpout:on:multipart", &["--cors=on", "--multirange=multipart"]),
        ("httpout:source:dst=d/", &["--hmode=source", "-o", "d/"]),
        (":on", &["--cors=on"]),
        ("on:close", &["--cors=on", "--close"]),
        ("user_agent=a:on", &["--user_agent=a", "--cors=on"]),
        // :gpac ends a value, and nothing before it is looked at.
        ("dst=http://127.0.0.1:81/x:gpac:port=82", &["-o", "http://127.0.0.1:81/x", "--port=82"]),
        (
            "dst=http://127.0.0.1:81/x:y:port=9:gpac:close",
            &["-o", "http://127.0.0.1:81/x", "--close"],
        ),
        ("dst=http://127.0.0.1:81/x:gpac", &["-o", "http://127.0.0.1:81/x"]),
        ("user_agent=a:gpac:close", &["--user_agent=a", "--close"]),
        ("httpout:gpac:close", &["--close"]),
        ("dst=http://127.0.0.1:81/x::close", &["-o", "http://127.0.0.1:81/x", "--close"]),
        ("dst=http://127.0.0.1:81:close", &["-o", "http://127.0.0.1:81", "--close"]),
        ("dst=http://127.0.0.1:close", &["-o", "http://127.0.0.1", "--close"]),
        // Colons that belong to a value.
        ("admin=127.0.0.1:9:close", &["--admin=127.0.0.1:9", "--close"]),
        ("ifce=::1:port=81", &["--ifce=::1", "--port=81"]),
        ("hdrs=X-A: b:close", &["--hdrs=X-A: b", "--close"]),
        ("input=a.mp3:#ice-Genre=Rock:hold", &["-i", "a.mp3:#ice-Genre=Rock", "--hold"]),
    ] {
        assert_eq!(parsed(&[word]), parsed(same), "{word}");
    }
    for (url, same) in [
        ("http://127.0.0.1:81/x:gpac:close", &["-o", "http://127.0.0.1:81/x", "--close"][..]),
        (
            "http://127.0.0.1:81/x:close:!cte",
            &["-o", "http://127.0.0.1:81/x", "--close", "--cte=false"],
        ),
        (
            "http://127.0.0.1:81/x?t=12:00:port=82",
            &["-o", "http://127.0.0.1:81/x?t=12:00", "--port=82"],
        ),
        ("http://127.0.0.1:81/12:00.ts", &["--dst=http://127.0.0.1:81/12:00.ts"]),
        ("http://127.0.0.1:81/x?ip=2001:db8::1", &["--dst=http://127.0.0.1:81/x?ip=2001:db8::1"]),
        ("http://127.0.0.1:81/x?a=user:pass:c", &["--dst=http://127.0.0.1:81/x?a=user:pass:c"]),
        (
            "http://127.0.0.1:81/x?a=b:dlst:#c=d:gpac:close",
            &["--dst=http://127.0.0.1:81/x?a=b:dlst:#c=d:gpac", "--close"],
        ),
    ] {
        for args in [vec!["-o", url], vec!["--dst", url], vec!["-i", "a", "-o", url]] {
            let same = [&args[..args.len() - 2], same].concat();
            assert_eq!(parsed(&args), parsed(&same), "{args:?}");
        }
    }
    let pushed = parse(&["-i", "a", "-o", "http://u:p@h:81/x?y:gpac:hmode=push:post"]).unwrap();
    let plan = pushed.push().unwrap().unwrap();
    assert_eq!((plan.uploads[0].target.path(), plan.config.post), ("/x?y", true));
}

#[test]
fn words_that_are_no_options_are_refused_with_the_right_spelling() {
    for (args, said) in [
        (
            &["cache_control=max-age=5:dlst"][..],
            &[
                "'--dlst'",
                "'--dlist'",
                "'::cache_control=max-age=5:dlst::'",
                "--cache_control 'max-age=5:dlst'",
            ][..],
        ),
        (&["rdirs=a:8080"], &["'--8080'", "--rdirs 'a:8080'"]),
        (&["httpout:pusj"], &["'--pusj'", "'push'"]),
        (&["httpout:json"], &["access-log-format=json or log-format=json"]),
        (&["httpout:!port=81"], &["port=VALUE"]),
        (&["httpout:!prt"], &["'--prt'", "'--port'"]),
        (&["httpout:!close=maybe"], &["neither true nor false"]),
        (&["dst=http://h/x:SID=1:rdirs=a"], &["'--SID'", "filter graph"]),
        (&["-o", "http://h/x:SID=1:rdirs=a"], &["'--SID'", "filter graph"]),
        (&["-o", "http://h/x:hmod=push"], &["'--hmod'", "'--hmode'", "%3A"]),
        (&["-o", "http://h/a:b"], &["'--b'", "%3A", ":gpac"]),
        (&["-o", "http://h/x:gpac:dlst"], &["'--dlst'", "'--dlist'"]),
        // Behind a query as well.
        (&["-o", "http://h/x?a=b:dlst"], &["'--dlst'", "'--dlist'", "%3A", ":gpac"]),
        (&["-o", "http://h/x?a=b:c:hmdoe=push"], &["'--hmdoe'", "'--hmode'", "%3A"]),
        (&["-o", "http://h/x?a=b:pusj"], &["'--pusj'", "'push'", "%3A"]),
        (&["-o", "http://h/x?a=b:!clse"], &["'--clse'", "'--close'", "%3A"]),
        (&["dst=http://h/x?a=b:dlst:port=81"], &["'--dlst'", "'--dlist'"]),
        // A property is an input's.
        (&["-o", "http://h/x:#foo=bar"], &["'#foo=bar'", "-i FILE:#foo=bar", "--prop foo=bar"]),
        (&["-i", "a", "-o", "http://h/x?y:#foo=bar:post"], &["'#foo=bar'", "--prop foo=bar"]),
        (&["dst=http://h/x:#foo=bar"], &["'#foo=bar'", "--prop foo=bar"]),
        (&["wdir=/a:#foo=bar"], &["'#foo=bar'", "-i FILE:#foo=bar"]),
        (&["httpout:outcoming"], &["--rdirs outcoming"]),
    ] {
        let error = parse(args).unwrap_err();
        for said in said {
            assert!(error.contains(said), "{args:?}: {said} is not in {error}");
        }
    }
    // A variable holds a value and nothing else.
    let variable = [("HTTPOUT_DST", "http://h/x:gpac:hmode=push")];
    assert!(parse_with(&[], &variable).unwrap_err().contains("by its name"));
}

#[test]
fn a_directory_may_stand_alone() {
    let name = format!("httpout-directories-{:016x}", fastrand::u64(..));
    let tree = std::env::temp_dir().join(name);
    let path = |name: &str| {
        let path = tree.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b, comma, colon) = (path("a"), path("b"), path("x,y"), path("x:close"));
    let rdirs = |args: &[&str]| parse(args).unwrap().rdirs;
    let given = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(rdirs(&["."]), given(&["."]));
    assert_eq!(rdirs(&[&a]), given(&[&a]));
    assert_eq!(rdirs(&[&a, &b, "--port", "81"]), given(&[&a, &b]));
    assert_eq!(rdirs(&["--close", &a]), given(&[&a]));
    assert_eq!(rdirs(&["--rdirs", &format!("{a},{b}"), &comma]), given(&[&a, &b, &comma]));
    assert_eq!(rdirs(&[&colon]), given(&[&colon]));
    assert_eq!(rdirs(&["port=81", &a]), given(&[&a]));
    let joined = parsed(&[&format!("{a}:port=81:dlist")]);
    assert_eq!(joined, parsed(&["--rdirs", &a, "--port=81", "--dlist"]));
    assert!(parse(&[&format!("{a}:dlst")]).unwrap_err().contains("'--dlist'"));
    // What is not there is refused when it is to be served; if it is not a misspelled option.
    assert_eq!(rdirs(&["./nowhere"]), given(&["./nowhere"]));
    assert!(parse(&["dlst"]).unwrap_err().contains("'--dlist'"));
    // The tests run in the directory of the package, which has this one.
    assert!(parse(&["src"]).unwrap().rdirs == given(&["src"]));
    std::fs::remove_dir_all(&tree).unwrap();
}

#[test]
fn what_is_unknown_is_refused_with_the_nearest_name() {
    for args in [
        &["--rdir=a"][..],
        &["--rdir", "a"],
        &["rdir=a"],
        &["wdir=x:rdir=a:close"],
        &["wdir=/a:rdir=b"],
    ] {
        let error = parse(args).unwrap_err();
        assert!(error.contains("'--rdir'") && error.contains("'--rdirs'"), "{args:?}: {error}");
    }
    let error = parse(&["close:outcoming"]).unwrap_err();
    assert!(error.contains("'close:outcoming'"), "{error}");
    assert!(error.contains("--rdirs outcoming"), "{error}");
    assert!(parse(&["-x"]).unwrap_err().contains("'-x'"));
    assert!(parse(&["--", "a"]).is_err());
}

#[test]
fn bad_values_name_the_option() {
    for (name, value) in [
        ("port", "70000"),
        ("port", "+80"),
        ("port", "any"),
        ("dst", "127.0.0.1:80"),
        ("dst", "http://h:x/"),
        ("dst", "http://[::1/"),
        ("dst", "http://[h]/"),
        ("dst", "http://[::1]80/"),
        ("dst", "http://::1:81/"),
        ("maxs", "5X"),
        ("maxs", "M"),
        ("maxs", "-1"),
        ("maxs", "99999999T"),
        ("timeout", "-1"),
        ("timeout", "inf"),
        ("timeout", "1e3"),
        ("timeout", "."),
        ("timeout", ""),
        ("timeout", "9999999999"),
        ("grace", "soon"),
        ("maxc", "many"),
        ("maxp", "-1"),
        ("multirange", "all"),
        ("close", "2"),
        ("gmem-max", "0"),
        ("max_cache_segs", "few"),
        ("rdirs", "a,,b"),
        ("wdir", ""),
        ("ifce", ""),
    ] {
        let error = parse(&[&format!("--{name}={value}")]).unwrap_err();
        assert!(error.contains(&format!("'--{name}")), "{name}={value}: {error}");
    }
    assert!(parse(&["--wdir"]).unwrap_err().contains("--wdir"));
    assert!(parse(&["wdir:port=8080"]).unwrap_err().contains("--wdir"));
    assert!(parse(&["--wdir", "--close"]).unwrap_err().contains("--wdir"));
    for (range, problem) in [("9-5", "before it begins"), ("-5", "FIRST-LAST"), ("a", "FIRST-LAST")]
    {
        let error = parse(&[&format!("--patch={range}")]).unwrap_err();
        assert!(error.contains("'--patch") && error.contains(problem), "{range}: {error}");
    }
    let error = parse(&["-o", "http://me@h/"]).unwrap().check().unwrap_err();
    assert_eq!(error.option, "dst");
    let error = parse(&["-o", "ftp://h/"]).unwrap().config().unwrap_err();
    assert_eq!(error.option, "dst");
    assert!(error.problem.contains("ftp"));
}

#[test]
fn options_of_tls_need_each_other() {
    for (args, option) in [
        (&["-o", "https://h/"][..], "dst"),
        (&["--tls-port", "8443"], "tls-port"),
        (&["--pkey", "k"], "pkey"),
        (&["--pkey", "k", "--self-signed"], "pkey"),
        (&["--cert", "c", "--self-signed"], "self-signed"),
        (&["--client-ca", "ca"], "client-ca"),
        (&["--self-signed", "--client-auth", "optional"], "client-auth"),
        (&["--self-signed", "--port", "81", "--tls-port", "81"], "tls-port"),
        (&["--self-signed", "--port", "443", "--tls-port", "0"], "tls-port"),
    ] {
        let error = parse(args).unwrap().check().unwrap_err();
        assert_eq!(error.option, option, "{args:?}: {error}");
    }
    for args in [
        &["-o", "https://h/", "--self-signed"][..],
        &["--cert", "c", "--pkey", "k", "--client-ca", "ca", "--client-auth", "optional"],
        &["--self-signed", "--port", "auto", "--tls-port", "auto"],
    ] {
        parse(args).unwrap().check().unwrap();
    }
}

#[test]
fn with_a_certificate_https_is_served_instead_of_http_or_beside_it() {
    let places = |args: &[&str]| {
        let options = parse(args).unwrap();
        options.places().iter().map(|place| (place.port, place.secure)).collect::<Vec<_>>()
    };
    let plain = |port| (Port::Number(port), false);
    let secure = |port| (Port::Number(port), true);
    assert_eq!(places(&["--self-signed"]), [secure(443)]);
    assert_eq!(places(&["--cert=c", "--port=0"]), [secure(443)]);
    assert_eq!(places(&["--cert=c", "--port=8443"]), [secure(8443)]);
    assert_eq!(places(&["--cert=c", "-o", "https://h:444/"]), [secure(444)]);
    assert_eq!(places(&["--cert=c", "-o", "http://h:444/"]), [secure(444)]);
    assert_eq!(places(&["--cert=c", "--tls-port=0"]), [plain(80), secure(443)]);
    assert_eq!(places(&["--cert=c", "--tls-port=auto"]), [plain(80), (Port::Auto, true)]);
    assert_eq!(places(&["--cert=c", "--port=81", "--tls-port=82"]), [plain(81), secure(82)]);
    let both = ["--cert=c", "-i", "a", "-o", "http://h/a", "-i", "b", "-o", "https://h/b"];
    assert_eq!(places(&both), [plain(80), secure(443)]);
    let three = [&both[..], &["--tls-port=444"]].concat();
    assert_eq!(places(&three), [plain(80), secure(443), secure(444)]);
}

#[test]
fn where_to_listen_is_told_by_dst_unless_by_port_and_ifce() {
    let bind = |args: &[&str]| {
        let options = parse(args).unwrap();
        let places = options.places();
        assert_eq!(places.len(), 1, "{args:?}");
        (places[0].port, places[0].ifce.map(str::to_owned))
    };
    let at = |port, ifce: &str| (Port::Number(port), (!ifce.is_empty()).then(|| ifce.to_owned()));
    assert_eq!(bind(&["-o", "http://localhost:81/live.mpd"]), at(81, "localhost"));
    assert_eq!(bind(&["-o", "HTTP://LocalHost"]), at(80, "localhost"));
    assert_eq!(bind(&["-ohttp://127.0.0.1:0/"]), at(80, "127.0.0.1"));
    assert_eq!(bind(&["-o=http://[::1]:81"]), at(81, "::1"));
    assert_eq!(bind(&["-o", "http://origin.example:81/"]), at(81, ""));
    assert_eq!(bind(&["-o", "http://:81/"]), at(81, ""));
    let both = &["-o", "http://127.0.0.1:81/", "--port", "82", "--ifce", "eth0"];
    assert_eq!(bind(both), at(82, "eth0"));
    assert_eq!(bind(&["-o", "http://127.0.0.1:81/", "--port=0"]), at(81, "127.0.0.1"));
    assert_eq!(bind(&["--port", "auto", "-o", "http://h:81/"]), (Port::Auto, None));
}

#[test]
fn each_input_has_its_destination() {
    let two = &[
        "-i",
        "a.mp3",
        "-o",
        "http://h:81/x/a%20b",
        "-i",
        "-:#ice-Genre=Rock",
        "-o",
        "http://h:82/y",
    ];
    let options = parse(two).unwrap();
    let ports: Vec<_> = options.places().iter().map(|place| (place.ifce, place.port)).collect();
    assert_eq!(ports, [(None, Port::Number(81)), (None, Port::Number(82))]);
    let inputs = options.inputs().unwrap();
    assert_eq!(inputs.iter().map(|input| input.path.as_str()).collect::<Vec<_>>(), ["x/a b", "y"]);
    assert_eq!(inputs[1].source, crate::input::Source::Stdin);
    assert_eq!(inputs[1].description.fields, [("ice-Genre".to_owned(), "Rock".to_owned())]);
    let named = parse(&["-i", "dir/a.mp3", "--port", "81"]).unwrap().inputs().unwrap();
    assert_eq!(named[0].path.as_str(), "a.mp3");
    for (args, option) in [
        (&["-i", "a", "-i", "b"][..], "input"),
        (&["-i", "a", "-o", "http://h/x", "-i", "b", "-o", "http://h/x"], "input"),
        (&["-i", "-"], "dst"),
        (&["-i", "a", "--prop", "Genre=Rock"], "prop"),
        (&["-i", "a", "--prop", "ice-Genre"], "prop"),
        (&["-i", "a", "--ext", "exe"], "ext"),
    ] {
        let error = parse(args).unwrap().inputs().unwrap_err();
        assert_eq!(error.option, option, "{args:?}: {error}");
    }
}

#[test]
fn paths_need_not_be_unicode() {
    let odd = OsStr::from_bytes(b"d\xff");
    let word = OsStr::from_bytes(b"rdirs=d\xff,e\xff:close");
    for args in [vec![OsString::from("--rdirs"), odd.into()], vec![word.into()]] {
        let args = [OsString::from("httpout")].into_iter().chain(args);
        let config = Options::parse_args(args, [], VERSION).unwrap().config().unwrap();
        assert_eq!(config.read_dirs[0], Path::new(odd));
    }
}

#[test]
fn help_mentions_every_option_and_its_default() {
    let help = parse(&["--help"]).unwrap_err();
    for arg in Options::command().get_arguments() {
        let long = arg.get_long().unwrap();
        assert!(help.contains(&format!("--{long}")), "{long}");
        let heading = arg.get_help_heading().unwrap_or_else(|| panic!("{long} has no heading"));
        assert!(help.contains(&format!("\n{heading}:")), "{heading}");
    }
    for default in ["[default: 30]", "[default: 10000]", "[default: httpout/", "[default: concat]"]
    {
        assert!(help.contains(default), "{default}");
    }
    assert!(help.contains("-o, --dst"));
    assert!(parse(&["--version"]).unwrap_err().contains(VERSION));
    assert!(parse(&["-h"]).unwrap_err().contains("--rdirs"));
}

#[test]
fn clap_finds_no_clash() {
    Options::command().debug_assert();
}

#[test]
fn the_banner_tells_what_is_open() {
    let site = |args: &[&str]| parse(args).unwrap().config().unwrap().check().unwrap();
    let local = ["http://127.0.0.1:8080/".to_owned()];
    let open = ["http://127.0.0.1:8080/".to_owned(), "http://192.0.2.7:8080/".to_owned()];
    let reading = banner(&open, &[], &site(&["rdirs=/srv/a,/srv/b"]), &[]);
    assert!(reading.starts_with("httpout "), "{reading}");
    assert!(
        reading.contains("\n  http://127.0.0.1:8080/\n  http://192.0.2.7:8080/\n"),
        "{reading}"
    );
    assert!(reading.contains("reads /srv/a as /a/\nreads /srv/b as /b/\n"), "{reading}");
    assert!(!reading.contains("warning") && !reading.contains("writes"), "{reading}");
    let writing = banner(
        &open,
        &[],
        &site(&["rdirs=/srv/a:wdir=/in:maxs=50M:durable:wait_missing=1.5"]),
        &[],
    );
    assert!(writing.contains("reads /srv/a as /\n"), "{writing}");
    assert!(
        writing.contains("writes /in, uploads up to 50M, flushed to the disk, awaited for 1.5 s\n")
    );
    assert!(writing.contains("warning: ") && writing.ends_with('\n'), "{writing}");
    let memory = banner(&local, &[], &site(&["rdirs=gmem:wdir=gmem:gmem_max=64M:durable"]), &[]);
    assert!(memory.contains("reads gmem (memory) as /\n"), "{memory}");
    assert!(memory.contains("writes gmem (memory), uploads of any size, 64M in all\n"), "{memory}");
    let private = banner(&local, &[], &site(&["wdir=/in"]), &[]);
    assert!(private.contains("writes /in, uploads of any size\n") && !private.contains("warning"));
}

#[test]
fn a_push_says_what_goes_where() {
    let plan = |args: &[&str]| {
        let args = [&["--hmode", "push"][..], args].concat();
        parse(&args).unwrap().push().map(|plan| plan.unwrap())
    };
    let uploads = plan(&["-i", "a", "-o", "http://me:pw@h/x", "-i", "-", "-o", "https://h:1/y?z"]);
    let uploads = uploads.unwrap().uploads;
    assert_eq!(uploads[0].target.to_string(), "http://h/x");
    assert_eq!(uploads[0].credentials.as_ref().unwrap().user, "me");
    assert_eq!(uploads[1].source, crate::input::Source::Stdin);
    assert_eq!(uploads[1].target.to_string(), "https://h:1/y?REDACTED");
    assert_eq!(uploads[1].target.path(), "/y?z");
    let uploads = plan(&["-i", "d/a b", "-i", "c", "-o", "http://h/x/"]).unwrap().uploads;
    let urls: Vec<_> = uploads.iter().map(|sent| sent.target.to_string()).collect();
    assert_eq!(urls, ["http://h/x/a%20b", "http://h/x/c"]);
    let told = plan(&["-i", "a", "-o", "http://h/", "--timeout", "2", "--close", "--post"]);
    let told = format!("{:?}", told.unwrap().config);
    assert!(told.contains("idle_time: Some(2s)") && told.contains("answer_time: 2s"), "{told}");
    assert!(told.contains("close: true") && told.contains("post: true"), "{told}");
    for (args, option) in [
        (&["-o", "http://h/a"][..], "input"),
        (&["-i", "a"], "dst"),
        (&["-i", "a", "-i", "b", "-o", "http://h/x"], "dst"),
        (&["-i", "a", "-o", "ftp://h/x"], "dst"),
        (&["-i", "-", "-o", "http://h/x/"], "dst"),
        (&["-i", "a", "-i", "d/a", "-o", "http://h/x/"], "dst"),
        (&["-i", "d/", "-o", "http://h/x/", "--patch", "0-"], "patch"),
        (&["-i", "a", "-o", "https://h/x", "--insecure", "--ca", "ca"], "insecure"),
        (&["-i", "a", "-o", "https://h/x", "--pkey", "k"], "pkey"),
        (&["-i", "a", "-o", "http://h/x", "--mime", "video"], "mime"),
        (&["-i", "a", "-o", "http://h/x", "--hdrs", "A"], "hdrs"),
        (&["-i", "a", "-o", "http://h/x", "--auth-file", "/nowhere"], "auth-file"),
    ] {
        let error = plan(args).unwrap_err();
        assert_eq!(error.option, option, "{args:?}: {error}");
    }
    assert!(parse(&["-i", "a", "-o", "http://h/x"]).unwrap().push().unwrap().is_none());
}

#[test]
fn what_means_nothing_in_a_mode_is_told_and_left_aside() {
    // By mode: what it is given by, what is not used in it beside what is for uploads to others,
    // and what is.
    let server =
        ["dlist", "wdir", "maxc", "port", "tls-port", "zmax", "access-log", "admin", "js", "users"];
    let sending = ["hold", "reopen", "prop", "ext", "rt", "burst", "max_async_buf", "ice"];
    let pushing = ["post", "ka", "patch", "verify", "ca", "insecure", "auth-file"];
    let all = ["user_agent", "hdrs", "timeout", "close", "reqlog", "quit", "grace", "block_size"];
    let value = |name: &str| EFFECTS.iter().find(|(own, ..)| *own == name).unwrap().1;
    let push = ["--hmode=push", "-i", "a", "-o", "https://h/x"];
    for (given, used, unused) in [
        (&["rdirs=a"][..], [&server[..], &all].concat(), [&sending[..], &pushing].concat()),
        (&["-i", "a"], [&server[..], &sending, &all].concat(), pushing.to_vec()),
        (
            &["-i", "a", "rdirs=b"],
            [&server[..], &sending[..5], &all].concat(),
            [&sending[5..], &pushing].concat(),
        ),
        (
            &["--hmode=source", "-o", "d/"],
            [&server[2..5], &all].concat(),
            [&sending[..], &pushing, &["dlist", "zmax"]].concat(),
        ),
        (
            &push,
            [&pushing[..], &all, &["blockio", "cte", "mime"]].concat(),
            [&server[2..], &sending, &["dlist"]].concat(),
        ),
    ] {
        for (names, is_used) in [(used, true), (unused, false)] {
            for name in names {
                let option = format!("--{name}={}", value(name));
                let options = parse(&[given, &[&option]].concat()).unwrap();
                let told = options.unused();
                let told =
                    told.iter().any(|line| line.starts_with(&format!("{name} is not used: ")));
                assert_eq!(told, !is_used, "{given:?} {option}: {:?}", options.unused());
            }
        }
    }
    // A write directory makes it a server, whatever hmode says.
    let options = parse(&[&push[..], &["--wdir", "in"]].concat()).unwrap();
    assert!(options.push().unwrap().is_none());
    assert_eq!(options.unused(), ["hmode is not used: there is a write directory (wdir)"]);
    // Without TLS, its options are not obeyed, and no reason to stop.
    for option in ["--ca=ca", "--insecure", "--cert=c", "--pkey=k"] {
        let options = parse(&["--hmode=push", "-i", "a", "-o", "http://h/x", option]).unwrap();
        let plan = options.push().unwrap().unwrap();
        assert_eq!(plan.trust, crate::TrustOptions::default(), "{option}");
    }
    let told = parse(&["rdirs=a", "--js-time=2", "--access-log-format=json"]).unwrap().unused();
    assert_eq!(
        told,
        [
            "access-log-format is not used: access-log is not given",
            "js-time is not used: js is not given"
        ]
    );
}

#[test]
fn a_password_comes_from_a_file_or_a_variable() {
    let path = std::env::temp_dir().join(format!("httpout-auth-{:016x}", fastrand::u64(..)));
    let named = path.to_str().unwrap();
    let credentials = |dst: &str, file: Option<&str>, variable: Option<&str>| {
        let mut args = vec!["--hmode=push", "-i", "a", "-o", dst];
        args.extend(file.iter().flat_map(|file| ["--auth-file", file]));
        let variables: Vec<_> = variable.iter().map(|value| ("HTTPOUT_AUTH", *value)).collect();
        let options = parse_with(&args, &variables).unwrap();
        assert!(!format!("{options:?}").contains("p4ss"), "{options:?}");
        let plan = options.push().map_err(|error| error.to_string())?.unwrap();
        let own = plan.uploads[0].credentials.clone();
        Ok::<_, String>(own.map(|own| format!("{}/{}", own.user, own.password.reveal())))
    };
    for (text, dst, is) in [
        ("me:p4ss\n", "http://h/a", Ok("me/p4ss")),
        ("me:p4ss\r\nmore", "http://h/a", Ok("me/p4ss")),
        ("me:p4ss:w%20d", "http://h/a", Ok("me/p4ss:w%20d")),
        ("me:p4ss", "http://me@h/a", Ok("me/p4ss")),
        ("me:p4ss", "http://you:own@h/a", Ok("you/own")),
        ("me:p4ss", "http://you@h/a", Err("no password for you")),
        ("p4ss", "http://h/a", Err("USER:PASSWORD")),
        ("", "http://h/a", Err("USER:PASSWORD")),
        ("me:p4ss\u{7f}", "http://h/a", Err("control characters")),
    ] {
        std::fs::write(&path, text).unwrap();
        match (credentials(dst, Some(named), None), is) {
            (Ok(own), Ok(is)) => assert_eq!(own.as_deref(), Some(is), "{text:?} {dst}"),
            (Err(told), Err(is)) => assert!(told.contains(is) && !told.contains("p4ss"), "{told}"),
            (own, is) => panic!("{text:?} {dst}: {own:?} where it should be {is:?}"),
        }
    }
    std::fs::write(&path, "me:p4ss").unwrap();
    assert_eq!(credentials("http://h/a", None, Some("it:p4ss2")), Ok(Some("it/p4ss2".into())));
    assert_eq!(
        credentials("http://h/a", Some(named), Some("it:p4ss2")),
        Ok(Some("me/p4ss".into()))
    );
    assert!(credentials("http://h/a", None, Some("p4ss")).unwrap_err().contains("HTTPOUT_AUTH"));
    assert_eq!(credentials("http://h/a", None, None), Ok(None));
    std::fs::remove_file(&path).unwrap();
    // One on the command line is seen by others.
    let warned = |args: &[&str]| {
        let warnings = parse(args).unwrap().warnings();
        warnings.iter().any(|line| line.contains("--auth-file") && !line.contains("p4ss"))
    };
    assert!(warned(&["--hmode=push", "-i", "a", "-o", "http://me:p4ss@h/a"]));
    assert!(!warned(&["--hmode=push", "-i", "a", "-o", "http://me@h/a?b:c@"]));
}

#[test]
fn a_reload_changes_what_it_can_and_tells_of_the_rest() {
    let started = parse(&["rdirs=a", "--maxc=7", "--input=x", "--dlist"]).unwrap();
    let read = parse(&["rdirs=b", "--maxc=8", "--hmode=source", "-o", "d/", "--sutc"]).unwrap();
    let (options, fixed) = started.renewed(read);
    assert_eq!(fixed, ["dst", "hmode", "input", "maxc"]);
    let config = options.config().unwrap();
    assert_eq!(config.read_dirs, [Path::new("b")]);
    assert!(config.server_utc && !config.list_directories && config.record && !config.source);
    let names: Vec<_> = EFFECTS.iter().map(|(name, ..)| *name).collect();
    assert!(RENEWED.iter().all(|name| names.contains(name)));
}
