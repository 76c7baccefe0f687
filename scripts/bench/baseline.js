/**
 * What the products of this field do, as little as it takes: one row per device and title with an index title → device, in SQLite, WAL, synchronous=FULL,
 * 100 devices a commit. The rows of a device are replaced when it reports.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";

export function baseline({ devices, titles }) {
  const dir = mkdtempSync(join(tmpdir(), "daicho-baseline-"));
  const database = new Database(join(dir, "baseline.db"));
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.exec(`create table titles (id integer primary key, name text, version text, publisher text, unique (name, version, publisher));
    create table software (device integer, title integer, installed_at text, primary key (device, title)) without rowid;
    create index software_title on software (title, device);`);
  const addTitle = database.prepare(
    "insert into titles (name, version, publisher) values (?, ?, ?) on conflict do nothing",
  );
  const findTitle = database.prepare("select id from titles where name = ? and version = ? and publisher = ?");
  const clear = database.prepare("delete from software where device = ?");
  const add = database.prepare("insert into software values (?, ?, ?)");
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const inventories = Array.from({ length: devices }, () => {
    const chosen = new Set();
    while (chosen.size < titles) chosen.add(Math.floor(60_000 * random() ** 3));
    return [...chosen].map((n) => [`Application ${n}`, `${n % 9}.${n % 13}`, `Vendor ${n % 500}`]);
  });
  const ids = new Map();
  const started = performance.now();
  for (let at = 0; at < devices; at += 100)
    database.transaction(() => {
      for (const [i, inventory] of inventories.slice(at, at + 100).entries()) {
        clear.run(at + i);
        for (const title of inventory) {
          const key = title.join("\n");
          let id = ids.get(key);
          if (id === undefined) {
            addTitle.run(...title);
            id = findTitle.get(...title).id;
            ids.set(key, id);
          }
          add.run(at + i, id, "2026-01-01");
        }
      }
    })();
  const seconds = (performance.now() - started) / 1000;
  database.close();
  const size = statSync(join(dir, "baseline.db")).size;
  rmSync(dir, { recursive: true, force: true });
  return { newPerSecond: devices / seconds, bytesPerDevice: Math.round(size / devices) };
}
