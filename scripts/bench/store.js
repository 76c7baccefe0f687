/** Where the bytes of a store are: by table and index. */
import Database from "better-sqlite3";
import pg from "pg";

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
