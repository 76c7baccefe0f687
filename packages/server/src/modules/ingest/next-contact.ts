/**
 * Purpose: when callers are asked to come next while the server is loaded (design.md "Herds"); what it has no room for at all, intake refuses.
 * Rule: a batch that took longer than two seconds from its arrival to its answer says that more comes in than is stored. Its sender is asked to come
 * back at a random time between one and two heartbeats from now, so that heartbeats become fewer by a third and lie evenly. News waits for nothing:
 * agents send what a scan found when it was found.
 */
export const loadedMs = 2_000;

/** Seconds; undefined = by the caller's own schedule. */
export type NextContact = (tookMs: number) => number | undefined;

export function createNextContact(options: {
  readonly heartbeatSeconds: number;
  readonly random: () => number;
}): NextContact {
  return (tookMs) => (tookMs <= loadedMs ? undefined : Math.ceil(options.heartbeatSeconds * (1 + options.random())));
}
