import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { useEffect, useState } from "preact/hooks";
import { Dialog } from "./dialogs.js";
import type { Row } from "./row.js";
import type { Session } from "./session.js";
import { Text } from "./text.js";

const keys: readonly (readonly [key: string, does: string])[] = [
  ["/", "go to the filter"],
  ["j", "next operation"],
  ["k", "previous operation"],
  ["Enter", "open the operation"],
  ["c", "cancel the operation"],
  ["Esc", "close"],
  ["?", "this help"],
];

const examples: readonly (readonly [filter: string, means: string])[] = [
  ["done = false", "running"],
  ["error.code = NOT_FOUND", "failed with this code"],
  ['create_time > "2026-01-02T03:04:05Z"', "started after a time"],
  ['name = "*/operations/abc*"', "by a part of the name"],
  ["metadata.stage = BAKING", "by a field of the metadata"],
  ["NOT done = true OR error:*", "combined"],
];

/** Most types of metadata whose fields are shown. */
const maxTypes = 8;

/** Shows the keys, the grammar of filters, and the fields that the listed operations have. */
export function Help({
  session,
  rows,
  onFilter,
  onClose,
}: {
  session: Session;
  rows: readonly Row[];
  onFilter: (filter: string) => void;
  onClose: () => void;
}) {
  const fields = useMetadataFields(session, rows);
  return (
    <Dialog title="Help" onClose={onClose}>
      <h3>Filters</h3>
      <p>
        A filter has the syntax of <a href="https://google.aip.dev/160">AIP-160</a>; servers differ
        in the fields that they know. The name of an operation opens it.
      </p>
      <table>
        <tbody>
          {examples.map(([filter, means]) => (
            <tr key={filter}>
              <td>
                <button type="button" class="link" onClick={() => onFilter(filter)}>
                  {filter}
                </button>
              </td>
              <td>{means}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">
        Fields of every operation on servers of connect-longrunning: name, method, done,
        create_time, update_time, end_time, state, attempt, cancel_requested, error.code,
        error.message, metadata.…, response.…
      </p>
      {fields.map(({ typeName, names }) => (
        <p key={typeName}>
          <Text value={typeName} max={200} />
          {": "}
          {names.map((name) => (
            <code key={name} class="field">
              <Text value={`metadata.${name}`} max={100} />
            </code>
          ))}
        </p>
      ))}
      <h3>Keys</h3>
      <table>
        <tbody>
          {keys.map(([key, does]) => (
            <tr key={key}>
              <td>
                <kbd>{key}</kbd>
              </td>
              <td>{does}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <div class="buttons">
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

interface TypeFields {
  readonly typeName: string;
  readonly names: readonly string[];
}

function useMetadataFields(session: Session, rows: readonly Row[]): readonly TypeFields[] {
  const [fields, setFields] = useState<readonly TypeFields[]>([]);
  useEffect(() => {
    let isLeft = false;
    const find = async () => {
      const found = new Map<string, TypeFields>();
      for (const { operation } of rows) {
        const { metadata } = operation;
        if (metadata === undefined || found.has(metadata.typeUrl) || found.size >= maxTypes)
          continue;
        const message = await session.types.unpack(metadata);
        if (message === undefined) continue;
        const names = message.fields.filter(isFilterable).map(({ name }) => name);
        found.set(metadata.typeUrl, { typeName: message.desc.typeName, names });
      }
      if (!isLeft) setFields([...found.values()]);
    };
    void find();
    return () => {
      isLeft = true;
    };
  }, [session, rows]);
  return fields;
}

function isFilterable(field: DescField): boolean {
  return field.fieldKind !== "scalar" || field.scalar !== ScalarType.BYTES;
}
