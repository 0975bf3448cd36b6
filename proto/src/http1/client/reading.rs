//! The reading half: answers and their bodies, taken out of what was received.

use std::collections::VecDeque;

use super::{Client, ClientEvent, Reading, Writing};
use crate::{
    error::PeerError,
    http::{BodySize, Status},
    http1::{
        chunked::Decoded,
        reader::Body,
        response::{Framing, ReceivedResponse, ResponseReader},
    },
    time::Timer,
};

/// Most interim answers to one request.
const MOST_INTERIM: u32 = 100;

impl Client {
    /// True if something changed.
    pub(super) fn step_reading(&mut self) -> bool {
        let Some(mut data) = self.inbox.pop_front() else {
            self.inbox = VecDeque::new();
            return self.step_without_data();
        };
        match &mut self.reading {
            // No request is open: mostly the 408 of a server that closes a kept connection.
            Reading::Resting => self.cut(None),
            Reading::Head(reader) => {
                self.heard = true;
                match reader.read(&mut data, &self.limits) {
                    Ok(Some(response)) => self.begin(response),
                    Ok(None) => {}
                    Err(why) => self.cut(Some(why)),
                }
            }
            Reading::Body(body) => {
                body.credit = u64::MAX;
                match body.decode(&mut data, &self.limits) {
                    Ok(decoded) => self.decoded(decoded),
                    Err(why) => self.cut(Some(why)),
                }
            }
            Reading::Whole => {
                data.clear();
                self.keep = false;
            }
        }
        if !data.is_empty() {
            self.inbox.push_front(data);
        }
        true
    }

    /// The inbox is empty.
    fn step_without_data(&mut self) -> bool {
        if let Reading::Body(body) = &self.reading
            && body.left() == Some(0)
        {
            self.decoded(Decoded::End);
            return true;
        }
        let over = self.unsendable.is_some() && self.writing == Writing::Resting;
        if !self.eof && !over {
            return false;
        }
        match (&self.reading, self.writing) {
            (Reading::Resting, _) => self.cut(None),
            (Reading::Body(body), _) if body.is_until_close() && self.unsendable.is_none() => {
                self.decoded(Decoded::End);
            }
            (Reading::Whole, Writing::Flushing | Writing::Done | Writing::Stopped)
                if self.queue.is_empty() =>
            {
                return false;
            }
            (Reading::Head(_) | Reading::Body(_) | Reading::Whole, _) => {
                let why = self.unsendable.map_or(PeerError::Truncated, PeerError::Broken);
                self.cut(Some(why));
            }
        }
        true
    }

    fn begin(&mut self, response: ReceivedResponse) {
        self.alarms.stop(Timer::Answer);
        let ReceivedResponse { mut head, mut framing, keep_alive } = response;
        if head.status.code() < 200 {
            self.begin_interim(head.status);
            return;
        }
        if self.head {
            (head.body, framing) = (BodySize::Empty, Framing::None);
        }
        self.keep &= keep_alive && framing != Framing::Close;
        self.reading = Body::of_response(framing).map_or(Reading::Whole, Reading::Body);
        if !head.status.is_success() {
            if self.writing != Writing::Done {
                self.stop_sending();
            }
        } else if let Writing::Expecting(framing) = self.writing {
            // A server that answers before it has seen the body may still want it.
            self.writing = Writing::Live(framing);
            self.events.push_back(ClientEvent::Continue { asked: false });
        }
        self.events.push_back(ClientEvent::Response(Box::new(head)));
    }

    /// RFC 9110 §15.2: interim answers are skipped, but for the one that is waited for.
    fn begin_interim(&mut self, status: Status) {
        self.interim += 1;
        if status.code() == 101 {
            self.cut(Some(PeerError::Malformed("the server changes to a protocol unasked")));
        } else if self.interim > MOST_INTERIM {
            self.cut(Some(PeerError::Malformed("too many interim answers")));
        } else {
            self.reading = Reading::Head(ResponseReader::default());
            if let (Status::CONTINUE, Writing::Expecting(framing)) = (status, self.writing) {
                self.writing = Writing::Live(framing);
                self.events.push_back(ClientEvent::Continue { asked: true });
            }
        }
    }

    fn decoded(&mut self, decoded: Decoded) {
        match decoded {
            Decoded::More => {}
            Decoded::Data(mut data) => {
                let most = self.limits.unwanted_body - self.received;
                if data.len() as u64 > most {
                    self.keep = false;
                    self.reading = Reading::Whole;
                    data.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                }
                self.received += data.len() as u64;
                if !data.is_empty() {
                    self.events.push_back(ClientEvent::Data(data));
                }
            }
            Decoded::End => self.reading = Reading::Whole,
        }
    }
}
