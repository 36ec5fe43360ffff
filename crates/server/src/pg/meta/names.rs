//! One principal's names, numbered: what the system tables and the look-up functions speak of.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Field};
use pgwire::api::Type;

use crate::backend::Visible;

pub const PG_CATALOG_OID: i32 = 11;
pub const PUBLIC_OID: i32 = 2_200;
pub const INFORMATION_SCHEMA_OID: i32 = 13_000;
pub const DATABASE_OID: i32 = 16_384;
/// The role under which everything is owned that no organisation owns.
pub const SYSTEM_ROLE_OID: i32 = 10;
pub const SYSTEM_ROLE: &str = "shujin";
/// Ids of our own begin here, above those of the static system rows.
const FIRST_OWN_OID: u32 = 20_000;
const OWN_OIDS: u32 = 0x7fff_0000 - FIRST_OWN_OID;

/// System tables that clients name as classes of objects, with their numbers in every PostgreSQL.
const SYSTEM_TABLES: [(&str, i32); 12] = [
    ("pg_type", 1_247),
    ("pg_attribute", 1_249),
    ("pg_proc", 1_255),
    ("pg_class", 1_259),
    ("pg_authid", 1_260),
    ("pg_database", 1_262),
    ("pg_am", 2_601),
    ("pg_constraint", 2_606),
    ("pg_description", 2_609),
    ("pg_index", 2_610),
    ("pg_namespace", 2_615),
    ("pg_trigger", 2_620),
];

/// One field of a relation.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub ty: Type,
    pub required: bool,
    pub comment: Option<String>,
}

/// One dataset as a relation, with the index that its key would be in PostgreSQL.
#[derive(Debug, Clone)]
pub struct Relation {
    pub oid: i32,
    pub schema: String,
    pub schema_oid: i32,
    pub name: String,
    pub comment: String,
    pub owner_oid: i32,
    pub columns: Vec<Column>,
    /// Numbers of the key's columns, counted from 1; empty where there is none.
    pub key: Vec<i16>,
    pub key_oid: i32,
}

impl Relation {
    pub fn key_name(&self) -> String {
        format!("{}_pkey", self.name)
    }

    pub fn key_columns(&self) -> Vec<&str> {
        let column = |number: &i16| {
            let index = usize::try_from(*number).expect("column numbers are positive") - 1;
            self.columns[index].name.as_str()
        };
        self.key.iter().map(column).collect()
    }

    pub fn key_definition(&self) -> String {
        format!("PRIMARY KEY ({})", self.key_columns().join(", "))
    }
}

/// All names that one principal may know.
#[derive(Debug, Clone)]
pub struct Directory {
    pub database: String,
    pub user: String,
    pub user_oid: i32,
    /// Role name by id: the user, the system, the owning organisations.
    pub roles: BTreeMap<i32, String>,
    /// Schema name by id, the standing ones included.
    pub schemas: BTreeMap<i32, String>,
    pub relations: Vec<Relation>,
}

/// Numbers things by their names, so that a pooled client finds the same number on each of its
/// connections. A clash moves on to the next free number.
#[derive(Default)]
struct Numbers(BTreeSet<u32>);

impl Numbers {
    fn number(&mut self, kind: &str, name: &str) -> i32 {
        // FNV-1a: short, and the same on every machine and in every release.
        let hash = kind
            .bytes()
            .chain([b'/'])
            .chain(name.bytes())
            .fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        let mut number = FIRST_OWN_OID + hash % OWN_OIDS;
        while !self.0.insert(number) {
            number = FIRST_OWN_OID + (number + 1 - FIRST_OWN_OID) % OWN_OIDS;
        }
        i32::try_from(number).expect("own ids stay below 2^31")
    }
}

impl Directory {
    pub fn new(database: &str, user: &str, visible: &[Visible]) -> Self {
        let mut numbers = Numbers::default();
        let mut schemas = BTreeMap::from([
            (PG_CATALOG_OID, "pg_catalog".to_owned()),
            (PUBLIC_OID, "public".to_owned()),
            (INFORMATION_SCHEMA_OID, "information_schema".to_owned()),
        ]);
        let mut roles = BTreeMap::from([(SYSTEM_ROLE_OID, SYSTEM_ROLE.to_owned())]);
        let mut schema_oids = BTreeMap::new();
        let mut role_oids = BTreeMap::new();
        let user_oid = numbers.number("role", user);
        roles.insert(user_oid, user.to_owned());
        role_oids.insert(user.to_owned(), user_oid);
        let mut relations = Vec::with_capacity(visible.len());
        for dataset in visible {
            let Some((schema, name)) = dataset.id.split_once('.') else { continue };
            let schema_oid = *schema_oids
                .entry(schema.to_owned())
                .or_insert_with(|| numbers.number("schema", schema));
            schemas.insert(schema_oid, schema.to_owned());
            let owner_oid = *role_oids
                .entry(dataset.owner.clone())
                .or_insert_with(|| numbers.number("role", &dataset.owner));
            roles.insert(owner_oid, dataset.owner.clone());
            let columns: Vec<_> =
                dataset.schema.fields().iter().map(|field| column(field, dataset)).collect();
            let place = |name: &String| {
                let index = columns.iter().position(|column| &column.name == name)?;
                i16::try_from(index + 1).ok()
            };
            // A key of which the principal does not see every column is no key to it.
            let key = dataset.key.iter().map(place).collect::<Option<Vec<_>>>().unwrap_or_default();
            relations.push(Relation {
                oid: numbers.number("table", &dataset.id),
                schema: schema.to_owned(),
                schema_oid,
                name: name.to_owned(),
                comment: comment(dataset),
                owner_oid,
                columns,
                key,
                key_oid: numbers.number("key", &dataset.id),
            });
        }
        let (database, user) = (database.to_owned(), user.to_owned());
        Self { database, user, user_oid, roles, schemas, relations }
    }

