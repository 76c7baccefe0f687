/**
 * Purpose: no single caller may hold all of what is there for everybody. Counts what each has under way; whoever would have more than its share is
 * refused until something of it has ended. One thing at a time always fits, however large it is.
 */
export interface Shares {
  /** Takes something of this caller's share; answers how to give it back (once), undefined where it has not that much left. */
  take(caller: string, amount?: number): (() => void) | undefined;
}

export function createShares(most: number): Shares {
  const held = new Map<string, number>();
  return {
    take(caller, amount = 1) {
      const before = held.get(caller) ?? 0;
      if (before > 0 && before + amount > most) return undefined;
      held.set(caller, before + amount);
      let given = false;
      return () => {
        if (given) return;
        given = true;
        const left = (held.get(caller) ?? amount) - amount;
        if (left <= 0) held.delete(caller);
        else held.set(caller, left);
      };
    },
  };
}
