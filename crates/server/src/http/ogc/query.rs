//! What is asked of a collection's features, read from an address's query.

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::common::ScalarValue;
use pack::{Contract, Field, FieldType};
use spatial::Rect;

use super::crs::Crs;
use crate::fault::{Code, Fault};
use crate::limits::{OGC_ITEMS_DEFAULT, OGC_ITEMS_MAX};

/// A box in degrees, as given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Box4 {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

impl Box4 {
    pub fn rect(self) -> Rect {
        Rect::of_degrees(self.west, self.south, self.east, self.north)
    }
}

/// From and to, either open.
pub type Interval = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemsQuery {
    pub limit: usize,
    pub offset: usize,
    pub bbox: Option<Box4>,
    pub crs: Crs,
    pub datetime: Option<Interval>,
    /// Fields and the values that they must have.
    pub filters: Vec<(String, ScalarValue)>,
}

fn invalid(reason: impl Into<String>) -> Fault {
    Fault::new(Code::Invalid, reason)
}

impl ItemsQuery {
    /// Reads the parameters; `shows` says which fields may be asked about.
    pub fn of(
        given: &[(String, String)],
        contract: &Contract,
        shows: impl Fn(&str) -> bool,
    ) -> Result<Self, Fault> {
        let mut query = Self {
            limit: OGC_ITEMS_DEFAULT,
            offset: 0,
            bbox: None,
            crs: Crs::Crs84,
            datetime: None,
            filters: Vec::new(),
        };
        let mut bbox = None;
        let mut bbox_crs = Crs::Crs84;
        for (index, (name, value)) in given.iter().enumerate() {
            if given[..index].iter().any(|(before, _)| before == name) {
                return Err(invalid(format!("`{}` is given twice", short(name))));
            }
            match name.as_str() {
                "limit" => query.limit = limit(value)?,
                "offset" => {
                    let offset = value.parse::<u32>();
                    let offset = offset.map_err(|_| invalid("`offset` is no natural number"))?;
                    query.offset = offset as usize;
                }
                "bbox" => bbox = Some(value),
                "bbox-crs" => bbox_crs = Crs::of(value)?,
                "crs" => query.crs = Crs::of(value)?,
                "datetime" => query.datetime = Some(interval(value)?),
                "f" if value == "json" || value == "geojson" => {}
                "f" => return Err(invalid("features come as GeoJSON: f=json")),
                name => {
                    let field = contract
                        .field(name)
                        .filter(|field| field.ty != FieldType::Geometry && shows(&field.name));
                    let field = field.ok_or_else(|| {
                        invalid(format!("there is no parameter `{}`", short(name)))
                            .hint("the parameters are limit, offset, bbox, bbox-crs, crs, datetime and the collection's fields")
                    })?;
                    query.filters.push((field.name.clone(), literal(field, value)?));
                }
            }
        }
        query.bbox = bbox.map(|text| read_box(text, bbox_crs)).transpose()?;
        Ok(query)
    }
}

fn short(name: &str) -> String {
    name.chars().take(50).collect()
}

fn limit(value: &str) -> Result<usize, Fault> {
    let limit: u32 = value.parse().map_err(|_| invalid("`limit` is no natural number"))?;
    match limit {
        0 => Err(invalid("`limit` is 1 at least")),
        // The standard wants a larger one to be taken as the largest.
        limit => Ok((limit as usize).min(OGC_ITEMS_MAX)),
    }
}

/// Four numbers, or six with heights, which no dataset has.
fn read_box(text: &str, crs: Crs) -> Result<Box4, Fault> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|n| n.trim().parse::<f64>()).collect();
    let numbers = numbers.ok().filter(|numbers| numbers.iter().all(|n| n.is_finite()));
    let corners = match numbers.as_deref() {
        Some([a, b, c, d]) => [*a, *b, *c, *d],
        Some([a, b, _, c, d, _]) => [*a, *b, *c, *d],
        _ => {
            return Err(invalid("`bbox` is not four numbers")
                .hint("the lower and the upper corner, in the order of the system's axes"));
        }
    };
    let (west, south) = crs.from(corners[0], corners[1]);
    let (east, north) = crs.from(corners[2], corners[3]);
    let within = |lon: f64, lat: f64| lon.abs() <= 180.0 + 1e-9 && lat.abs() <= 90.0 + 1e-9;
    if !within(west, south) || !within(east, north) {
        return Err(invalid("`bbox` lies outside the earth")
            .hint("name its coordinate system with bbox-crs, and mind the order of its axes"));
    }
    if west > east || south > north {
        return Err(invalid("`bbox` ends before it begins")
            .hint("boxes across the antimeridian are not answered here"));
    }
    Ok(Box4 { west, south, east, north })
}

