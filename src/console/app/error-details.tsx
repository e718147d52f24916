import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { typeNameFromUrl } from "../../internal/type-url.js";
import { isJsonObject } from "../../json/message-json.js";
import type { Status } from "../../protos.js";
import { codeFromNumber, codeName } from "../../status/code.js";
import { exactTime, LongText, Text } from "./text.js";
import { unwrapped, ValueTree } from "./value-tree.js";

/** Shows the error of an operation, with a separate display for each standard detail. */
export function ErrorDetails({
  status,
  json,
  endTimeMs,
}: {
  status: Status;
  /** The error in proto3 JSON; undefined if it cannot be written. */
  json: JsonValue | undefined;
  /** When the operation ended; undefined if its metadata does not have the time. */
  endTimeMs: number | undefined;
}) {
  const code = codeFromNumber(status.code) ?? Code.Unknown;
  const details = isJsonObject(json) ? objectsIn(json, "details").map(unwrapped) : [];
  return (
    <section class="error-card" aria-label="Error">
      <h3>
        {codeName(code)} <span class="hint">{status.code}</span>
      </h3>
      <p class="message">
        <LongText value={status.message} />
      </p>
      {details.map((detail, at) => (
        <Detail key={at} detail={detail} endTimeMs={endTimeMs} />
      ))}
    </section>
  );
}

function Detail({ detail, endTimeMs }: { detail: JsonObject; endTimeMs: number | undefined }) {
  const { "@type": typeUrl, ...members } = detail;
  const typeName = typeNameFromUrl(String(typeUrl));
  const name = typeName.slice(typeName.lastIndexOf(".") + 1);
  const isStandard = typeName.startsWith("google.rpc.");
  return (
    <div class="detail">
      <h4>
        <Text value={isStandard ? name : typeName} max={200} />
      </h4>
      {isStandard ? (
        (standardDetail(name, detail, endTimeMs) ?? <ValueTree value={members} />)
      ) : (
        <ValueTree value={detail} />
      )}
    </div>
  );
}

/** Returns undefined for a detail that has no form of its own. */
function standardDetail(name: string, detail: JsonObject, endTimeMs: number | undefined) {
  switch (name) {
    case "RetryInfo":
      return <RetryTime delay={textIn(detail, "retryDelay")} endTimeMs={endTimeMs} />;
    case "BadRequest":
      return (
        <Table
          columns={["field", "description", "reason"]}
          rows={objectsIn(detail, "fieldViolations")}
        />
      );
    case "PreconditionFailure":
      return (
        <Table
          columns={["type", "subject", "description"]}
          rows={objectsIn(detail, "violations")}
        />
      );
    case "QuotaFailure":
      return <Table columns={["subject", "description"]} rows={objectsIn(detail, "violations")} />;
    case "Help":
      return (
        <ul>
          {objectsIn(detail, "links").map((link) => (
            <li key={JSON.stringify(link)}>
              <HelpLink url={textIn(link, "url")} text={textIn(link, "description")} />
            </li>
          ))}
        </ul>
      );
    case "LocalizedMessage":
      return <LongText value={textIn(detail, "message")} />;
    case "DebugInfo":
      return (
        <>
          <LongText value={textIn(detail, "detail")} />
          <pre>
            <LongText value={[detail.stackEntries ?? []].flat().map(String).join("\n")} />
          </pre>
        </>
      );
    default:
      return undefined;
  }
}

function RetryTime({ delay, endTimeMs }: { delay: string; endTimeMs: number | undefined }) {
  const delayMs = Number.parseFloat(delay) * 1000;
  const isKnown = endTimeMs !== undefined && Number.isFinite(delayMs);
  return (
    <p>
      Retry after <strong>{delay === "" ? "0s" : <Text value={delay} max={40} />}</strong>
      {isKnown && (
        <>
          {", from "}
          <time title={exactTime(endTimeMs + delayMs)}>
            {new Date(endTimeMs + delayMs).toLocaleString(undefined, {
              dateStyle: "medium",
              timeStyle: "medium",
            })}
          </time>
        </>
      )}
    </p>
  );
}

/** A link for http and https alone: other schemes could run code. */
function HelpLink({ url, text }: { url: string; text: string }) {
  const label = <Text value={text === "" ? url : text} max={200} />;
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    return (
      <>
        {label} (<Text value={url} max={200} />)
      </>
    );
  }
  return (
    <a href={url} target="_blank" rel="noopener noreferrer" title={url.slice(0, 200)}>
      {label}
    </a>
  );
}

function Table({ columns, rows }: { columns: readonly string[]; rows: readonly JsonObject[] }) {
  const used = columns.filter((column) => rows.some((row) => textIn(row, column) !== ""));
  return (
    <table>
      <thead>
        <tr>
          {used.map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.slice(0, 100).map((row) => (
          <tr key={JSON.stringify(row)}>
            {used.map((column) => (
              <td key={column}>
                <LongText value={textIn(row, column)} />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function textIn(object: JsonObject, name: string): string {
  const value = object[name];
  return typeof value === "string" ? value : "";
}

function objectsIn(object: JsonObject, name: string): readonly JsonObject[] {
  const value = object[name];
  return Array.isArray(value) ? value.filter((one) => isJsonObject(one)) : [];
}
