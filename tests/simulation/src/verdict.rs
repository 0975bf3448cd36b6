//! What happened, held against what was asked: every change of the disk, and every answer.

use httpout_proto::{
    FsError,
    effect::Verified,
    fs::{Meta, RelPath},
    semantics::{conditional::etag, media},
};

use crate::{
    client::{Asked, Time},
    expect::{self, Expected},
    hook::Says,
    link::End,
    listing::Listed,
    model::{Feed, Version, Who},
    packer::Packed,
    reply::Reply,
    request::{Coding, Condition, Form, Request, What},
    world::World,
};

/// What became of one request, as the disk saw it.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// It put something in place; true if there was nothing before.
    committed: Option<bool>,
    removed: bool,
    etag: String,
    /// What the session was told instead.
    pub(crate) errors: Vec<FsError>,
    /// When its place was asked for, and why that is not known.
    pub(crate) located: Option<Time>,
    pub(crate) lost: Option<FsError>,
    /// What came of its password.
    pub(crate) verified: Option<Result<Verified, FsError>>,
    pub(crate) listed: Option<Listed>,
    pub(crate) packed: Option<Packed>,
    /// What the hook said.
    pub(crate) hook: Option<Says>,
    /// What an operator is told.
    pub(crate) text: Option<String>,
}

