//! With ffmpeg as encoder and as player, beside curl.

mod clients;
mod formats;
mod framing;