    /// The number of a relation or system table by name.
    pub fn number(&self, name: &str) -> Option<i32> {
        let bare = name.trim_start_matches("pg_catalog.");
        let system = SYSTEM_TABLES.iter().find(|(table, _)| *table == bare);
        system.map(|(_, oid)| *oid).or_else(|| self.find(name).map(|relation| relation.oid))
    }

    /// The name of a relation, its key or a system table by number.
    pub fn name(&self, oid: i32) -> Option<String> {
        if let Some((table, _)) = SYSTEM_TABLES.iter().find(|(_, known)| *known == oid) {
            return Some((*table).to_owned());
        }
        let found = self.relations.iter().find(|r| r.oid == oid || r.key_oid == oid)?;
        let name = if found.oid == oid { found.name.clone() } else { found.key_name() };
        Some(format!("{}.{name}", found.schema))
    }

    /// The relation of a name as people write it, `air.pm25`, or its name alone.
    pub fn find(&self, name: &str) -> Option<&Relation> {
        let name = name.replace('"', "");
        match name.rsplit_once('.') {
            Some((schema, table)) => {
                let schema = schema.rsplit('.').next().unwrap_or(schema);
                self.relations.iter().find(|r| r.schema == schema && r.name == table)
            }
            None => self.relations.iter().find(|relation| relation.name == name),
        }
    }
}

fn comment(dataset: &Visible) -> String {
    match (dataset.title.as_str(), dataset.description.as_str()) {
        (title, "") => title.to_owned(),
        (title, description) => format!("{title}: {description}"),
    }
}

fn column(field: &Field, dataset: &Visible) -> Column {
    Column {
        name: field.name().clone(),
        ty: pg_type(field.data_type()),
        required: !field.is_nullable(),
        comment: dataset.comments.get(field.name()).cloned(),
    }
}

/// The PostgreSQL type under which a column is sent.
pub fn pg_type(data_type: &DataType) -> Type {
    arrow_pg::datatypes::into_pg_type(data_type).unwrap_or(Type::TEXT)
}

/// Fixed width of a type's values, or -1.
pub fn type_len(ty: &Type) -> i16 {
    match *ty {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// The type's name in `information_schema` and in `format_type`.
pub fn type_name(ty: &Type) -> &'static str {
    match *ty {
        Type::BOOL => "boolean",
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::NUMERIC => "numeric",
        Type::BYTEA => "bytea",
        Type::DATE => "date",
        Type::TIME => "time without time zone",
        Type::TIMESTAMP => "timestamp without time zone",
        Type::TIMESTAMPTZ => "timestamp with time zone",
        Type::INTERVAL => "interval",
        Type::TEXT => "text",
        _ => "ARRAY",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;

    fn visible(id: &str, key: &[&str]) -> Visible {
        Visible {
            id: id.to_owned(),
            title: "空气".to_owned(),
            description: String::new(),
            owner: "ecology".to_owned(),
            schema: Arc::new(Schema::new(vec![
                Field::new("site", DataType::Utf8, false),
                Field::new("pm25", DataType::Float64, true),
            ])),
            comments: BTreeMap::new(),
            key: key.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn numbers_stay_the_same_whatever_else_is_visible() {
        let few = Directory::new("d", "chen", &[visible("air.pm25", &["site"])]);
        let both = [visible("air.no2", &[]), visible("air.pm25", &["site"])];
        let more = Directory::new("d", "chen", &both);
        let number = |directory: &Directory| directory.find("air.pm25").unwrap().oid;
        assert_eq!(number(&few), number(&more));
        assert!(number(&few) >= i32::try_from(FIRST_OWN_OID).unwrap());
        assert_eq!(few.find("pm25").unwrap().key_definition(), "PRIMARY KEY (site)");
        assert!(few.find("people.census").is_none());
    }

    #[test]
    fn a_key_with_a_hidden_column_is_none() {
        let directory = Directory::new("d", "chen", &[visible("air.pm25", &["site", "hour"])]);
        assert!(directory.find("air.pm25").unwrap().key.is_empty());
    }
}