impl World<'_> {
    // ---- changes ----

    pub(crate) fn note_begun(&mut self, who: Who, path: &RelPath, total: Option<u64>) {
        let request = &self.conns[who.0].client.asked[who.1].request;
        if let What::Put { body, .. } = &request.what {
            let media_type = told(path.as_str(), request.media_type, None);
            let feed = Feed { content: body.clone(), total, media_type };
            self.model.begun(path.as_str(), who, feed);
        }
    }

    pub(crate) fn note_committed(
        &mut self,
        who: Who,
        path: &RelPath,
        created: bool,
        meta: &Meta,
    ) -> Result<(), String> {
        let path = path.as_str();
        let old = self.model.current(path);
        let request = &self.conns[who.0].client.asked[who.1].request;
        let content = match &request.what {
            What::Put { body, .. } => Some(body.to_vec()),
            What::Fill { runs, body, form, .. } => {
                let create = created_by(runs, *form);
                let old =
                    old.as_ref().map(|old| old.content.clone()).or_else(|| create.then(Vec::new));
                old.and_then(|old| filled(old, runs, body))
            }
            What::Get { .. }
            | What::Delete { .. }
            | What::List { .. }
            | What::Options
            | What::Own
            | What::Wrong { .. } => None,
        };
        self.check_granted(who)?;
        let is = self.disk.file(path).map(|inode| inode.data().clone()).unwrap_or_default();
        if content.as_ref() != Some(&is) {
            return Err(format!("{who:?} put in place what it was not asked to: {request:?}"));
        }
        if !holds(request.condition(), old.as_deref()) {
            return Err(format!("{who:?} changed what its condition protects: {request:?}"));
        }
        if created != old.is_none() {
            return Err(format!("{who:?} created {created} what was there before or not"));
        }
        let record = self.records.entry(who).or_default();
        if record.committed.replace(created).is_some() {
            return Err(format!("{who:?} put in place twice"));
        }
        record.etag = etag(meta);
        let kept = old.filter(|_| !matches!(request.what, What::Put { .. }));
        let media_type = told(path, request.media_type, kept.map(|old| old.media_type.clone()));
        let version = Version { content: is, etag: etag(meta), media_type };
        self.model.shows(path, Some(version.into()), who);
        Ok(())
    }

    pub(crate) fn note_removed(&mut self, who: Who, path: &RelPath) -> Result<(), String> {
        let old = self.model.current(path.as_str());
        self.check_granted(who)?;
        let request = &self.conns[who.0].client.asked[who.1].request;
        if !holds(request.condition(), old.as_deref()) {
            return Err(format!("{who:?} removed what its condition protects: {request:?}"));
        }
        self.records.entry(who).or_default().removed = true;
        self.model.shows(path.as_str(), None, who);
        Ok(())
    }

    /// Nothing is changed for who may not.
    fn check_granted(&self, who: Who) -> Result<(), String> {
        let Some(right) = self.right(who) else { return Ok(()) };
        if self.records.get(&who).is_some_and(|record| record.is_granted(right)) {
            return Ok(());
        }
        Err(format!("{who:?} changed what it may not: {right:?}"))
    }

    // ---- answers ----

    /// The latest answer that the client of connection `c` has.
    pub(crate) fn judge(&mut self, c: usize) -> Result<(), String> {
        let conn = &self.conns[c];
        let k = conn.client.answered.len() - 1;
        let Some(asked) = conn.client.asked.get(k) else {
            let status = conn.client.answered[k].reply.status;
            return match status {
                503 if conn.client.turned_away && k == 0 => Ok(()),
                _ => Err(format!("[{c}] answers {status} to nothing")),
            };
        };
        let reply = &conn.client.answered[k].reply;
        let why = self.wrong_answer((c, k), asked, reply);
        let (tag, path) = (reply.field("etag").map(str::to_owned), asked.request.path.clone());
        if let Some(why) = why {
            let mut reply = reply.clone();
            let size = reply.body.len();
            reply.body.truncate(40);
            return Err(format!(
                "[{c}] request {k}: {why}\n  {:?}\n  {:?}\n  {reply:?} ({size} bytes of body)",
                String::from_utf8_lossy(&asked.wire[..asked.wire.len().min(300)]),
                self.records.get(&(c, k))
            ));
        }
        if let Some(tag) = tag {
            self.lore.tags.insert(path, tag);
        }
        Ok(())
    }

    fn wrong_answer(&self, who: Who, asked: &Asked, reply: &Reply) -> Option<String> {
        let conn = &self.conns[who.0];
        let limits = &self.site.config().limits;
        let record = self.records.get(&who);
        let took = conn.client.answered[who.1].at - asked.at;
        let since = |what: &str| Some(what.to_owned());
        if conn.client.turned_away {
            return if reply.status == 503 { None } else { since("the overload is not told") };
        }
        if record.is_some_and(|record| record.committed.is_some())
            && !matches!(reply.status, 200 | 201)
        {
            return since("it was put in place, and yet refused");
        }
        let too_large = asked.request.announced() > limits.upload && limits.upload.is_some();
        if asked.continued && too_large {
            return since("100 Continue for what is too large");
        }
        match reply.status {
            408 if took >= limits.head_time.min(limits.body_time) => return None,
            400 if !asked.is_whole() && conn.client.silent => return None,
            _ => {}
        }
        if let Some(wrong) = self.judge_hook(who, reply, self.may_be_cut(who, asked)) {
            return wrong;
        }
        match self.judge_right(who, asked, reply) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(why) => return Some(why),
        }
        let errors = record.map_or(&[][..], |record| &record.errors);
        match &asked.request.what {
            What::List { .. } => self.wrong_listing(who, asked, reply, errors),
            What::Own => self.wrong_text(asked, reply, record),
            What::Get { .. } => self.wrong_content(who, asked, reply, errors),
            What::Put { .. } | What::Fill { .. } => match (reply.status, record) {
                (200 | 201, Some(record)) if record.committed == Some(reply.status == 201) => {
                    let location = format!("/{}", asked.request.path);
                    let fine = reply.field("content-location") == Some(&location)
                        && (!self.rules.validators || reply.field("etag") == Some(&record.etag));
                    if fine { None } else { since("wrong fields of an upload's answer") }
                }
                (200 | 201, _) => since("an upload that came to nothing is praised"),
                _ if errors.iter().any(|&error| upload_status(error) == reply.status) => None,
                _ if self.may_refuse(who, asked, reply.status) => None,
                _ => since("an upload is refused for no reason"),
            },
            What::Delete { body, .. } => match reply.status {
                200 if record.is_some_and(|record| record.removed) => None,
                _ if record.is_some_and(|record| record.removed) => since("removed and refused"),
                204 if errors.contains(&FsError::NotFound) => None,
                413 if *body as u64 > limits.unwanted_body => None,
                412 if self.may_refuse(who, asked, 412) => None,
                status if errors.iter().any(|&error| delete_status(error) == status) => None,
                _ => since("a wrong answer to DELETE"),
            },
            What::Options if reply.status == 200 && reply.field("allow").is_some() => None,
            What::Options => since("a wrong answer to OPTIONS"),
            What::Wrong { status, closes, .. } => {
                let failed = errors.iter().any(|&error| get_status(error) == reply.status);
                let fine = reply.status == *status && (!closes || reply.closes()) || failed;
                if fine { None } else { Some(format!("is to be refused with {status}, {closes}")) }
            }
        }
    }

    fn wrong_content(
        &self,
        who: Who,
        asked: &Asked,
        reply: &Reply,
        errors: &[FsError],
    ) -> Option<String> {
        let conn = &self.conns[who.0];
        let answered = &conn.client.answered[who.1];
        let request = &asked.request;
        let took = answered.at - asked.at;
        let refused = |&error: &FsError| {
            let directory = error == FsError::IsDirectory && reply.status == 301;
            error != FsError::NotFound && (directory || get_status(error) == reply.status)
        };
        if errors.iter().any(refused) {
            return None;
        }
        // A server that goes down waits for no upload any more.
        if reply.status == 503 && conn.excused && reply.field("retry-after") == Some("1") {
            return None;
        }
        let manifest = media::is_manifest(&request.path);
        let seen = self.model.seen(&request.place(), manifest, asked.from, answered.head);
        if reply.status == 404 {
            let waited = took >= self.site.config().wait_missing;
            return match (seen.versions.iter().any(Option::is_none), waited) {
                (true, true) => None,
                (true, false) => Some("404 although an upload was to be waited for".into()),
                (false, _) => Some("404 for what is there".into()),
            };
        }
        let to_head = request.is_head();
        let fits = |expected: &Expected| expected.fits(reply, to_head);
        let cut_off = self.may_be_cut(who, asked);
        let packed = self.records.get(&who).and_then(|record| record.packed.as_ref());
        let of_file = seen.versions.iter().flatten().any(|version| {
            let expected = expect::of_file(request, version, packed, &self.rules, reply);
            fits(&expected) && self.is_decoded(version, reply, to_head)
        });
        if of_file && (reply.whole || cut_off) {
            return None;
        }
        let mut shown = None;
        for (feed, ended) in &seen.feeds {
            let Some(expected) = expect::of_feed(request, feed, &self.rules) else { continue };
            if !fits(&expected) {
                continue;
            }
            let fine = match (reply.whole, expected.needs_end && !to_head) {
                (true, true) => *ended == Some(true),
                (true, false) => true,
                (false, _) => cut_off || *ended == Some(false),
            };
            if fine {
                return None;
            }
            // Another one may begin with the same bytes.
            shown = Some(format!("of an upload, ended {ended:?}, whole: {}", reply.whole));
        }
        if shown.is_some() {
            return shown;
        }
        if of_file {
            return Some("the answer is cut for no reason".into());
        }
        Some(format!(
            "none of the {} states and {} uploads that it may show",
            seen.versions.len(),
            seen.feeds.len()
        ))
    }

    /// Whoever decodes the answer has the file.
    fn is_decoded(&self, version: &Version, reply: &Reply, to_head: bool) -> bool {
        let Some(token) = reply.field("content-encoding") else { return true };
        let unpacked = self.packer.unpack(&reply.body);
        to_head
            || !reply.whole
            || unpacked.is_some_and(|(coding, content)| {
                coding.token() == token && *content == version.content
            })
    }

    /// What an operator is told.
    fn wrong_text(&self, asked: &Asked, reply: &Reply, record: Option<&Record>) -> Option<String> {
        let failed = record.is_some_and(|record| !record.errors.is_empty());
        let text = record.and_then(|record| record.text.as_deref());
        let (status, body) = match (asked.request.path.as_str(), text) {
            ("metrics" | "readyz", _) if failed => (500, None),
            ("metrics", text) => (200, text.map(str::to_owned)),
            ("readyz", Some(problem)) => (503, Some(format!("{problem}\n"))),
            ("readyz", None) => (200, Some("ready\n".into())),
            ("healthz", _) => (200, Some("ok\n".into())),
            _ => (404, None),
        };
        let fits = reply.status == status
            && body.is_none_or(|body| !reply.whole || reply.body == body.as_bytes());
        (!fits).then(|| format!("an operator is to be told {status}"))
    }

    /// Is there a reason for this status in what was asked, and in what the path showed meanwhile?
    fn may_refuse(&self, who: Who, asked: &Asked, status: u16) -> bool {
        let limits = &self.site.config().limits;
        let request = &asked.request;
        let conn = &self.conns[who.0];
        let to = conn.client.answered[who.1].head;
        let states = self.model.seen(&request.place(), true, asked.from, to).versions;
        let (body, fill) = match &request.what {
            What::Put { body, .. } => (body.len() as u64, None),
            What::Fill { runs, body, form, .. } => (body.len() as u64, Some((runs, body, *form))),
            What::Delete { .. } => (0, None),
            What::Get { .. }
            | What::List { .. }
            | What::Options
            | What::Own
            | What::Wrong { .. } => return false,
        };
        match (status, fill) {
            (412, _) => states.iter().any(|state| !holds(request.condition(), state.as_deref())),
            (413, fill) => limits.upload.is_some_and(|most| {
                request.announced().unwrap_or(body) > most
                    || fill.is_some_and(|(runs, ..)| reach(runs, body) > most)
            }),
            (404, Some((runs, _, form))) => {
                !created_by(runs, form) && states.iter().any(Option::is_none)
            }
            (416, Some((runs, ..))) => states.iter().any(|state| {
                let len = state.as_ref().map_or(0, |state| state.content.len() as u64);
                has_hole(len, runs, body)
            }),
            (400, Some((runs, body, _))) if filled(vec![0; 1 << 16], runs, body).is_none() => true,
            (400, _) => matches!(request.coding, Coding::Broken(_)),
            _ => false,
        }
    }

    /// The connection ended: were all requests answered that could be?
    pub(crate) fn judge_end(&self, c: usize) -> Result<(), String> {
        let conn = &self.conns[c];
        let client = &conn.client;
        let excused = client.left
            || conn.excused
            || conn.client.turned_away
            || self.crashed
            || client.answered.iter().any(|answered| {
                answered.reply.closes() || !answered.reply.whole || answered.reply.status == 408
            });
        let k = client.answered.len();
        let Some(asked) = client.asked.get(k).filter(|asked| asked.is_whole() && !excused) else {
            return Ok(());
        };
        let limits = &self.site.config().limits;
        let before = k.checked_sub(1).map_or(conn.began, |before| client.asked[before].at);
        let shortest = [limits.head_time, limits.body_time, limits.send_time]
            .into_iter()
            .chain(limits.idle_time)
            .min();
        if shortest.is_some_and(|shortest| self.now - before >= shortest) {
            return Ok(());
        }
        // More of an unwanted body came than is dropped, or its coding is broken, which shows
        // behind the answer.
        let dropped = |asked: &Asked| {
            let chunked = asked.wire.windows(8).any(|name| name == b"chunked\r");
            let broken = matches!(asked.request.coding, Coding::Broken(_));
            broken || chunked && asked.wire.len() as u64 > limits.unwanted_body
        };
        if k.checked_sub(1).is_some_and(|before| dropped(&client.asked[before])) {
            return Ok(());
        }
        // Of an upload that is given up, the head of the answer may be cut too; and where that
        // takes a reset, answers before it.
        let gives_up = |asked: &Asked| {
            let seen = self.model.seen(&asked.request.place(), false, asked.from, u64::MAX);
            matches!(asked.request.what, What::Get { .. })
                && seen.feeds.iter().any(|(_, ended)| *ended == Some(false))
        };
        let lost = if client.end == Some(End::Reset) { client.asked.len() } else { k + 1 };
        if client.asked[k..lost].iter().any(gives_up) {
            return Ok(());
        }
        let end = if client.end == Some(End::Fin) { "in order" } else { "by a reset" };
        Err(format!(
            "[{c}] ended {end} without an answer to request {k}: {:?}",
            String::from_utf8_lossy(&asked.wire[..asked.wire.len().min(300)])
        ))
    }
}

