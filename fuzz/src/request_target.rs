//! Text as a request target: nothing leads out of a directory, and what is read can be written and
//! read again.

use httpout_proto::effect::{FsEffect, LiveEffect};
use std::{
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use httpout_proto::{
    Effect, Now, Session, Site, Step,
    fs::{Place, RelPath},
    http::Piece,
    semantics::target,
    site::Config,
};

/// One input: a target.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    path(text);
    let decoded = target::decode(text);
    if let Ok(target) = &decoded {
        assert!(text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic()));
        assert_safe(&target.path);
        assert!(!target.path.as_str().chars().any(|c| c.is_ascii_control()));
        assert_eq!(target.query.as_deref(), text.split_once('?').map(|(_, query)| query));
        assert!(target.directory || !target.path.is_root());
        let written = target::encode(&target.path);
        let again = target::decode(&written).expect("what was written is not read again");
        assert_eq!(again.path, target.path);
    }
    // A target that a request line can hold is resolved in a site of one directory and in one of
    // several.
    if text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        for (dirs, write) in [(&["r"][..], false), (&["r", "a/b", "media"], false), (&["r"], true)]
        {
            resolve(text, decoded.as_ref().ok(), dirs, write);
        }
    }
}

/// A path that somebody else decoded.
fn path(text: &str) {
    let Some(path) = RelPath::new(text) else { return };
    assert_safe(&path);
    assert_eq!(path.as_str(), text);
    let written = target::encode(&path);
    assert!(!written.starts_with("//") && !written.contains(['"', '\'', '<', '>', '&', '\\', ' ']));
    match target::decode(&written) {
        Ok(target) => assert_eq!(target.path, path),
        Err(_) => assert!(text.chars().any(|c| c.is_ascii_control())),
    }
    if let Some(parent) = path.parent() {
        assert_safe(&parent);
        let slash = if parent.is_root() { "" } else { "/" };
        assert_eq!(format!("{parent}{slash}{}", path.name()), text);
    }
}

fn assert_safe(path: &RelPath) {
    let path = path.as_str();
    assert!(!path.contains(['\0', '\\']));
    assert!(path.is_empty() || !path.split('/').any(|segment| matches!(segment, "" | "." | "..")));
}

/// Asks a session for the target.
fn resolve(text: &str, decoded: Option<&target::Target>, dirs: &[&str], write: bool) {
    let site = site(dirs, write);
    let now = Now { mono: Instant::now(), wall: UNIX_EPOCH + Duration::from_secs(1_000_000_000) };
    for method in ["GET", "DELETE"] {
        let mut session = Session::new(site.clone());
        session.handle_data(format!("{method} {text} HTTP/1.1\r\nHost: a\r\n\r\n").into());
        let Some(place) = first_place(&mut session, now) else {
            let refused = decoded.is_none_or(|target| target.is_reserved());
            let status = status(&session).expect("neither a file nor an answer");
            // 414 is for those that are too long to be read.
            assert!(!refused || matches!(&status[..], b"400" | b"403" | b"404" | b"405" | b"414"));
            continue;
        };
        let target = decoded.expect("a target that is not understood leads to a file");
        assert!(!target.is_reserved(), "a name of the server's own leads to a file");
        assert_safe(&place.path);
        let root = &site.roots()[place.root.index()];
        let name = root.file_name().expect("these have names").to_string_lossy();
        let expected = match method {
            "GET" if dirs.len() > 1 => format!("{name}/{}", place.path),
            _ => place.path.to_string(),
        };
        assert_eq!(expected.trim_end_matches('/'), target.path.as_str());
    }
}

fn site(dirs: &[&str], write: bool) -> Arc<Site> {
    let mut config = Config::default();
    config.read_dirs = dirs.iter().map(Into::into).collect();
    config.write_dir = write.then(|| "w".into());
    config.check().expect("it is well-formed")
}

/// The place of the first effect; `None` if there is none.
fn first_place(session: &mut Session, now: Now) -> Option<Place> {
    match session.poll(now) {
        Step::Do(
            Effect::Fs(_, FsEffect::Open { place, .. })
            | Effect::Live(_, LiveEffect::Follow { place, .. })
            | Effect::Fs(_, FsEffect::Remove { place, .. }),
        ) => Some(place),
        Step::Do(other) => panic!("nobody asked for {other:?}"),
        Step::Wait(_) | Step::Closed(_) => None,
    }
}

/// The status of the answer that is ready to be sent.
fn status(session: &Session) -> Option<Vec<u8>> {
    match session.transmit()?.next()? {
        Piece::Bytes(head) => head.get(9..12).map(<[u8]>::to_vec),
        Piece::File { .. } => None,
    }
}
