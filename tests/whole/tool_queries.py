"""What business-intelligence tools and drivers ask of the system catalogues when they connect.

The statements are those that the tools send (Grafana 11's PostgreSQL data source, Metabase 0.56,
pgJDBC 42.7's `DatabaseMetaData`, DBeaver 25), with a schema and a table of this city filled in.
"""

TIMESCALE_SCHEMAS = """('information_schema', 'pg_catalog', 'pg_toast', '_timescaledb_cache',
    '_timescaledb_catalog', '_timescaledb_internal', '_timescaledb_config',
    'timescaledb_information', 'timescaledb_experimental')"""

ON_SEARCH_PATH = """quote_ident(table_schema) IN (
    SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
    FROM generate_series(
        array_lower(string_to_array(current_setting('search_path'),','),1),
        array_upper(string_to_array(current_setting('search_path'),','),1)
      ) as i,
      string_to_array(current_setting('search_path'),',') s
    )"""

GRAFANA = {
    "version": "SELECT current_setting('server_version_num')::int/100 as version",
    "timescale": "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'",
    "schemas": f"""SELECT schema_name AS "name" FROM information_schema.schemata
        WHERE schema_name NOT IN {TIMESCALE_SCHEMAS} ORDER BY schema_name""",
    "tables": f"""SELECT CASE WHEN {ON_SEARCH_PATH}
        THEN quote_ident(table_name)
        ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
        FROM information_schema.tables
        WHERE quote_ident(table_schema) NOT IN {TIMESCALE_SCHEMAS}
        ORDER BY CASE WHEN {ON_SEARCH_PATH} THEN 0 ELSE 1 END, 1""",
    "columns": f"""SELECT quote_ident(column_name) AS "column", data_type AS "type"
        FROM information_schema.columns
        WHERE CASE WHEN array_length(parse_ident('air.pm25'),1) = 2
          THEN quote_ident(table_schema) = (parse_ident('air.pm25'))[1]
            AND quote_ident(table_name) = (parse_ident('air.pm25'))[2]
          ELSE quote_ident(table_name) = 'air.pm25' AND {ON_SEARCH_PATH} END""",
    "panel": """SELECT date_trunc('day', observed_at) AS time, site AS metric, avg(pm25) AS value
        FROM air.pm25
        WHERE observed_at BETWEEN '2014-01-01T00:00:00Z' AND '2014-01-31T00:00:00Z'
        GROUP BY 1, 2 ORDER BY 1, 2""",
}

