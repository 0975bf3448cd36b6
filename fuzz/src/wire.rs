//! Drives `http1::Server` with given bytes, and tells what it made of them.

use std::{
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use bytes::Bytes;
use httpout_proto::{
    Limits, Now, PeerError, Step,
    http::{Piece, RequestHead, ResponseHead, Status},
    http1::Server,
    wire::{Event, Responder},
};

/// What a server heard. Pieces of a body that follow each other are one, so that it can be compared
/// however the input was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Request(Box<RequestHead>),
    Refused(PeerError),
    Data(Vec<u8>),
    End,
    Aborted(PeerError),
}

/// When requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// At their heads: their bodies are dropped, or the connection closes.
    AtOnce,
    /// At their ends; they are granted so many bytes at a time.
    AtEnd(u64),
}

/// What was heard, and what was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Talk {
    pub(crate) heard: Vec<Heard>,
    pub(crate) said: Vec<u8>,
}

/// Gives a server these pieces and then the end.
pub(crate) fn talk(pieces: Vec<Bytes>, limits: &Arc<Limits>, answer: Answer) -> Talk {
    let mono = Instant::now();
    let wall = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let mut talker = Talker {
        server: Server::new(limits.clone()),
        now: Now { mono, wall },
        answer,
        due: None,
        talk: Talk { heard: Vec::new(), said: Vec::new() },
    };
    for piece in pieces {
        talker.server.handle_data(piece);
        talker.drain();
    }
    talker.server.handle_eof();
    assert!(talker.drain(), "every request is answered and the peer is gone, but it goes on");
    assert!(talker.drain(), "it was over, and is no more");
    assert!(talker.server.transmit().is_none(), "it is over, and something is to be sent");
    talker.talk
}

struct Talker {
    server: Server,
    now: Now,
    answer: Answer,
    due: Option<Responder>,
    talk: Talk,
}

impl Talker {
    /// Goes on until nothing is left to do. True if the connection is over.
    fn drain(&mut self) -> bool {
        loop {
            let wait = match self.server.poll(self.now) {
                Step::Do(event) => {
                    self.handle(event);
                    continue;
                }
                Step::Wait(wait) => wait,
                Step::Closed(_) => return true,
            };
            assert_eq!(wait.write, self.server.transmit().is_some());
            if let Some((deadline, timer)) = wait.deadline {
                assert!(deadline > self.now.mono, "the {timer} deadline has passed");
            }
            assert!(wait.deadline.is_some() || self.due.is_some(), "it waits for ever");
            let Some(what) = self.server.transmit() else { return false };
            let before = self.talk.said.len();
            for piece in what {
                let Piece::Bytes(bytes) = piece else { panic!("no file was given") };
                assert!(!bytes.is_empty());
                self.talk.said.extend_from_slice(bytes);
            }
            self.server.handle_sent((self.talk.said.len() - before) as u64);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Request { head, responder: exchange } => {
                assert!(self.due.is_none(), "a request before the last one is answered");
                let body = head.body;
                self.talk.heard.push(Heard::Request(head));
                let id = exchange.id();
                self.due = Some(exchange);
                match self.answer {
                    Answer::AtOnce => self.respond(Status::OK),
                    Answer::AtEnd(_) if body == httpout_proto::http::BodySize::Empty => {
                        self.respond(Status::OK);
                    }
                    Answer::AtEnd(bytes) => self.server.grant(id, bytes),
                }
            }
            Event::Refused { why, responder: exchange, .. } => {
                assert!(self.due.is_none(), "a refusal before the last request is answered");
                self.talk.heard.push(Heard::Refused(why));
                self.due = Some(exchange);
                self.respond(why.status().unwrap_or(Status::BAD_REQUEST));
            }
            Event::Data { id, data } => {
                assert!(!data.is_empty());
                let Answer::AtEnd(bytes) = self.answer else { panic!("nothing was granted") };
                assert!(data.len() as u64 <= bytes, "more than was granted");
                match self.talk.heard.last_mut() {
                    Some(Heard::Data(before)) => before.extend_from_slice(&data),
                    _ => self.talk.heard.push(Heard::Data(data.to_vec())),
                }
                self.server.grant(id, bytes);
            }
            Event::End { .. } => {
                self.talk.heard.push(Heard::End);
                self.respond(Status::OK);
            }
            Event::Aborted { why, .. } => {
                self.talk.heard.push(Heard::Aborted(why));
                self.respond(why.status().unwrap_or(Status::BAD_REQUEST));
            }
            Event::Writable { .. } => panic!("no body goes on"),
            // Whether these come depends on what has come by then.
            Event::Sent { .. } | Event::Recheck { .. } | Event::ShutdownWrite => {}
        }
    }

    fn respond(&mut self, status: Status) {
        if let Some(exchange) = self.due.take() {
            self.server.respond(exchange, &ResponseHead::new(status), Vec::new(), self.now);
        }
    }
}
