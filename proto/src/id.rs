//! The names of exchanges, effects and files within a session.

/// Names an exchange, a request and its response, on a connection (RFC 9110 §3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub(crate) u32);

impl ExchangeId {
    /// The number of the exchange on its connection, for logs. The first one is 1.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Names one effect that has an answer. Never used twice within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId {
    exchange: ExchangeId,
    number: u32,
}

impl OpId {
    /// The exchange that asked for the effect.
    pub fn exchange(self) -> ExchangeId {
        self.exchange
    }
}

/// Names an open file within a session. The session chooses it in the effect that opens the file;
/// the runtime keeps the table from ids to its own handles and drops an entry at
/// [`FsEffect::Close`](crate::effect::FsEffect::Close).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    exchange: ExchangeId,
    number: u32,
}

impl FileId {
    /// The exchange that opened the file.
    pub fn exchange(self) -> ExchangeId {
        self.exchange
    }

    /// A file that belongs to no exchange of a session.
    pub(crate) fn outside(number: u32) -> Self {
        Self { exchange: ExchangeId(0), number }
    }

    #[cfg(test)]
    pub(crate) fn number(self) -> u32 {
        self.number
    }
}

/// The source of the names that one exchange uses.
#[derive(Debug)]
pub(crate) struct Ids {
    pub(crate) exchange: ExchangeId,
    ops: u32,
    files: u32,
}

impl Ids {
    pub(crate) fn new(exchange: ExchangeId) -> Self {
        Self { exchange, ops: 0, files: 0 }
    }

    pub(crate) fn op(&mut self) -> OpId {
        self.ops = self.ops.wrapping_add(1);
        OpId { exchange: self.exchange, number: self.ops }
    }

    pub(crate) fn file(&mut self) -> FileId {
        self.files = self.files.wrapping_add(1);
        FileId { exchange: self.exchange, number: self.files }
    }
}
