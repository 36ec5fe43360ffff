//! Functions over points that geodatafusion does not have in the form that we store them:
//! `st_x` and `st_y` of well-known binary, and distances in metres on the globe.
//!
//! geodatafusion's `st_distance` is planar: over degrees it gives degrees, which at 30° north are
//! an eighth shorter eastwards than northwards, so that the nearest is not always the nearest.
//! Knows points only; of any other geometry, and of an empty point, the answer is null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::cast::as_binary_array;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use geodatafusion::udf::native::io::AsBinary;

/// IUGG mean radius of the Earth, R1 = (2a + b) / 3 of GRS 80, in metres.
const EARTH_RADIUS_M: f64 = 6_371_008.771_4;

/// Bytes of a two-dimensional point: byte order, type, x, y.
const POINT_BYTES: usize = 21;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [PointFunction::X, PointFunction::Y, PointFunction::DistanceSphere]
        .map(|function| {
            let signature = Signature::any(function.arguments(), Volatility::Immutable);
            Arc::new(ScalarUDF::from(PointUdf { function, signature }))
        })
        .into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum PointFunction {
    X,
    Y,
    DistanceSphere,
}

impl PointFunction {
    fn arguments(self) -> usize {
        match self {
            Self::X | Self::Y => 1,
            Self::DistanceSphere => 2,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PointUdf {
    function: PointFunction,
    signature: Signature,
}

impl ScalarUDFImpl for PointUdf {
    fn name(&self) -> &str {
        match self.function {
            PointFunction::X => "st_x",
            PointFunction::Y => "st_y",
            PointFunction::DistanceSphere => "st_distancesphere",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let fits = |ty: &DataType| {
            matches!(
                ty,
                DataType::Binary
                    | DataType::LargeBinary
                    | DataType::BinaryView
                    | DataType::Struct(_)
                    | DataType::FixedSizeList(_, _)
                    | DataType::Union(_, _)
                    | DataType::Null
            )
        };
        match arguments.iter().find(|ty| !fits(ty)) {
            Some(ty) => plan_err!("{} takes geometries, not {ty}", self.name()),
            None => Ok(DataType::Float64),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let mut points = Vec::with_capacity(arrays.len());
        for (array, field) in arrays.iter().zip(&args.arg_fields) {
            points.push(points_of(array, field, &args.config_options)?);
        }
        let answer: Float64Array = match (self.function, points.as_slice()) {
            (PointFunction::X, [of]) => of.iter().map(|point| point.map(|(x, _)| x)).collect(),
            (PointFunction::Y, [of]) => of.iter().map(|point| point.map(|(_, y)| y)).collect(),
            (PointFunction::DistanceSphere, [from, to]) => {
                from.iter().zip(to).map(|(from, to)| Some(distance_m((*from)?, (*to)?))).collect()
            }
            _ => return exec_err!("{} has the wrong number of arguments", self.name()),
        };
        Ok(ColumnarValue::Array(Arc::new(answer)))
    }
}

type Point = (f64, f64);

/// The points of a geometry column in whatever form it comes; ours are well-known binary.
fn points_of(
    array: &ArrayRef,
    field: &FieldRef,
    config: &Arc<ConfigOptions>,
) -> Result<Vec<Option<Point>>> {
    if array.data_type() == &DataType::Null {
        return Ok(vec![None; array.len()]);
    }
    let binary = match array.data_type() {
        DataType::Binary => array.clone(),
        _ => well_known_binary(array, field, config)?,
    };
    match binary.data_type() {
        DataType::Binary => {
            Ok(as_binary_array(&binary)?.iter().map(|b| b.and_then(point)).collect())
        }
        DataType::LargeBinary => {
            Ok(binary.as_binary::<i64>().iter().map(|b| b.and_then(point)).collect())
        }
        other => exec_err!("a geometry became {other}"),
    }
}

fn well_known_binary(
    array: &ArrayRef,
    field: &FieldRef,
    config: &Arc<ConfigOptions>,
) -> Result<ArrayRef> {
    let function = AsBinary::new();
    let return_field = function.return_field_from_args(ReturnFieldArgs {
        arg_fields: std::slice::from_ref(field),
        scalar_arguments: &[None],
    })?;
    let converted = function.invoke_with_args(ScalarFunctionArgs {
        args: vec![ColumnarValue::Array(array.clone())],
        arg_fields: vec![field.clone()],
        number_rows: array.len(),
        return_field,
        config_options: config.clone(),
    })?;
    converted.into_array(array.len())
}

/// A point of well-known binary (OGC 06-103r4, 8.2.3); more dimensions than two are left out.
fn point(bytes: &[u8]) -> Option<Point> {
    let number = |at: usize| -> Option<[u8; 8]> { bytes.get(at..at + 8)?.try_into().ok() };
    let kind: [u8; 4] = bytes.get(1..5)?.try_into().ok()?;
    let (kind, x, y) = match bytes.first()? {
        0 => (
            u32::from_be_bytes(kind),
            f64::from_be_bytes(number(5)?),
            f64::from_be_bytes(number(13)?),
        ),
        1 => (
            u32::from_le_bytes(kind),
            f64::from_le_bytes(number(5)?),
            f64::from_le_bytes(number(13)?),
        ),
        _ => return None,
    };
    debug_assert!(bytes.len() >= POINT_BYTES, "both numbers were there");
    // ISO adds thousands for Z and M; an empty point has no numbers.
    (kind % 1_000 == 1 && x.is_finite() && y.is_finite()).then_some((x, y))
}

/// The haversine formula, exact enough for close points where the law of cosines is not.
fn distance_m((from_lon, from_lat): Point, (to_lon, to_lat): Point) -> f64 {
    let (from_phi, to_phi) = (from_lat.to_radians(), to_lat.to_radians());
    let half_phi = ((to_lat - from_lat).to_radians() / 2.0).sin();
    let half_lambda = ((to_lon - from_lon).to_radians() / 2.0).sin();
    let chord = half_phi.powi(2) + from_phi.cos() * to_phi.cos() * half_lambda.powi(2);
    2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wkb(x: f64, y: f64) -> Vec<u8> {
        let mut bytes = vec![1, 1, 0, 0, 0];
        bytes.extend(x.to_le_bytes());
        bytes.extend(y.to_le_bytes());
        bytes
    }

    #[test]
    fn points_are_read_and_other_geometries_are_not() {
        assert_eq!(point(&wkb(104.06, 30.67)), Some((104.06, 30.67)));
        assert_eq!(point(&wkb(f64::NAN, f64::NAN)), None);
        assert_eq!(point(&wkb(104.06, 30.67)[..20]), None);
        let mut line = wkb(104.06, 30.67);
        line[1] = 2;
        assert_eq!(point(&line), None);
        assert_eq!(point(&[]), None);
    }

    #[test]
    fn distances_are_metres() {
        // A degree of latitude on the mean sphere is π R / 180 = 111,195 m; of longitude at 60°
        // north, half of that to within the curvature of the great circle.
        assert!((distance_m((104.0, 30.0), (104.0, 31.0)) - 111_195.08).abs() < 0.1);
        assert!((distance_m((104.0, 60.0), (105.0, 60.0)) - 55_597.5).abs() < 5.0);
        assert_eq!(distance_m((104.0, 30.0), (104.0, 30.0)), 0.0);
    }
}
