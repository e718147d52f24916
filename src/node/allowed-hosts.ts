/** The hosts that a server accepts. The case of a name and the port do not matter. */
export interface AllowedHosts {
  /** Says whether the server listens on an address that only its own machine can reach. */
  listening(address: string): void;
  /** Whether a request for this URL may be answered. */
  allows(url: string): boolean;
}

/** 127.0.0.0/8, ::1 and localhost with its subdomains (RFC 6761, section 6.3). */
const loopback = /^(localhost|(.+\.)?localhost|127(\.\d{1,3}){3}|\[::1\])$/;
const loopbackAddress = /^(127\.|::1$|::ffff:127\.)/;

/**
 * Protects against DNS rebinding: a page whose host name resolves to this machine has the same
 * origin as a server on a loopback address. Only the Host field distinguishes the two.
 *
 * @param given Host names in addition to the loopback ones, or "*" for all. Undefined: none for a
 * server on a loopback address, and all for any other.
 */
export function createAllowedHosts(given: readonly string[] | "*" | undefined): AllowedHosts {
  const names = new Set(given === "*" ? [] : given?.map((name) => name.toLowerCase()));
  let isOpen = given === "*" || given === undefined;
  /** The beginning of the last URL that was allowed, up to its path. */
  let last = "";
  return {
    listening(address) {
      if (given === undefined) isOpen = !loopbackAddress.test(address);
    },
    allows(url) {
      if (isOpen) return true;
      // The requests of one client mostly have the same host.
      if (last !== "" && url.startsWith(last)) return true;
      const host = hostOf(url);
      if (!loopback.test(host) && !names.has(host)) return false;
      last = /^\w+:\/\/[^/?#\\@]+\//.exec(url)?.[0] ?? "";
      return true;
    },
  };
}

/** Returns the host name in a URL, without its port and the dot of a full name. */
export function hostOf(url: string): string {
  return new URL(url).hostname.toLowerCase().replace(/\.$/, "");
}
