//! Fragmented MP4. `ftyp` and `moov` are a packet, and the tune-in data; then each `mdat` is one,
//! with its `moof` and what stands before that (`styp`, `sidx`, `emsg`, `prft`).

use bytes::Bytes;

use super::{
    Fault, Frames, LARGEST, Packet, Step, TuneIn,
    boxes::{Fragment, Movie},
    clock::Clock,
    search::looks_like,
};

const FRAGMENT: &str =
    "make it with ffmpeg's -movflags +frag_keyframe+empty_moov+default_base_moof";

/// What a stream may begin with.
const FIRST: [&[u8; 4]; 14] = [
    b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"mdat", b"free", b"skip", b"wide", b"uuid",
    b"pdin", b"emsg", b"prft", b"meta",
];

#[derive(Debug, Default)]
pub(super) struct Fmp4 {
    begun: bool,
    /// The next box begins here.
    at: usize,
    movie: Option<Movie>,
    /// A `moof` that waits for its `mdat`.
    fragment: Option<Fragment>,
    /// There was a fragment.
    fragments: bool,
    /// The packet to come is `moov`.
    header: bool,
    tune_in: Bytes,
    clock: Clock,
}

impl Frames for Fmp4 {
    fn next(&mut self, data: &[u8], last: bool) -> Result<Step, Fault> {
        loop {
            let at = self.at;
            let rest = data.get(at..).unwrap_or(&[]);
            let Some(head) = rest.first_chunk::<8>() else {
                // Whole boxes behind the last fragment, as mfra.
                let whole = last && rest.is_empty() && at > 0 && self.fragment.is_none();
                return Ok(if whole { self.cut(at) } else { Step::Need(at + 8) });
            };
            let &[a, b, c, d, ref name @ ..] = head;
            if !self.begun && !FIRST.contains(&name) {
                return Err(Fault::new(
                    format!("no MP4 box: {}", looks_like(data)),
                    "name its real format, or send it as application/octet-stream",
                ));
            }
            self.begun = true;
            let size = match u32::from_be_bytes([a, b, c, d]) {
                1 => match rest.get(8..).and_then(<[u8]>::first_chunk) {
                    Some(size) => u64::from_be_bytes(*size),
                    None => return Ok(Step::Need(at + 16)),
                },
                0 => {
                    return Err(Fault::new(
                        format!("the box {} has no size, so it would never end", Name(name)),
                        FRAGMENT,
                    ));
                }
                size => size.into(),
            };
            let head_len = if head[..4] == [0, 0, 0, 1] { 16 } else { 8 };
            self.check(name, size, head_len)?;
            if name == b"ftyp" && at > 0 {
                // A moof without its mdat is of no use.
                self.fragment = None;
                return Ok(self.cut(at));
            }
            let end = usize::try_from(size).ok().and_then(|size| at.checked_add(size));
            let Some(end) = end.filter(|&end| end <= LARGEST) else {
                return Err(Fault::too_large("a fragment"));
            };
            let Some(whole) = data.get(at..end) else { return Ok(Step::Need(end)) };
            let content = whole.get(head_len..).unwrap_or(&[]);
            self.at = end;
            match name {
                b"moov" => {
                    let movie = Movie::new(content);
                    if !movie.fragmented {
                        return Err(Fault::new("it is not fragmented", FRAGMENT));
                    }
                    self.clock.restart();
                    (self.movie, self.header, self.fragment) = (Some(movie), true, None);
                    return Ok(self.cut(end));
                }
                b"moof" => {
                    let fragment = self.movie.as_ref().map(|movie| movie.fragment(content));
                    if fragment.is_some_and(|fragment| fragment.absolute) {
                        return Err(Fault::new(
                            "its fragments count from the beginning of the file, so nobody could join later",
                            FRAGMENT,
                        ));
                    }
                    (self.fragment, self.fragments) = (fragment, true);
                }
                b"mdat" => return Ok(self.cut(end)),
                _ => {}
            }
        }
    }

    fn taken(&mut self, packet: &Packet) {
        if std::mem::take(&mut self.header) {
            self.tune_in = packet.data.clone();
        }
    }

    fn tune_in(&self) -> TuneIn {
        self.tune_in.clone().into()
    }
}

impl Fmp4 {
    fn cut(&mut self, len: usize) -> Step {
        self.at = 0;
        let content = self.fragment.is_some();
        let Fragment { random_access, time, .. } = self.fragment.take().unwrap_or_default();
        if let Some(time) = time {
            self.clock.at(time);
        }
        Step::Take { len, random_access, content, time: self.clock.now() }
    }

    /// Whether a box may come here.
    fn check(&self, name: &[u8; 4], size: u64, head_len: usize) -> Result<(), Fault> {
        if size < head_len as u64
            || !name.iter().all(|&byte| byte == 0xA9 || (b' '..=b'~').contains(&byte))
        {
            return Err(Fault::new(
                format!("{} is not an MP4 box of {size} bytes: the stream is damaged", Name(name)),
                "start it anew",
            ));
        }
        match name {
            b"mdat" if !self.fragments => Err(Fault::new("it is not fragmented", FRAGMENT)),
            b"moof" if self.movie.is_none() => Err(Fault::new(
                "there is a moof, but no moov before it",
                "send the initialization segment first",
            )),
            _ => Ok(()),
        }
    }
}

/// The name of a box, to show.
struct Name<'a>(&'a [u8; 4]);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
