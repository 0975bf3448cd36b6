//! Bytes as answers: the same however they are cut, and what is accepted is what httparse reads.

use std::{
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use bytes::Bytes;
use httpout_proto::{
    Limits, Now, PeerError, Step,
    http::{BodySize, Method, Part, RequestBuilder, Version},
    http1::{Client, ClientEvent, Response},
};

use crate::cuts;

/// One input: an answer, interim ones before it, whatever comes behind it, and where to cut.
pub fn run(data: &[u8]) {
    let (data, places) = cuts::take(data);
    let mut small = Limits::default();
    (small.request_line, small.field_line, small.head, small.fields) = (40, 30, 90, 4);
    (small.linger_bytes, small.trailers, small.chunk_extensions) = (20, 20, 10);
    for limits in [Arc::new(Limits::default()), Arc::new(small)] {
        for method in [Method::Put, Method::Head] {
            let mut talks = cuts::manners(data, &places)
                .into_iter()
                .map(|pieces| listen(pieces, &limits, method));
            let Some(whole) = talks.next() else { continue };
            for talk in talks {
                assert_eq!(whole, talk, "cut, it means something else");
            }
            if let Some(answer) = &whole.answer {
                compare(data, answer);
            }
        }
    }
}

/// What a client made of it.
#[derive(Debug, PartialEq)]
struct Heard {
    answer: Option<Box<Response>>,
    body: Vec<u8>,
    done: bool,
    end: Option<PeerError>,
}

/// Makes a request, and gives these pieces and then the end.
fn listen(pieces: Vec<Bytes>, limits: &Arc<Limits>, method: Method) -> Heard {
    let now = Now { mono: Instant::now(), wall: UNIX_EPOCH + Duration::from_secs(1_000_000_000) };
    let mut client = Client::new(limits.clone());
    let request = RequestBuilder::new(method, "/a", "h").expect("a request");
    let body = if method == Method::Head { BodySize::Empty } else { BodySize::Known(3) };
    assert!(client.request(&request, body));
    client.push(Part::Bytes(Bytes::from_static(b"abc")));
    client.handle_sent(client.backlog());
    let mut heard = Heard { answer: None, body: Vec::new(), done: false, end: None };
    let mut over = drain(&mut client, now, &mut heard);
    for piece in pieces {
        client.handle_data(piece);
        over = drain(&mut client, now, &mut heard);
    }
    client.handle_eof();
    assert!(drain(&mut client, now, &mut heard) || over, "the server is gone, but it goes on");
    assert!(client.transmit().is_none(), "it is over, and something is to be sent");
    assert!(!client.request(&request, body), "it is over, and takes a request");
    heard
}

/// Goes on until nothing is left to do. True if the connection is over.
fn drain(client: &mut Client, now: Now, heard: &mut Heard) -> bool {
    loop {
        match client.poll(now) {
            Step::Do(ClientEvent::Response(answer)) => {
                assert!(heard.answer.is_none() && answer.status.code() >= 200);
                heard.answer = Some(answer);
            }
            Step::Do(ClientEvent::Data(data)) => {
                assert!(heard.answer.is_some() && !heard.done && !data.is_empty());
                heard.body.extend_from_slice(&data);
            }
            Step::Do(ClientEvent::Done { sent }) => {
                assert!(sent && heard.answer.is_some() && !heard.done);
                heard.done = true;
            }
            Step::Do(ClientEvent::Recheck) => panic!("no deadline has passed"),
            Step::Do(ClientEvent::Continue { .. }) => panic!("nobody waits for that"),
            Step::Wait(wait) => {
                assert!(!wait.write);
                let (deadline, _) = wait.deadline.expect("it waits for ever");
                assert!(deadline > now.mono);
                return false;
            }
            Step::Closed(closed) => {
                heard.end = closed.why;
                return true;
            }
        }
    }
}

/// Compares the final head with what httparse reads.
fn compare(mut data: &[u8], answer: &Response) {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; Limits::MOST_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let end = match response.parse(data) {
            Ok(httparse::Status::Complete(end)) => end,
            // It knows 1.0 and 1.1 alone.
            Err(httparse::Error::Version) => return,
            other => panic!("httparse says {other:?}, but accepted is {answer:?}"),
        };
        if response.code.is_some_and(|code| code < 200) {
            data = &data[end..];
            continue;
        }
        assert_eq!(response.code, Some(answer.status.code()));
        let minor = u8::from(answer.version > Version::Http10);
        assert_eq!(response.version, Some(minor));
        let theirs: Vec<_> =
            response.headers.iter().map(|field| (field.name, field.value)).collect();
        let ours: Vec<_> = answer.fields.iter().collect();
        assert_eq!(ours, theirs);
        return;
    }
}
