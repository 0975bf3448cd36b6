//! Conversions from and to the types of the crate [`http`](::http).

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{HeaderList, InvalidField, Method, Status, Version};

impl From<Method> for ::http::Method {
    fn from(method: Method) -> Self {
        // A method of ours is a token, which is all that theirs asks for.
        Self::from_bytes(method.as_str().as_bytes()).unwrap_or_default()
    }
}

impl TryFrom<&::http::Method> for Method {
    type Error = UnknownMethod;

    /// # Errors
    /// CONNECT, and tokens that are longer than 24 bytes.
    fn try_from(method: &::http::Method) -> Result<Self, UnknownMethod> {
        Self::from_any_token(method.as_str().as_bytes()).ok_or(UnknownMethod)
    }
}

/// A method that the server cannot serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMethod;

impl std::fmt::Display for UnknownMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the method is CONNECT, or longer than 24 bytes")
    }
}

impl std::error::Error for UnknownMethod {}

impl From<Status> for StatusCode {
    fn from(status: Status) -> Self {
        // A status of ours is from 100 to 599.
        Self::from_u16(status.code()).unwrap_or_default()
    }
}

impl TryFrom<StatusCode> for Status {
    type Error = NoFinalStatus;

    /// # Errors
    /// A status that is not from 200 to 599.
    fn try_from(status: StatusCode) -> Result<Self, NoFinalStatus> {
        Self::from_code(status.as_u16()).ok_or(NoFinalStatus)
    }
}

/// A status that does not end a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFinalStatus;

impl std::fmt::Display for NoFinalStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the status is not from 200 to 599")
    }
}

impl std::error::Error for NoFinalStatus {}

impl From<Version> for ::http::Version {
    fn from(version: Version) -> Self {
        match version {
            Version::Http10 => Self::HTTP_10,
            Version::Http11 => Self::HTTP_11,
        }
    }
}

impl From<&HeaderList> for HeaderMap {
    fn from(list: &HeaderList) -> Self {
        let mut map = Self::with_capacity(list.len());
        for (name, value) in list.iter() {
            // Names and values of ours are what theirs accept.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        }
        map
    }
}

impl TryFrom<&HeaderMap> for HeaderList {
    type Error = InvalidField;

    /// # Errors
    /// A value with white space at its ends.
    fn try_from(map: &HeaderMap) -> Result<Self, InvalidField> {
        let mut list = Self::default();
        for (name, value) in map {
            list.append(name.as_str(), value)?;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_statuses_survive_the_way_there_and_back() {
        for token in ["GET", "PATCH", "SOURCE", "PROPFIND"] {
            let method = Method::from_any_token(token.as_bytes()).unwrap();
            let theirs = ::http::Method::from(method);
            assert_eq!(theirs.as_str(), token);
            assert_eq!(Method::try_from(&theirs), Ok(method));
        }
        assert_eq!(Method::try_from(&::http::Method::CONNECT), Err(UnknownMethod));
        for &status in Status::ALL.iter().filter(|status| status.code() >= 200) {
            assert_eq!(Status::try_from(StatusCode::from(status)), Ok(status));
        }
        assert_eq!(Status::try_from(StatusCode::CONTINUE), Err(NoFinalStatus));
    }

    #[test]
    fn fields_keep_their_order_and_bytes() {
        let mut list = HeaderList::default();
        for (name, value) in [("a", &b"1"[..]), ("b", b"Caf\xe9"), ("a", b"2")] {
            list.append(name, value).unwrap();
        }
        let map = HeaderMap::from(&list);
        let values: Vec<_> = map.get_all("a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [b"1", b"2"]);
        let back = HeaderList::try_from(&map).unwrap();
        assert_eq!(back.all("a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(back.get("b"), Some(&b"Caf\xe9"[..]));
    }
}
