//! The tables of `pg_catalog` that speak of datasets, in PostgreSQL 15's columns. Tables that are
//! the same in every database (types, operators, access methods …) come from the static export.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;

use super::build::Kind::{Bool, Char, Float4, Int2, Int2s, Int4, Int8, Oid, Text, Texts};
use super::build::{Columns, Table};
use super::names::{DATABASE_OID, Directory, SYSTEM_ROLE_OID, type_len};
use crate::pg::settings::Settings;

/// Table name → rows.
pub type Tables = BTreeMap<&'static str, Arc<dyn TableProvider>>;

/// `pg_class.oid` of `pg_class` itself and of `pg_namespace`, as in every PostgreSQL.
const PG_CLASS_OID: i32 = 1_259;
const UTF8_ENCODING: i32 = 6;

const PG_NAMESPACE: Columns =
    &[("oid", Oid), ("nspname", Text), ("nspowner", Oid), ("nspacl", Texts)];

const PG_CLASS: Columns = &[
    ("oid", Oid),
    ("relname", Text),
    ("relnamespace", Oid),
    ("reltype", Oid),
    ("reloftype", Oid),
    ("relowner", Oid),
    ("relam", Oid),
    ("relfilenode", Oid),
    ("reltablespace", Oid),
    ("relpages", Int4),
    ("reltuples", Float4),
    ("relallvisible", Int4),
    ("reltoastrelid", Oid),
    ("relhasindex", Bool),
    ("relisshared", Bool),
    ("relpersistence", Char),
    ("relkind", Char),
    ("relnatts", Int2),
    ("relchecks", Int2),
    ("relhasrules", Bool),
    ("relhastriggers", Bool),
    ("relhassubclass", Bool),
    ("relrowsecurity", Bool),
    ("relforcerowsecurity", Bool),
    ("relispopulated", Bool),
    ("relreplident", Char),
    ("relispartition", Bool),
    ("relrewrite", Oid),
    ("relfrozenxid", Int4),
    ("relminmxid", Int4),
    ("relacl", Texts),
    ("reloptions", Texts),
    ("relpartbound", Text),
];

const PG_ATTRIBUTE: Columns = &[
    ("attrelid", Oid),
    ("attname", Text),
    ("atttypid", Oid),
    ("attstattarget", Int4),
    ("attlen", Int2),
    ("attnum", Int2),
    ("attndims", Int4),
    ("attcacheoff", Int4),
    ("atttypmod", Int4),
    ("attbyval", Bool),
    ("attalign", Char),
    ("attstorage", Char),
    ("attcompression", Char),
    ("attnotnull", Bool),
    ("atthasdef", Bool),
    ("atthasmissing", Bool),
    ("attidentity", Char),
    ("attgenerated", Char),
    ("attisdropped", Bool),
    ("attislocal", Bool),
    ("attinhcount", Int4),
    ("attcollation", Oid),
    ("attacl", Texts),
    ("attoptions", Texts),
    ("attfdwoptions", Texts),
    ("attmissingval", Text),
];

const PG_INDEX: Columns = &[
    ("indexrelid", Oid),
    ("indrelid", Oid),
    ("indnatts", Int2),
    ("indnkeyatts", Int2),
    ("indisunique", Bool),
    ("indnullsnotdistinct", Bool),
    ("indisprimary", Bool),
    ("indisexclusion", Bool),
    ("indimmediate", Bool),
    ("indisclustered", Bool),
    ("indisvalid", Bool),
    ("indcheckxmin", Bool),
    ("indisready", Bool),
    ("indislive", Bool),
    ("indisreplident", Bool),
    ("indkey", Int2s),
    ("indcollation", Int2s),
    ("indclass", Int2s),
    ("indoption", Int2s),
    ("indexprs", Text),
    ("indpred", Text),
];

const PG_CONSTRAINT: Columns = &[
    ("oid", Oid),
    ("conname", Text),
    ("connamespace", Oid),
    ("contype", Char),
    ("condeferrable", Bool),
    ("condeferred", Bool),
    ("convalidated", Bool),
    ("conrelid", Oid),
    ("contypid", Oid),
    ("conindid", Oid),
    ("conparentid", Oid),
    ("confrelid", Oid),
    ("confupdtype", Char),
    ("confdeltype", Char),
    ("confmatchtype", Char),
    ("conislocal", Bool),
    ("coninhcount", Int4),
    ("connoinherit", Bool),
    ("conkey", Int2s),
    ("confkey", Int2s),
    ("conpfeqop", Int2s),
    ("conppeqop", Int2s),
    ("conffeqop", Int2s),
    ("confdelsetcols", Int2s),
    ("conexclop", Int2s),
    ("conbin", Text),
];

