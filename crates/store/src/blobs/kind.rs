//! What a file is, told by its own first bytes, and how large that kind may be.
//!
//! The signatures are those of the formats' own specifications: JPEG (ISO/IEC 10918-1, SOI and a
//! marker), PNG (W3C PNG, 5.2), WebP (RFC 9649, 2.5), PDF (ISO 32000-1, 7.5.2), ISO base media
//! (ISO/IEC 14496-12, 4.3: the brands of a `ftyp` box), ZIP-based office files (ECMA-376 part 2).

const MIB: u64 = 1024 * 1024;
const IMAGE_BYTES_MAX: u64 = 32 * MIB;
const DOCUMENT_BYTES_MAX: u64 = 64 * MIB;
const VIDEO_BYTES_MAX: u64 = 512 * MIB;

/// As many first bytes as [`Kind::sniff`] looks at.
pub const HEAD_BYTES: usize = 64;

/// The kinds of file that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Jpeg,
    Png,
    Webp,
    Heic,
    Pdf,
    Mp4,
    QuickTime,
    /// Word, Excel, PowerPoint since 2007.
    OpenXml,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Jpeg,
        Self::Png,
        Self::Webp,
        Self::Heic,
        Self::Pdf,
        Self::Mp4,
        Self::QuickTime,
        Self::OpenXml,
    ];

    /// `None`: nothing that is taken.
    pub fn sniff(content: &[u8]) -> Option<Self> {
        let head = &content[..content.len().min(HEAD_BYTES)];
        if head.starts_with(b"\xff\xd8\xff") {
            return Some(Self::Jpeg);
        }
        if head.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Some(Self::Png);
        }
        if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
            return Some(Self::Webp);
        }
        if head.starts_with(b"%PDF-") {
            return Some(Self::Pdf);
        }
        if head.get(4..8) == Some(b"ftyp") {
            return Self::of_brand(head.get(8..12)?);
        }
        // Office writes its content list first; any other ZIP is an archive, which is not taken:
        // nobody could see what is inside it.
        if head.starts_with(b"PK\x03\x04") && head.get(30..)?.starts_with(b"[Content_Types].xml") {
            return Some(Self::OpenXml);
        }
        None
    }

    fn of_brand(brand: &[u8]) -> Option<Self> {
        match brand {
            b"heic" | b"heix" | b"mif1" | b"msf1" => Some(Self::Heic),
            b"qt  " => Some(Self::QuickTime),
            b"isom" | b"iso2" | b"iso4" | b"iso5" | b"iso6" | b"mp41" | b"mp42" | b"avc1"
            | b"M4V " | b"MSNV" | b"3gp4" | b"3gp5" | b"dash" => Some(Self::Mp4),
            _ => None,
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Heic => "image/heic",
            Self::Pdf => "application/pdf",
            Self::Mp4 => "video/mp4",
            Self::QuickTime => "video/quicktime",
            Self::OpenXml => "application/vnd.openxmlformats-officedocument",
        }
    }

    pub fn bytes_max(self) -> u64 {
        match self {
            Self::Jpeg | Self::Png | Self::Webp | Self::Heic => IMAGE_BYTES_MAX,
            Self::Pdf | Self::OpenXml => DOCUMENT_BYTES_MAX,
            Self::Mp4 | Self::QuickTime => VIDEO_BYTES_MAX,
        }
    }

    pub(super) fn list() -> String {
        Self::ALL.map(Self::media_type).join(", ")
    }
}