METABASE = {
    "extra float digits": "SET extra_float_digits = 2",
    "application name": "SET application_name = 'Metabase v0.56.0'",
    "isolation": "SHOW TRANSACTION ISOLATION LEVEL",
    "read uncommitted": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
    "time zone": "show timezone",
    "schemas": """SELECT nspname AS "TABLE_SCHEM", current_database() AS "TABLE_CATALOG"
        FROM pg_catalog.pg_namespace WHERE nspname <> 'pg_toast'
        AND (nspname !~ '^pg_temp_' OR nspname = (pg_catalog.current_schemas(true))[1])
        AND (nspname !~ '^pg_toast_temp_'
          OR nspname = replace((pg_catalog.current_schemas(true))[1], 'pg_temp_', 'pg_toast_temp_'))
        ORDER BY "TABLE_SCHEM\"""",
    "privileges": """with table_privileges as (
        select NULL as role, t.schemaname as schema, t.objectname as table,
          pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""')
            || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') as update,
          pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""')
            || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'select') as select,
          pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""')
            || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'insert') as insert,
          pg_catalog.has_table_privilege(current_user, '"' || replace(t.schemaname, '"', '""')
            || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'delete') as delete
        from (
          select schemaname, tablename as objectname from pg_catalog.pg_tables
          union select schemaname, viewname as objectname from pg_catalog.pg_views
          union select schemaname, matviewname as objectname from pg_catalog.pg_matviews) t
        where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema'
          and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
        select t.* from table_privileges t""",
    "tables": """SELECT "n"."nspname" AS "schema", "c"."relname" AS "name",
          CASE "c"."relkind" WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE'
            WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
            WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS "type",
          "d"."description" AS "description", "stat"."n_live_tup" AS "estimated_row_count"
        FROM "pg_catalog"."pg_class" AS "c"
        INNER JOIN "pg_catalog"."pg_namespace" AS "n" ON "c"."relnamespace" = "n"."oid"
        LEFT JOIN "pg_catalog"."pg_description" AS "d" ON ("c"."oid" = "d"."objoid")
          AND ("d"."objsubid" = 0) AND ("d"."classoid" = 'pg_class'::regclass)
        LEFT JOIN "pg_stat_user_tables" AS "stat" ON ("n"."nspname" = "stat"."schemaname")
          AND ("c"."relname" = "stat"."relname")
        WHERE ("c"."relnamespace" = "n"."oid") AND ("n"."nspname" !~ '^pg_')
          AND ("n"."nspname" <> 'information_schema') AND c.relkind in ('r', 'p', 'v', 'f', 'm')
          AND ("n"."nspname" IN ('air'))
        ORDER BY "type" ASC, "schema" ASC, "name" ASC""",
    "fields": """SELECT "c"."column_name" AS "name",
          CASE WHEN "c"."udt_schema" IN ('public', 'pg_catalog') THEN FORMAT('%s', "c"."udt_name")
            ELSE FORMAT('"%s"."%s"', "c"."udt_schema", "c"."udt_name") END AS "database-type",
          "c"."ordinal_position" - 1 AS "database-position",
          "c"."table_schema" AS "table-schema", "c"."table_name" AS "table-name",
          "pk"."column_name" IS NOT NULL AS "pk?",
          COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST("c"."table_schema" AS TEXT),
            CAST("c"."table_name" AS TEXT)) AS REGCLASS) AS OID), "c"."ordinal_position")
            AS "field-comment",
          (("column_default" IS NULL) OR (LOWER("column_default") = 'null'))
            AND ("is_nullable" = 'NO') AND NOT ((("column_default" IS NOT NULL)
            AND ("column_default" LIKE '%nextval(%')) OR ("is_identity" <> 'NO'))
            AS "database-required",
          (("column_default" IS NOT NULL) AND ("column_default" LIKE '%nextval(%'))
            OR ("is_identity" <> 'NO') AS "database-is-auto-increment"
        FROM "information_schema"."columns" AS "c"
        LEFT JOIN (SELECT "tc"."table_schema", "tc"."table_name", "kc"."column_name"
          FROM "information_schema"."table_constraints" AS "tc"
          INNER JOIN "information_schema"."key_column_usage" AS "kc"
            ON ("tc"."constraint_name" = "kc"."constraint_name")
            AND ("tc"."table_schema" = "kc"."table_schema")
            AND ("tc"."table_name" = "kc"."table_name")
          WHERE "tc"."constraint_type" = 'PRIMARY KEY') AS "pk"
          ON ("c"."table_schema" = "pk"."table_schema")
          AND ("c"."table_name" = "pk"."table_name")
          AND ("c"."column_name" = "pk"."column_name")
        WHERE c.table_schema !~ '^information_schema|catalog_history|pg_'
          AND ("c"."table_schema" IN ('air'))
        UNION ALL
        SELECT "pa"."attname" AS "name",
          CASE WHEN "ptn"."nspname" IN ('public', 'pg_catalog') THEN FORMAT('%s', "pt"."typname")
            ELSE FORMAT('"%s"."%s"', "ptn"."nspname", "pt"."typname") END AS "database-type",
          "pa"."attnum" - 1 AS "database-position", "pn"."nspname" AS "table-schema",
          "pc"."relname" AS "table-name", FALSE AS "pk?", NULL AS "field-comment",
          FALSE AS "database-required", FALSE AS "database-is-auto-increment"
        FROM "pg_catalog"."pg_class" AS "pc"
        INNER JOIN "pg_catalog"."pg_namespace" AS "pn" ON "pn"."oid" = "pc"."relnamespace"
        INNER JOIN "pg_catalog"."pg_attribute" AS "pa" ON "pa"."attrelid" = "pc"."oid"
        INNER JOIN "pg_catalog"."pg_type" AS "pt" ON "pt"."oid" = "pa"."atttypid"
        INNER JOIN "pg_catalog"."pg_namespace" AS "ptn" ON "ptn"."oid" = "pt"."typnamespace"
        WHERE ("pc"."relkind" = 'm') AND ("pa"."attnum" >= 1) AND ("pn"."nspname" IN ('air'))
        ORDER BY "table-schema" ASC, "table-name" ASC, "database-position" ASC""",
    "foreign keys": """SELECT "fk_ns"."nspname" AS "fk-table-schema",
          "fk_table"."relname" AS "fk-table-name", "fk_column"."attname" AS "fk-column-name",
          "pk_ns"."nspname" AS "pk-table-schema", "pk_table"."relname" AS "pk-table-name",
          "pk_column"."attname" AS "pk-column-name"
        FROM "pg_constraint" AS "c"
        INNER JOIN "pg_class" AS "fk_table" ON "c"."conrelid" = "fk_table"."oid"
        INNER JOIN "pg_namespace" AS "fk_ns" ON "c"."connamespace" = "fk_ns"."oid"
        INNER JOIN "pg_attribute" AS "fk_column" ON "c"."conrelid" = "fk_column"."attrelid"
        INNER JOIN "pg_class" AS "pk_table" ON "c"."confrelid" = "pk_table"."oid"
        INNER JOIN "pg_namespace" AS "pk_ns" ON "pk_table"."relnamespace" = "pk_ns"."oid"
        INNER JOIN "pg_attribute" AS "pk_column" ON "c"."confrelid" = "pk_column"."attrelid"
        WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_'
          AND ("c"."contype" = 'f'::char)
          AND ("fk_column"."attnum" = ANY(c.conkey)) AND ("pk_column"."attnum" = ANY(c.confkey))
        ORDER BY "fk-table-schema" ASC, "fk-table-name" ASC""",
    "enums": """SELECT nspname, typname FROM pg_type t
        JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.oid IN (SELECT DISTINCT enumtypid FROM pg_enum e)""",
    "question": """SELECT CAST("air"."pm25"."observed_at" AS date) AS "observed_at",
          AVG("air"."pm25"."pm25") AS "avg" FROM "air"."pm25"
        WHERE "air"."pm25"."site" = '草堂寺'
        GROUP BY CAST("air"."pm25"."observed_at" AS date)
        ORDER BY CAST("air"."pm25"."observed_at" AS date) ASC LIMIT 10""",
}

