//! What the caller may say about a file. Everything unsaid is found out from the file itself.

use pack::Crs;

/// How a file is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `None`: by the file's name.
    pub format: Option<Format>,
    /// `utf-8`, `gb18030` (`gbk`, `gb2312` too), `utf-16le`, `utf-16be`. `None`: by byte order
    /// mark, then by trying.
    pub encoding: Option<String>,
    /// `None`: whichever of `,` `;` tab `|` cuts the first records evenly.
    pub delimiter: Option<u8>,
    /// Texts that mean that there is no value, beside the mapping's. The empty cell always does.
    pub null: Vec<String>,
    /// What the file's coordinates are in. `None`: what the mapping says, or else WGS-84.
    pub crs: Option<Crs>,
    /// Zone of times that name none.
    pub utc_offset_minutes: i32,
    /// Excel: the sheet's name. `None`: the first.
    pub sheet: Option<String>,
    /// The mapping to use. `None`: the first that applies.
    pub mapping: Option<String>,
    /// Threads that parse. `None`: as many as the machine has processors.
    pub threads: Option<usize>,
}

/// Null texts unless the caller names others.
pub const NULL_TEXTS: [&str; 6] = ["NA", "N/A", "NULL", "null", "NaN", "\\N"];

/// China's one zone.
const UTC_OFFSET_MINUTES: i32 = 8 * 60;

impl Default for Options {
    fn default() -> Self {
        Self {
            format: None,
            encoding: None,
            delimiter: None,
            null: NULL_TEXTS.map(str::to_owned).to_vec(),
            crs: None,
            utc_offset_minutes: UTC_OFFSET_MINUTES,
            sheet: None,
            mapping: None,
            threads: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    /// One JSON object a line; GeoJSON features a line too.
    JsonLines,
    /// A GeoJSON feature collection, or a plain JSON array of objects.
    GeoJson,
    /// GeoParquet too.
    Parquet,
    Excel,
}

impl Format {
    /// By the file's name, a trailing `.gz` aside.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let (_, extension) = name.rsplit_once('.')?;
        match extension {
            "csv" | "tsv" | "tab" | "txt" | "psv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "geojsonl" | "geojsons" => Some(Self::JsonLines),
            "geojson" | "json" => Some(Self::GeoJson),
            "parquet" | "geoparquet" => Some(Self::Parquet),
            "xlsx" | "xlsm" => Some(Self::Excel),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::JsonLines => "JSON lines",
            Self::GeoJson => "GeoJSON",
            Self::Parquet => "Parquet",
            Self::Excel => "Excel",
        }
    }
}
