//! Functions over geometries of every kind that geodatafusion does not have: to GeoJSON and back,
//! and how two lie to one another by a matrix of the nine intersections (DE-9IM, OGC 06-103r4,
//! 6.1.14.2).
//!
//! Null for null and for what is no geometry in two dimensions: bytes that are no well-known
//! binary, text that is no well-known text, an empty point, a coordinate that is not finite.
//!
//! Either form is at most a few times as long as the other, and turned back it is no longer than
//! it was; [`json::texts`] and [`json::bounded`] bound what one call makes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::cast::as_string_array;
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use geo::{CoordsIter, Geometry, PreparedGeometry, Relate};
use geoarrow_array::array::from_arrow_array;
use geoarrow_array::{GeoArrowArrayAccessor, downcast_geoarrow_array};
use geoarrow_expr_geo::util::to_geo::geometry_to_geo;
use wkb::writer::{WriteOptions, write_geometry};

use super::functions::text_signature;
use super::{geojson, json};
use crate::model::geometry_metadata;

/// Interior, boundary and exterior of one against those of the other.
const MATRIX_BYTES: usize = 9;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let built = |kind, signature| Arc::new(ScalarUDF::from(GeometryUdf { kind, signature }));
    vec![
        built(Kind::AsGeoJson, Signature::any(1, Volatility::Immutable)),
        built(Kind::FromGeoJson, text_signature(1, Volatility::Immutable)),
        built(Kind::Relate, Signature::any(3, Volatility::Immutable)),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    AsGeoJson,
    FromGeoJson,
    Relate,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct GeometryUdf {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for GeometryUdf {
    fn name(&self) -> &str {
        match self.kind {
            Kind::AsGeoJson => "st_asgeojson",
            Kind::FromGeoJson => "st_geomfromgeojson",
            Kind::Relate => "st_relate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match (self.kind, arguments) {
            (Kind::FromGeoJson, _) => Ok(DataType::Binary),
            (Kind::AsGeoJson, [geometry]) => {
                self.takes_geometry(geometry)?;
                Ok(DataType::Utf8)
            }
            (Kind::Relate, [one, other, matrix]) => {
                self.takes_geometry(one)?;
                self.takes_geometry(other)?;
                if !is_text(matrix) && matrix != &DataType::Null {
                    return plan_err!("{} takes its matrix as text, not {matrix}", self.name());
                }
                Ok(DataType::Boolean)
            }
            _ => plan_err!("{} has the wrong number of arguments", self.name()),
        }
    }

    // A matrix that is the same for all rows is refused before there is a row.
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let matrix = args.scalar_arguments.get(2).copied().flatten();
        if let Some(text) = matrix.and_then(|matrix| matrix.try_as_str().flatten())
            && !is_matrix(text)
        {
            return plan_err!(
                "{} takes a matrix of nine characters, each T, F, *, 0, 1 or 2, not `{text}`",
                self.name()
            );
        }
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let field = Field::new(self.name(), self.return_type(&types)?, true);
        Ok(Arc::new(match self.kind {
            Kind::FromGeoJson => field.with_metadata(geometry_metadata()),
            Kind::AsGeoJson | Kind::Relate => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array: ArrayRef = match self.kind {
            Kind::AsGeoJson => {
                let geometries = geometries(&args, 0)?;
                let rows = geometries.iter().map(|of| of.as_ref().map(geojson::written));
                Arc::new(json::texts(self.name(), rows)?)
            }
            Kind::FromGeoJson => self.from_geojson(&args)?,
            Kind::Relate => Arc::new(relate(&args)?),
        };
        Ok(ColumnarValue::Array(array))
    }
}

impl GeometryUdf {
    /// Well-known binary, what geodatafusion makes, or well-known text.
    fn takes_geometry(&self, ty: &DataType) -> Result<()> {
        let fits = is_text(ty)
            || matches!(
                ty,
                DataType::Binary
                    | DataType::LargeBinary
                    | DataType::BinaryView
                    | DataType::Struct(_)
                    | DataType::List(_)
                    | DataType::FixedSizeList(_, _)
                    | DataType::Union(_, _)
                    | DataType::Null
            );
        if fits { Ok(()) } else { plan_err!("{} takes geometries, not {ty}", self.name()) }
    }

    fn from_geojson(&self, args: &ScalarFunctionArgs) -> Result<ArrayRef> {
        let texts = args.args[0].to_array(args.number_rows)?;
        let mut builder = BinaryBuilder::new();
        let mut made_bytes = 0;
        let mut bytes = Vec::new();
        for text in as_string_array(&texts)? {
            let Some(geometry) = text.and_then(geojson::read) else {
                builder.append_null();
                continue;
            };
            bytes.clear();
            write_geometry(&mut bytes, &geometry, &WriteOptions::default()).map_err(external)?;
            made_bytes += bytes.len();
            json::bounded(self.name(), made_bytes)?;
            builder.append_value(&bytes);
        }
        Ok(Arc::new(builder.finish()))
    }
}

fn is_text(ty: &DataType) -> bool {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

fn is_matrix(text: &str) -> bool {
    text.len() == MATRIX_BYTES && text.bytes().all(|byte| b"TtFf*012".contains(&byte))
}

/// Whether each pair lies as its matrix says. Of a geometry that is the same for all rows the
/// edges are put in order once.
fn relate(args: &ScalarFunctionArgs) -> Result<BooleanArray> {
    let (one, other) = (geometries(args, 0)?, geometries(args, 1)?);
    let matrices = cast(&args.args[2].to_array(args.number_rows)?, &DataType::Utf8)?;
    let matrices = matrices.as_string::<i32>();
    let (one_prepared, other_prepared) = (prepared(&one, args), prepared(&other, args));
    let row = |(row, matrix): (usize, Option<&str>)| {
        let matrix = matrix.filter(|matrix| is_matrix(matrix))?;
        let (one, other) = (at(&one, row)?, at(&other, row)?);
        let found = match (&one_prepared, &other_prepared) {
            (Some(one), _) => one.relate(other),
            (None, Some(other)) => one.relate(other),
            (None, None) => one.relate(other),
        };
        found.matches(matrix).ok()
    };
    Ok(matrices.iter().enumerate().map(row).collect())
}

/// A geometry's edges in order, where there is one for many rows.
fn prepared<'a>(
    geometries: &'a [Option<Geometry>],
    args: &ScalarFunctionArgs,
) -> Option<PreparedGeometry<'a, &'a Geometry>> {
    match geometries {
        [Some(geometry)] if args.number_rows > 1 => Some(PreparedGeometry::from(geometry)),
        _ => None,
    }
}

/// One stands for all rows.
fn at(geometries: &[Option<Geometry>], row: usize) -> Option<&Geometry> {
    match geometries {
        [all] => all.as_ref(),
        each => each.get(row)?.as_ref(),
    }
}

/// An argument's geometries: one for each row, or a single one for all.
fn geometries(args: &ScalarFunctionArgs, index: usize) -> Result<Vec<Option<Geometry>>> {
    let array = match &args.args[index] {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array()?,
    };
    if array.data_type() == &DataType::Null {
        return Ok(vec![None; array.len()]);
    }
    let field: &Field = &args.arg_fields[index];
    let array = from_arrow_array(&array, field).map_err(external)?;
    let array = array.as_ref();
    Ok(downcast_geoarrow_array!(array, read))
}

fn read<'a>(array: &'a impl GeoArrowArrayAccessor<'a>) -> Vec<Option<Geometry>> {
    array
        .iter()
        .map(|item| {
            let geometry = geometry_to_geo(&item?.ok()?).ok()?;
            let finite = geometry.coords_iter().all(|at| at.x.is_finite() && at.y.is_finite());
            finite.then_some(geometry)
        })
        .collect()
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
