COPY (SELECT * FROM people.person) TO 'file:///tmp/out.parquet' STORED AS PARQUET
COPY air.pm25 FROM '/etc/passwd'
COPY air.pm25 TO '/tmp/out.csv'
CREATE DATABASE other
CREATE EXTERNAL TABLE t (line TEXT) STORED AS CSV LOCATION 'file:///etc/passwd'
CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'
CREATE FUNCTION f(x INT) RETURNS INT AS 'x'
CREATE INDEX i ON air.pm25 (site)
CREATE SCHEMA other
CREATE TABLE air.copy AS SELECT * FROM air.pm25
CREATE VIEW air.open AS SELECT * FROM people.person
DELETE FROM air.pm25
DESCRIBE people.person
DESCRIBE secret.plan
DROP TABLE air.pm25
EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM people.person
EXPLAIN ANALYZE INSERT INTO air.pm25 SELECT 'x', 1, 1.0
EXPLAIN ANALYZE SELECT * FROM people.person
EXPLAIN DELETE FROM air.pm25
EXPLAIN FORMAT TREE SELECT * FROM people.person
EXPLAIN SELECT * FROM air.pm25
EXPLAIN SELECT * FROM people.person
EXPLAIN SELECT * FROM secret.plan
EXPLAIN VERBOSE SELECT * FROM people.person
EXPLAIN VERBOSE SELECT id FROM people.person
INSERT INTO air.pm25 SELECT * FROM air.pm25
INSERT INTO air.pm25 VALUES ('x', 1, 1.0)
PREPARE p AS SELECT * FROM air.pm25
SELECT "||"('a', 'b')
SELECT 'a' || NULL IS NULL
SELECT (SELECT income FROM people.person LIMIT 1)
SELECT * FROM "/etc/passwd"
SELECT * FROM "http://127.0.0.1/rows.csv"
SELECT * FROM "s3://bucket/rows.parquet"
SELECT * FROM '/etc/passwd'
SELECT * FROM 'file:///etc/passwd'
SELECT * FROM 'rows.parquet'
SELECT * FROM (SELECT * FROM people.person LIMIT 2) x
SELECT * FROM (SELECT count(*) AS n FROM people.person GROUP BY id) g WHERE n = 1
SELECT * FROM (SELECT hour INTO x FROM air.pm25) y
SELECT * FROM air.pm25 FOR UPDATE
SELECT * FROM datafusion.public.t
SELECT * FROM generate_series(1, 100000)
SELECT * FROM generate_series(1, 1000000)
SELECT * FROM glob('/etc/*')
SELECT * FROM information_schema.columns
SELECT * FROM information_schema.df_settings
SELECT * FROM information_schema.routines
SELECT * FROM information_schema.schemata
SELECT * FROM information_schema.tables
SELECT * FROM other.air.pm25
SELECT * FROM parquet_metadata('x')
SELECT * FROM people.person
SELECT * FROM pg_catalog.pg_class
SELECT * FROM pg_ls_dir('/')
SELECT * FROM place.home
SELECT * FROM pm25
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM read_parquet('x')
SELECT * FROM secret.plam
SELECT * FROM secret.plan
SELECT * FROM shujin.information_schema.columns
SELECT * INTO air.copy FROM air.pm25
SELECT 1 / (income - 3000) FROM people.person
SELECT 1 FROM people.person
SELECT 1 UNION ALL SELECT hour INTO x FROM air.pm25
SELECT 1 WHERE EXISTS (SELECT 1 FROM people.person)
SELECT 3000 IN (SELECT income FROM people.person)
SELECT @@version
SELECT CAST(income * 1000000000 AS SMALLINT) FROM people.person
SELECT CAST(name AS DATE) FROM people.person
SELECT CAST(name AS INT) FROM people.person
SELECT DISTINCT ON (area_code) income FROM people.person
SELECT DISTINCT income FROM people.person
SELECT EXISTS (SELECT 1 FROM people.person WHERE name = '张敏' AND income > 2000)
SELECT area_code FROM people.person LIMIT 1
SELECT area_code FROM people.person ORDER BY area_code LIMIT 1
SELECT array_repeat('x', 1000000000)
SELECT array_resize([1], 1000000000, 1)
SELECT array_transform([1], x -> x)
SELECT arrow_cast('1', 'Int64')
SELECT avg(income) FROM people.person WHERE area_code = '510107001'
SELECT avg(nullif(income, 1000)) FROM people.person
SELECT count(*) FROM (SELECT * FROM people.person OFFSET 1) x
SELECT count(*) FROM (SELECT 1 FROM people.person LIMIT 1) x
SELECT count(*) FROM air.pm25
SELECT count(*) FROM air.pm25 WHERE hour < (SELECT count(*) FROM people.person)
SELECT count(*) FROM generate_series(1, 10)
SELECT count(*) FROM generate_series(1, 1000000000)
SELECT count(*) FROM generate_series(9223372036854775807, -9223372036854775807, -1)
SELECT count(*) FROM generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2020-01-01', INTERVAL '1 microsecond')
SELECT count(*) FROM people.person
SELECT count(*) FROM people.person GROUP BY ROLLUP (name) HAVING grouping(name) = 0
SELECT count(*) FROM people.person GROUP BY name
SELECT count(*) FROM people.person ORDER BY max(income)
SELECT count(*) FROM people.person WHERE area_code = $1
SELECT count(*) FROM people.person WHERE id = '510104198001010001'
SELECT count(*) FROM people.person WHERE id = 'kept out'
SELECT count(*) FROM people.person WHERE income > 0
SELECT count(*) FROM people.person WHERE income > 2000
SELECT count(*) FROM people.person WHERE name = '张敏'
SELECT count(*) FROM people.person WHERE name = '新人' AND income > 1
SELECT count(*) FROM people.person a JOIN people.person b ON a.area_code = b.area_code
SELECT count(*) FROM people.person a JOIN people.person b ON a.id = b.id
SELECT count(*) FROM people.person p JOIN place.home h ON p.id = h.person_id
SELECT count(*) FROM range(0, 9223372036854775807)
SELECT count(DISTINCT area_code) FROM people.person
SELECT count(DISTINCT id) FROM people.person
SELECT count(income) FROM people.person
SELECT count(name) FROM people.person
SELECT count(note) FROM people.person
SELECT file_row_index() FROM air.pm25
SELECT generate_series(1, 1000000000)
SELECT has_role('police')
SELECT hour FROM air.pm25 WHERE EXISTS (SELECT 1 FROM people.person WHERE income = hour)
SELECT hour FROM air.pm25 WHERE hour = ANY (SELECT income FROM people.person)
SELECT hour, (SELECT count(*) FROM people.person p WHERE p.income > a.hour) FROM air.pm25 a
SELECT id FROM people.person LIMIT 1
SELECT id, area_code FROM people.person
SELECT in_area('510104001')
SELECT income FROM people.person
SELECT income FROM people.person EXCEPT SELECT 1
SELECT income FROM people.person INTERSECT SELECT 1000
SELECT income FROM people.person LIMIT 1
SELECT income FROM people.person ORDER BY income
SELECT income FROM people.person UNION SELECT income FROM people.person
SELECT income FROM people.person WHERE id = '510104198001010000'
SELECT inkome FROM people.person
SELECT input_file_name() FROM air.pm25
SELECT length(lpad('x', 1000000000, 'y'))
SELECT length(repeat('x', 1000000000))
SELECT length(repeat('x', hour * 100000000)) FROM air.pm25
SELECT length(replace(repeat('a', 10000), 'a', repeat('b', 100000)))
SELECT length(rpad(site, 1000000000)) FROM air.pm25
SELECT mask_token('x')
SELECT max(born) FROM people.person
SELECT min(area_code) || '..' || max(area_code) FROM people.person
SELECT name FROM people.person ORDER BY name LIMIT 1
SELECT name, area_code FROM people.person
SELECT note FROM people.person
SELECT nothing FROM people.person
SELECT p.income FROM people.person p
SELECT pg_read_file('/etc/passwd')
SELECT phone FROM people.person
SELECT range(0, 1000000000)
SELECT regexp_like(site, repeat('(a|b)', 1000)) FROM air.pm25
SELECT repeat('ab', 3) || 'c'
SELECT repeat('x', 1000) FROM generate_series(1, 100000)
SELECT round(avg(CAST(income AS DOUBLE))) FROM people.person
SELECT row_number() OVER (ORDER BY income) FROM people.person
SELECT st_area(st_geomfromtext('POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))'))
SELECT st_area_sphere('POLYGON((0 0, 0 1, 1 1, 1 0, 0 0))')
SELECT st_area_sphere('POLYGON((0 0, 1 0, 1 1, 0 1, 0 0))')
SELECT st_astext(st_point(1.0, 2.0))
SELECT st_distance_sphere('POINT(1 1)', 'POINT(1 1)')
SELECT st_distance_sphere('POINT(104.0657 30.6574)', 'POINT(104.0779 30.6553)')
SELECT st_distance_sphere('POINT(104.5 30.5)', 'LINESTRING(104 30, 104 31)')
SELECT st_distance_sphere(NULL, 'POINT(1 1)') IS NULL
SELECT st_distance_sphere(site, 'POINT(1 1)') FROM air.pm25
SELECT st_distance_sphere(st_asbinary(st_geomfromtext('POINT(104.0657 30.6574)')), st_point(104.0779, 30.6553))
SELECT st_distance_sphere(st_point(0.0, 0.0), st_point(1.0, 0.0))
SELECT st_distance_sphere(st_point(104.0, 30.0), st_point(104.0, 31.0))
SELECT st_dwithin_sphere(st_point(104.0657, 30.6574), st_point(104.0779, 30.6553), 1500)
SELECT st_dwithin_sphere(st_point(104.0657, 30.6574), st_point(104.0779, 30.6553), 500.0)
SELECT st_intersects(st_geomfromtext('LINESTRING(0 0, 2 2)'), st_geomfromtext('LINESTRING(0 2, 2 0)'))
SELECT st_within(st_geomfromtext('POINT(1 1)'), st_geomfromtext('POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))'))
SELECT st_within(st_geomfromtext('POINT(3 1)'), st_geomfromtext('POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))'))
SELECT st_x('LINESTRING(0 0, 1 1)') IS NULL
SELECT st_x(st_point(104.5, 30.5))
SELECT st_y(st_asbinary(st_geomfromtext('POINT(104.5 30.5)')))
SELECT sum(CASE WHEN id = '510104198001010002' THEN income ELSE 0 END) FROM people.person
SELECT sum(income * CAST(id = '510104198001010002' AS INT)) FROM people.person
SELECT sum(income) FILTER (WHERE id = '510104198001010002') FROM people.person
SELECT sum(income) FROM (SELECT income FROM people.person ORDER BY income LIMIT 1) p
SELECT sum(income) FROM people.person
SELECT sum(income) FROM people.person WHERE name IN ('杨磊', '赵强', '黄丽')
SELECT sum(income) FROM people.person p, LATERAL (SELECT 1) x
SELECT sum(income) FROM people.person, generate_series(1, 10) WHERE name = '张敏'
SELECT sum(income) OVER () FROM people.person
SELECT sum(p.x) FROM (SELECT CASE WHEN name = '张敏' THEN income END x FROM people.person) p
SELECT sum(x) FROM (SELECT income * CAST(id LIKE '%2' AS INT) AS x FROM people.person) p
SELECT sum(x) FROM (SELECT income AS x FROM people.person ORDER BY income) q
SELECT to_timestamp(name) FROM people.person
SELECT unnest([income]) FROM people.person
SELECT version()
SET ROLE admin
SET datafusion.execution.parquet.pushdown_filters = true
SHOW COLUMNS FROM secret.plan
SHOW CREATE TABLE air.pm25
SHOW FUNCTIONS
SHOW datafusion.execution.batch_size
UPDATE air.pm25 SET pm25 = 0
WITH gone AS (DELETE FROM air.pm25 RETURNING *) SELECT * FROM gone
WITH p AS (SELECT * FROM people.person) SELECT * FROM p
WITH p AS (SELECT income % 7 AS x FROM people.person) SELECT count(x) FROM p
WITH p AS (SELECT income AS x FROM people.person) SELECT sum(x) FROM p
WITH t0 AS (SELECT repeat('x', 1000) AS s)
WITH x AS (SELECT 1) INSERT INTO air.pm25 SELECT 'x', 1, 1.0