const PG_DESCRIPTION: Columns =
    &[("objoid", Oid), ("classoid", Oid), ("objsubid", Int4), ("description", Text)];

const PG_DATABASE: Columns = &[
    ("oid", Oid),
    ("datname", Text),
    ("datdba", Oid),
    ("encoding", Int4),
    ("datlocprovider", Char),
    ("datistemplate", Bool),
    ("datallowconn", Bool),
    ("datconnlimit", Int4),
    ("datfrozenxid", Int4),
    ("datminmxid", Int4),
    ("dattablespace", Oid),
    ("datcollate", Text),
    ("datctype", Text),
    ("daticulocale", Text),
    ("datcollversion", Text),
    ("datacl", Texts),
];

const PG_ROLES: Columns = &[
    ("rolname", Text),
    ("rolsuper", Bool),
    ("rolinherit", Bool),
    ("rolcreaterole", Bool),
    ("rolcreatedb", Bool),
    ("rolcanlogin", Bool),
    ("rolreplication", Bool),
    ("rolconnlimit", Int4),
    ("rolpassword", Text),
    ("rolvaliduntil", Text),
    ("rolbypassrls", Bool),
    ("rolconfig", Texts),
    ("oid", Oid),
];

const PG_USER: Columns = &[
    ("usename", Text),
    ("usesysid", Oid),
    ("usecreatedb", Bool),
    ("usesuper", Bool),
    ("userepl", Bool),
    ("usebypassrls", Bool),
    ("passwd", Text),
    ("valuntil", Text),
    ("useconfig", Texts),
];

const PG_TABLES: Columns = &[
    ("schemaname", Text),
    ("tablename", Text),
    ("tableowner", Text),
    ("tablespace", Text),
    ("hasindexes", Bool),
    ("hasrules", Bool),
    ("hastriggers", Bool),
    ("rowsecurity", Bool),
];

const PG_INDEXES: Columns = &[
    ("schemaname", Text),
    ("tablename", Text),
    ("indexname", Text),
    ("tablespace", Text),
    ("indexdef", Text),
];

const PG_SETTINGS: Columns = &[
    ("name", Text),
    ("setting", Text),
    ("unit", Text),
    ("category", Text),
    ("short_desc", Text),
    ("extra_desc", Text),
    ("context", Text),
    ("vartype", Text),
    ("source", Text),
    ("min_val", Text),
    ("max_val", Text),
    ("enumvals", Texts),
    ("boot_val", Text),
    ("reset_val", Text),
    ("sourcefile", Text),
    ("sourceline", Int4),
    ("pending_restart", Bool),
];

const PG_STAT_ACTIVITY: Columns = &[
    ("datid", Oid),
    ("datname", Text),
    ("pid", Int4),
    ("usesysid", Oid),
    ("usename", Text),
    ("application_name", Text),
    ("state", Text),
    ("query", Text),
    ("backend_type", Text),
];

const PG_STAT_USER_TABLES: Columns = &[
    ("relid", Oid),
    ("schemaname", Text),
    ("relname", Text),
    ("seq_scan", Int8),
    ("idx_scan", Int8),
    ("n_live_tup", Int8),
    ("n_dead_tup", Int8),
];

const PG_VIEWS: Columns =
    &[("schemaname", Text), ("viewname", Text), ("viewowner", Text), ("definition", Text)];

const PG_MATVIEWS: Columns = &[
    ("schemaname", Text),
    ("matviewname", Text),
    ("matviewowner", Text),
    ("tablespace", Text),
    ("hasindexes", Bool),
    ("ispopulated", Bool),
    ("definition", Text),
];

