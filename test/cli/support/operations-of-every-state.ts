/** An operation in proto JSON. */
export interface OperationJson {
  readonly name: string;
  readonly metadata?: object;
  readonly done?: true;
  readonly response?: object;
  readonly error?: { readonly code: number; readonly message: string; readonly details?: object[] };
}

/** The states that an operation can be in, with payloads of known and of unknown types. */
const states: readonly Omit<OperationJson, "name">[] = [
  {},
  { metadata: { "@type": "type.googleapis.com/google.protobuf.Duration", value: "3s" } },
  { metadata: { "@type": "type.googleapis.com/elsewhere.v1.Thing", value: "CAE=" } },
  { done: true, response: { "@type": "type.googleapis.com/google.protobuf.Empty" } },
  { done: true, response: { "@type": "type.googleapis.com/elsewhere.v1.Thing", value: "CAI=" } },
  { done: true, error: { code: 1, message: "stopped" } },
  {
    done: true,
    error: {
      code: 5,
      message: "no such document",
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: "DOCUMENT_MISSING",
          domain: "printing.example.com",
        },
        { "@type": "type.googleapis.com/elsewhere.v1.Detail", value: "CAM=" },
      ],
    },
  },
];

/** This many operations below `projects/demo/locations/here`, in all states by turns. */
export function operationsOfEveryState(count: number): OperationJson[] {
  return Array.from({ length: count }, (_, at) => ({
    name: `projects/demo/locations/here/operations/op-${at}`,
    ...states[at % states.length],
  }));
}
