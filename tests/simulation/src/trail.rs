//! Which request an effect belongs to. A session does not say; but requests are dealt with in their order.

use httpout_proto::Effect;

use crate::{
    model::{Version, Who},
    request::{Form, Request, What},
    verdict::{created_by, filled, has_hole, holds},
    world::World,
};

/// Where a session is in the requests of its connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trail {
    at: usize,
    /// Nothing can be sent any more, so answers tell no longer where it is.
    pub(crate) silent: bool,
    /// What was done for the request.
    located: bool,
    looked: bool,
    listed: bool,
    began: bool,
    /// It is over: what comes next is for another one.
    refused: bool,
}

impl Trail {
    fn go_to(&mut self, at: usize) {
        *self = Self { at, silent: self.silent, ..Self::default() };
    }
}

impl World<'_> {
    /// The request that this effect of session `c` is for.
    pub(crate) fn locate(&mut self, c: usize, effect: &Effect) -> Who {
        if self.rights.is_some() {
            return self.locate_ruled(c, effect);
        }
        let most = self.site.config().limits.upload.unwrap_or(u64::MAX);
        let dlist = self.site.config().dlist;
        let lists = matches!(effect, Effect::List { .. });
        let conn = &mut self.conns[c];
        let (answered, trail) = conn.watch.trail();
        if trail.at < answered {
            trail.go_to(answered);
        }
        let (path, looks, begins) = match effect {
            Effect::Stat { place, .. } => (&place.path, true, false),
            Effect::Create { place, .. } | Effect::Remove { place, .. } => {
                (&place.path, false, true)
            }
            Effect::Follow { place, .. }
            | Effect::Open { place, .. }
            | Effect::List { place, .. } => (&place.path, false, false),
            Effect::MediaType { .. }
            | Effect::Write { .. }
            | Effect::Commit { .. }
            | Effect::CommitPatches { .. }
            | Effect::Close { .. }
            | Effect::Announce { .. }
            | Effect::Grown { .. }
            | Effect::Ended { .. }
            | Effect::Unfollow { .. }
            | Effect::Locate { .. }
            | Effect::Verify { .. }
            | Effect::Encode { .. }
            | Effect::Metrics { .. }
            | Effect::Health { .. }
            | Effect::Listen { .. }
            | Effect::Take { .. }
            | Effect::Leave { .. }
            | Effect::Air { .. }
            | Effect::Send { .. }
            | Effect::Retitle { .. }
            | Effect::OffAir { .. }
            | Effect::Deliver { .. }
            | Effect::Give { .. }
            | Effect::Given { .. }
            | Effect::Withdraw { .. }
            | Effect::Ask { .. }
            | Effect::Pull { .. }
            | Effect::Pace { .. }
            | Effect::Dismiss { .. }
            | Effect::Begun { .. }
            | Effect::Over(_)
            | Effect::Recheck { .. }
            | Effect::ShutdownWrite => return (c, trail.at),
        };
        while let Some(asked) = conn.client.asked.get(trail.at).filter(|_| trail.silent) {
            let request = &asked.request;
            let suits = match &request.what {
                What::Get { .. } => !looks && !begins && !lists,
                What::List { .. } => !looks && !begins && lists == dlist,
                What::Put { .. } | What::Fill { .. } => {
                    (looks || matches!(effect, Effect::Create { .. }))
                        && request.announced().is_none_or(|len| len <= most)
                }
                What::Delete { .. } => looks || matches!(effect, Effect::Remove { .. }),
                What::Options | What::Own | What::Wrong { .. } => false,
            };
            let spent = trail.refused
                || looks && trail.looked
                || lists && trail.listed
                || begins && trail.began;
            if suits && !spent && request.path == path.as_str() {
                break;
            }
            trail.go_to(trail.at + 1);
        }
        trail.looked |= looks;
        trail.listed |= lists;
        trail.began |= begins;
        (c, trail.at)
    }

    /// Where there are rules, each request that is for a file begins with the question where that is.
    fn locate_ruled(&mut self, c: usize, effect: &Effect) -> Who {
        let conn = &mut self.conns[c];
        let (answered, trail) = conn.watch.trail();
        if trail.at < answered {
            trail.go_to(answered);
        }
        if let Effect::Locate { .. } = effect {
            while let Some(asked) = conn.client.asked.get(trail.at).filter(|_| trail.silent) {
                if asked.request.reaches_files() && !trail.located {
                    break;
                }
                trail.go_to(trail.at + 1);
            }
            trail.located = true;
        }
        (c, trail.at)
    }

    /// A request was told what stands under its name.
    pub(crate) fn note_looked(&mut self, who: Who, failed: bool) {
        let Some(asked) = self.conns[who.0].client.asked.get(who.1) else { return };
        let state = self.model.current(&asked.request.place());
        let refused = failed || refused_at_sight(&asked.request, state.as_deref());
        let (_, trail) = self.conns[who.0].watch.trail();
        trail.refused |= refused && trail.at == who.1;
    }
}

/// Is the request refused before it does anything?
fn refused_at_sight(request: &Request, state: Option<&Version>) -> bool {
    let content = match &request.what {
        What::Fill { runs, body, form: form @ (Form::Range | Form::ContentRange), .. } => {
            let len = state.map_or(0, |state| state.content.len() as u64);
            let announced_wrong =
                request.announced().is_some() && filled(vec![0; 1 << 16], runs, body).is_none();
            state.is_none() && !created_by(runs, *form)
                || has_hole(len, runs, body.len() as u64)
                || announced_wrong
        }
        What::Fill { .. }
        | What::Get { .. }
        | What::Put { .. }
        | What::Delete { .. }
        | What::List { .. }
        | What::Options
        | What::Own
        | What::Wrong { .. } => false,
    };
    content || !holds(request.condition(), state)
}
