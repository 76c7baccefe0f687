/** A store as a measurement reads and fills it past the server, and where its bytes are: by table and index. */
import Database from "better-sqlite3";
import pg from "pg";

/** `insert` takes many rows, in one transaction. */
export async function openStore(url) {
  if (url.startsWith("sqlite:")) {
    const database = new Database(url.slice("sqlite:".length));
    return {
      rows: async (text) => database.prepare(text).all(),
      async insert(table, columns, rows) {
        const statement = database.prepare(`insert into ${table} (${columns}) values (${columns.map(() => "?")})`);
        database.transaction(() => rows.forEach((row) => statement.run(...row)))();
      },
      close: async () => void database.close(),
    };
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    rows: async (text) => (await client.query(text)).rows,
    async insert(table, columns, rows) {
      await client.query("begin");
      for (let from = 0; from < rows.length; from += 1000) {
        const some = rows.slice(from, from + 1000);
        const places = some.map((row, n) => `(${row.map((_, i) => `$${n * row.length + i + 1}`)})`);
        await client.query(`insert into ${table} (${columns}) values ${places}`, some.flat());
      }
      await client.query("commit");
    },
    close: () => client.end(),
  };
}

/** Rows `[name, bytes]`, largest first. */
export async function storeBytes(url) {
  if (url.startsWith("sqlite:")) {
    const database = new Database(url.slice("sqlite:".length), { readonly: true });
    const rows = database.prepare("select name, sum(pgsize) as bytes from dbstat group by name order by 2 desc").all();
    database.close();
    return rows.map(({ name, bytes }) => [name, Number(bytes)]);
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(
    `select relname as name, pg_total_relation_size(c.oid) - pg_indexes_size(c.oid) as bytes from pg_class c
       where relkind = 'r' and relnamespace = 'public'::regnamespace
     union all select indexrelid::regclass::text, pg_relation_size(indexrelid) from pg_index i
       join pg_class c on c.oid = i.indrelid where c.relnamespace = 'public'::regnamespace
     order by 2 desc`,
  );
  await client.end();
  return rows.map(({ name, bytes }) => [name, Number(bytes)]);
}

/**
 * PostgreSQL: what each table's bytes are made of, largest first. Dead rows are those that a vacuum has still to clear; the room it cleared is used
 * again, and counts here all the same.
 */
export async function tableParts(url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(
    `select c.relname as name, pg_relation_size(c.oid) as heap, coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) as toast,
       pg_indexes_size(c.oid) as indexes, s.n_live_tup as live, s.n_dead_tup as dead, t.n_dead_tup as "deadToast",
       s.n_tup_upd as updates, s.n_tup_hot_upd as hot, s.vacuum_count + s.autovacuum_count as vacuums
     from pg_class c join pg_stat_all_tables s on s.relid = c.oid left join pg_stat_all_tables t on t.relid = c.reltoastrelid
     where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by pg_total_relation_size(c.oid) desc`,
  );
  await client.end();
  return rows.map(({ name, ...numbers }) => ({
    name,
    ...Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, Number(value ?? 0)])),
  }));
}