/// An instant, or two with `/` between, of which `..` or nothing is open.
fn interval(text: &str) -> Result<Interval, Fault> {
    let end = |text: &str, last: bool| match text {
        "" | ".." => Ok(None),
        text => moment(text, last).map(Some),
    };
    let (from, to) = match text.split_once('/') {
        Some((from, to)) => (end(from, false)?, end(to, true)?),
        None => (Some(moment(text, false)?), Some(moment(text, true)?)),
    };
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(invalid("`datetime` ends before it begins"));
    }
    Ok((from, to))
}

/// RFC 3339; a date alone is its first or its last moment, UTC.
fn moment(text: &str, last: bool) -> Result<DateTime<Utc>, Fault> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.with_timezone(&Utc));
    }
    let wrong =
        || invalid("`datetime` is no RFC 3339 moment").hint("2024-01-31T08:00:00Z, or `from/to`");
    let date: NaiveDate = text.parse().map_err(|_| wrong())?;
    let time = match last {
        true => date.and_hms_micro_opt(23, 59, 59, 999_999),
        false => date.and_hms_opt(0, 0, 0),
    };
    Ok(time.ok_or_else(wrong)?.and_utc())
}

/// A value as the field's type has it.
fn literal(field: &Field, text: &str) -> Result<ScalarValue, Fault> {
    let value = match field.ty {
        FieldType::Integer | FieldType::Money => {
            text.parse().ok().map(|n| ScalarValue::Int64(Some(n)))
        }
        FieldType::Number => text.parse().ok().map(|n| ScalarValue::Float64(Some(n))),
        FieldType::Boolean => text.parse().ok().map(|b| ScalarValue::Boolean(Some(b))),
        // What is masked is text, and dates are compared as they are written.
        _ => Some(ScalarValue::Utf8(Some(text.to_owned()))),
    };
    value.ok_or_else(|| invalid(format!("`{}` takes another type of value", field.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment_of(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn boxes_are_read_in_the_order_of_their_system() {
        let wanted = Box4 { west: 104.0, south: 30.0, east: 105.0, north: 31.0 };
        assert_eq!(read_box("104,30,105,31", Crs::Crs84).unwrap(), wanted);
        assert_eq!(read_box("104, 30, 0, 105, 31, 99", Crs::Crs84).unwrap(), wanted);
        assert_eq!(read_box("30,104,31,105", Crs::Epsg4326).unwrap(), wanted);
        assert_eq!(read_box("30,104,31,105", Crs::Epsg4490).unwrap(), wanted);
        for wrong in ["", "1,2,3", "1,2,3,x", "105,30,104,31", "30,104,31,105", "1,2,3,NaN"] {
            assert!(read_box(wrong, Crs::Crs84).is_err(), "{wrong}");
        }
    }

    #[test]
    fn intervals_may_be_open() {
        let (a, b) = ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00+08:00");
        let (from, to) = (Some(moment_of(a)), Some(moment_of(b)));
        assert_eq!(interval(&format!("{a}/{b}")).unwrap(), (from, to));
        assert_eq!(interval(&format!("{a}/..")).unwrap(), (from, None));
        assert_eq!(interval(&format!("/{b}")).unwrap(), (None, to));
        assert_eq!(interval(a).unwrap(), (from, from));
        let day = interval("2024-01-01").unwrap();
        assert_eq!(day.0, from);
        assert_eq!(day.1, Some(moment_of("2024-01-01T23:59:59.999999Z")));
        assert!(interval(&format!("{b}/{a}")).is_err());
        assert!(interval("yesterday").is_err());
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit("7").unwrap(), 7);
        assert_eq!(limit("999999").unwrap(), OGC_ITEMS_MAX);
        assert!(limit("0").is_err() && limit("-1").is_err() && limit("x").is_err());
    }
}
