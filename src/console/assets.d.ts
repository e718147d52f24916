// The module `#console-assets`, which the build writes to `dist/console` (build/bundle-console.ts).

/** A file of the page, compressed when the package was built. */
export interface Asset {
  /** Relative to the page: `index.html`, or a name with a hash of the content. */
  readonly path: string;
  readonly contentType: string;
  /** A strong entity tag (RFC 9110, section 8.8.3), with its quotes. */
  readonly etag: string;
  /** The content compressed by gzip, in base64. */
  readonly gzip: string;
  /** The content compressed by brotli, in base64. */
  readonly br: string;
}

export declare const assets: readonly Asset[];
