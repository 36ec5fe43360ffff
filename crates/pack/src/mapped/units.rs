//! Units that readings come in and Datastreams have, and how one becomes the other.
//!
//! A table kept in code: UCUM codes (Unified Code for Units of Measure, case-sensitive form), and
//! the other ways in which people write the same units. Each is a factor and an offset to one unit
//! of its quantity. What is not linear (decibels) or needs more than the unit (ppm of a gas to
//! µg/m³ needs its molar mass and temperature) is not converted.

/// Digits of a converted value that mean something: a double has not quite 16, and a conversion
/// takes three operations.
const DIGITS_KEPT: i32 = 12;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Ratio,
    Temperature,
    Pressure,
    Concentration,
    Energy,
    Power,
    Irradiance,
    Flow,
    Length,
    Area,
    Volume,
    Speed,
    Mass,
    Time,
    Frequency,
    Voltage,
    Current,
    Conductivity,
    Illuminance,
    Angle,
    Dose,
    Sound,
    Turbidity,
}

struct Unit {
    code: &'static str,
    quantity: Quantity,
    /// A value in the quantity's base is `value * factor + offset`.
    factor: f64,
    offset: f64,
}

const fn unit(code: &'static str, quantity: Quantity, factor: f64) -> Unit {
    Unit { code, quantity, factor, offset: 0.0 }
}

/// Factors: the SI Brochure (9th edition, 2019) and UCUM 2.1; those of inch, foot, mile, knot,
/// pound-force, the calorie (thermochemical) and the mm of mercury are the exact or conventional
/// ones of UCUM's table.
const UNITS: [Unit; 82] = [
    unit("1", Quantity::Ratio, 1.0),
    unit("%", Quantity::Ratio, 1e-2),
    unit("[ppth]", Quantity::Ratio, 1e-3),
    unit("[ppm]", Quantity::Ratio, 1e-6),
    unit("[ppb]", Quantity::Ratio, 1e-9),
    unit("K", Quantity::Temperature, 1.0),
    Unit { code: "Cel", quantity: Quantity::Temperature, factor: 1.0, offset: 273.15 },
    Unit {
        code: "[degF]",
        quantity: Quantity::Temperature,
        factor: 5.0 / 9.0,
        offset: 459.67 * 5.0 / 9.0,
    },
    unit("Pa", Quantity::Pressure, 1.0),
    unit("hPa", Quantity::Pressure, 1e2),
    unit("mbar", Quantity::Pressure, 1e2),
    unit("kPa", Quantity::Pressure, 1e3),
    unit("MPa", Quantity::Pressure, 1e6),
    unit("bar", Quantity::Pressure, 1e5),
    unit("atm", Quantity::Pressure, 101_325.0),
    unit("m[H2O]", Quantity::Pressure, 9_806.65),
    unit("mm[Hg]", Quantity::Pressure, 133.322_387_415),
    unit("[psi]", Quantity::Pressure, 6_894.757_293_168),
    unit("ug/m3", Quantity::Concentration, 1e-6),
    unit("ng/m3", Quantity::Concentration, 1e-9),
    unit("mg/m3", Quantity::Concentration, 1e-3),
    unit("g/m3", Quantity::Concentration, 1.0),
    unit("ug/L", Quantity::Concentration, 1e-3),
    unit("mg/L", Quantity::Concentration, 1.0),
    unit("g/L", Quantity::Concentration, 1e3),
    unit("J", Quantity::Energy, 1.0),
    unit("kJ", Quantity::Energy, 1e3),
    unit("MJ", Quantity::Energy, 1e6),
    unit("GJ", Quantity::Energy, 1e9),
    unit("W.h", Quantity::Energy, 3_600.0),
    unit("kW.h", Quantity::Energy, 3.6e6),
    unit("MW.h", Quantity::Energy, 3.6e9),
    unit("kcal", Quantity::Energy, 4_184.0),
    unit("W", Quantity::Power, 1.0),
    unit("kW", Quantity::Power, 1e3),
    unit("MW", Quantity::Power, 1e6),
    unit("W/m2", Quantity::Irradiance, 1.0),
    unit("kW/m2", Quantity::Irradiance, 1e3),
    unit("m3/s", Quantity::Flow, 1.0),
    unit("m3/h", Quantity::Flow, 1.0 / 3_600.0),
    unit("m3/d", Quantity::Flow, 1.0 / 86_400.0),
    unit("L/s", Quantity::Flow, 1e-3),
    unit("L/min", Quantity::Flow, 1e-3 / 60.0),
    unit("L/h", Quantity::Flow, 1e-3 / 3_600.0),
    unit("m", Quantity::Length, 1.0),
    unit("km", Quantity::Length, 1e3),
    unit("cm", Quantity::Length, 1e-2),
    unit("mm", Quantity::Length, 1e-3),
    unit("[in_i]", Quantity::Length, 0.025_4),
    unit("[ft_i]", Quantity::Length, 0.304_8),
    unit("m2", Quantity::Area, 1.0),
    unit("km2", Quantity::Area, 1e6),
    unit("har", Quantity::Area, 1e4),
    unit("m3", Quantity::Volume, 1.0),
    unit("L", Quantity::Volume, 1e-3),
    unit("mL", Quantity::Volume, 1e-6),
    unit("m/s", Quantity::Speed, 1.0),
    unit("km/h", Quantity::Speed, 1.0 / 3.6),
    unit("mm/h", Quantity::Speed, 1e-3 / 3_600.0),
    unit("[kn_i]", Quantity::Speed, 1_852.0 / 3_600.0),
    unit("g", Quantity::Mass, 1.0),
    unit("kg", Quantity::Mass, 1e3),
    unit("t", Quantity::Mass, 1e6),
    unit("s", Quantity::Time, 1.0),
    unit("ms", Quantity::Time, 1e-3),
    unit("min", Quantity::Time, 60.0),
    unit("h", Quantity::Time, 3_600.0),
    unit("d", Quantity::Time, 86_400.0),
    unit("Hz", Quantity::Frequency, 1.0),
    unit("V", Quantity::Voltage, 1.0),
    unit("mV", Quantity::Voltage, 1e-3),
    unit("kV", Quantity::Voltage, 1e3),
    unit("A", Quantity::Current, 1.0),
    unit("mA", Quantity::Current, 1e-3),
    unit("uS/cm", Quantity::Conductivity, 1e-4),
    unit("mS/cm", Quantity::Conductivity, 1e-1),
    unit("lx", Quantity::Illuminance, 1.0),
    unit("deg", Quantity::Angle, 1.0),
    unit("uSv/h", Quantity::Dose, 1.0),
    unit("nSv/h", Quantity::Dose, 1e-3),
    unit("dB", Quantity::Sound, 1.0),
    unit("[NTU]", Quantity::Turbidity, 1.0),
];

