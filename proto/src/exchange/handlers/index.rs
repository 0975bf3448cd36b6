//! GET and HEAD of a directory that may hold an index file (`index`).

use crate::exchange::{
    context::{ExchangeContext, Handler, Next},
    error::refuse,
    reply::fs_status,
};
use crate::{
    auth::Access,
    effect::{Done, FsEffect},
    fs::{FsError, Place, RelPath},
    http::{RequestHead, Status},
    id::OpId,
    semantics::target::Target,
    site::Action,
};

/// ```text
///  [Locating -->] Looking --> the file's own task, or what there is for a directory without one
/// ```
#[derive(Debug)]
pub(crate) struct Index {
    /// `None` once it is refused or went on.
    request: Option<(Box<RequestHead>, Target, Place)>,
    /// The file.
    file: Place,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Where does it really lie? Rights are those of that place.
    Locating {
        op: OpId,
    },
    /// Is it there?
    Looking {
        op: OpId,
    },
    Over,
}

impl Index {
    /// Looks for the file of this name in the directory.
    pub(in crate::exchange) fn start(
        head: Box<RequestHead>,
        target: Target,
        place: Place,
        name: &str,
        cx: &mut ExchangeContext<'_>,
    ) -> Next {
        let Some(path) = join(&place.path, name) else {
            return Next::Directory { head, target, place };
        };
        let file = Place { root: place.root, path };
        let mut index = Self { request: Some((head, target, place)), file, state: State::Over };
        if cx.site.mounts.has_rules() {
            let op = cx.op();
            cx.effect(FsEffect::Locate { op, place: index.file.clone(), last: true });
            index.state = State::Locating { op };
        } else {
            index.look(cx);
        }
        Next::Handler(Box::new(index))
    }

    fn look(&mut self, cx: &mut ExchangeContext<'_>) {
        let op = cx.op();
        cx.effect(FsEffect::Stat { op, place: self.file.clone() });
        self.state = State::Looking { op };
    }

    /// An effect is answered; the task that takes its place.
    fn advance(
        &mut self,
        done: OpId,
        result: Result<Done, FsError>,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Next> {
        match self.state {
            State::Locating { op } if op == done => match result {
                Ok(Done::Located { real, root, path }) => {
                    let place = Place { root: root.unwrap_or(self.file.root), path };
                    let mounts = &cx.site.mounts;
                    let rule = mounts.rule(&real);
                    let user = cx.about.user.as_ref().or(cx.about.client.user.as_ref());
                    let who = mounts.who(Action::Read, rule);
                    let verdict = who.verdict(user.map(|user| &**user), &cx.site.config.users);
                    if verdict != Access::Allowed {
                        self.state = State::Over;
                        refuse(
                            cx,
                            Status::FORBIDDEN,
                            "the index file is a link to what may not be read",
                        );
                        return None;
                    }
                    cx.about.uploadable = mounts.takes_uploads(&place, rule);
                    self.file = place;
                    self.look(cx);
                    None
                }
                result => {
                    self.state = State::Over;
                    let error = result.err().unwrap_or(FsError::Other(std::io::ErrorKind::Other));
                    refuse(cx, fs_status(error), &error.to_string());
                    None
                }
            },
            State::Looking { op } if op == done => {
                self.state = State::Over;
                let (head, mut target, place) = self.request.take()?;
                match result {
                    Ok(_) => {
                        // Its own name tells the media type.
                        let name = cx.site.config.index.as_deref().unwrap_or_default();
                        target.path = join(&target.path, name)?;
                        target.directory = false;
                        Some(Next::File { head, target, place: self.file.clone() })
                    }
                    Err(FsError::NotFound | FsError::IsDirectory) => {
                        Some(Next::Directory { head, target, place })
                    }
                    Err(error) => {
                        refuse(cx, fs_status(error), &error.to_string());
                        None
                    }
                }
            }
            State::Locating { .. } | State::Looking { .. } | State::Over => None,
        }
    }
}

impl Handler for Index {
    fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        let next = self.advance(op, result, cx);
        cx.hand_over(next);
    }
}

fn join(directory: &RelPath, name: &str) -> Option<RelPath> {
    if directory.is_root() {
        return RelPath::new(name);
    }
    RelPath::new(&format!("{directory}/{name}"))
}
