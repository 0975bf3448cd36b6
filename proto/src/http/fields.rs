//! Header fields of a message, in the order they came.

use std::fmt;

use super::syntax::{is_field_name, is_field_value};

/// Fields that are lists, of which every line counts. Of several policies, a browser obeys all.
const LISTS: [&str; 4] = ["vary", "link", "set-cookie", "content-security-policy"];

/// Header fields (RFC 9110 §5) as pairs of name and value: names compare without case, fields keep
/// their order, and nothing in them can end a line.
#[derive(Clone, Default)]
pub struct HeaderList {
    /// Names and values, one after the other.
    text: Vec<u8>,
    fields: Vec<Field>,
}

/// Where a field lies in the text.
#[derive(Clone, Copy)]
struct Field {
    name: u32,
    value: u32,
    end: u32,
}

impl HeaderList {
    /// An empty list with room for so many fields, and so many bytes of names and values.
    pub(crate) fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), fields: Vec::with_capacity(fields) }
    }

    /// Adds a field.
    ///
    /// # Errors
    /// A name that is no token, or a value that a field cannot carry (RFC 9110 §5.5). Nothing is
    /// added then.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        let value = value.as_ref();
        if !is_field_name(name) {
            return Err(InvalidField::Name);
        }
        if !is_field_value(value) {
            return Err(InvalidField::Value);
        }
        self.push(name, value);
        Ok(())
    }

    /// Adds a field that was checked.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        let at = |text: &Vec<u8>| u32::try_from(text.len()).unwrap_or(u32::MAX);
        let start = at(&self.text);
        self.text.extend_from_slice(name.as_bytes());
        let middle = at(&self.text);
        self.text.extend_from_slice(value);
        self.fields.push(Field { name: start, value: middle, end: at(&self.text) });
    }

    /// Adds all fields of another list.
    pub(crate) fn extend(&mut self, other: &Self) {
        other.iter().for_each(|(name, value)| self.push(name, value));
    }

    /// Adds a member to a field that is a list (RFC 9110 §5.6.1).
    pub(crate) fn push_member(&mut self, name: &str, member: &str) {
        let Some(at) = self.iter().position(|(own, _)| own.eq_ignore_ascii_case(name)) else {
            return self.push(name, member.as_bytes());
        };
        let fields = std::mem::take(self);
        for (index, (name, value)) in fields.iter().enumerate() {
            if index == at {
                self.push(name, &[value, b", ", member.as_bytes()].concat());
            } else {
                self.push(name, value);
            }
        }
    }

    /// Keeps the fields whose names `keep` accepts.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let Self { text, fields } = self;
        fields.retain(|field| keep(field.name(text)));
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The values of all fields of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The members of a comma-separated list (RFC 9110 §5.6.1) over all fields of this name,
    /// without empty ones. For lists whose members hold no quoted strings.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.all(name)
            .flat_map(|value| value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// True if a field of this name, already in a response, gives way to one of this list: all do
    /// but lists.
    pub(crate) fn replaces(&self, name: &str) -> bool {
        self.get(name).is_some() && !LISTS.iter().any(|list| list.eq_ignore_ascii_case(name))
    }

    /// All fields, as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (field.name(&self.text), field.value(&self.text)))
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True if there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Bytes of all names and values.
    pub(crate) fn size(&self) -> usize {
        self.text.len()
    }
}

impl Field {
    fn name<'a>(&self, text: &'a [u8]) -> &'a str {
        let name = text.get(self.name as usize..self.value as usize).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    fn value<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.value as usize..self.end as usize).unwrap_or_default()
    }
}

/// White space at the ends of values is dropped; what a field cannot carry is left out.
impl<'a, V: AsRef<[u8]>> FromIterator<(&'a str, V)> for HeaderList {
    fn from_iter<T: IntoIterator<Item = (&'a str, V)>>(fields: T) -> Self {
        let mut list = Self::default();
        for (name, value) in fields {
            let _ = list.append(name, value.as_ref().trim_ascii());
        }
        list
    }
}

impl PartialEq for HeaderList {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for HeaderList {}

impl fmt::Debug for HeaderList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
        f.debug_map().entries(shown).finish()
    }
}

/// Why a header field cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidField {
    /// The name is no token.
    Name,
    /// A field cannot carry the value.
    Value,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of the header field is not a token",
            Self::Value => "the value holds what a header field cannot carry",
        })
    }
}

impl std::error::Error for InvalidField {}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(fields: &[(&str, &str)]) -> HeaderList {
        let mut list = HeaderList::default();
        fields.iter().for_each(|(name, value)| list.append(name, value).unwrap());
        list
    }

    #[test]
    fn lists_run_over_fields() {
        let fields = list(&[("A", "x,, y"), ("B", "n"), ("a", ",z")]);
        let members: Vec<_> = fields.list("a").collect();
        assert_eq!(members, [b"x", b"y", b"z"]);
        assert_eq!(fields.get("b"), Some(&b"n"[..]));
        assert_eq!(fields.get("c"), None);
    }

    #[test]
    fn what_no_field_can_carry_is_not_added() {
        let mut fields = HeaderList::default();
        assert_eq!(fields.append("", "1"), Err(InvalidField::Name));
        assert_eq!(fields.append("A\r\nB", "1"), Err(InvalidField::Name));
        assert_eq!(fields.append("A", "1\r\nB: 2"), Err(InvalidField::Value));
        assert!(fields.is_empty());
    }

    #[test]
    fn fields_are_removed_and_members_added_in_place() {
        let mut fields = list(&[("A", "1"), ("Vary", "Range"), ("B", "2")]);
        fields.push_member("vary", "Origin");
        fields.push_member("C", "3");
        fields.retain(|name| name != "A");
        assert_eq!(fields, list(&[("Vary", "Range, Origin"), ("B", "2"), ("C", "3")]));
    }

    #[test]
    fn a_field_replaces_another_of_its_name_unless_it_is_a_list() {
        let fields = list(&[("Server", "x"), ("Vary", "Accept")]);
        assert!(fields.replaces("server"));
        assert!(!fields.replaces("vary"));
        assert!(!fields.replaces("Date"));
    }
}
