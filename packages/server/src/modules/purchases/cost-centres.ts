/** Purpose: who pays for a department: its own cost centre, else that of the nearest department above that has one. */
export function costCentres(
  departments: Iterable<{
    readonly ordinal: number;
    readonly parent: number | null;
    readonly cost_centre: string | null;
  }>,
): (department: number) => string | undefined {
  const known = new Map([...departments].map((department) => [department.ordinal, department]));
  return (ordinal) => {
    // As many steps as there are departments: a cycle, which no stored tree has, ends all the same.
    let at = known.get(ordinal);
    for (let steps = known.size; at !== undefined && steps > 0; steps--) {
      if (at.cost_centre !== null && at.cost_centre !== "") return at.cost_centre;
      at = at.parent === null ? undefined : known.get(at.parent);
    }
    return undefined;
  };
}
