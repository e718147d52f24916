import { generate } from "selfsigned";

/** A self-signed certificate for 127.0.0.1 and localhost, and its key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export async function createCertificate(): Promise<Certificate> {
  const { cert, private: key } = await generate([{ name: "commonName", value: "127.0.0.1" }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      {
        name: "subjectAltName",
        altNames: [
          { type: 7, ip: "127.0.0.1" },
          { type: 2, value: "localhost" },
        ],
      },
    ],
  });
  return { cert, key };
}
