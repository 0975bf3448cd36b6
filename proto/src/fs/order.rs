//! How a listing is sorted.

use std::cmp::Ordering;

use super::{Entry, EntryKind, natural};

/// What a listing can be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// Name, in the order that people expect: without regard to case, numbers by their value.
    #[default]
    Name,
    /// Length.
    Size,
    /// Last modification.
    Date,
}

/// How a listing is sorted. Directories always come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub column: Column,
    /// The other way round.
    pub descending: bool,
}

impl Column {
    pub(crate) const ALL: [Self; 3] = [Self::Name, Self::Size, Self::Date];

    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Date => "date",
        }
    }
}

impl Order {
    /// Reads `sort=name|size|date` and `order=asc|desc` out of a query; anything else is passed
    /// over.
    pub fn from_query(query: Option<&str>) -> Self {
        let mut order = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("sort", key)) => {
                    let column = Column::ALL.into_iter().find(|column| column.key() == key);
                    order.column = column.unwrap_or(order.column);
                }
                Some(("order", way)) => order.descending = way == "desc",
                Some(_) | None => {}
            }
        }
        order
    }

    /// Compares two entries of one directory.
    pub fn compare(self, one: Entry<'_>, other: Entry<'_>) -> Ordering {
        let by_column = match self.column {
            Column::Name => Ordering::Equal,
            Column::Size => one.len.cmp(&other.len),
            Column::Date => one.modified.cmp(&other.modified),
        };
        let order = by_column.then_with(|| natural::compare(one.name, other.name));
        let order = if self.descending { order.reverse() } else { order };
        (one.kind == EntryKind::File).cmp(&(other.kind == EntryKind::File)).then(order)
    }
}
