//! Servers of live resources that a test feeds, and what it gets back.

use std::ops::Deref;
use std::path::Path;
use std::process::ChildStdin;
use std::{fs, io::Write};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::ioctl_fionread;

use crate::{Client, Kind, Request, Server, get, until};

/// A server that sends its standard input as `/live.bin`, or under another path.
#[derive(Debug)]
pub struct Fed {
    server: Server,
    input: Option<ChildStdin>,
    path: String,
}

impl Deref for Fed {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Fed {
    /// As `/live.bin`, which is cut into no packets but those that are written.
    #[track_caller]
    pub fn new(kind: Kind, args: &[&str]) -> Self {
        Self::at("/live.bin", kind, args)
    }

    /// Under this path.
    #[track_caller]
    pub fn at(path: &str, kind: Kind, args: &[&str]) -> Self {
        let url = format!("http://127.0.0.1{path}");
        let own = ["-i", "-", "-o", &url, "--maxc", "0", "--maxp", "0", "--admin", "127.0.0.1:0"];
        let (server, input) = Server::fed(kind, &[&own[..], args].concat());
        Self { server, input: Some(input), path: path.into() }
    }

    /// Writes to the server's standard input; returns when the server has taken it out of the pipe.
    #[track_caller]
    pub fn write(&mut self, data: impl AsRef<[u8]>) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(data.as_ref()).expect("the server reads its input");
        until("the server reads its input", || {
            (ioctl_fionread(&input).expect("a pipe has a length") == 0).then_some(())
        });
    }

    /// What the server has not read yet, in bytes.
    #[track_caller]
    pub fn unread(&self) -> u64 {
        let input = self.input.as_ref().expect("the input is open");
        ioctl_fionread(input).expect("a pipe has a length")
    }

    /// The pipe into the server, to be written to by another thread.
    pub fn take_input(&mut self) -> ChildStdin {
        self.input.take().expect("the input is open")
    }

    /// The input is over.
    pub fn end(&mut self) {
        self.input = None;
    }

    /// Begins to listen.
    #[track_caller]
    pub fn listen(&self) -> Client {
        self.listen_by(&get(&self.path))
    }

    /// Begins to listen with this request.
    #[track_caller]
    pub fn listen_by(&self, request: &Request) -> Client {
        let mut client = self.client();
        client.begin(request).status_is(200);
        client
    }

    /// Sends this, and waits until each of the listeners has it.
    #[track_caller]
    pub fn pass(&mut self, data: impl AsRef<[u8]>, to: &mut [Client]) {
        self.write(&data);
        for listener in to {
            assert_eq!(listener.content(data.as_ref().len()), data.as_ref());
        }
    }

    /// Waits until there is no live resource.
    #[track_caller]
    pub fn is_over(&self) {
        until("the live resource is over", || {
            (self.counter("httpout_live_resources") == 0).then_some(())
        });
    }

    /// Ends the server with SIGTERM; what it wrote to standard error.
    #[track_caller]
    pub fn stop(self) -> String {
        self.server.stop().stderr
    }

    /// Waits until the server ends by itself, with status 0.
    #[track_caller]
    pub fn quits(mut self) -> String {
        self.end();
        let exit = self.server.exit();
        assert_eq!(exit.code, Some(0), "{exit:?}");
        exit.stderr
    }
}

/// Makes a FIFO.
#[track_caller]
pub fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO can be made");
}

/// A stream of those that framing is tested with.
#[track_caller]
pub fn media(name: &str) -> Vec<u8> {
    let path = media_path(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Its path.
pub fn media_path(name: &str) -> String {
    format!("{}/../proto/tests/media/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Takes the metadata out of a stream with `icy-metaint`: the stream, and the metadata as text,
/// where there was any.
#[track_caller]
pub fn without_icy(interval: usize, mut bytes: &[u8]) -> (Vec<u8>, Vec<String>) {
    let (mut stream, mut told) = (Vec::new(), Vec::new());
    while bytes.len() > interval {
        let (data, rest) = bytes.split_at(interval);
        stream.extend_from_slice(data);
        let len = usize::from(rest[0]) * 16;
        let text = rest.get(1..=len).expect("metadata is whole");
        if len > 0 {
            told.push(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        }
        bytes = &rest[1 + len..];
    }
    stream.extend_from_slice(bytes);
    (stream, told)
}
