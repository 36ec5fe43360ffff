//! `information_schema` for one principal, in the columns of SQL:2016 that PostgreSQL 15 has and
//! that clients read. A principal finds its own datasets here and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use pgwire::api::Type;

use super::build::Kind::{Int4, Text};
use super::build::{Cell, Columns, Table};
use super::names::{Column, Directory, SYSTEM_ROLE, type_name};

const SCHEMATA: Columns = &[
    ("catalog_name", Text),
    ("schema_name", Text),
    ("schema_owner", Text),
    ("default_character_set_name", Text),
    ("sql_path", Text),
];

const TABLES: Columns = &[
    ("table_catalog", Text),
    ("table_schema", Text),
    ("table_name", Text),
    ("table_type", Text),
    ("self_referencing_column_name", Text),
    ("reference_generation", Text),
    ("is_insertable_into", Text),
    ("is_typed", Text),
    ("commit_action", Text),
];

/// `null` for a number that does not apply cannot be told from 0 by this small table builder, so
/// numbers that may be null are text here; clients print them.
const COLUMNS: Columns = &[
    ("table_catalog", Text),
    ("table_schema", Text),
    ("table_name", Text),
    ("column_name", Text),
    ("ordinal_position", Int4),
    ("column_default", Text),
    ("is_nullable", Text),
    ("data_type", Text),
    ("character_maximum_length", Text),
    ("character_octet_length", Text),
    ("numeric_precision", Text),
    ("numeric_precision_radix", Text),
    ("numeric_scale", Text),
    ("datetime_precision", Text),
    ("interval_type", Text),
    ("character_set_name", Text),
    ("collation_name", Text),
    ("domain_name", Text),
    ("udt_catalog", Text),
    ("udt_schema", Text),
    ("udt_name", Text),
    ("dtd_identifier", Text),
    ("is_self_referencing", Text),
    ("is_identity", Text),
    ("identity_generation", Text),
    ("is_generated", Text),
    ("generation_expression", Text),
    ("is_updatable", Text),
];

const TABLE_CONSTRAINTS: Columns = &[
    ("constraint_catalog", Text),
    ("constraint_schema", Text),
    ("constraint_name", Text),
    ("table_catalog", Text),
    ("table_schema", Text),
    ("table_name", Text),
    ("constraint_type", Text),
    ("is_deferrable", Text),
    ("initially_deferred", Text),
    ("enforced", Text),
];

const KEY_COLUMN_USAGE: Columns = &[
    ("constraint_catalog", Text),
    ("constraint_schema", Text),
    ("constraint_name", Text),
    ("table_catalog", Text),
    ("table_schema", Text),
    ("table_name", Text),
    ("column_name", Text),
    ("ordinal_position", Int4),
    ("position_in_unique_constraint", Text),
];

const CONSTRAINT_COLUMN_USAGE: Columns = &[
    ("table_catalog", Text),
    ("table_schema", Text),
    ("table_name", Text),
    ("column_name", Text),
    ("constraint_catalog", Text),
    ("constraint_schema", Text),
    ("constraint_name", Text),
];

const REFERENTIAL_CONSTRAINTS: Columns = &[
    ("constraint_catalog", Text),
    ("constraint_schema", Text),
    ("constraint_name", Text),
    ("unique_constraint_catalog", Text),
    ("unique_constraint_schema", Text),
    ("unique_constraint_name", Text),
    ("match_option", Text),
    ("update_rule", Text),
    ("delete_rule", Text),
];

const TABLE_PRIVILEGES: Columns = &[
    ("grantor", Text),
    ("grantee", Text),
    ("table_catalog", Text),
    ("table_schema", Text),
    ("table_name", Text),
    ("privilege_type", Text),
    ("is_grantable", Text),
    ("with_hierarchy", Text),
];

const VIEWS: Columns = &[
    ("table_catalog", Text),
    ("table_schema", Text),
    ("table_name", Text),
    ("view_definition", Text),
    ("check_option", Text),
    ("is_updatable", Text),
    ("is_insertable_into", Text),
];

const ROUTINES: Columns = &[
    ("specific_catalog", Text),
    ("specific_schema", Text),
    ("specific_name", Text),
    ("routine_catalog", Text),
    ("routine_schema", Text),
    ("routine_name", Text),
    ("routine_type", Text),
    ("data_type", Text),
    ("routine_definition", Text),
];

const SEQUENCES: Columns = &[
    ("sequence_catalog", Text),
    ("sequence_schema", Text),
    ("sequence_name", Text),
    ("data_type", Text),
];

const ENABLED_ROLES: Columns = &[("role_name", Text)];

/// Table name → rows.
pub type Tables = BTreeMap<&'static str, Arc<dyn TableProvider>>;

pub fn tables(directory: &Directory) -> Result<Tables, DataFusionError> {
    let mut tables = Tables::new();
    tables.insert("schemata", schemata(directory).finish()?);
    tables.insert("tables", table_list(directory).finish()?);
    tables.insert("columns", columns(directory).finish()?);
    tables.insert("table_constraints", constraints(directory).finish()?);
    tables.insert("key_column_usage", key_columns(directory).finish()?);
    tables.insert("constraint_column_usage", constrained_columns(directory).finish()?);
    tables.insert("table_privileges", privileges(directory).finish()?);
    tables.insert("role_table_grants", privileges(directory).finish()?);
    tables.insert("referential_constraints", Table::new(REFERENTIAL_CONSTRAINTS).finish()?);
    tables.insert("views", Table::new(VIEWS).finish()?);
    tables.insert("routines", Table::new(ROUTINES).finish()?);
    tables.insert("sequences", Table::new(SEQUENCES).finish()?);
    let mut roles = Table::new(ENABLED_ROLES);
    roles.row([("role_name", directory.user.clone().into())]);
    tables.insert("enabled_roles", roles.finish()?);
    Ok(tables)
}

