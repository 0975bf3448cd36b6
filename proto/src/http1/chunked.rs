//! The chunked transfer coding (RFC 9112 §7.1), decoding: strict, incremental, no byte copied.

use bytes::{Buf, Bytes};

use super::head::check_trailers;
use crate::http::is_tchar;
use crate::{error::PeerError, limits::Limits};

/// Takes a chunked body apart.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    state: State,
    /// Bytes of extensions: of the chunk that begins, and in all.
    extension: usize,
    extensions: u64,
    /// Bytes of content.
    content: u64,
}

/// Bytes of content that pay for one more byte of extensions, so that signed chunks of any usual
/// size pass, and a body that is little but extensions does not.
const CONTENT_PER_EXTENSION_BYTE: u64 = 8;

/// Where in the grammar the next byte stands.
///
/// ```text
/// Size --> AfterSize --> Ext.. --> SizeLf --> Data --> DataCr --> DataLf --+
///  ^  \------------------------------^   \                                  |
///  +-----------------------------------------------------------------------+
///                                          +--> Trailers --> End
/// ```
#[derive(Debug)]
enum State {
    Size {
        value: u64,
        digits: u8,
    },
    /// White space after the size, before `;`.
    AfterSize {
        value: u64,
    },
    Ext {
        value: u64,
        at: Ext,
    },
    SizeLf {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    Trailers(Vec<u8>),
    End,
}

/// Where in `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ext {
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Token,
    Quoted,
    Escaped,
    AfterValue,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { value: 0, digits: 0 }
    }
}

/// What came out of a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A piece of content.
    Data(Bytes),
    /// The body is complete; the rest of the input is not its.
    End,
    /// All input is used up.
    More,
}

impl Decoder {
    /// Takes from `data` up to the next piece of content, which is of `most` bytes at the most.
    pub(crate) fn decode(
        &mut self,
        data: &mut Bytes,
        most: usize,
        limits: &Limits,
    ) -> Result<Decoded, PeerError> {
        loop {
            if let State::End = self.state {
                return Ok(Decoded::End);
            }
            let Some(&byte) = data.first() else { return Ok(Decoded::More) };
            match &mut self.state {
                State::Data { .. } if most == 0 => return Ok(Decoded::More),
                State::Data { left } => {
                    let take =
                        usize::try_from(*left).unwrap_or(usize::MAX).min(data.len()).min(most);
                    *left -= take as u64;
                    self.content += take as u64;
                    if *left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Decoded::Data(data.split_to(take)));
                }
                State::Trailers(lines) => {
                    lines.push(byte);
                    if trailers_end(lines, limits)? {
                        check_trailers(lines)?;
                        self.state = State::End;
                    }
                }
                State::Size { .. }
                | State::AfterSize { .. }
                | State::Ext { .. }
                | State::SizeLf { .. }
                | State::DataCr
                | State::DataLf
                | State::End => self.step(byte, limits)?,
            }
            data.advance(1);
        }
    }

    /// One byte of the framing.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<(), PeerError> {
        let state = &mut self.state;
        *state = match (&*state, byte) {
            (&State::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == 16 {
                    return Err(PeerError::Malformed("the chunk size has more than 16 digits"));
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
            }
            (&State::Size { digits: 0, .. }, _) => {
                return Err(PeerError::Malformed("the chunk size is not a hexadecimal number"));
            }
            (&State::Size { value, .. }, b'\r') => State::SizeLf { value },
            (&(State::Size { value, .. } | State::AfterSize { value }), b';') => {
                State::Ext { value, at: Ext::BeforeName }
            }
            (&(State::Size { value, .. } | State::AfterSize { value }), b' ' | b'\t') => {
                State::AfterSize { value }
            }
            (&State::Ext { value, at }, _) => match at.step(byte) {
                Some(at) => State::Ext { value, at },
                None if byte == b'\r' && at.may_end() => State::SizeLf { value },
                None => return Err(PeerError::Malformed("a chunk extension is malformed")),
            },
            (&State::SizeLf { value: 0 }, b'\n') => State::Trailers(Vec::new()),
            // No file is that large, and offsets stay within i64.
            (&State::SizeLf { value }, b'\n') if value > i64::MAX as u64 => {
                return Err(PeerError::TooLarge);
            }
            (&State::SizeLf { value }, b'\n') => State::Data { left: value },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::default(),
            (State::DataCr | State::DataLf, _) => {
                return Err(PeerError::Malformed("chunk data is not followed by CRLF"));
            }
            _ => return Err(PeerError::Malformed("the chunk size line is malformed")),
        };
        if let State::Ext { .. } | State::AfterSize { .. } = self.state {
            self.extension += 1;
            self.extensions += 1;
            let most = limits.chunk_extensions;
            let earned = self.content / CONTENT_PER_EXTENSION_BYTE;
            if self.extension > most || self.extensions > most as u64 + earned {
                return Err(PeerError::Malformed("the chunk extensions are too long"));
            }
        } else {
            self.extension = 0;
        }
        Ok(())
    }
}

impl Ext {
    fn step(self, byte: u8) -> Option<Self> {
        let white = matches!(byte, b' ' | b'\t');
        match self {
            Self::BeforeName | Self::BeforeValue if white => Some(self),
            Self::BeforeName | Self::Name if is_tchar(byte) => Some(Self::Name),
            Self::Name | Self::AfterName if white => Some(Self::AfterName),
            Self::Name | Self::AfterName if byte == b'=' => Some(Self::BeforeValue),
            Self::BeforeValue if byte == b'"' => Some(Self::Quoted),
            Self::BeforeValue | Self::Token if is_tchar(byte) => Some(Self::Token),
            Self::Quoted if byte == b'"' => Some(Self::AfterValue),
            Self::Quoted if byte == b'\\' => Some(Self::Escaped),
            Self::Quoted | Self::Escaped if byte == b'\t' || byte >= b' ' && byte != 0x7f => {
                Some(Self::Quoted)
            }
            Self::Token | Self::AfterValue if white => Some(Self::AfterValue),
            Self::Name | Self::AfterName | Self::Token | Self::AfterValue if byte == b';' => {
                Some(Self::BeforeName)
            }
            Self::BeforeName
            | Self::Name
            | Self::AfterName
            | Self::BeforeValue
            | Self::Token
            | Self::Quoted
            | Self::Escaped
            | Self::AfterValue => None,
        }
    }

    /// May the line end here?
    fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Token | Self::AfterValue)
    }
}

/// True when `lines` ends the trailer section.
fn trailers_end(lines: &[u8], limits: &Limits) -> Result<bool, PeerError> {
    let Some((&last, before)) = lines.split_last() else { return Ok(false) };
    let after_cr = before.last() == Some(&b'\r');
    if after_cr != (last == b'\n') {
        return Err(PeerError::Malformed("CR or LF alone in the trailers"));
    }
    if last != b'\n' {
        if matches!(last, b' ' | b'\t') && (before.is_empty() || before.ends_with(b"\n")) {
            return Err(PeerError::Malformed("white space at the start of a trailer line"));
        }
        if lines.len() > limits.trailers {
            return Err(PeerError::Malformed("the trailers are too long"));
        }
        return Ok(false);
    }
    if lines == b"\r\n" || lines.ends_with(b"\r\n\r\n") {
        return Ok(true);
    }
    if lines.iter().filter(|&&b| b == b'\n').count() > limits.trailer_fields {
        return Err(PeerError::Malformed("there are too many trailers"));
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
