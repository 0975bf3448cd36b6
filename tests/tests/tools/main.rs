//! Both binaries with real clients and system tools: curl, ffmpeg, Chromium, nginx, Apache, openssl, strace, mounted
//! file systems. One module for each subject.

mod browser;
mod cases;
mod clients;
mod faults;
mod formats;
mod framing;
mod players;
mod proxy;
mod push_servers;
