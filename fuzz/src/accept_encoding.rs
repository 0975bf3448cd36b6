//! `Accept-Encoding`, against a model that weighs each coding by itself.

use httpout_proto::semantics::coding::{Coding, choose};

use crate::lines;

/// One input: the values of the field's lines, with line feeds between them.
pub fn run(data: &[u8]) {
    let (lines, fields) = lines::fields("Accept-Encoding", data);
    let members: Vec<Vec<u8>> = lines
        .join(&b","[..])
        .split(|&b| b == b',')
        .map(|member| member.trim_ascii().to_ascii_lowercase())
        .filter(|member| !member.is_empty())
        .take(64)
        .collect();
    let named = |names: &[&[u8]]| {
        members.iter().find_map(|member| {
            let name = member.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
            let weight =
                weight(&member[member.split(|&b| b == b';').next().map_or(0, <[u8]>::len)..]);
            if names.contains(&name) { weight } else { None }
        })
    };
    let any = named(&[b"*"]);
    let gzip = named(&[b"gzip", b"x-gzip"]).or(any).unwrap_or(0.0);
    let deflate = named(&[b"deflate"]).or(any).unwrap_or(0.0);
    let identity = named(&[b"identity"]).or(any).unwrap_or(0.0);
    let expected = if gzip > 0.0 && gzip >= deflate && gzip >= identity {
        Some(Coding::Gzip)
    } else if deflate > 0.0 && deflate > gzip && deflate >= identity {
        Some(Coding::Deflate)
    } else {
        None
    };
    assert_eq!(choose(&fields), expected);
}

/// Of `;q=…`, or of nothing.
fn weight(parameter: &[u8]) -> Option<f64> {
    let Some(rest) = parameter.strip_prefix(b";") else { return Some(1.0) };
    let value = std::str::from_utf8(rest.trim_ascii()).ok()?.strip_prefix("q=")?;
    let plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let short =
        plain && matches!(whole, "0" | "1") && decimals.len() <= 3 && !decimals.contains('.');
    value.parse().ok().filter(|&q| short && (0.0..=1.0).contains(&q))
}
