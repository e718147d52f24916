/** The response to Prometheus: the value of each series with these labels, by name and labels. */
export async function scrape(url: string): Promise<Scraped> {
  const response = await fetch(url);
  const text = await response.text();
  return {
    status: response.status,
    contentType: response.headers.get("content-type") ?? "",
    text,
    valueOf(name, labels = {}) {
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      for (const line of text.split("\n")) {
        const [, found, labelled = "", value] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? [];
        const shown = labelled.split(",");
        if (found === name && wanted.every((label) => shown.includes(label))) return Number(value);
      }
      return undefined;
    },
  };
}

export interface Scraped {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  /** The first series of this name with these labels; undefined if no series matches. */
  valueOf(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}
