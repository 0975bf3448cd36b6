//! What stands for compression: what is packed is kept here, and the packed form only names it.

use bytes::Bytes;
use httpout_proto::semantics::coding::Coding;

use crate::choices::Dice;

/// All that was ever packed.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    contents: Vec<(Coding, Vec<u8>)>,
}

/// What a request was given of a file.
#[derive(Debug)]
pub(crate) struct Packed {
    /// The file's entity tag.
    pub(crate) etag: String,
    pub(crate) coding: Coding,
    /// `None`: it could not be packed.
    pub(crate) bytes: Option<Bytes>,
}

/// What a client accepts, and the coding that this means.
pub(crate) type Accept = (&'static str, Option<Coding>);

pub(crate) const ACCEPTS: [Accept; 8] = [
    ("gzip", Some(Coding::Gzip)),
    ("gzip, deflate, br", Some(Coding::Gzip)),
    ("deflate", Some(Coding::Deflate)),
    ("gzip;q=0.5, deflate", Some(Coding::Deflate)),
    ("gzip;q=0, deflate;q=0.1", Some(Coding::Deflate)),
    ("identity, gzip;q=0.5", None),
    ("br", None),
    ("*;q=0", None),
];

impl Packer {
    /// Packs; mostly it gets smaller by that.
    pub(crate) fn pack(&mut self, content: Vec<u8>, coding: Coding, dice: &mut Dice<'_>) -> Bytes {
        let len = content.len();
        self.contents.push((coding, content));
        let mut packed = format!("{} {} ", coding.token(), self.contents.len() - 1).into_bytes();
        let size = if dice.chance(10) { len + dice.index(2) } else { dice.index(len + 1) };
        packed.resize(packed.len().max(size), b'.');
        packed.into()
    }

    /// What was packed in this form.
    pub(crate) fn unpack(&self, packed: &[u8]) -> Option<&(Coding, Vec<u8>)> {
        let text = std::str::from_utf8(packed).ok()?;
        let mut words = text.split(' ');
        let token = words.next()?;
        let found = self.contents.get(words.next()?.parse::<usize>().ok()?)?;
        (found.0.token() == token).then_some(found)
    }
}
