//! What a live resource says of itself.

use std::sync::Arc;

use super::{BroadcastOptions, framing::Audio};
use crate::{
    exchange::media::is_media_type,
    http1::{is_field_value, is_tchar},
};

/// Properties that mean something, beside those whose names begin with `ice-` or `icy-`, which become header fields.
const KNOWN: [&str; 2] = ["ServiceName", "StreamTitle"];

/// What a live resource says of itself. Shared by all who listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// `Content-Type`.
    pub media_type: String,
    /// `icy-name`.
    pub name: Option<String>,
    /// More header fields: `ice-…` and `icy-…`, with their values.
    pub fields: Vec<(String, String)>,
    /// What kind of sound it is, where the stream tells.
    pub audio: Option<Audio>,
    /// What is played, until the [broadcast](super::Broadcast::set_title) says otherwise.
    pub title: Option<Arc<str>>,
}

/// Why a property cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyError(String);

impl std::fmt::Display for PropertyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PropertyError {}

impl Description {
    /// A resource of this media type.
    pub fn new(media_type: impl Into<String>) -> Self {
        Self { media_type: media_type.into(), ..Self::default() }
    }

    /// Adds a property: `ServiceName`, `StreamTitle`, `ice-…` or `icy-…`.
    ///
    /// # Errors
    /// A name that means nothing, or a value that a header field cannot carry.
    pub fn property(mut self, name: &str, value: &str) -> Result<Self, PropertyError> {
        if !is_field_value(value.as_bytes()) {
            let problem = format!("the value of {name} holds what a header field cannot carry");
            return Err(PropertyError(problem));
        }
        if name == KNOWN[0] {
            self.name = Some(value.to_owned());
        } else if name == KNOWN[1] {
            self.title = Some(value.into());
        } else if is_own_field(name) {
            self.fields.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            self.fields.push((name.to_owned(), value.to_owned()));
        } else {
            let problem = format!(
                "{name} means nothing here: there are {}, {}, ice-NAME and icy-NAME",
                KNOWN[0], KNOWN[1]
            );
            return Err(PropertyError(problem));
        }
        Ok(self)
    }

    /// Checks what was filled in without [`property`](Self::property). Whoever takes a description of a program calls
    /// this first.
    ///
    /// # Errors
    /// A media type, a name or a field that a head cannot carry.
    pub fn check(&self) -> Result<(), PropertyError> {
        let bad = |what: &str| {
            Err(PropertyError(format!("{what} holds what a header field cannot carry")))
        };
        if !self.media_type.is_empty() && !is_media_type(self.media_type.as_bytes()) {
            return Err(PropertyError(format!("{:?} is not a media type", self.media_type)));
        }
        if self.name.as_ref().is_some_and(|name| !is_field_value(name.as_bytes())) {
            return bad("the name");
        }
        for (name, value) in &self.fields {
            if !is_own_field(name) {
                let problem = format!("{name:?} is not the name of a field ice-NAME or icy-NAME");
                return Err(PropertyError(problem));
            }
            if !is_field_value(value.as_bytes()) {
                return bad(&format!("the value of {name}"));
            }
        }
        Ok(())
    }

    /// The header fields, each line with its CRLF. What a head cannot carry is left out.
    pub(crate) fn lines(&self) -> String {
        let own = |name: &str| self.fields.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut lines = String::new();
        let mut add = |name: &str, value: &str| {
            if !own(name) && is_field_value(value.as_bytes()) {
                lines.extend([name, ": ", value, "\r\n"]);
            }
        };
        if let Some(Audio { bitrate, sample_rate, channels }) = self.audio {
            let kilobits = (bitrate / 1000).to_string();
            let info = format!(
                "ice-samplerate={sample_rate};ice-bitrate={kilobits};ice-channels={channels}"
            );
            add("ice-audio-info", &info);
            add("icy-br", &kilobits);
        }
        add("icy-pub", "1");
        if let Some(name) = &self.name {
            add("icy-name", name);
        }
        for (name, value) in &self.fields {
            if is_own_field(name) && is_field_value(value.as_bytes()) {
                lines.extend([name, ": ", value, "\r\n"]);
            }
        }
        lines
    }
}

/// True for the name of a field that a description may have.
fn is_own_field(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    (lower.starts_with("ice-") || lower.starts_with("icy-"))
        && name.len() > 4
        && name.bytes().all(is_tchar)
        && lower != "icy-metaint"
}

/// How a live resource is treated. See [`BroadcastOptions`] for those it shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveOptions {
    /// What concerns the listeners.
    pub broadcast: BroadcastOptions,
    /// Serve what is over again, from its beginning, to who asks for it (`reopen`).
    pub reopen: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_become_fields() {
        let mut it = Description::new("audio/mpeg");
        for (name, value) in [("ServiceName", "Radio"), ("ice-Genre", "Rock"), ("icy-pub", "0")] {
            it = it.property(name, value).unwrap();
        }
        it.audio = Some(Audio { bitrate: 128_000, sample_rate: 44_100, channels: 2 });
        assert_eq!(
            it.lines(),
            "ice-audio-info: ice-samplerate=44100;ice-bitrate=128;ice-channels=2\r\nicy-br: 128\r\n\
             icy-name: Radio\r\nice-Genre: Rock\r\nicy-pub: 0\r\n"
        );
    }

    #[test]
    fn what_means_nothing_or_would_end_a_line_is_refused() {
        for (name, value) in
            [("Genre", "Rock"), ("ice-", "x"), ("ice-a b", "x"), ("ice-a", "x\r\ny: z")]
        {
            let refused = Description::new("audio/mpeg").property(name, value);
            assert!(refused.is_err(), "{name}");
        }
    }

    #[test]
    fn what_was_filled_in_by_hand_is_checked_and_never_splits_a_head() {
        let split = "x\r\nSet-Cookie: a=b";
        let new = || Description::new("audio/mpeg");
        let field = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        for bad in [
            Description { name: Some(split.into()), ..new() },
            Description { fields: field("ice-a", split), ..new() },
            Description { fields: field("ice-a\r\nSet-Cookie", "a=b"), ..new() },
            Description { fields: field("Set-Cookie", "a=b"), ..new() },
            Description { fields: field("icy-metaint", "1"), ..new() },
            Description::new("audio/mpeg\r\nSet-Cookie: a=b"),
            Description::new("audio"),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
            let lines = bad.lines();
            assert!(!lines.contains("Set-Cookie") && !lines.contains("icy-metaint"), "{lines:?}");
        }
        assert_eq!(Description::default().check(), Ok(()));
        let named =
            Description { name: Some("Radio".into()), fields: field("ice-a", "b"), ..new() };
        assert_eq!(named.check(), Ok(()));
    }
}
