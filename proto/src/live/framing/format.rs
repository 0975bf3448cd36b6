//! The formats, by their names and by their looks.

use std::fmt;

use super::{adts, mpeg_audio};

/// How a live input is cut into packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// MPEG-1, 2 and 2.5 audio, layers I to III (ISO 11172-3, 13818-3): a frame is a packet.
    MpegAudio,
    /// AAC with ADTS headers (ISO 13818-7): a frame is a packet.
    Adts,
    /// MPEG-2 transport stream (ISO 13818-1): up to seven TS packets are a packet.
    MpegTs,
    /// Fragmented MP4 (ISO 14496-12): `moof` and `mdat` are a packet.
    Fmp4,
    /// Ogg (RFC 3533): a page is a packet.
    Ogg,
    /// WebM and Matroska (RFC 9559): a block is a packet, the first one with the head of its
    /// Cluster.
    WebM,
    /// Anything else: what comes at once is a packet, up to 64 KiB.
    Raw,
}

impl Format {
    /// The format of a media type; parameters and case do not matter. `None` for a type that is
    /// none of these.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        Some(match essence.to_ascii_lowercase().as_str() {
            "audio/mpeg" | "audio/mp3" | "audio/x-mp3" | "audio/x-mpeg" | "audio/mpa" => {
                Self::MpegAudio
            }
            "audio/aac" | "audio/aacp" | "audio/x-aac" => Self::Adts,
            "video/mp2t" | "video/mpegts" | "video/vnd.dlna.mpeg-tts" => Self::MpegTs,
            "video/mp4" | "audio/mp4" | "application/mp4" | "video/iso.segment" | "audio/m4a"
            | "audio/x-m4a" | "video/x-m4v" => Self::Fmp4,
            "audio/ogg" | "video/ogg" | "application/ogg" | "application/x-ogg" | "audio/opus"
            | "audio/vorbis" | "audio/x-ogg" => Self::Ogg,
            "video/webm" | "audio/webm" | "video/matroska" | "audio/matroska"
            | "video/x-matroska" | "audio/x-matroska" => Self::WebM,
            "application/octet-stream" => Self::Raw,
            _ => return None,
        })
    }

    /// The format of a file name's extension, without the dot; case does not matter.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "mp3" | "mp2" | "mp1" | "mpa" => Self::MpegAudio,
            "aac" | "adts" => Self::Adts,
            "ts" | "m2t" | "mpegts" => Self::MpegTs,
            "mp4" | "m4a" | "m4v" | "m4s" | "cmfv" | "cmfa" | "cmft" | "cmfm" => Self::Fmp4,
            "ogg" | "oga" | "ogv" | "ogx" | "opus" | "spx" => Self::Ogg,
            "webm" | "mkv" | "mka" | "weba" => Self::WebM,
            _ => return None,
        })
    }

    /// A media type to send it with.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::MpegAudio => "audio/mpeg",
            Self::Adts => "audio/aac",
            Self::MpegTs => "video/mp2t",
            Self::Fmp4 => "video/mp4",
            Self::Ogg => "audio/ogg",
            Self::WebM => "video/webm",
            Self::Raw => "application/octet-stream",
        }
    }

    /// The format that a stream with this beginning has, if it shows. 4 KiB are enough for all but
    /// a large ID3 tag.
    pub fn sniff(data: &[u8]) -> Option<Self> {
        if data.starts_with(b"OggS") {
            return Some(Self::Ogg);
        }
        if data.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
            return Some(Self::WebM);
        }
        if matches!(data.get(4..8), Some(b"ftyp" | b"styp" | b"moov" | b"moof" | b"sidx")) {
            return Some(Self::Fmp4);
        }
        if (data.len() > 188) && data.iter().step_by(188).take(4).all(|&byte| byte == 0x47) {
            return Some(Self::MpegTs);
        }
        if mpeg_audio::frames().begins(data) {
            return Some(Self::MpegAudio);
        }
        adts::frames().begins(data).then_some(Self::Adts)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MpegAudio => "MPEG audio",
            Self::Adts => "ADTS",
            Self::MpegTs => "MPEG-TS",
            Self::Fmp4 => "MP4",
            Self::Ogg => "Ogg",
            Self::WebM => "WebM",
            Self::Raw => "raw",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Format; 7] = [
        Format::MpegAudio,
        Format::Adts,
        Format::MpegTs,
        Format::Fmp4,
        Format::Ogg,
        Format::WebM,
        Format::Raw,
    ];

    #[test]
    fn names() {
        for format in ALL {
            assert_eq!(Format::from_media_type(format.media_type()), Some(format));
        }
        assert_eq!(Format::from_media_type("Video/WebM; codecs=\"vp8\""), Some(Format::WebM));
        assert_eq!(Format::from_media_type(" audio/MPEG "), Some(Format::MpegAudio));
        assert_eq!(Format::from_media_type("text/html"), None);
        assert_eq!(Format::from_media_type(""), None);
        assert_eq!(Format::from_extension("TS"), Some(Format::MpegTs));
        assert_eq!(Format::from_extension("txt"), None);
    }
}