/// Does the condition of a change hold for this state?
pub(crate) fn holds(condition: &Condition, state: Option<&Version>) -> bool {
    // Who read a file compressed writes the same file.
    let plain = |tag: &str| tag.replace("-gzip\"", "\"").replace("-deflate\"", "\"");
    let same = |tag: &str| state.is_some_and(|state| tag == "*" || plain(tag) == state.etag);
    match condition {
        Condition::None => true,
        Condition::Match(tag) => same(tag),
        Condition::NoneMatch(tag) => !same(tag),
    }
}

/// The media type that is told of a file: by its name, by the file that it was made from, or by its
/// upload.
pub(crate) fn told(path: &str, given: Option<&str>, kept: Option<String>) -> String {
    let by_name = media::media_type(path).map(str::to_owned);
    let given = given.filter(|given| *given != "*/*").unwrap_or(media::UNKNOWN);
    by_name.or(kept).unwrap_or_else(|| given.to_owned())
}

/// May the target be missing?
pub(crate) fn created_by(runs: &[(u64, Option<u64>)], form: Form) -> bool {
    form != Form::Range && runs[0].0 == 0
}

/// The content with these runs replaced; `None` if that cannot be done.
pub(crate) fn filled(
    mut content: Vec<u8>,
    runs: &[(u64, Option<u64>)],
    body: &[u8],
) -> Option<Vec<u8>> {
    let mut rest = body;
    for &(at, len) in runs {
        let len = len.map_or(rest.len(), |len| len as usize);
        let (now, left) = rest.split_at_checked(len).filter(|(now, _)| !now.is_empty())?;
        rest = left;
        let at = at as usize;
        if at > content.len() {
            return None;
        }
        content.resize(content.len().max(at + len), 0);
        content[at..at + len].copy_from_slice(now);
    }
    rest.is_empty().then_some(content)
}

