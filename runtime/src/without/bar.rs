//! In place of the progress bar, in a build without the command line: there is none.

/// A progress bar, of which there is none.
#[derive(Debug)]
pub(super) enum Bar {}

impl Bar {
    pub(super) fn on_terminal() -> Option<Self> {
        None
    }

    pub(super) fn show(&self, _: u64, _: Option<u64>, _: String) {
        match *self {}
    }

    pub(super) fn suspend(&self, _: impl FnOnce()) {
        match *self {}
    }

    pub(super) fn finish(&self) {
        match *self {}
    }
}
