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
            Self(bar.with_style(style(false)))
        })
    }

    /// Shows how many bytes are sent, and of how many, if that is known.
    pub(super) fn show(&self, sent: u64, all: Option<u64>, message: String) {
        if self.0.length().is_some() != all.is_some() {
            self.0.set_style(style(all.is_some()));
        }
        match all {
            Some(all) => self.0.set_length(all),
            None => self.0.unset_length(),
        }
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

/// With a bar, or, where the length is not known, with a counter alone.
fn style(has_length: bool) -> ProgressStyle {
    let template = if has_length {
        "{spinner} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {msg}"
    } else {
        "{spinner} {bytes} {bytes_per_sec} {elapsed} {msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
