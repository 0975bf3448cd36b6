//! Every bound of a connection, in one place.

use std::time::Duration;

/// Bounds of a connection: how large, how many, how long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Methods that the server does not understand are read as others are, for a hook to answer;
    /// otherwise: 501. A site with a [hook](crate::Config::hook) sets it.
    pub other_methods: bool,
    /// Longest request line in bytes, without its CRLF; beyond: 414. RFC 9112 §3 asks for 8000 at
    /// least.
    pub request_line: usize,
    /// Longest field line in bytes, without its CRLF; beyond: 431.
    pub field_line: usize,
    /// Largest head in bytes, field lines together; beyond: 431.
    pub head: usize,
    /// Most field lines; beyond: 431. At most [`Limits::MOST_FIELDS`].
    pub fields: usize,
    /// Most bytes of extensions of one chunk, and of all chunks together beside one byte for every
    /// eight of content; beyond: 400.
    pub chunk_extensions: usize,
    /// Largest trailer section in bytes; beyond: 400.
    pub trailers: usize,
    /// Most trailer lines; beyond: 400.
    pub trailer_fields: usize,
    /// Largest upload in bytes (`maxs`); beyond: 413. `None`: no limit.
    pub upload: Option<u64>,
    /// Most ranges of one request; beyond: the ranges are ignored.
    pub ranges: usize,
    /// From the first byte of a head to its last; beyond: 408.
    pub head_time: Duration,
    /// How long a kept connection may rest (`timeout`); beyond: closed. `None`: for ever.
    pub idle_time: Option<Duration>,
    /// Between two reads of a body, and the start of the allowance of [`Limits::body_rate`];
    /// beyond: 408.
    pub body_time: Duration,
    /// Slowest body in bytes per second, over all of it; 0: any. Only time spent waiting for the
    /// peer counts.
    pub body_rate: u64,
    /// How long a peer may take no byte; beyond: cut.
    pub send_time: Duration,
    /// How long a peer that sends no more (it closed, or half-closed) is waited for while there is
    /// nothing to be sent to it; beyond: closed. Also how often its closing is looked for while its
    /// bytes are not read.
    pub half_closed_time: Duration,
    /// How many bytes of a body that the server does not want are read and dropped so that the
    /// connection can be kept. An encoder's next uploads may stand right behind such a body.
    /// Beyond: the connection closes.
    pub unwanted_body: u64,
    /// How long a connection is read on after its last answer, at most. A client that is still
    /// sending would lose that answer to a reset.
    pub linger_time: Duration,
    /// How long a connection is read on after its last answer while nothing comes.
    pub linger_pause: Duration,
    /// How many bytes are read and dropped after the last answer, at most.
    pub linger_bytes: u64,
    /// Requests on one connection; the last one is answered with `Connection: close`. A connection
    /// that carries uploads is never closed for this. 0: any number.
    pub requests: u32,
    /// Age after which the next answer says `Connection: close`. A connection that carries uploads
    /// is never closed for this. `None`: any.
    pub age: Option<Duration>,
    /// Consecutive answers of 400 and above after which a connection is closed
    /// (`max_client_errors`); 0: any. The last answer says so. What the peer has sent by then is
    /// answered first, up to as many errors again.
    pub client_errors: u32,
    /// How long the answer to a wrong password takes, so that it cannot be guessed by trying.
    pub wrong_password_time: Duration,
    /// How long a hook may take for its verdict (503), for a piece of its answer (the connection is
    /// cut), and to allow a piece (it is sent).
    pub hook_time: Duration,
    /// Most entries of a listing; the rest is left out, and the listing says so.
    pub listed: usize,
    /// How long an upload that is handed on waits for a consumer; beyond: 503.
    pub take_time: Duration,
    /// Bytes of an upload that may wait to be written before reading stops.
    pub upload_window: u64,
    /// Bytes of pipelined requests that are held while one is answered.
    pub pipelined: usize,
    /// Of a client: from the last byte of a request to the head of its answer, and from there to
    /// its end.
    pub answer_time: Duration,
    /// Of a client: how long `100 Continue` is waited for before the body is sent without.
    pub continue_time: Duration,
    /// Of a client: how long a connection may take to be made, with its TLS handshake.
    pub dial_time: Duration,
}

impl Limits {
    /// The most that [`Limits::fields`] can be.
    pub const MOST_FIELDS: usize = 100;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            other_methods: false,
            request_line: 16 << 10,
            field_line: 16 << 10,
            head: 32 << 10,
            fields: Self::MOST_FIELDS,
            chunk_extensions: 16 << 10,
            trailers: 8 << 10,
            trailer_fields: 32,
            upload: None,
            ranges: 128,
            head_time: Duration::from_secs(10),
            idle_time: Some(Duration::from_secs(30)),
            body_time: Duration::from_secs(30),
            body_rate: 0,
            send_time: Duration::from_secs(30),
            half_closed_time: Duration::from_secs(2),
            unwanted_body: 16 << 20,
            linger_time: Duration::from_secs(30),
            linger_pause: Duration::from_secs(5),
            linger_bytes: 1 << 30,
            requests: 10_000,
            age: Some(Duration::from_secs(3600)),
            client_errors: 20,
            wrong_password_time: Duration::from_secs(1),
            hook_time: Duration::from_secs(30),
            listed: 200_000,
            take_time: Duration::from_secs(30),
            upload_window: 1 << 20,
            pipelined: 64 << 10,
            answer_time: Duration::from_secs(60),
            continue_time: Duration::from_secs(1),
            dial_time: Duration::from_secs(10),
        }
    }
}