/// What people write for a code.
const WRITTEN: [(&str, &str); 30] = [
    ("°C", "Cel"),
    ("℃", "Cel"),
    ("degC", "Cel"),
    ("°F", "[degF]"),
    ("℉", "[degF]"),
    ("degF", "[degF]"),
    ("µg/m³", "ug/m3"),
    ("μg/m³", "ug/m3"),
    ("μg/m3", "ug/m3"),
    ("µg/m3", "ug/m3"),
    ("ug/m³", "ug/m3"),
    ("mg/m³", "mg/m3"),
    ("m³/h", "m3/h"),
    ("m³/s", "m3/s"),
    ("m³/d", "m3/d"),
    ("m³", "m3"),
    ("m²", "m2"),
    ("W/m²", "W/m2"),
    ("l/s", "L/s"),
    ("l/min", "L/min"),
    ("mg/l", "mg/L"),
    ("kWh", "kW.h"),
    ("MWh", "MW.h"),
    ("Wh", "W.h"),
    ("ppm", "[ppm]"),
    ("ppb", "[ppb]"),
    ("‰", "[ppth]"),
    ("µS/cm", "uS/cm"),
    ("°", "deg"),
    ("NTU", "[NTU]"),
];

/// Why a reading cannot be had in another unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitFault {
    #[error("`{0}` is no unit that can be converted")]
    Unknown(String),
    #[error("`{from}` does not become `{to}`: they measure different things")]
    Different { from: String, to: String },
}

/// How values of one unit become values of another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    factor: f64,
    offset: f64,
}

