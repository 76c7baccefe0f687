/** Purpose: a server's `/api/v1` as a script calls it. */
export interface Api {
  readonly url: string;
  readonly token: string;
  get<T = Record<string, unknown>>(path: string): Promise<T>;
  send<T = Record<string, unknown>>(method: "POST" | "PUT", path: string, body?: unknown, type?: string): Promise<T>;
  /** All pages. */
  list<T>(path: string): Promise<readonly T[]>;
}

export function createApi(url: string, token: string): Api {
  async function call<T>(method: string, path: string, body?: string, type?: string): Promise<T> {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(type !== undefined && { "content-type": type }) },
      ...(body !== undefined && { body }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text.slice(0, 500)}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }
  return {
    url,
    token,
    get: (path) => call("GET", path),
    send: (method, path, body, type = "application/json") =>
      body === undefined
        ? call(method, path)
        : call(method, path, typeof body === "string" ? body : JSON.stringify(body), type),
    async list<T>(path: string) {
      const items: T[] = [];
      for (let cursor: string | undefined; ;) {
        const at = new URL(path, url);
        if (cursor !== undefined) at.searchParams.set("cursor", cursor);
        const page = await call<{ items: T[]; nextCursor?: string }>("GET", `${at.pathname}${at.search}`);
        items.push(...page.items);
        cursor = page.nextCursor;
        if (cursor === undefined) return items;
      }
    },
  };
}
