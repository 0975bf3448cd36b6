//! What a live resource says of itself.

use std::fmt;

use bytes::Bytes;

use super::{BroadcastOptions, framing::Audio};
use crate::{
    http::{HeaderList, is_field_name, is_field_value},
    semantics::media::is_media_type,
};

/// Properties that mean something, beside those whose names begin with `ice-` or `icy-`, which
/// become header fields.
const KNOWN: [&str; 2] = ["ServiceName", "StreamTitle"];

/// A name or a title in UTF-8 or Latin-1. It is passed on byte for byte: the protocol does not tell
/// the encoding, and players recognize it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(Bytes);

impl Text {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

/// The description of a live resource. Shared by all its listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// `Content-Type`.
    pub media_type: String,
    /// `icy-name`.
    pub name: Option<String>,
    /// More header fields: `ice-…` and `icy-…`, with their values.
    pub fields: Vec<(String, String)>,
    /// Header fields whose values are not UTF-8 (Latin-1, as a rule), `icy-name` among them.
    pub fields_in_bytes: Vec<(String, Text)>,
    /// What kind of sound it is, where the stream tells.
    pub audio: Option<Audio>,
    /// What is played, until the [broadcast](super::Broadcast::set_title) says otherwise. It goes
    /// into the stream, not into a header field.
    pub title: Option<Text>,
}

/// Why a property cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyError(String);

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PropertyError {}

impl Description {
    /// A resource of this media type.
    pub fn new(media_type: impl Into<String>) -> Self {
        Self { media_type: media_type.into(), ..Self::default() }
    }

    /// Adds a property: `ServiceName`, `StreamTitle`, `ice-…` or `icy-…`. Text is UTF-8 or Latin-1.
    ///
    /// # Errors
    /// A name that means nothing, or a value that a header field cannot carry. `StreamTitle` is no
    /// header field and may be any text.
    pub fn property(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, PropertyError> {
        let value = value.as_ref();
        if name == KNOWN[1] {
            self.title = Some(value.into());
            return Ok(self);
        }
        if name != KNOWN[0] && !is_resource_field(name) {
            let problem = format!(
                "{name} means nothing here: there are {}, {}, ice-NAME and icy-NAME",
                KNOWN[0], KNOWN[1]
            );
            return Err(PropertyError(problem));
        }
        if !is_field_value(value) {
            let problem = format!("the value of {name} holds what a header field cannot carry");
            return Err(PropertyError(problem));
        }
        let field = if name == KNOWN[0] { "icy-name" } else { name };
        self.fields_in_bytes.retain(|(other, _)| !other.eq_ignore_ascii_case(field));
        if field == name {
            self.fields.retain(|(other, _)| !other.eq_ignore_ascii_case(field));
        }
        match std::str::from_utf8(value) {
            Ok(value) if field != name => self.name = Some(value.to_owned()),
            Ok(value) => self.fields.push((field.to_owned(), value.to_owned())),
            Err(_) => self.fields_in_bytes.push((field.to_owned(), value.into())),
        }
        Ok(self)
    }

    /// Checks what was filled in without [`property`](Self::property). Whoever takes a description
    /// of a program calls this first.
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
        for (name, value) in self.all_fields() {
            if !is_resource_field(name) {
                let problem = format!("{name:?} is not the name of a field ice-NAME or icy-NAME");
                return Err(PropertyError(problem));
            }
            if !is_field_value(value) {
                return bad(&format!("the value of {name}"));
            }
        }
        Ok(())
    }

    /// The header fields. What a head cannot carry is left out.
    pub(crate) fn header_fields(&self) -> HeaderList {
        let own = |name: &str| self.all_fields().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut fields = HeaderList::default();
        let mut add = |name: &str, value: &[u8]| {
            if is_resource_field(name) && is_field_value(value) {
                fields.push(name, value);
            }
        };
        if let Some(Audio { bitrate, sample_rate, channels }) = self.audio {
            let kilobits = (bitrate / 1000).to_string();
            if !own("ice-audio-info") {
                let info = format!(
                    "ice-samplerate={sample_rate};ice-bitrate={kilobits};ice-channels={channels}"
                );
                add("ice-audio-info", info.as_bytes());
            }
            if !own("icy-br") {
                add("icy-br", kilobits.as_bytes());
            }
        }
        if !own("icy-pub") {
            add("icy-pub", b"1");
        }
        if let Some(name) = self.name.as_ref().filter(|_| !own("icy-name")) {
            add("icy-name", name.as_bytes());
        }
        for (name, value) in self.all_fields() {
            add(name, value);
        }
        fields
    }

    fn all_fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        fields.chain(
            self.fields_in_bytes.iter().map(|(name, value)| (name.as_str(), value.as_bytes())),
        )
    }
}

/// True for the header fields that a live resource may have of its own: `ice-…` and `icy-…`, but
/// not the one that describes the framing of titles.
fn is_resource_field(name: &str) -> bool {
    let begins =
        |with: &str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    (begins("ice-") || begins("icy-"))
        && name.len() > 4
        && is_field_name(name)
        && !name.eq_ignore_ascii_case("icy-metaint")
}

/// How a live resource is treated. See [`BroadcastOptions`] for those it shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveOptions {
    /// What concerns the listeners.
    pub broadcast: BroadcastOptions,
    /// Serve an input that is over again, from its beginning, on request (`reopen`).
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
        let fields = it.header_fields();
        let expected = [
            ("ice-audio-info", "ice-samplerate=44100;ice-bitrate=128;ice-channels=2"),
            ("icy-br", "128"),
            ("icy-name", "Radio"),
            ("ice-Genre", "Rock"),
            ("icy-pub", "0"),
        ];
        let expected = expected.map(|(name, value)| (name, value.as_bytes()));
        assert!(fields.iter().eq(expected), "{fields:?}");
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
    fn names_pass_in_any_encoding_and_cannot_split_a_head() {
        let mut it = Description::new("audio/mpeg");
        it = it.property("ServiceName", b"Caf\xe9").unwrap().property("ice-a", "Café").unwrap();
        it = it.property("StreamTitle", " any\ttext\n").unwrap();
        it.fields.push(("ice-b".into(), "x\r\ny: z".into()));
        it.fields.push(("Content-Length".into(), "5".into()));
        let fields = it.header_fields();
        let expected =
            [("icy-pub", &b"1"[..]), ("ice-a", "Café".as_bytes()), ("icy-name", b"Caf\xe9")];
        assert!(fields.iter().eq(expected), "{fields:?}");
        assert_eq!(it.title, Some(" any\ttext\n".into()));
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
            let fields = format!("{:?}", bad.header_fields());
            assert!(!fields.contains("Set-Cookie") && !fields.contains("icy-metaint"), "{fields}");
        }
        assert_eq!(Description::default().check(), Ok(()));
        let named =
            Description { name: Some("Radio".into()), fields: field("ice-a", "b"), ..new() };
        assert_eq!(named.check(), Ok(()));
    }
}
