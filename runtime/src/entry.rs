//! What both binaries do around their runtime: options in, banner out, signals, exit status.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, Write},
    num::NonZero,
    process::ExitCode,
    thread,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    ConfigError,
    cli::{self, Options, Task},
    creds, listen, log, notify,
    serve::{Handle, Server},
};

/// Reads the options, binds, prints the banner and calls `serve`, which returns when the server has ended. The exit status
/// is 0 then; 1 if it could not start or serve, 2 if the command line is wrong.
pub fn run(serve: impl FnOnce(Server) -> io::Result<()>) -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    match Task::parse_args(&args) {
        Some(Ok(task)) => return perform(task, &args.first().cloned().unwrap_or_default()),
        Some(Err(error)) => return refuse(&error),
        None => {}
    }
    let options = match Options::parse_args(args, env::vars_os()) {
        Ok(options) => options,
        Err(error) => return refuse(&error),
    };
    log::start(options.log_format());
    for warning in options.warnings() {
        tracing::warn!("{warning}");
    }
    match bind(&options) {
        Ok(bound) => {
            let started = start(&bound, &options);
            match started.and_then(|()| serve(bound)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&format!("cannot serve: {error}")),
            }
        }
        Err(error) => fail(&options.explain(&error)),
    }
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
        Err(error) => fail(&format!("cannot write to standard output: {error}")),
    }
}

/// Shows what is wrong with the options; or the help that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told if this fails.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

fn bind(options: &Options) -> Result<Server, ConfigError> {
    let config = options.config()?;
    let inputs = options.inputs()?;
    let passed = listen::passed()?;
    let listeners = if passed.is_empty() {
        let bound = options.places().into_iter().map(|(ifce, port)| listen::bind(ifce, port));
        bound.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
    } else {
        for option in options.where_to_listen() {
            tracing::warn!("{option} is not used: the sockets that were passed are listened on");
        }
        passed
    };
    let admin = options.admin().map(listen::bind_admin).transpose()?;
    let server = Server::bind(config, options.runtime(), listeners)?;
    server.with_admin(admin.into_iter().collect()).with_inputs(inputs)
}

fn start(bound: &Server, options: &Options) -> io::Result<()> {
    // Before anybody is told that the server is there: who waits for that may send a signal next.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = bound.handle();
    let obeyed = options.clone();
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || obey_signals(&mut signals, &handle, &obeyed))?;
    let urls = [bound.listeners(), bound.admin_listeners()].map(listen::urls);
    let banner = cli::banner(&urls[0], &urls[1], &bound.site(), bound.inputs());
    // A closed standard output is no reason not to serve.
    let _ = io::stdout().lock().write_all(banner.as_bytes());
    let _ = io::stdout().lock().flush();
    notify::ready();
    Ok(())
}

/// SIGHUP reads rules and users anew. The first other signal lets requests finish, for so long; the second one does not.
fn obey_signals(signals: &mut Signals, handle: &Handle, options: &Options) {
    let grace = options.grace();
    let mut first = true;
    for signal in signals.forever() {
        if signal == SIGHUP {
            reload(handle, options);
            continue;
        }
        if !std::mem::take(&mut first) {
            handle.abort();
            continue;
        }
        // Told first: without connections, the process ends at once.
        notify::stopping();
        tracing::info!(connections = handle.connections(), "ending: no more requests are taken");
        handle.shut_down();
        let handle = handle.clone();
        // The process ends before, if all requests are answered.
        let patience = thread::Builder::new().name("grace".into());
        let spawned = patience.spawn(move || {
            thread::sleep(grace);
            handle.abort();
        });
        if spawned.is_err() {
            return;
        }
    }
}

/// What is broken changes nothing.
fn reload(handle: &Handle, options: &Options) {
    notify::reloading();
    handle.reopen_logs();
    match handle.renew_by(|| options.config()) {
        Ok(()) => tracing::info!("rules and users were read anew"),
        Err(error) => tracing::error!(error = options.explain(&error), "nothing is changed"),
    }
    notify::ready();
}

fn fail(problem: &str) -> ExitCode {
    let _ = writeln!(io::stderr().lock(), "error: {problem}");
    ExitCode::FAILURE
}
