//! ICY metadata: what is being played, told inside the stream to the clients that ask for it
//! (`Icy-MetaData: 1`).

use bytes::{Bytes, BytesMut};

use crate::{http::HeaderList, live::Text};

/// Bytes of the stream between two pieces of metadata, as Icecast has it.
pub const INTERVAL: usize = 16_000;
/// The length of metadata is told in one byte, in units of this.
const UNIT: usize = 16;
/// Longest metadata in bytes.
const MOST: usize = 255 * UNIT;

/// Puts metadata between the bytes of a stream.
#[derive(Clone, Debug)]
pub struct Icy {
    /// Bytes of the stream until the next piece.
    left: usize,
    /// What was told last.
    told: Option<Text>,
}

impl Default for Icy {
    fn default() -> Self {
        Self { left: INTERVAL, told: None }
    }
}

impl Icy {
    /// True if the client asks for metadata.
    pub fn is_wanted(fields: &HeaderList) -> bool {
        fields.get("icy-metadata") == Some(b"1")
    }

    /// The bytes of the stream with the metadata that is due among them. A title is told once.
    pub fn interleave(&mut self, data: Vec<Bytes>, title: Option<&Text>) -> Vec<Bytes> {
        let mut out = Vec::with_capacity(data.len() + 2);
        for mut bytes in data {
            while bytes.len() >= self.left {
                out.push(bytes.split_to(self.left));
                out.push(self.metadata(title));
                self.left = INTERVAL;
            }
            self.left -= bytes.len();
            out.push(bytes);
        }
        out.retain(|bytes| !bytes.is_empty());
        out
    }

    fn metadata(&mut self, title: Option<&Text>) -> Bytes {
        let Some(title) = title.filter(|&title| self.told.as_ref() != Some(title)) else {
            return Bytes::from_static(&[0]);
        };
        self.told = Some(title.clone());
        block(title)
    }
}

/// `StreamTitle='…';` with its length in front, filled up with NUL.
fn block(title: &Text) -> Bytes {
    let (before, after) = ("StreamTitle='", "';");
    let title = shown(title.as_bytes(), MOST - before.len() - after.len());
    let len = before.len() + title.len() + after.len();
    let units = len.div_ceil(UNIT);
    let mut block = BytesMut::with_capacity(1 + units * UNIT);
    block.extend_from_slice(&[units as u8]);
    for piece in [before.as_bytes(), &title, after.as_bytes()] {
        block.extend_from_slice(piece);
    }
    block.resize(1 + units * UNIT, 0);
    block.freeze()
}

/// The title as a player can read it, in at most so many bytes: in its encoding, on one line.
fn shown(title: &[u8], most: usize) -> Vec<u8> {
    // There is no escape: players look for the quote with the semicolon.
    let quote = match std::str::from_utf8(title) {
        Ok(_) => "’;".as_bytes(),
        Err(_) => b"\xb4;",
    };
    let mut shown = Vec::with_capacity(title.len());
    let mut rest = title;
    while let Some((&byte, behind)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(b"';") {
            shown.extend_from_slice(quote);
            rest = behind;
            continue;
        }
        shown.push(if byte.is_ascii_control() { b' ' } else { byte });
        rest = behind;
    }
    if let Ok(text) = std::str::from_utf8(&shown) {
        let end = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
        shown.truncate(end.unwrap_or(0));
    } else {
        shown.truncate(most);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a player does: the stream, and the titles it is told.
    fn play(bytes: &[u8]) -> (Vec<u8>, Vec<String>) {
        let (mut stream, mut titles, mut rest) = (Vec::new(), Vec::new(), bytes);
        while rest.len() > INTERVAL {
            let (data, metadata) = rest.split_at(INTERVAL);
            let len = usize::from(metadata[0]) * UNIT;
            stream.extend_from_slice(data);
            let text = String::from_utf8(metadata[1..=len].to_vec()).unwrap();
            let text = text.trim_end_matches('\0');
            let title = text.strip_prefix("StreamTitle='").and_then(|t| t.strip_suffix("';"));
            titles.extend(title.map(str::to_owned));
            rest = &metadata[1 + len..];
        }
        stream.extend_from_slice(rest);
        (stream, titles)
    }

    proptest! {
        #[test]
        fn the_stream_is_whole_and_each_title_told_once(
            sizes in prop::collection::vec(0usize..40_000, 0..12),
            titles in prop::collection::vec("[a-z';ü]{0,400}", 12),
        ) {
            let mut icy = Icy::default();
            let (mut sent, mut whole, mut expected) = (Vec::new(), Vec::new(), Vec::<String>::new());
            for (at, (len, title)) in sizes.iter().zip(&titles).enumerate() {
                let data = Bytes::from(vec![at as u8; *len]);
                whole.extend_from_slice(&data);
                let title = Text::from(title.as_str());
                let due = whole.len() / INTERVAL > (whole.len() - len) / INTERVAL;
                let shown = String::from_utf8(shown(title.as_bytes(), MOST)).unwrap();
                if due && icy.told.as_ref() != Some(&title) {
                    expected.push(shown);
                }
                sent.extend(icy.interleave(vec![data], Some(&title)).concat());
            }
            let (stream, told) = play(&sent);
            prop_assert_eq!(stream.len(), whole.len());
            prop_assert_eq!(stream, whole);
            // What is due behind the very last byte is there, but `play` does not look at it.
            prop_assert!(expected.starts_with(&told) && expected.len() <= told.len() + 1);
        }
    }

    #[test]
    fn a_title_keeps_its_encoding_and_its_block() {
        for (title, told) in [
            ("Café".as_bytes(), "StreamTitle='Café';".as_bytes()),
            (b"Caf\xe9 it's", b"StreamTitle='Caf\xe9 it's';"),
            ("é';x='".as_bytes(), "StreamTitle='é’;x='';".as_bytes()),
            (b"\xe9';", b"StreamTitle='\xe9\xb4;';"),
            (b"two\r\nlines\0", b"StreamTitle='two  lines ';"),
        ] {
            let block = block(&title.into());
            let end = block.iter().rposition(|&b| b != 0).unwrap();
            assert_eq!(&block[1..=end], told);
            assert_eq!(block.len(), 1 + usize::from(block[0]) * UNIT);
        }
    }

    #[test]
    fn a_title_is_cut_where_it_does_not_fit() {
        let block = block(&"ü".repeat(5000).into());
        assert_eq!((block.len(), block[0]), (1 + MOST, 255));
        assert!(std::str::from_utf8(&block[1..]).is_ok());
    }
}
