//! Answers that rights call for: who may not gets 401 or 403, in its time, and nothing else.

use httpout_proto::{FsError, effect::Verified};

use crate::{
    client::Asked,
    model::Who,
    reply::Reply,
    rights::Right,
    verdict::{Record, get_status},
    world::World,
};

/// Longer than any error's text.
const LONGEST: usize = 200;

impl Record {
    /// Was the request let in?
    pub(crate) fn is_granted(&self, right: Right) -> bool {
        let proven = self.verified == Some(Ok(Verified::Right));
        match right {
            Right::Granted => true,
            Right::Refused(_) => false,
            Right::Asked { right, may } => right && may && proven,
        }
    }
}

impl World<'_> {
    /// Is the request one that is let in? If not, its answer has to be the right refusal.
    pub(crate) fn judge_right(
        &self,
        who: Who,
        asked: &Asked,
        reply: &Reply,
    ) -> Result<bool, String> {
        let nothing = Record::default();
        let record = self.records.get(&who).unwrap_or(&nothing);
        let Some(right) = self.right(who).filter(|_| asked.request.reaches_files()) else {
            return Ok(true);
        };
        if record.located.is_none() {
            return Err("answered without a look at the rules".into());
        }
        let status = match (record.lost, right, record.verified) {
            (Some(error), ..) => get_status(error),
            (None, Right::Granted, None) if matches!(reply.status, 401 | 429) => {
                return Err("a password for what everybody may".into());
            }
            (None, Right::Granted, None) => return Ok(true),
            (None, Right::Refused(status), None) => status,
            (None, Right::Asked { .. }, Some(Ok(Verified::TooMany(_)))) => 429,
            (None, Right::Asked { right: true, may: true }, Some(Ok(Verified::Right))) => {
                return Ok(true);
            }
            (None, Right::Asked { right: true, may: false }, Some(Ok(Verified::Right))) => 403,
            (None, Right::Asked { right: false, .. }, Some(Ok(Verified::Wrong))) => 401,
            (None, Right::Asked { .. }, Some(Err(_))) => 401,
            (None, right, verified) => return Err(format!("{right:?}, but told {verified:?}")),
        };
        if asked.continued {
            return Err("100 Continue for what is refused".into());
        }
        let text = String::from_utf8_lossy(&reply.body);
        let told = asked.request.is_head() || text.starts_with(&format!("{status} "));
        let fits = reply.status == status
            && (!reply.whole || told && text.len() < LONGEST)
            && (reply.whole || self.may_be_cut(who, asked))
            && reply.field("www-authenticate").is_some() == (status == 401)
            && reply.field("retry-after").is_some() == (status == 429)
            && reply.field("content-type") == Some("text/plain; charset=utf-8")
            && ["etag", "last-modified", "content-range", "content-location", "content-encoding"]
                .iter()
                .all(|name| reply.field(name).is_none());
        if fits { Ok(false) } else { Err(format!("is to be refused with {status} and no more")) }
    }

    /// Is there a reason for an answer that does not come to its end?
    pub(crate) fn may_be_cut(&self, who: Who, asked: &Asked) -> bool {
        let conn = &self.conns[who.0];
        let took = conn.client.answered[who.1].at - asked.at;
        let patience = self.site.config().limits.send_time;
        conn.client.left || conn.excused || self.crashed || took >= patience
    }

    /// A listing, or why there is none.
    pub(crate) fn wrong_listing(
        &self,
        who: Who,
        asked: &Asked,
        reply: &Reply,
        errors: &[FsError],
    ) -> Option<String> {
        let crate::request::What::List { asking, .. } = &asked.request.what else { return None };
        if !reply.whole && !self.may_be_cut(who, asked) {
            return Some("the answer is cut for no reason".into());
        }
        let status = |&error: &FsError| {
            if error == FsError::NotRegular { 404 } else { get_status(error) }
        };
        if errors.iter().any(|error| status(error) == reply.status) {
            return None;
        }
        let listed = self.records.get(&who).and_then(|record| record.listed.as_ref());
        // Without validators, nothing is said of caches either.
        let cached = self.rules.validators.then_some("no-cache");
        match (reply.status, listed) {
            (200, Some(_)) if reply.field("cache-control") != cached => {
                Some("a listing that may be kept".into())
            }
            (200, Some(listed)) => {
                crate::listing::wrong(reply, &asked.request, asking, listed, self.rights.as_ref())
            }
            // It is a file.
            (404, None) if !self.site.config().list_directories => None,
            _ => Some("a wrong answer to who wants a listing".into()),
        }
    }
}