/// Everything that depends on whom the session belongs to.
pub fn tables(directory: &Directory, settings: &Settings) -> Result<Tables, DataFusionError> {
    let mut tables = Tables::new();
    tables.insert("pg_namespace", namespaces(directory).finish()?);
    tables.insert("pg_class", classes(directory).finish()?);
    tables.insert("pg_attribute", attributes(directory).finish()?);
    tables.insert("pg_index", indexes(directory).finish()?);
    tables.insert("pg_constraint", constraints(directory).finish()?);
    tables.insert("pg_description", descriptions(directory).finish()?);
    tables.insert("pg_database", database(directory).finish()?);
    tables.insert("pg_roles", roles(directory).finish()?);
    tables.insert("pg_user", user(directory).finish()?);
    tables.insert("pg_tables", table_list(directory).finish()?);
    tables.insert("pg_indexes", index_list(directory).finish()?);
    tables.insert("pg_settings", setting_list(settings).finish()?);
    tables.insert("pg_stat_activity", Table::new(PG_STAT_ACTIVITY).finish()?);
    tables.insert("pg_stat_user_tables", Table::new(PG_STAT_USER_TABLES).finish()?);
    tables.insert("pg_views", Table::new(PG_VIEWS).finish()?);
    tables.insert("pg_matviews", Table::new(PG_MATVIEWS).finish()?);
    Ok(tables)
}

fn namespaces(directory: &Directory) -> Table {
    let mut table = Table::new(PG_NAMESPACE);
    for (oid, name) in &directory.schemas {
        table.row([
            ("oid", (*oid).into()),
            ("nspname", name.clone().into()),
            ("nspowner", SYSTEM_ROLE_OID.into()),
        ]);
    }
    table
}

fn count(len: usize) -> i16 {
    i16::try_from(len).unwrap_or(i16::MAX)
}

fn classes(directory: &Directory) -> Table {
    let mut table = Table::new(PG_CLASS);
    for relation in &directory.relations {
        table.row([
            ("oid", relation.oid.into()),
            ("relname", relation.name.clone().into()),
            ("relnamespace", relation.schema_oid.into()),
            ("relowner", relation.owner_oid.into()),
            ("reltuples", (-1_i32).into()),
            ("relhasindex", (!relation.key.is_empty()).into()),
            ("relpersistence", "p".into()),
            ("relkind", "r".into()),
            ("relnatts", count(relation.columns.len()).into()),
            ("relispopulated", true.into()),
            ("relreplident", "d".into()),
        ]);
        if !relation.key.is_empty() {
            table.row([
                ("oid", relation.key_oid.into()),
                ("relname", relation.key_name().into()),
                ("relnamespace", relation.schema_oid.into()),
                ("relowner", relation.owner_oid.into()),
                ("relam", BTREE_OID.into()),
                ("relpersistence", "p".into()),
                ("relkind", "i".into()),
                ("relnatts", count(relation.key.len()).into()),
                ("relispopulated", true.into()),
                ("relreplident", "n".into()),
            ]);
        }
    }
    table
}

/// `pg_am.oid` of btree, as in every PostgreSQL.
const BTREE_OID: i32 = 403;

fn attributes(directory: &Directory) -> Table {
    let mut table = Table::new(PG_ATTRIBUTE);
    for relation in &directory.relations {
        for (number, column) in (1_i16..).zip(&relation.columns) {
            table.row([
                ("attrelid", relation.oid.into()),
                ("attname", column.name.clone().into()),
                ("atttypid", i64::from(column.ty.oid()).into()),
                ("attstattarget", (-1_i32).into()),
                ("attlen", type_len(&column.ty).into()),
                ("attnum", number.into()),
                ("attcacheoff", (-1_i32).into()),
                ("atttypmod", (-1_i32).into()),
                ("attbyval", (type_len(&column.ty) > 0).into()),
                ("attalign", "i".into()),
                ("attstorage", "p".into()),
                ("attnotnull", column.required.into()),
                ("attislocal", true.into()),
            ]);
        }
    }
    table
}

fn indexes(directory: &Directory) -> Table {
    let mut table = Table::new(PG_INDEX);
    for relation in directory.relations.iter().filter(|relation| !relation.key.is_empty()) {
        table.row([
            ("indexrelid", relation.key_oid.into()),
            ("indrelid", relation.oid.into()),
            ("indnatts", count(relation.key.len()).into()),
            ("indnkeyatts", count(relation.key.len()).into()),
            ("indisunique", true.into()),
            ("indisprimary", true.into()),
            ("indimmediate", true.into()),
            ("indisvalid", true.into()),
            ("indisready", true.into()),
            ("indislive", true.into()),
            ("indkey", relation.key.clone().into()),
            ("indoption", vec![0; relation.key.len()].into()),
        ]);
    }
    table
}

