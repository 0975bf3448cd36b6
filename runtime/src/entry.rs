//! What both binaries do around their runtime: options in, banner out, signals, exit status.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, Write},
    net::TcpListener,
    num::NonZero,
    process::ExitCode,
    thread,
};

use crate::{
    ConfigError, LogFormat,
    alarm::{self, Panicked},
    cli::{self, Options, Place, Task},
    creds,
    listen::{self, Port, StartError},
    log, notify,
    push::Pushes,
    serve::{Handle, Server},
    signals::Obeyed,
    source::Sink,
};

/// The server cannot start, and a restart does not mend that (`EX_CONFIG` of `sysexits.h`).
const WRONG_CONFIG: u8 = 78;

/// Reads the options (`version` is what `--version` shows), binds, prints the banner and calls
/// `serve`, which returns when the server has ended; or calls `push`, which returns when all is
/// uploaded, and tells whether all of it arrived. The exit status is 0 then; 1 if it could not
/// serve, or something did not arrive; 2 if the command line is wrong; 78 if the server cannot
/// start with what the options name.
pub fn run(
    version: &'static str,
    serve: impl FnOnce(Server) -> io::Result<()>,
    push: impl FnOnce(Pushes) -> io::Result<bool>,
) -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    match Task::parse_args(&args) {
        Some(Ok(task)) => return perform(task, &args.first().cloned().unwrap_or_default()),
        Some(Err(error)) => return refuse(&error, LogFormat::Text),
        None => {}
    }
    let signals = match Obeyed::install() {
        Ok(signals) => signals,
        Err(error) => return fail(LogFormat::Text, &format!("cannot handle signals: {error}")),
    };
    let read = {
        let args = args.clone();
        move || Options::parse_args(args.clone(), env::vars_os(), version)
    };
    let options = match read() {
        Ok(options) => options,
        Err(error) => return refuse(&error, cli::wanted_format(&args, env::vars_os())),
    };
    if options.is_empty() {
        let program = args.first().cloned().unwrap_or_default();
        let _ = io::stderr().lock().write_all(cli::usage(&program, version).as_bytes());
        return ExitCode::from(2);
    }
    let format = options.log_format();
    log::start(format);
    for warning in options.warnings() {
        tracing::warn!("{warning}");
    }
    match options.push().and_then(|plan| plan.map(Pushes::new).transpose()) {
        Ok(Some(pushes)) => return upload(pushes, push, &signals, format),
        Ok(None) => {}
        Err(error) => return fail(format, &options.explain(&error)),
    }
    match bind(&options) {
        Ok(bound) => {
            let started = start(&bound, &options, read, &signals);
            let handle = bound.handle();
            match started.and_then(|()| contained(|| serve(bound))) {
                Ok(()) => delivered(&handle, format),
                Err(error) => fail(format, &format!("cannot serve: {error}")),
            }
        }
        Err(StartError { error, may_pass }) => {
            let status = fail(format, &options.explain(&error));
            if may_pass { status } else { ExitCode::from(WRONG_CONFIG) }
        }
    }
}

/// All uploads have arrived that were to be handed on?
fn delivered(handle: &Handle, format: LogFormat) -> ExitCode {
    match handle.deliveries() {
        (begun, delivered) if begun == delivered => ExitCode::SUCCESS,
        (begun, delivered) => {
            fail(format, &format!("{} of {begun} uploads were not delivered", begun - delivered))
        }
    }
}

fn upload(
    pushes: Pushes,
    push: impl FnOnce(Pushes) -> io::Result<bool>,
    signals: &Obeyed,
    format: LogFormat,
) -> ExitCode {
    signals.push(pushes.stop(), pushes.grace());
    match contained(|| push(pushes)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(format, &format!("cannot upload: {error}")),
    }
}

/// A panic of the main thread is an error like others.
fn contained<R>(work: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    let panicked = |Panicked| Err(io::Error::other("the main thread panicked"));
    alarm::contain(work).unwrap_or_else(panicked)
}

/// Starts a thread that serves connections of this server. If its work ends, the server ends with
/// an error.
///
/// # Errors
/// Those of starting a thread.
pub fn worker(
    number: usize,
    handle: &Handle,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let (name, handle) = (format!("worker-{number}"), handle.clone());
    let part = format!("the thread {name}");
    thread::Builder::new().name(name).spawn(move || handle.rely_on(&part, work))?;
    Ok(())
}

/// Number of processors that may be used.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does what was asked for instead of serving. `program` is the name under which it was called.
fn perform(task: Task, program: &OsStr) -> ExitCode {
    let text = match task {
        Task::Creds { words } => return creds::run(&words),
        Task::Completions { shell } => Ok(cli::completions(shell, program)),
        Task::Man => cli::manual(program),
    };
    let shown = text.and_then(|text| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&text)?;
        stdout.flush()
    });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(LogFormat::Text, &format!("cannot write to standard output: {error}")),
    }
}