impl Conversion {
    /// From one unit to another, by their codes or as people write them. The same text on both
    /// sides is the same unit, also where the table has none such.
    pub fn of(from: &str, to: &str) -> Result<Option<Self>, UnitFault> {
        let (from, to) = (from.trim(), to.trim());
        if code(from) == code(to) {
            return Ok(None);
        }
        let (one, other) = (find(from)?, find(to)?);
        if one.quantity != other.quantity {
            return Err(UnitFault::Different { from: from.to_owned(), to: to.to_owned() });
        }
        let offset = (one.offset - other.offset) / other.factor;
        Ok(Some(Self { factor: one.factor / other.factor, offset }))
    }

    /// A value in the other unit, with the digits that mean something: 212 °F are 100 °C.
    pub fn apply(self, value: f64) -> f64 {
        let scaled = value * self.factor;
        rounded(scaled + self.offset, scaled.abs().max(self.offset.abs()))
    }
}

/// The units that can be converted, by their codes.
pub fn codes() -> impl Iterator<Item = &'static str> {
    UNITS.iter().map(|unit| unit.code)
}

/// Is it a unit of the table, by its code or as people write it?
pub fn is_known(text: &str) -> bool {
    find(text).is_ok()
}

fn code(text: &str) -> &str {
    WRITTEN.iter().find(|(written, _)| *written == text).map_or(text, |(_, code)| code)
}

fn find(text: &str) -> Result<&'static Unit, UnitFault> {
    let code = code(text);
    let found = UNITS.iter().find(|unit| unit.code == code);
    found.ok_or_else(|| UnitFault::Unknown(text.to_owned()))
}

/// A sum, with as many digits as its largest part has that mean something.
fn rounded(value: f64, largest: f64) -> f64 {
    if largest == 0.0 || !largest.is_finite() {
        return value;
    }
    #[expect(clippy::cast_possible_truncation, reason = "logarithms of doubles are below 400")]
    let magnitude = largest.log10().floor() as i32;
    let digits = DIGITS_KEPT - 1 - magnitude;
    // Powers of ten up to 22 are exact.
    if !(0..=22).contains(&digits) {
        return value;
    }
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(value: f64, from: &str, to: &str) -> f64 {
        Conversion::of(from, to).unwrap().map_or(value, |conversion| conversion.apply(value))
    }

    #[test]
    fn readings_become_the_datastream_s() {
        assert_eq!(converted(212.0, "[degF]", "Cel"), 100.0);
        assert_eq!(converted(32.0, "°F", "℃"), 0.0);
        assert_eq!(converted(-40.0, "[degF]", "Cel"), -40.0);
        assert_eq!(converted(25.0, "Cel", "K"), 298.15);
        assert_eq!(converted(1013.25, "hPa", "Pa"), 101_325.0);
        assert_eq!(converted(0.035, "mg/m3", "ug/m3"), 35.0);
        assert_eq!(converted(0.035, "mg/m³", "µg/m³"), 35.0);
        assert_eq!(converted(1.5, "kW.h", "J"), 5_400_000.0);
        assert_eq!(converted(12.5, "L/s", "m3/h"), 45.0);
        assert_eq!(converted(36.0, "km/h", "m/s"), 10.0);
        assert_eq!(converted(7.0, "people", "people"), 7.0, "the same unit, known or not");
        assert_eq!(converted(2.0, "mg/L", "g/m3"), 2.0);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let fault = Conversion::of("Cel", "hPa").unwrap_err();
        assert_eq!(fault.to_string(), "`Cel` does not become `hPa`: they measure different things");
        assert_eq!(Conversion::of("parsec", "m"), Err(UnitFault::Unknown("parsec".to_owned())));
        assert!(Conversion::of("[ppm]", "ug/m3").is_err(), "needs the molar mass");
    }

    #[test]
    fn no_code_is_there_twice() {
        let mut all: Vec<&str> = codes().collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(WRITTEN.iter().all(|(_, code)| all.contains(code)));
    }

    #[test]
    fn large_and_small_values_are_left_alone() {
        assert_eq!(rounded(0.0, 0.0), 0.0);
        assert_eq!(rounded(1e300, 1e300), 1e300);
        assert_eq!(rounded(1e-300, 1e-300), 1e-300);
        assert_eq!(rounded(0.1 + 0.2, 0.2), 0.3);
    }
}
