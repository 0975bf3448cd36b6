//! Both binaries with real clients, servers and system tools. A test that needs an outside tool has
//! the tool's name in its path, here or in the wire suite, so that a machine without the tool can
//! leave it out by name.

mod chromium;
mod curl;
mod ffmpeg;
mod nginx;
mod python3;
mod strace;
