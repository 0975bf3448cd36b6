//! Request methods (RFC 9110 §9).

use std::fmt;

use super::syntax::is_tchar;

/// What a site lets a client do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Ask what is allowed.
    Ask,
    /// Read a file or a live resource.
    Read,
    /// Change a file.
    Write,
    /// Send an upload that the embedding program takes.
    Deliver,
    /// Send a live resource as Icecast's source clients do.
    Icecast,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Safety {
    /// Changes nothing (RFC 9110 §9.2.1).
    Safe,
    /// Has the same effect once and repeated (RFC 9110 §9.2.2).
    Idempotent,
    /// Neither.
    Unsafe,
}

/// The enum and its table. Tokens, `Allow`, the words of logs and the labels of metrics follow from
/// the table.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $token:literal, $safety:ident, [$($uses:ident),*];)*) => {
        /// The methods that are understood (RFC 9110 §9, RFC 5789), and others that only a hook can
        /// answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $name,)*
            /// Another one: a hook may answer it.
            Other(OtherMethod),
        }

        impl Method {
            /// The methods that the server itself understands, in the order of `Allow`.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Reads the token; methods are case-sensitive.
            pub fn from_token(token: &[u8]) -> Option<Self> {
                $(if token == $token.as_bytes() {
                    return Some(Self::$name);
                })*
                None
            }

            /// The token.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $token,)*
                    Self::Other(other) => other.as_str(),
                }
            }

            fn safety(&self) -> Safety {
                match self {
                    $(Self::$name => Safety::$safety,)*
                    Self::Other(other) if other.is_safe() => Safety::Safe,
                    Self::Other(_) => Safety::Unsafe,
                }
            }

            /// Where the method is allowed: where one of its uses is.
            pub(crate) fn uses(&self) -> &'static [Use] {
                match self {
                    $(Self::$name => &[$(Use::$uses),*],)*
                    Self::Other(_) => &[],
                }
            }
        }
    };
}

methods! {
    /// GET
    Get = "GET", Safe, [Read];
    /// HEAD
    Head = "HEAD", Safe, [Read];
    /// PUT
    Put = "PUT", Idempotent, [Write, Deliver, Icecast];
    /// POST: as PUT; beside Icecast, titles too
    Post = "POST", Unsafe, [Write, Deliver, Icecast];
    /// PATCH
    Patch = "PATCH", Unsafe, [Write];
    /// DELETE
    Delete = "DELETE", Idempotent, [Write];
    /// SOURCE: what older Icecast source clients say for PUT
    Source = "SOURCE", Unsafe, [Icecast];
    /// OPTIONS
    Options = "OPTIONS", Safe, [Ask];
}

/// The token of a method that the server itself does not understand.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OtherMethod {
    len: u8,
    bytes: [u8; Self::LONGEST],
}

impl OtherMethod {
    /// Longer tokens are never methods: the longest registered one has 17 characters.
    const LONGEST: usize = 24;

    fn new(token: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..token.len())?.copy_from_slice(token);
        let is_token = !token.is_empty() && token.iter().all(|&b| is_tchar(b));
        // Its target is no path, and what follows its answer is no message.
        let is_tunnel = token == b"CONNECT";
        let len = u8::try_from(token.len()).ok()?;
        (is_token && !is_tunnel).then_some(Self { len, bytes })
    }

    fn as_str(&self) -> &str {
        let token = self.bytes.get(..self.len.into()).unwrap_or_default();
        std::str::from_utf8(token).unwrap_or_default()
    }

    /// True if its request changes nothing (RFC 4918, RFC 3253, RFC 5323, and HTTP QUERY).
    fn is_safe(&self) -> bool {
        matches!(self.as_str(), "PROPFIND" | "QUERY" | "REPORT" | "SEARCH" | "TRACE")
    }
}

impl fmt::Debug for OtherMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Method {
    /// Reads the token of any method but CONNECT. `None` for what is too long to be one.
    pub fn from_any_token(token: &[u8]) -> Option<Self> {
        Self::from_token(token).or_else(|| OtherMethod::new(token).map(Self::Other))
    }

    /// True if a request changes nothing (RFC 9110 §9.2.1).
    pub fn is_safe(&self) -> bool {
        self.safety() == Safety::Safe
    }

    /// True if a request may be repeated after a lost connection (RFC 9110 §9.2.2). Of a method
    /// that the server does not understand, this is not known.
    pub fn is_idempotent(&self) -> bool {
        self.safety() != Safety::Unsafe && !matches!(self, Self::Other(_))
    }

    /// The value of `Allow` where these uses are possible (RFC 9110 §10.2.1).
    pub(crate) fn allow(uses: &[Use]) -> String {
        let allowed = |method: &&Self| method.uses().iter().any(|one| uses.contains(one));
        let tokens: Vec<_> = Self::ALL.iter().filter(allowed).map(Self::as_str).collect();
        tokens.join(", ")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written() {
        for method in Method::ALL {
            assert_eq!(Method::from_token(method.as_str().as_bytes()), Some(*method));
            assert_eq!(Method::from_token(method.as_str().to_lowercase().as_bytes()), None);
        }
        for token in ["COPY", "PROPFIND", "M-SEARCH"] {
            assert_eq!(Method::from_token(token.as_bytes()), None);
            let method = Method::from_any_token(token.as_bytes()).unwrap();
            assert_eq!((method.as_str(), method.is_idempotent()), (token, false));
        }
        for token in ["CONNECT", "", "A B", "ABCDEFGHIJKLMNOPQRSTUVWXY"] {
            assert_eq!(Method::from_any_token(token.as_bytes()), None, "{token}");
        }
    }

    #[test]
    fn allow_follows_from_the_table() {
        for (uses, expected) in [
            (&[Use::Ask, Use::Read][..], "GET, HEAD, OPTIONS"),
            (&[Use::Ask, Use::Deliver], "PUT, POST, OPTIONS"),
            (&[Use::Ask, Use::Read, Use::Write], "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"),
            (&[Use::Ask, Use::Read, Use::Icecast], "GET, HEAD, PUT, POST, SOURCE, OPTIONS"),
            (&[Use::Ask], "OPTIONS"),
        ] {
            assert_eq!(Method::allow(uses), expected);
        }
    }

    #[test]
    fn safe_and_idempotent_methods_are_those_of_rfc_9110() {
        let of = |is: fn(&Method) -> bool| -> Vec<_> {
            Method::ALL.iter().filter(|method| is(method)).map(Method::as_str).collect()
        };
        assert_eq!(of(Method::is_safe), ["GET", "HEAD", "OPTIONS"]);
        assert_eq!(of(Method::is_idempotent), ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]);
    }
}
