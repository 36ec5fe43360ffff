//! Spatial functions over the earth, beside geodatafusion's planar ones: distances in metres and
//! areas in square metres for WGS-84 longitudes and latitudes.
//!
//! | function | formula | good to |
//! |---|---|---|
//! | `st_distance_sphere(a, b)` of points | haversine, mean radius 6,371,008.8 m (IUGG) | 0.5 % |
//! | … of other geometries | planar distance after scaling longitudes by the cosine of the middle latitude | 0.5 % within a city |
//! | `st_dwithin_sphere(a, b, metres)` | the same | |
//! | `st_area_sphere(g)` | geodesic polygon area on the WGS-84 ellipsoid (Karney 2013) | 0.1 % and better |
//! | `st_x(p)`, `st_y(p)` | of any encoding of a point; null for what is no point | |
//!
//! Arguments are any geometry: WKB columns, WKT text, or what other `st_` functions return.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{ArrayRef, BooleanArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use geo::line_measures::{Distance, Euclidean, Haversine};
use geo::{BoundingRect, GeodesicArea, Geometry, LineString, MapCoords, Polygon};
use geoarrow_array::array::from_arrow_array;
use geoarrow_array::{GeoArrowArrayAccessor, downcast_geoarrow_array};
use geoarrow_expr_geo::util::to_geo::geometry_to_geo;

/// Metres in one degree of a great circle: IUGG mean radius 6,371,008.8 m × π / 180.
const DEGREE_M: f64 = 6_371_008.8 * std::f64::consts::PI / 180.0;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [Kind::Distance, Kind::Within, Kind::Area, Kind::X, Kind::Y]
        .into_iter()
        .map(|kind| Arc::new(ScalarUDF::from(Spherical::new(kind))))
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Distance,
    Within,
    Area,
    X,
    Y,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Spherical {
    kind: Kind,
    signature: Signature,
}

impl Spherical {
    fn new(kind: Kind) -> Self {
        let arguments = match kind {
            Kind::Distance => 2,
            Kind::Within => 3,
            Kind::Area | Kind::X | Kind::Y => 1,
        };
        Self { kind, signature: Signature::any(arguments, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Spherical {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Distance => "st_distance_sphere",
            Kind::Within => "st_dwithin_sphere",
            Kind::Area => "st_area_sphere",
            Kind::X => "st_x",
            Kind::Y => "st_y",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(if self.kind == Kind::Within { DataType::Boolean } else { DataType::Float64 })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let first = geometries(&args, 0)?;
        let measured: ArrayRef = match self.kind {
            Kind::Distance => {
                let second = geometries(&args, 1)?;
                Arc::new(distances(&first, &second).collect::<Float64Array>())
            }
            Kind::Within => {
                let second = geometries(&args, 1)?;
                let limit = cast(&args.args[2].to_array(args.number_rows)?, &DataType::Float64)?;
                let limits = limit.as_primitive::<Float64Type>().iter();
                let near = distances(&first, &second).zip(limits);
                Arc::new(
                    near.map(|(metres, limit)| Some(metres? <= limit?)).collect::<BooleanArray>(),
                )
            }
            Kind::Area => each(&first, |geometry| Some(area_m2(geometry))),
            Kind::X => each(&first, |geometry| point(geometry).map(|point| point.x())),
            Kind::Y => each(&first, |geometry| point(geometry).map(|point| point.y())),
        };
        Ok(ColumnarValue::Array(measured))
    }
}

fn each(geometries: &[Option<Geometry>], of: impl Fn(&Geometry) -> Option<f64>) -> ArrayRef {
    let values = geometries.iter().map(|geometry| of(geometry.as_ref()?));
    Arc::new(values.collect::<Float64Array>())
}

fn point(geometry: &Geometry) -> Option<geo::Point> {
    match geometry {
        Geometry::Point(point) => Some(*point),
        _ => None,
    }
}

fn distances<'a>(
    a: &'a [Option<Geometry>],
    b: &'a [Option<Geometry>],
) -> impl Iterator<Item = Option<f64>> + 'a {
    a.iter().zip(b).map(|(a, b)| distance_m(a.as_ref()?, b.as_ref()?))
}

fn distance_m(a: &Geometry, b: &Geometry) -> Option<f64> {
    if let (Some(a), Some(b)) = (point(a), point(b)) {
        return Some(Haversine.distance(a, b));
    }
    let (first, second) = (a.bounding_rect()?, b.bounding_rect()?);
    let middle = (first.center().y + second.center().y) / 2.0;
    let east_m = DEGREE_M * middle.to_radians().cos();
    let flat = |geometry: &Geometry| {
        geometry.map_coords(|c| geo::Coord { x: c.x * east_m, y: c.y * DEGREE_M })
    };
    Some(Euclidean.distance(&flat(a), &flat(b)))
}

/// Rings are measured one by one, so that it does not matter which way round they are written.
fn area_m2(geometry: &Geometry) -> f64 {
    let ring =
        |ring: &LineString| Polygon::new(ring.clone(), Vec::new()).geodesic_area_signed().abs();
    let polygon = |polygon: &Polygon| {
        let holes: f64 = polygon.interiors().iter().map(ring).sum();
        ring(polygon.exterior()) - holes
    };
    match geometry {
        Geometry::Polygon(one) => polygon(one),
        Geometry::MultiPolygon(many) => many.iter().map(polygon).sum(),
        Geometry::GeometryCollection(many) => many.iter().map(area_m2).sum(),
        Geometry::Rect(rect) => polygon(&rect.to_polygon()),
        Geometry::Triangle(triangle) => polygon(&triangle.to_polygon()),
        _ => 0.0,
    }
}

fn geometries(args: &ScalarFunctionArgs, index: usize) -> Result<Vec<Option<Geometry>>> {
    let array = args.args[index].to_array(args.number_rows)?;
    if array.data_type() == &DataType::Null {
        return Ok(vec![None; args.number_rows]);
    }
    let field: &Field = &args.arg_fields[index];
    let array = from_arrow_array(&array, field).map_err(external)?;
    let array = array.as_ref();
    downcast_geoarrow_array!(array, read)
}

fn read<'a>(array: &'a impl GeoArrowArrayAccessor<'a>) -> Result<Vec<Option<Geometry>>> {
    array
        .iter()
        .map(|item| match item {
            None => Ok(None),
            Some(Ok(geometry)) => geometry_to_geo(&geometry).map(Some).map_err(external),
            Some(Err(error)) => exec_err!("a geometry cannot be read: {error}"),
        })
        .collect()
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