/// Where the last of the runs ends.
fn reach(runs: &[(u64, Option<u64>)], body: u64) -> u64 {
    runs.iter().map(|&(at, len)| at + len.unwrap_or(body)).max().unwrap_or(0)
}

pub(crate) fn has_hole(mut end: u64, runs: &[(u64, Option<u64>)], body: u64) -> bool {
    runs.iter().any(|&(at, len)| {
        let hole = at > end;
        end = end.max(at + len.unwrap_or(body));
        hole
    })
}

fn upload_status(error: FsError) -> u16 {
    let conflict = matches!(error, FsError::IsDirectory | FsError::NotRegular);
    if conflict { 409 } else { get_status(error) }
}

fn delete_status(error: FsError) -> u16 {
    if error == FsError::NotFound { 204 } else { get_status(error) }
}

pub(crate) fn get_status(error: FsError) -> u16 {
    match error {
        FsError::NotFound | FsError::NameTooLong => 404,
        FsError::Full | FsError::MemoryFull => 507,
        FsError::Changed => 412,
        FsError::Exhausted => 503,
        FsError::Hole(_) => 416,
        FsError::IsDirectory | FsError::NotRegular | FsError::Outside | FsError::Denied => 403,
        FsError::Other(_) | _ => 500,
    }
}

impl Request {
    /// In a few words.
    pub(crate) fn summary(&self) -> String {
        let (wire, body_at) = self.encode();
        let head = String::from_utf8_lossy(&wire[..body_at.min(200)]).replace("\r\n", " | ");
        format!("{head}+ {} bytes", wire.len() - body_at)
    }
}
