//! A command that is started for each upload, with the body on its standard input.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use httpout_proto::{effect::Delivery, http::Status};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use super::{
    Reply, SinkWriter, UploadSink,
    pipe::{Abort, Leftover, Pipe},
};

/// From SIGTERM to SIGKILL.
const PATIENCE: Duration = Duration::from_secs(2);

/// The command, and those of it that run.
#[derive(Debug)]
pub(super) struct Commands {
    command: String,
    running: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    groups: Vec<Pid>,
    aborted: bool,
    /// Made for the first one.
    abort: Option<Abort>,
}

/// An upload that a command reads. If it goes away unfinished, the command is stopped.
#[derive(Debug)]
struct Feeding(Sender<Order>);

#[derive(Debug)]
enum Order {
    Give(Vec<Bytes>, Reply),
    Finish(Reply),
}

impl Commands {
    pub(super) fn new(command: &str) -> Self {
        Self { command: command.to_owned(), running: Arc::default() }
    }

    fn start(&self, delivery: &Delivery) -> io::Result<(Child, Pipe)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&write, fcntl_getfl(&write)? | OFlags::NONBLOCK)?;
        let mut running = lock(&self.running);
        if running.aborted {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let abort = match &running.abort {
            Some(abort) => abort.clone(),
            None => running.abort.insert(Abort::new()?).clone(),
        };
        let mut command = Command::new("/bin/sh");
        // A group of its own, to be ended as a whole; and not with the server, when somebody types
        // ^C.
        command.arg("-c").arg(&self.command).stdin(Stdio::from(read)).process_group(0);
        for (name, value) in facts(delivery) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.spawn()?;
        running.groups.extend(group(&child));
        Ok((child, Pipe::new(write, abort)))
    }
}

impl UploadSink for Commands {
    fn take(&self, delivery: Delivery, reply: Reply) -> Box<dyn SinkWriter> {
        let (orders, received) = channel();
        let (running, path) = (self.running.clone(), delivery.url_path());
        // To start it takes a while, too.
        let (own, delivery) = (Self { command: self.command.clone(), running }, delivery);
        let work = move || match own.start(&delivery) {
            Ok((child, pipe)) => {
                let _admission = reply.permit();
                reply.done();
                feed(child, pipe, &received, &own.running, &path);
            }
            Err(error) => {
                let why = format!("the command cannot be started: {error}");
                reply.refuse(Status::INTERNAL_SERVER_ERROR, why);
            }
        };
        // Without a thread, the reply is dropped, which tells of that.
        let _ = thread::Builder::new().name("command".into()).spawn(work);
        Box::new(Feeding(orders))
    }

    fn abort(&self) {
        let mut running = lock(&self.running);
        running.aborted = true;
        if let Some(abort) = &running.abort {
            abort.tell();
        }
        let groups = running.groups.clone();
        drop(running);
        for group in groups {
            end(group, &self.running);
        }
    }
}

impl SinkWriter for Feeding {
    fn give(&mut self, data: Vec<Bytes>, reply: Reply) {
        order(&self.0, Order::Give(data, reply));
    }

    fn finish(self: Box<Self>, reply: Reply) {
        order(&self.0, Order::Finish(reply));
    }
}

/// If the thread is gone, the reply is dropped, which tells of that.
fn order(orders: &Sender<Order>, order: Order) {
    let _ = orders.send(order);
}

/// What the thread of a command does, until the command has ended.
fn feed(
    mut child: Child,
    pipe: Pipe,
    orders: &Receiver<Order>,
    running: &Arc<Mutex<Running>>,
    path: &str,
) {
    let group = group(&child);
    let mut taken = 0;
    let finish = loop {
        match orders.recv() {
            Ok(Order::Give(data, reply)) => match pipe.write_all(&data) {
                Ok(()) => {
                    taken += data.iter().map(|piece| piece.len() as u64).sum::<u64>();
                    drop(data);
                    reply.done();
                }
                Err(error) => {
                    let why = if error.kind() == io::ErrorKind::BrokenPipe {
                        format!("the command read no more after about {taken} bytes")
                    } else {
                        format!("the command cannot be written to: {error}")
                    };
                    reply.refuse(Status::INTERNAL_SERVER_ERROR, why);
                    break None;
                }
            },
            Ok(Order::Finish(reply)) => break Some(reply),
            Err(_) => break None,
        }
    };
    if finish.is_none()
        && let Some(group) = group
    {
        // Before it sees the end of its input: a part must not pass for the whole.
        end(group, running);
    }
    let leftover = pipe.close();
    if let Some(group) = group {
        // As long as it is not reaped, no other process has its number.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(group), ended), Err(Errno::INTR)) {}
        lock(running).groups.retain(|other| *other != group);
    }
    let status = child.wait();
    match finish {
        Some(reply) => match judge(status, leftover) {
            Ok(()) => reply.done(),
            Err(why) => reply.refuse(Status::INTERNAL_SERVER_ERROR, why),
        },
        None => told(path, status),
    }
}

/// Whether a command that was given a whole upload did its work: it ended with status 0, and read
/// its input to the end.
fn judge(status: io::Result<ExitStatus>, leftover: io::Result<Leftover>) -> Result<(), String> {
    let status = status.map_err(|error| format!("the command is lost: {error}"))?;
    if !status.success() {
        return Err(format!("the command failed: {status}"));
    }
    match leftover.and_then(|leftover| leftover.unread()) {
        Ok(0) => Ok(()),
        Ok(bytes) => Err(format!("the command ended without reading the last {bytes} bytes")),
        Err(error) => Err(format!("what the command read cannot be told: {error}")),
    }
}

fn told(path: &str, status: io::Result<ExitStatus>) {
    match status {
        Ok(status) => tracing::info!(path, %status, "the command was stopped"),
        Err(error) => tracing::warn!(path, %error, "the command is lost"),
    }
}

/// Ends a command and what it has started, politely first.
fn end(group: Pid, running: &Arc<Mutex<Running>>) {
    signal(group, Signal::TERM, running);
    let later = running.clone();
    let killer = move || {
        thread::sleep(PATIENCE);
        signal(group, Signal::KILL, &later);
    };
    if thread::Builder::new().name("killer".into()).spawn(killer).is_err() {
        signal(group, Signal::KILL, running);
    }
}

fn signal(group: Pid, signal: Signal, running: &Mutex<Running>) {
    let running = lock(running);
    if running.groups.contains(&group) {
        // It may have ended by itself.
        let _ = kill_process_group(group, signal);
    }
}

/// What the command is told of the upload.
fn facts(delivery: &Delivery) -> [(&'static str, Option<String>); 7] {
    [
        ("HTTPOUT_METHOD", Some(delivery.method.to_string())),
        ("HTTPOUT_PATH", Some(delivery.path.as_str().to_owned())),
        ("HTTPOUT_QUERY", delivery.query.clone()),
        ("HTTPOUT_CONTENT_TYPE", delivery.media_type.clone()),
        ("HTTPOUT_CONTENT_LENGTH", delivery.len.map(|len| len.to_string())),
        ("HTTPOUT_CLIENT", delivery.client.address.map(|address| address.to_string())),
        (
            "HTTPOUT_USER",
            delivery.user.as_ref().or(delivery.client.user.as_ref()).map(|user| user.to_string()),
        ),
    ]
}

fn group(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}