JDBC = {
    "type of oid": """SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid
        WHERE t.oid = 1034""",
    "tables": """SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME,
          CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema'
          WHEN true THEN CASE WHEN n.nspname = 'pg_catalog' OR n.nspname = 'information_schema'
              THEN CASE c.relkind WHEN 'r' THEN 'SYSTEM TABLE' WHEN 'v' THEN 'SYSTEM VIEW'
                WHEN 'i' THEN 'SYSTEM INDEX' ELSE NULL END
              WHEN n.nspname = 'pg_toast' THEN CASE c.relkind WHEN 'r' THEN 'SYSTEM TOAST TABLE'
                WHEN 'i' THEN 'SYSTEM TOAST INDEX' ELSE NULL END
              ELSE CASE c.relkind WHEN 'r' THEN 'TEMPORARY TABLE' WHEN 'p' THEN 'TEMPORARY TABLE'
                WHEN 'i' THEN 'TEMPORARY INDEX' WHEN 'S' THEN 'TEMPORARY SEQUENCE'
                WHEN 'v' THEN 'TEMPORARY VIEW' ELSE NULL END END
          WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE'
              WHEN 'i' THEN 'INDEX' WHEN 'P' then 'PARTITIONED INDEX' WHEN 'S' THEN 'SEQUENCE'
              WHEN 'v' THEN 'VIEW' WHEN 'c' THEN 'TYPE' WHEN 'f' THEN 'FOREIGN TABLE'
              WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END
          ELSE NULL END AS TABLE_TYPE,
          d.description AS REMARKS, '' as TYPE_CAT, '' as TYPE_SCHEM, '' as TYPE_NAME,
          '' AS SELF_REFERENCING_COL_NAME, '' AS REF_GENERATION
        FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c
        LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0
          and d.classoid = 'pg_class'::regclass)
        WHERE c.relnamespace = n.oid AND n.nspname LIKE 'air' AND c.relname LIKE '%'
          AND (false OR (c.relkind = 'r' AND n.nspname !~ '^pg_'
            AND n.nspname <> 'information_schema'))
        ORDER BY TABLE_TYPE, TABLE_SCHEM, TABLE_NAME""",
    "columns": """SELECT * FROM (
        SELECT current_database() AS current_database, n.nspname, c.relname, a.attname, a.atttypid,
          a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull, a.atttypmod, a.attlen,
          t.typtypmod, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum,
          nullif(a.attidentity, '') as attidentity, nullif(a.attgenerated, '') as attgenerated,
          pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc, dsc.description,
          t.typbasetype, t.typtype
        FROM pg_catalog.pg_namespace n
        JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid)
        JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid)
        JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)
        LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum)
        LEFT JOIN pg_catalog.pg_description dsc
          ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
        LEFT JOIN pg_catalog.pg_class dc ON (dc.oid = dsc.classoid AND dc.relname = 'pg_class')
        LEFT JOIN pg_catalog.pg_namespace dn
          ON (dc.relnamespace = dn.oid AND dn.nspname = 'pg_catalog')
        WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped
          AND n.nspname LIKE 'air' AND c.relname LIKE 'pm25') c
        WHERE true AND attname LIKE '%' ORDER BY nspname, c.relname, attnum""",
    "primary keys": """SELECT result.TABLE_CAT, result.TABLE_SCHEM, result.TABLE_NAME,
          result.COLUMN_NAME, result.KEY_SEQ, result.PK_NAME
        FROM (SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME,
            a.attname AS COLUMN_NAME, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ,
            ci.relname AS PK_NAME, information_schema._pg_expandarray(i.indkey) AS KEYS,
            a.attnum AS A_ATTNUM
          FROM pg_catalog.pg_class ct
          JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
          JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid)
          JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid)
          JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
          WHERE true AND n.nspname = 'air' AND ct.relname = 'pm25' AND i.indisprimary) result
        where result.A_ATTNUM = (result.KEYS).x
        ORDER BY result.table_name, result.pk_name, result.key_seq""",
}

