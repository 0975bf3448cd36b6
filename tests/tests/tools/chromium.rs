//! With Chromium.

mod browser;
mod players;