fn schemata(directory: &Directory) -> Table {
    let mut table = Table::new(SCHEMATA);
    for name in directory.schemas.values() {
        table.row([
            ("catalog_name", directory.database.clone().into()),
            ("schema_name", name.clone().into()),
            ("schema_owner", SYSTEM_ROLE.into()),
        ]);
    }
    table
}

fn table_list(directory: &Directory) -> Table {
    let mut table = Table::new(TABLES);
    for relation in &directory.relations {
        table.row([
            ("table_catalog", directory.database.clone().into()),
            ("table_schema", relation.schema.clone().into()),
            ("table_name", relation.name.clone().into()),
            ("table_type", "BASE TABLE".into()),
            ("is_insertable_into", "NO".into()),
            ("is_typed", "NO".into()),
        ]);
    }
    table
}

fn columns(directory: &Directory) -> Table {
    let mut table = Table::new(COLUMNS);
    for relation in &directory.relations {
        for (number, column) in (1_i32..).zip(&relation.columns) {
            table.row([
                ("table_catalog", directory.database.clone().into()),
                ("table_schema", relation.schema.clone().into()),
                ("table_name", relation.name.clone().into()),
                ("column_name", column.name.clone().into()),
                ("ordinal_position", number.into()),
                ("is_nullable", if column.required { "NO" } else { "YES" }.into()),
                ("data_type", type_name(&column.ty).into()),
                ("udt_catalog", directory.database.clone().into()),
                ("udt_schema", "pg_catalog".into()),
                ("udt_name", column.ty.name().into()),
                ("dtd_identifier", number.to_string().into()),
                ("is_self_referencing", "NO".into()),
                ("is_identity", "NO".into()),
                ("is_generated", "NEVER".into()),
                ("is_updatable", "NO".into()),
            ]);
            measure(&mut table, column);
        }
    }
    table
}

/// The numbers that go with a type: bits of an integer, digits of a second.
fn measure(table: &mut Table, column: &Column) {
    let (precision, radix, scale) = match column.ty {
        Type::INT2 => ("16", "2", Some("0")),
        Type::INT4 => ("32", "2", Some("0")),
        Type::INT8 => ("64", "2", Some("0")),
        Type::FLOAT4 => ("24", "2", None),
        Type::FLOAT8 => ("53", "2", None),
        Type::DATE => return table.amend([("datetime_precision", "0".into())]),
        Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME => {
            return table.amend([("datetime_precision", "6".into())]);
        }
        _ => return,
    };
    table.amend([
        ("numeric_precision", precision.into()),
        ("numeric_precision_radix", radix.into()),
    ]);
    if let Some(scale) = scale {
        table.amend([("numeric_scale", scale.into())]);
    }
}

/// The cells that name a relation's key and the relation itself.
fn key_cells(
    directory: &Directory,
    relation: &super::names::Relation,
) -> [(&'static str, Cell); 6] {
    [
        ("constraint_catalog", directory.database.clone().into()),
        ("constraint_schema", relation.schema.clone().into()),
        ("constraint_name", relation.key_name().into()),
        ("table_catalog", directory.database.clone().into()),
        ("table_schema", relation.schema.clone().into()),
        ("table_name", relation.name.clone().into()),
    ]
}

fn constraints(directory: &Directory) -> Table {
    let mut table = Table::new(TABLE_CONSTRAINTS);
    for relation in directory.relations.iter().filter(|relation| !relation.key.is_empty()) {
        table.row(key_cells(directory, relation));
        table.amend([
            ("constraint_type", "PRIMARY KEY".into()),
            ("is_deferrable", "NO".into()),
            ("initially_deferred", "NO".into()),
            ("enforced", "YES".into()),
        ]);
    }
    table
}

fn key_columns(directory: &Directory) -> Table {
    let mut table = Table::new(KEY_COLUMN_USAGE);
    for relation in &directory.relations {
        for (number, name) in (1_i32..).zip(relation.key_columns()) {
            table.row(key_cells(directory, relation));
            table.amend([("column_name", name.into()), ("ordinal_position", number.into())]);
        }
    }
    table
}

fn constrained_columns(directory: &Directory) -> Table {
    let mut table = Table::new(CONSTRAINT_COLUMN_USAGE);
    for relation in &directory.relations {
        for name in relation.key_columns() {
            table.row(key_cells(directory, relation));
            table.amend([("column_name", name.into())]);
        }
    }
    table
}

fn privileges(directory: &Directory) -> Table {
    let mut table = Table::new(TABLE_PRIVILEGES);
    for relation in &directory.relations {
        table.row([
            ("grantor", SYSTEM_ROLE.into()),
            ("grantee", directory.user.clone().into()),
            ("table_catalog", directory.database.clone().into()),
            ("table_schema", relation.schema.clone().into()),
            ("table_name", relation.name.clone().into()),
            ("privilege_type", "SELECT".into()),
            ("is_grantable", "NO".into()),
            ("with_hierarchy", "YES".into()),
        ]);
    }
    table
}
