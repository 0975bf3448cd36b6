//! The grammar that heads share (RFC 9110 §5.6).

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// True if a header field can carry this value (RFC 9110 §5.5): visible characters, `obs-text`
/// (bytes beyond ASCII: UTF-8, Latin-1), spaces and tabs, and no white space at the ends.
pub fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|&b| matches!(b, b'\t' | b' '..=b'~' | 0x80..)) && value.trim_ascii() == value
}

/// True for a header field's name, a token (RFC 9110 §5.1).
pub(crate) fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_tchar)
}

/// Digits and nothing else, at least one, within u64: `str::parse` would take a sign.
pub(crate) fn parse_digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2), not empty, without user information.
pub(crate) fn is_authority(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let (host, port) = match value.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((literal, port))) => {
            if literal.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            match port.strip_prefix(':') {
                Some(port) => ("", port),
                None => return port.is_empty(),
            }
        }
        Some(None) => return false,
        None => match value.split_once(':') {
            Some(("", _)) => return false,
            Some((host, port)) => (host, port),
            None if value.is_empty() => return false,
            None => (value, ""),
        },
    };
    let port_is_fine = match parse_digits(port.as_bytes()) {
        Some(number) => number <= 65535,
        None => port.is_empty(),
    };
    port_is_fine && is_reg_name(host)
}

/// `reg-name` of RFC 3986 §3.2.2.
fn is_reg_name(host: &str) -> bool {
    let bytes = host.as_bytes();
    bytes.iter().enumerate().all(|(at, &b)| match b {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        _ => b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b),
    }) && !host.contains(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_split_a_head() {
        assert!(is_field_value(b"max-age=3, public"));
        assert!(is_field_value(b""));
        assert!(is_field_value("Café".as_bytes()) && is_field_value(b"Caf\xe9"));
        for bad in [&b"a\r\nb: c"[..], b"\n", b"a\0", b" a", b"a ", b"\x7f", b"\xe9\n"] {
            assert!(!is_field_value(bad), "{bad:?}");
        }
    }
}
