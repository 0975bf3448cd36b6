//! What each path may show: every state that it had, in order.

use std::{collections::BTreeMap, rc::Rc};

/// Names a request: connection, and position on it.
pub(crate) type Who = (usize, usize);

/// A point in the order of everything that happened.
pub(crate) type Seq = u64;

/// What stood under a name.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) content: Vec<u8>,
    pub(crate) etag: String,
    /// As it is to be told.
    pub(crate) media_type: String,
}

/// An upload that was shown while it grew.
#[derive(Debug)]
pub(crate) struct Feed {
    /// All that its client meant to send.
    pub(crate) content: Rc<Vec<u8>>,
    pub(crate) total: Option<u64>,
    pub(crate) media_type: String,
}

/// The history of every path.
#[derive(Debug, Default)]
pub(crate) struct Model {
    seq: Seq,
    paths: BTreeMap<String, Timeline>,
    /// The latest state of a path whose 2xx was sent while `durable` was on.
    promised: BTreeMap<String, Seq>,
}

#[derive(Debug, Default)]
struct Timeline {
    events: Vec<(Seq, Event)>,
}

#[derive(Debug)]
enum Event {
    Shows(Option<Rc<Version>>, Who),
    Begun(Who, Rc<Feed>),
    Over(Who, bool),
}

/// What a reader may have been shown in some stretch of time.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Files, or `None` for no file.
    pub(crate) versions: Vec<Option<Rc<Version>>>,
    /// Uploads in progress, and whether each has ended: well, or not.
    pub(crate) feeds: Vec<(Rc<Feed>, Option<bool>)>,
}

impl Model {
    /// A moment that is later than all before.
    pub(crate) fn tick(&mut self) -> Seq {
        self.seq += 1;
        self.seq
    }

    pub(crate) fn current(&self, path: &str) -> Option<Rc<Version>> {
        let events = &self.paths.get(path)?.events;
        events.iter().rev().find_map(|(_, event)| match event {
            Event::Shows(version, _) => Some(version.clone()),
            Event::Begun(..) | Event::Over(..) => None,
        })?
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }

    pub(crate) fn shows(&mut self, path: &str, version: Option<Rc<Version>>, by: Who) {
        self.push(path, Event::Shows(version, by));
    }

    pub(crate) fn begun(&mut self, path: &str, by: Who, feed: Feed) {
        self.push(path, Event::Begun(by, Rc::new(feed)));
    }

    pub(crate) fn over(&mut self, path: &str, by: Who, complete: bool) {
        self.push(path, Event::Over(by, complete));
    }

    /// The client that brought this upload was told that it is safe.
    pub(crate) fn promise(&mut self, path: &str, by: Who) {
        let Some(timeline) = self.paths.get(path) else { return };
        let state = timeline
            .events
            .iter()
            .rev()
            .find(|(_, event)| matches!(event, Event::Shows(Some(_), other) if *other == by));
        if let Some(&(seq, _)) = state {
            let promised = self.promised.entry(path.to_owned()).or_default();
            *promised = seq.max(*promised);
        }
    }

    /// After a loss of power the path shows what has this tag: was a later state promised?
    pub(crate) fn recovered(&mut self, path: &str, etag: Option<&str>) -> Result<(), String> {
        let promised = self.promised.get(path).copied().unwrap_or(0);
        let events = self.paths.get(path).map_or(&[][..], |timeline| &timeline.events);
        let mut known = etag.is_none();
        let mut found = None;
        for (seq, event) in events {
            if let Event::Shows(version, _) = event
                && version.as_ref().map(|version| version.etag.as_str()) == etag
            {
                known = true;
                found = Some((*seq, version.clone()));
            }
        }
        let (seq, version) = found.unwrap_or((0, None));
        if !known {
            return Err(format!("after the crash {path} shows what it never showed"));
        }
        // A removal is not promised to last.
        if seq < promised {
            return Err(format!("after the crash {path} lost an upload that was answered 2xx"));
        }
        self.shows(path, version, (usize::MAX, 0));
        Ok(())
    }

    /// What a request for `path` may be answered with, that was sent after `from` and whose answer
    /// began before `to`. `manifest`: what exists is shown whole while it is being replaced.
    pub(crate) fn seen(&self, path: &str, manifest: bool, from: Seq, to: Seq) -> Seen {
        let events = self.paths.get(path).map_or(&[][..], |timeline| &timeline.events);
        let mut seen = Seen::default();
        let mut current = None;
        let mut growing: Vec<(Who, Rc<Feed>)> = Vec::new();
        let mut feeds: Vec<(Who, Rc<Feed>)> = Vec::new();
        let mut missing = false;
        // The file is opened after the look for an upload, or after the upload's end: a file that
        // was replaced before the first such moment is not shown any more.
        let mut may_open = manifest;
        let mut show = |seen: &mut Seen, version: &Option<Rc<Version>>| {
            missing |= version.is_none();
            seen.versions.push(version.clone());
        };
        let before = events.partition_point(|(seq, _)| *seq <= from);
        for (at, (_, event)) in events.iter().enumerate().take_while(|(_, (seq, _))| *seq <= to) {
            if at == before {
                may_open |= growing.is_empty();
                if may_open {
                    show(&mut seen, &current);
                }
                feeds.extend(growing.iter().cloned());
            }
            match event {
                Event::Shows(version, _) => {
                    current.clone_from(version);
                    if at >= before && may_open {
                        show(&mut seen, &current);
                    }
                }
                Event::Begun(who, feed) => {
                    growing.push((*who, feed.clone()));
                    if at >= before {
                        feeds.push((*who, feed.clone()));
                    }
                }
                Event::Over(who, _) => {
                    growing.retain(|(other, _)| other != who);
                    if at >= before && !may_open {
                        may_open = true;
                        show(&mut seen, &current);
                    }
                }
            }
        }
        if events.iter().take_while(|(seq, _)| *seq <= to).count() <= before {
            if may_open || growing.is_empty() {
                show(&mut seen, &current);
            }
            feeds.extend(growing.iter().cloned());
        }
        if !manifest || missing {
            let end = |who: &Who| {
                events.iter().find_map(|(_, event)| match event {
                    Event::Over(other, complete) if other == who => Some(*complete),
                    Event::Over(..) | Event::Shows(..) | Event::Begun(..) => None,
                })
            };
            seen.feeds = feeds.into_iter().map(|(who, feed)| (feed, end(&who))).collect();
        }
        seen
    }

    fn push(&mut self, path: &str, event: Event) {
        let seq = self.tick();
        self.paths.entry(path.to_owned()).or_default().events.push((seq, event));
    }
}
