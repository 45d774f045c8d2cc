create table words(id integer primary key, name text, n integer);
with recursive c(i) as (select 1 union all select i + 1 from c where i < 60000)
insert into words select i, printf('%08x', (i * 2654435761) % 4294967296), (i * 7919) % 1000 from c;
create index by_n on words(n, name);
select n, count(*), max(name) from words group by n order by n limit 5;
select sum(a.n * b.n) from words a join words b on a.id = b.id + 17 where a.name < 'a';
update words set n = n + 1 where name like '%f%';
select count(*), total(n), min(name) from words where n between 100 and 600;
delete from words where id % 3 = 0;
select count(distinct name), avg(n) from words;
