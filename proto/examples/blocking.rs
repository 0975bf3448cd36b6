//! A media server on the standard library alone: what a runtime has to do for a `Session`. The
//! effects on files are in `blocking/disk.rs`, what connections have to tell each other in
//! `blocking/uploads.rs`.
//!
//! ```text
//! cargo run -p httpout-proto --example blocking -- DIR [PORT]
//! curl -T film.mp4 http://127.0.0.1:PORT/film.mp4         # and, while that goes on:
//! curl http://127.0.0.1:PORT/film.mp4 | mpv -
//! ```
//!
//! A connection must wait for its socket and for news of other connections' uploads at once. Here
//! it has two threads for that: one does nothing but read the socket, when it is told to, and puts
//! what it got into the connection's mailbox; the other one drives the session and sleeps at the
//! mailbox. Nothing is polled, and no call is needed that the standard library lacks.
//!
//! It is made to be read. For production there are `httpout-tokio` and `httpout-smol`: they resolve
//! paths with `openat2`, so that no symbolic link leads out of the directory (here one does), send
//! files without copying them, keep to one thread, and sweep away what a crash left behind.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the side that does I/O"
)]

#[path = "blocking/disk.rs"]
mod disk;
#[path = "blocking/uploads.rs"]
mod uploads;

use std::{
    collections::HashMap,
    env,
    fs::File,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use disk::{Commit, Disk};
use httpout_proto::effect::{
    AdminEffect, AuthEffect, ConnectionEffect, DeliveryEffect, FsEffect, HookEffect, LiveEffect,
    LogEffect,
};
use httpout_proto::{
    Done, Effect, FileId, Now, OpId, Session, Site, Step, Wait,
    http::{Piece, Transmit},
    live::{FeedId, Growth},
    site::Config,
};
use uploads::{Follower, Uploads};

const MOST_CONNECTIONS: usize = 256;
const BLOCK: usize = 64 << 10;

fn main() -> io::Result<()> {
    let mut args = env::args_os().skip(1);
    let dir = args.next().ok_or_else(|| io::Error::other("usage: blocking DIR [PORT]"))?;
    let port = args.next().and_then(|port| port.to_str()?.parse().ok()).unwrap_or(0);

    let mut config = Config::default();
    config.read_dirs = vec![dir.clone().into()];
    config.write_dir = Some(dir.into());
    let site = config.check().map_err(io::Error::other)?;
    let disk = Disk::new(site.roots());
    let server = Arc::new(Server { site, disk, uploads: Uploads::default() });

    let listener = TcpListener::bind(("127.0.0.1", port))?;
    writeln!(io::stdout(), "http://{}/", listener.local_addr()?)?;
    loop {
        let (Ok((socket, _)), server) = (listener.accept(), server.clone()) else {
            // Out of file descriptors, most likely: some will be free in a moment.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        // Where no thread can be had the socket is dropped, which closes it.
        let _ = thread::Builder::new().spawn(move || serve(socket, server));
    }
}

/// What all connections share.
struct Server {
    site: Arc<Site>,
    disk: Disk,
    uploads: Uploads,
}

/// What wakes a connection.
enum Mail {
    /// From its own socket; empty at the end.
    Received(io::Result<Bytes>),
    /// The upload that it waited for has begun.
    Begun(OpId, FeedId, Arc<File>, Growth),
    /// The upload that it follows went on.
    Growth(OpId, Growth),
}

// ---- a connection ----

struct Connection {
    id: u64,
    server: Arc<Server>,
    session: Session,
    socket: Arc<TcpStream>,
    mailbox: Receiver<Mail>,
    /// For those who are to write to the mailbox.
    address: Sender<Mail>,
    /// Lets the other thread read once.
    permits: Sender<()>,
    /// It was let, and has not answered yet.
    reading: bool,
    files: HashMap<FileId, Opened>,
    /// Own uploads, by their part files.
    feeds: HashMap<FileId, FeedId>,
    followings: HashMap<OpId, Following>,
}

struct Opened {
    file: Arc<File>,
    /// Of a part file, its path.
    part: Option<PathBuf>,
}

enum Following {
    Feed(FeedId),
    Waiting(PathBuf, FileId),
}

/// The life of a connection.
fn serve(socket: TcpStream, server: Arc<Server>) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    socket.set_nodelay(true)?;
    // A peer that takes nothing holds a write up no longer than this: then the session's deadlines
    // have their turn.
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    let socket = Arc::new(socket);
    let (address, mailbox) = mpsc::channel();
    let (permits, permitted) = mpsc::channel();
    let reader = (socket.clone(), address.clone());
    thread::Builder::new().spawn(move || read(&reader.0, &permitted, &reader.1))?;

    // Each connection, and the listener, holds the server once.
    let crowded = Arc::strong_count(&server) > MOST_CONNECTIONS + 1;
    let new = if crowded { Session::overloaded } else { Session::new };
    let mut connection = Connection {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        session: new(server.site.clone()),
        server,
        socket,
        mailbox,
        address,
        permits,
        reading: false,
        files: HashMap::new(),
        feeds: HashMap::new(),
        followings: HashMap::new(),
    };
    connection.drive();
    // This also wakes the other thread, if it still reads. (`Closed::reset` asks for a reset
    // instead, where an answer to HTTP/1.0 was cut short; the standard library has no call for
    // that.)
    connection.socket.shutdown(Shutdown::Both)
}

/// The thread that reads: as often as it is let, until the connection is gone.
fn read(mut socket: &TcpStream, permitted: &Receiver<()>, mailbox: &Sender<Mail>) {
    let mut buffer = vec![0; BLOCK];
    for () in permitted {
        let received = socket.read(&mut buffer).map(|len| Bytes::copy_from_slice(&buffer[..len]));
        if mailbox.send(Mail::Received(received)).is_err() {
            return;
        }
    }
}

impl Connection {
    /// The loop of the crate's front page.
    fn drive(&mut self) {
        loop {
            let now = Now { mono: Instant::now(), wall: SystemTime::now() };
            let wait = match self.session.poll(now) {
                Step::Do(effect) => {
                    self.run(effect);
                    continue;
                }
                Step::Wait(wait) => wait,
                Step::Closed(_) => return,
            };
            // Where `read` is false nobody reads, so the kernel's buffer fills and the peer has to
            // wait.
            if wait.read && !self.reading {
                self.reading = self.permits.send(()).is_ok();
            }
            if let Some(what) = self.session.transmit() {
                match self.block(what).map(|block| (&*self.socket).write(&block)) {
                    Ok(Ok(sent)) => {
                        self.session.handle_sent(sent as u64);
                        continue;
                    }
                    Ok(Err(error)) if is_temporary(&error) => {}
                    Ok(Err(error)) => self.session.handle_unsendable(error.kind()),
                    // A file cannot be read, or is shorter than its answer says: that answer cannot
                    // be mended.
                    Err(error) => self.session.abort(error.kind()),
                }
            }
            self.sleep(wait);
        }
    }

    /// The front of what is ready to be sent.
    fn block(&self, what: Transmit<'_>) -> io::Result<Vec<u8>> {
        let mut block = Vec::with_capacity(BLOCK);
        for piece in what {
            let room = BLOCK - block.len();
            match piece {
                Piece::Bytes(bytes) => block.extend_from_slice(&bytes[..bytes.len().min(room)]),
                Piece::File { file, at, len } => {
                    let start = block.len();
                    block.resize(start + room.min(usize::try_from(len).unwrap_or(room)), 0);
                    self.file(file)?.file.read_exact_at(&mut block[start..], at)?;
                }
            }
            if block.len() == BLOCK {
                break;
            }
        }
        Ok(block)
    }

    /// Sleeps until there is mail, or until the deadline.
    fn sleep(&mut self, wait: Wait) {
        let patience = match wait.deadline {
            // Writing was tried, which took its time.
            _ if wait.write => Duration::ZERO,
            Some((deadline, _)) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        // An error is the end of patience: the mailbox's address is held here.
        let Ok(mail) = self.mailbox.recv_timeout(patience) else { return };
        match mail {
            Mail::Received(received) => {
                self.reading = false;
                match received {
                    Ok(data) if data.is_empty() => self.session.handle_eof(),
                    Ok(data) => self.session.handle_data(data),
                    Err(error) if is_temporary(&error) => {}
                    Err(error) => self.session.handle_broken(error.kind()),
                }
            }
            Mail::Begun(op, feed, file, growth) => {
                // If it is no longer waited for, there is nobody to take the file.
                if let Some(&Following::Waiting(_, id)) = self.followings.get(&op) {
                    self.following(op, id, feed, file, growth);
                }
            }
            Mail::Growth(op, growth) => self.session.handle_growth(op, growth),
        }
    }

    /// Does what the session asks for. Here all is done at once; answers may also come later, in
    /// any order.
    fn run(&mut self, effect: Effect) {
        let disk = &self.server.disk;
        let (op, result) = match effect {
            Effect::Fs(_, FsEffect::Open { op, file, place }) => {
                (op, self.open(file, &disk.path(&place)))
            }
            Effect::Fs(_, FsEffect::Stat { op, place }) => {
                (op, disk::look(&disk.path(&place)).map(Done::Stat))
            }
            // The announced length is for those who can reserve room, the media type for those who
            // can keep it.
            Effect::Fs(_, FsEffect::Create { op, file, place, len: _, media_type: _ }) => {
                (op, self.create(file, &disk.path(&place)))
            }
            Effect::Fs(_, FsEffect::MediaType { op, .. }) => (op, Ok(Done::MediaType(None))),
            Effect::Fs(_, FsEffect::Write { op, file, at, data }) => {
                (op, self.write(file, at, &data))
            }
            Effect::Fs(_, FsEffect::Commit { op, file, place, expect, durable }) => {
                let target = disk.path(&place);
                (op, self.commit(file, &Commit { target, expect, durable, patches: None }))
            }
            Effect::Fs(
                _,
                FsEffect::CommitPatches { op, file, place, expect, durable, create, patches },
            ) => {
                let (target, patches) = (disk.path(&place), Some((&patches[..], create)));
                (op, self.commit(file, &Commit { target, expect, durable, patches }))
            }
            Effect::Fs(_, FsEffect::Remove { op, place, expect }) => {
                (op, disk.remove(&disk.path(&place), expect))
            }
            Effect::Fs(_, FsEffect::Close { file }) => return self.close(file),
            Effect::Live(_, LiveEffect::Announce { file, place, len }) => {
                return self.announce(file, disk.path(&place), len);
            }
            Effect::Live(_, LiveEffect::Grown { file, len }) => {
                if let Some(&feed) = self.feeds.get(&file) {
                    self.server.uploads.grown(feed, len);
                }
                return;
            }
            Effect::Live(_, LiveEffect::Ended { file, complete }) => {
                if let Some(feed) = self.feeds.remove(&file) {
                    self.server.uploads.ended(feed, complete);
                }
                return;
            }
            Effect::Live(_, LiveEffect::Follow { op, file, place, wait }) => {
                return self.follow(op, file, disk.path(&place), wait);
            }
            Effect::Live(_, LiveEffect::Unfollow { op }) => return self.unfollow(op),
            // What is declined here is not needed without rules, listing and live inputs; a text is
            // then sent as it is.
            Effect::Fs(_, FsEffect::Locate { op, .. })
            | Effect::Auth(_, AuthEffect::Verify { op, .. })
            | Effect::Fs(_, FsEffect::List { op, .. })
            | Effect::Fs(_, FsEffect::Encode { op, .. })
            | Effect::Live(_, LiveEffect::Listen { op, .. })
            | Effect::Live(_, LiveEffect::Take { op, .. })
            | Effect::Live(_, LiveEffect::Publish { op, .. })
            | Effect::Live(_, LiveEffect::PublishGroup { op, .. })
            | Effect::Live(_, LiveEffect::SetTitle { op, .. })
            | Effect::Delivery(_, DeliveryEffect::Begin { op, .. })
            | Effect::Delivery(_, DeliveryEffect::Data { op, .. })
            | Effect::Delivery(_, DeliveryEffect::End { op, .. })
            | Effect::Hook(_, HookEffect::Ask { op, .. })
            | Effect::Hook(_, HookEffect::Pull { op, .. })
            | Effect::Hook(_, HookEffect::Pace { op, .. })
            | Effect::Admin(_, AdminEffect::Metrics { op })
            | Effect::Admin(_, AdminEffect::Health { op }) => {
                (op, Err(io::ErrorKind::Unsupported.into()))
            }
            Effect::Live(_, LiveEffect::Leave { .. })
            | Effect::Live(_, LiveEffect::Unpublish { .. })
            | Effect::Delivery(_, DeliveryEffect::Abort { .. })
            | Effect::Hook(_, HookEffect::Dismiss { .. })
            | Effect::Log(_, LogEffect::Begun { .. })
            | Effect::Connection(ConnectionEffect::Recheck { .. })
            | Effect::Log(_, LogEffect::Over(_)) => return,
            Effect::Connection(ConnectionEffect::ShutdownWrite) => {
                // If it fails the peer is gone, which reading tells as well.
                let _ = self.socket.shutdown(Shutdown::Write);
                return;
            }
        };
        self.session.handle_done(op, result.map_err(|error| disk::fs_error(&error)));
    }

    // ---- files ----

    fn file(&self, id: FileId) -> io::Result<&Opened> {
        self.files.get(&id).ok_or_else(|| io::Error::other("no such file is open"))
    }

    fn open(&mut self, id: FileId, path: &Path) -> io::Result<Done> {
        let (file, meta) = disk::open(path)?;
        self.files.insert(id, Opened { file: Arc::new(file), part: None });
        Ok(Done::Opened(meta))
    }

    fn create(&mut self, id: FileId, target: &Path) -> io::Result<Done> {
        let (file, part) = self.server.disk.new_part(target)?;
        self.files.insert(id, Opened { file: Arc::new(file), part: Some(part) });
        Ok(Done::Ok)
    }

    fn write(&self, id: FileId, mut at: u64, data: &[Bytes]) -> io::Result<Done> {
        for piece in data {
            self.file(id)?.file.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        Ok(Done::Ok)
    }

    /// Takes the part file from the table, and puts it, or what it changes, in place of the target.
    fn commit(&mut self, id: FileId, commit: &Commit<'_>) -> io::Result<Done> {
        match self.files.remove(&id) {
            Some(Opened { file, part: Some(part) }) => {
                let done = self.server.disk.replace(&file, &part, commit);
                // It is still there if it was not renamed.
                self.server.disk.discard(&part);
                done
            }
            _ => Err(io::Error::other("no such part file is open")),
        }
    }

    fn close(&mut self, id: FileId) {
        if let Some(Opened { part: Some(part), .. }) = self.files.remove(&id) {
            self.server.disk.discard(&part);
        }
    }

    // ---- uploads that others follow ----

    fn announce(&mut self, id: FileId, target: PathBuf, len: Option<u64>) {
        if let Some(part) = self.files.get(&id) {
            self.feeds.insert(id, self.server.uploads.begin(target, &part.file, len));
        }
    }

    fn follow(&mut self, op: OpId, id: FileId, target: PathBuf, wait: bool) {
        let follower = Follower { connection: self.id, op, mailbox: self.address.clone() };
        if let Some((feed, file, growth)) = self.server.uploads.follow(&target, follower, wait) {
            self.following(op, id, feed, file, growth);
        } else if wait {
            self.followings.insert(op, Following::Waiting(target, id));
        } else {
            self.session.handle_done(op, Ok(Done::NotGrowing));
        }
    }

    fn following(&mut self, op: OpId, id: FileId, feed: FeedId, file: Arc<File>, growth: Growth) {
        self.files.insert(id, Opened { file, part: None });
        self.followings.insert(op, Following::Feed(feed));
        self.session.handle_done(op, Ok(Done::Following(growth)));
    }

    fn unfollow(&mut self, op: OpId) {
        let follower = Follower { connection: self.id, op, mailbox: self.address.clone() };
        match self.followings.remove(&op) {
            Some(Following::Feed(feed)) => self.server.uploads.unfollow(feed, &follower),
            Some(Following::Waiting(target, _)) => self.server.uploads.unwait(&target, &follower),
            None => {}
        }
    }
}

/// Nothing happened; to be tried again.
fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