fn constraints(directory: &Directory) -> Table {
    let mut table = Table::new(PG_CONSTRAINT);
    for relation in directory.relations.iter().filter(|relation| !relation.key.is_empty()) {
        table.row([
            ("oid", relation.key_oid.into()),
            ("conname", relation.key_name().into()),
            ("connamespace", relation.schema_oid.into()),
            ("contype", "p".into()),
            ("convalidated", true.into()),
            ("conrelid", relation.oid.into()),
            ("conindid", relation.key_oid.into()),
            ("conislocal", true.into()),
            ("connoinherit", true.into()),
            ("conkey", relation.key.clone().into()),
        ]);
    }
    table
}

fn descriptions(directory: &Directory) -> Table {
    let mut table = Table::new(PG_DESCRIPTION);
    for relation in &directory.relations {
        table.row([
            ("objoid", relation.oid.into()),
            ("classoid", PG_CLASS_OID.into()),
            ("description", relation.comment.clone().into()),
        ]);
        for (number, column) in (1_i32..).zip(&relation.columns) {
            if let Some(comment) = &column.comment {
                table.row([
                    ("objoid", relation.oid.into()),
                    ("classoid", PG_CLASS_OID.into()),
                    ("objsubid", number.into()),
                    ("description", comment.clone().into()),
                ]);
            }
        }
    }
    table
}

fn database(directory: &Directory) -> Table {
    let mut table = Table::new(PG_DATABASE);
    table.row([
        ("oid", DATABASE_OID.into()),
        ("datname", directory.database.clone().into()),
        ("datdba", SYSTEM_ROLE_OID.into()),
        ("encoding", UTF8_ENCODING.into()),
        ("datlocprovider", "c".into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1_i32).into()),
        ("datcollate", "C.UTF-8".into()),
        ("datctype", "C.UTF-8".into()),
    ]);
    table
}

fn roles(directory: &Directory) -> Table {
    let mut table = Table::new(PG_ROLES);
    for (oid, name) in &directory.roles {
        table.row([
            ("oid", (*oid).into()),
            ("rolname", name.clone().into()),
            ("rolinherit", true.into()),
            ("rolcanlogin", (*oid == directory.user_oid).into()),
            ("rolconnlimit", (-1_i32).into()),
        ]);
    }
    table
}

fn user(directory: &Directory) -> Table {
    let mut table = Table::new(PG_USER);
    table
        .row([("usename", directory.user.clone().into()), ("usesysid", directory.user_oid.into())]);
    table
}

fn table_list(directory: &Directory) -> Table {
    let mut table = Table::new(PG_TABLES);
    for relation in &directory.relations {
        table.row([
            ("schemaname", relation.schema.clone().into()),
            ("tablename", relation.name.clone().into()),
            ("tableowner", directory.roles[&relation.owner_oid].clone().into()),
            ("hasindexes", (!relation.key.is_empty()).into()),
        ]);
    }
    table
}

fn index_list(directory: &Directory) -> Table {
    let mut table = Table::new(PG_INDEXES);
    for relation in directory.relations.iter().filter(|relation| !relation.key.is_empty()) {
        table.row([
            ("schemaname", relation.schema.clone().into()),
            ("tablename", relation.name.clone().into()),
            ("indexname", relation.key_name().into()),
            ("indexdef", index_definition(relation).into()),
        ]);
    }
    table
}

pub fn index_definition(relation: &super::names::Relation) -> String {
    format!(
        "CREATE UNIQUE INDEX {} ON {}.{} USING btree ({})",
        relation.key_name(),
        relation.schema,
        relation.name,
        relation.key_columns().join(", ")
    )
}

fn setting_list(settings: &Settings) -> Table {
    let mut table = Table::new(PG_SETTINGS);
    for (name, value) in settings.all() {
        table.row([
            ("name", name.into()),
            ("setting", value.clone().into()),
            ("category", "Shujin".into()),
            ("context", "user".into()),
            ("vartype", "string".into()),
            ("source", "session".into()),
            ("reset_val", value.into()),
        ]);
    }
    table
}
