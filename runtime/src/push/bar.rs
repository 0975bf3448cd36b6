//! The progress bar on a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A progress bar on standard error.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// `None`: standard error is no terminal.
    pub(super) fn on_terminal() -> Option<Self> {
        io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(
                "{spinner} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {msg}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            Self(bar)
        })
    }

    /// Shows how many bytes are sent, of how many.
    pub(super) fn show(&self, sent: u64, all: u64, message: String) {
        self.0.set_length(all);
        self.0.set_position(sent);
        self.0.set_message(message);
    }

    /// Takes the bar away while something else is written.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }

    /// Takes the bar away for good.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
