//! `Authorization`, against a reading of the base64 bit by bit.

use httpout_proto::semantics::basic::credentials;

use crate::lines;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// One input: the field's value, or several with a line feed between them.
pub fn run(data: &[u8]) {
    let (lines, fields) = lines::fields("Authorization", data);
    let read = credentials(&fields);
    let data = match lines[..] {
        [] => return assert_eq!(read, Ok(None)),
        [line] => line,
        _ => return assert!(read.is_err(), "{read:?}"),
    };
    let is_basic = data.len() >= 5
        && data[..5].eq_ignore_ascii_case(b"basic")
        && matches!(data.get(5), None | Some(b' '));
    if !is_basic {
        assert_eq!(read, Ok(None));
        return;
    }
    match (model(data.get(5..).unwrap_or_default().trim_ascii()), read) {
        (None, read) => assert!(read.is_err(), "{read:?}"),
        (Some((user, password)), read) => {
            let basic = read.expect("well-formed").expect("of this scheme");
            assert_eq!((basic.user, basic.password.reveal()), (user, &*password));
        }
    }
}

fn model(token: &[u8]) -> Option<(String, String)> {
    let symbols = token.iter().take_while(|&&b| b != b'=').count();
    let (symbols, padding) = token.split_at(symbols);
    // All of the padding may be there, a part of it, or none.
    let most = symbols.len().next_multiple_of(4) - symbols.len();
    if padding.iter().any(|&b| b != b'=') || padding.len() > most {
        return None;
    }
    let mut bits = Vec::new();
    for symbol in symbols {
        let value = ALPHABET.iter().position(|letter| letter == symbol)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    let left = bits.len() % 8;
    // Six bits are no byte; those that are left over must be zero.
    if left >= 6 || bits[bits.len() - left..].contains(&true) {
        return None;
    }
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
    let bytes: Vec<u8> = bits[..bits.len() - left].chunks(8).map(byte).collect();
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= 1024)?;
    let (user, password) = text.split_once(':')?;
    (!text.chars().any(char::is_control)).then(|| (user.to_owned(), password.to_owned()))
}