/// Shows what is wrong with the options; or the help that was asked for.
fn refuse(error: &clap::Error, format: LogFormat) -> ExitCode {
    if format == LogFormat::Json && error.use_stderr() {
        log::complain(format, &plain(error));
        return ExitCode::from(2);
    }
    // If this fails, there is no way to report it.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// The text of an error about options, without its mark.
fn plain(error: &clap::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

/// Opens what the options name, then the sockets: a port that is taken hides no wrong option.
fn bind(options: &Options) -> Result<Server, StartError> {
    options.check()?;
    let config = options.config()?;
    let inputs = options.inputs()?;
    let mut runtime = options.runtime();
    runtime.hook = options.hook()?;
    let mut server = Server::bind(config, runtime, Vec::new())?.with_inputs(inputs)?;
    if options.tls().is_on() {
        server = server.with_tls(Vec::new(), &options.tls())?;
    }
    if let Some(sink) = options.sink() {
        server = server.with_sink(sink)?;
    }
    let (secure, plain) = sockets(options)?;
    let admin = options.admin().map(listen::bind_admin).transpose()?;
    Ok(server.with_listeners(plain, secure).with_admin(admin.into_iter().collect()))
}

/// The sockets of HTTPS, and those of HTTP: those that were passed, else new ones.
fn sockets(options: &Options) -> Result<(Vec<TcpListener>, Vec<TcpListener>), StartError> {
    let passed = listen::passed()?;
    let places = options.places();
    if passed.is_empty() {
        let bind = |secure: bool| {
            let places = places.iter().filter(move |place| place.secure == secure);
            let bound = places.map(|place| listen::bind(place.ifce, place.port));
            Ok::<Vec<_>, StartError>(
                bound.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
            )
        };
        return Ok((bind(true)?, bind(false)?));
    }
    for option in options.where_to_listen() {
        tracing::warn!("{option} is not used: the sockets that were passed are listened on");
    }
    Ok(passed.into_iter().partition(|listener| is_secure(listener, &places)))
}

/// Whether a socket that was passed is for HTTPS: all are, or those whose port is.
fn is_secure(listener: &TcpListener, places: &[Place<'_>]) -> bool {
    let port = listener.local_addr().map(|address| Port::Number(address.port())).ok();
    let mut secure = places.iter().filter(|place| place.secure);
    places.iter().all(|place| place.secure) || secure.any(|place| Some(place.port) == port)
}

fn start(
    bound: &Server,
    options: &Options,
    read: impl Fn() -> Result<Options, clap::Error> + Send + Sync + 'static,
    signals: &Obeyed,
) -> io::Result<()> {
    // Before the server is announced: a process that waits for that may send a signal next.
    let (handle, started) = (bound.handle(), options.clone());
    let renew = move || reload(&handle, &started, &read);
    signals.serve(&bound.handle(), options.grace(), renew);
    let mut urls = listen::urls("http", bound.listeners());
    urls.extend(listen::urls("https", bound.secure_listeners()));
    let admin = listen::urls("http", bound.admin_listeners());
    let mut banner = cli::banner(&urls, &admin, &bound.site(), bound.inputs());
    let sink = options.sink();
    if let Some(sink) = sink {
        banner += &format!("hands uploads on to {sink}\n");
    }
    // A closed standard output is no reason not to serve.
    let _ = match (options.log_format(), sink) {
        (LogFormat::Json, _) => {
            let records = cli::banner_records(&urls, &admin, &banner);
            io::stderr().lock().write_all(records.as_bytes())
        }
        (LogFormat::Text, Some(Sink::Stdout)) => io::stderr().lock().write_all(banner.as_bytes()),
        (LogFormat::Text, _) => show(&banner),
    };
    notify::ready();
    Ok(())
}

fn show(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// What is broken changes nothing.
fn reload(handle: &Handle, started: &Options, read: &impl Fn() -> Result<Options, clap::Error>) {
    notify::reloading();
    handle.reopen_logs();
    let mut fixed = Vec::new();
    let mut problem = None;
    let renewed = handle.renew_by(|| {
        let new = read().map_err(|error| ConfigError {
            option: "config",
            problem: plain(&error),
            help: "correct the file and send SIGHUP again",
        })?;
        let (options, names) = started.renewed(new);
        fixed = names;
        options.config().inspect_err(|error| problem = Some(options.explain(error)))
    });
    match (renewed, started.config_file()) {
        (Ok(()), None) => {
            tracing::info!("rules, users, certificates and the script were read anew");
        }
        (Ok(()), Some(file)) => tracing::info!(
            file = %file.display(),
            "rules, users, certificates and the script were read anew, and the options in the file"
        ),
        (Err(error), _) => {
            let error = problem.unwrap_or_else(|| started.explain(&error));
            tracing::error!(error, "nothing is changed");
            fixed.clear();
        }
    }
    for name in fixed {
        tracing::warn!("{name} was changed in the file: this needs a restart");
    }
    notify::ready();
}

fn fail(format: LogFormat, problem: &str) -> ExitCode {
    log::complain(format, problem);
    ExitCode::FAILURE
}
