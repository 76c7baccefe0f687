/**
 * A reorganisation that moves 10,000 people with their devices (aim: ≤ 5 s). In one process, without HTTP.
 */
import { code, openCompany, timer } from "./company.js";

export async function org({ devices = 100_000, departments = 1000, licenses = 100, moved = 10_000, database }) {
  // Everybody of the first tenth of the departments moves: 10,000 of 80,000 people are in as many departments as it takes.
  const inFirst = Math.max(1, Math.round((departments * moved) / (devices * 0.8)));
  const departmentOf = (i) => (i < moved ? i % inFirst : inFirst + (i % (departments - inFirst)));
  const { server, people, close } = await openCompany({ devices, departments, licenses, departmentOf, database });
  const { orgChanges } = server;
  const time = timer("org");
  const list = Array.from({ length: moved }, (_, i) => `E${i}`);
  const move = { type: "move", employees: list, to: code(departments - 1) };
  await time(`preview of moving ${moved} of ${people} people`, () => orgChanges.preview({ changes: [move] }, "bench"));
  await time(`moving ${moved} of ${people} people`, () => orgChanges.request({ changes: [move] }, "bench"));
  await time(`${moved} moves of one person each, in one request`, () =>
    orgChanges.request(
      { changes: list.map((employee, i) => ({ type: "move", employee, to: code(i % inFirst) })) },
      "bench",
    ),
  );
  await time(`merging the ${inFirst} departments of ${moved} people`, () =>
    orgChanges.request(
      {
        changes: [
          { type: "merge", departments: Array.from({ length: inFirst }, (_, i) => code(i)), to: code(departments - 2) },
        ],
      },
      "bench",
    ),
  );
  await close();
}
