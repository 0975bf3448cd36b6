//! What a live resource says of itself.

use std::sync::Arc;

use super::{BroadcastOptions, framing::Audio};
use crate::http1::{is_field_value, is_tchar};

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
        let lower = name.to_ascii_lowercase();
        let is_field = (lower.starts_with("ice-") || lower.starts_with("icy-"))
            && name.len() > 4
            && name.bytes().all(is_tchar)
            && lower != "icy-metaint";
        if name == KNOWN[0] {
            self.name = Some(value.to_owned());
        } else if name == KNOWN[1] {
            self.title = Some(value.into());
        } else if is_field {
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

    /// The header fields, each line with its CRLF.
    pub(crate) fn lines(&self) -> String {
        let own = |name: &str| self.fields.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut lines = String::new();
        let mut add = |name: &str, value: &str| {
            if !own(name) {
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
            lines.extend([name, ": ", value, "\r\n"]);
        }
        lines
    }
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
}