DBEAVER = {
    "session": "SELECT current_schema(),session_user",
    "schemas": """SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n
        LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0
        AND d.classoid='pg_namespace'::regclass ORDER BY nspname""",
    "search path": "SHOW search_path",
    "databases": "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname='city'",
    "settings": """SELECT * FROM pg_catalog.pg_settings
        where name='standard_conforming_strings'""",
    "version": "SELECT version()",
    "enums": "SELECT * FROM pg_catalog.pg_enum WHERE 1<>1 LIMIT 1",
    "row types": "SELECT reltype FROM pg_catalog.pg_class WHERE 1<>1 LIMIT 1",
    "types": """SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod)
          as base_type_name, d.description
        FROM pg_catalog.pg_type t
        LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem
        LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid
        LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid
        WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c')
          AND (et.typcategory IS NULL OR et.typcategory <> 'C')""",
    "relations": """SELECT c.oid,c.*,d.description,
          pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,
          pg_catalog.pg_get_partkeydef(c.oid) as partition_key
        FROM pg_catalog.pg_class c
        LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0
          AND d.classoid='pg_class'::regclass
        WHERE c.relnamespace = 11 AND c.relkind not in ('i','I','c')""",
    "constraints": """SELECT c.oid,c.*,t.relname as tabrelname,
          rt.relnamespace as refnamespace,d.description,
          case when c.contype='c' then substring(pg_get_constraintdef(c.oid), 7) else null end
            consrc_copy
        FROM pg_catalog.pg_constraint c
        INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid
        LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid
        LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0
          AND d.classoid='pg_constraint'::regclass
        WHERE t.relname = 'pm25' ORDER BY c.oid""",
}
